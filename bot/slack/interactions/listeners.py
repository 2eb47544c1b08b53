"""Commands, buttons, the shortcut and modals, as Bolt hands them in: read, acknowledged, done.

Whatever people press or send is acknowledged, also what nobody knows any more, and each gets what
they did or a sentence about it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable
from typing import Final

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.domain.cards import Card
from bot.slack import manifest, texts
from bot.slack.api.client import Client
from bot.slack.api.ephemeral import answer_aside, post_aside, tell_aside
from bot.slack.cards.home_tab import Home
from bot.slack.identity import Identity
from bot.slack.interactions.command_runner import OrderCounter
from bot.slack.interactions.modals import Actions
from bot.slack.interactions.payloads import (
    Pressed,
    orders_something,
    read_choice,
    read_command,
    read_order,
    read_press,
    read_submission,
)
from bot.slack.interactions.slash_command import Commands
from bot.tasks import Background

Json = dict[str, object]

_ANYTHING: Final = re.compile(".*", re.DOTALL)


class Controls:
    """Bolt's listeners for everything that people operate."""

    def __init__(
        self,
        client: Client,
        us: Identity,
        background: Background,
        commands: Commands,
        actions: Actions,
        orders: OrderCounter,
        home: Home,
    ) -> None:
        self._client = client
        self._us = us
        self._background = background
        self._commands = commands
        self._actions = actions
        self._orders = orders
        self._home = home

    def register(self, app: AsyncApp) -> None:
        """Make them known to Bolt; of each kind, the one that takes anything comes last."""
        app.command(manifest.COMMAND)(self._commanded)
        app.command(_ANYTHING)(self._unknown_command)
        app.shortcut(manifest.ASK_ABOUT_MESSAGE)(self._chosen)
        app.action(_ANYTHING)(self._pressed)
        for modal in (manifest.ASK_MODAL, manifest.ABOUT_MODAL):
            app.view(modal)(self._sent)
        app.view(_ANYTHING)(self._unknown_modal)

    async def _commanded(self, ack: AsyncAck, body: Json) -> None:
        given = read_command(body, self._us)
        if given is None:
            await ack(texts.WENT_WRONG)
            return
        aside = await self._commands.run(given)
        if aside.text:
            await ack(text=aside.text, blocks=aside.blocks or None)
        else:
            await ack()

    async def _unknown_command(self, ack: AsyncAck) -> None:
        await ack(texts.UNKNOWN_COMMAND)

    async def _pressed(self, ack: AsyncAck, body: Json) -> None:
        pressed = read_press(body)
        if pressed is not None and orders_something(pressed):
            await self._ordered(ack, body, pressed)
            return
        await ack()
        if pressed is not None:
            work = self._answered(self._actions.press(pressed), pressed.answer_url)
            self._background.start("a button", work)

    async def _ordered(self, ack: AsyncAck, body: Json, pressed: Pressed) -> None:
        """On record before it is acknowledged; what comes of it is told when it comes."""
        order, sentence = read_order(body, self._us), texts.OLD_BUTTON
        if order is not None:
            sentence = await self._orders.press(order, self._home.publish)
        await ack()
        if sentence:
            self._background.start("a button", self._not_ordered(pressed, sentence))

    async def _not_ordered(self, pressed: Pressed, sentence: str) -> None:
        """Say why not: where it was pressed, or on top of the Home tab."""
        if pressed.answer_url:
            await answer_aside(pressed.answer_url, sentence)
        else:
            await self._home.publish(pressed.person.user, Card(text=sentence))

    async def _chosen(self, ack: AsyncAck, body: Json) -> None:
        await ack()
        chosen = read_choice(body, self._us)
        if chosen is not None:
            work = self._answered(self._actions.choose(chosen), chosen.answer_url)
            self._background.start("a shortcut", work)

    async def _answered(self, work: Awaitable[str], answer_url: str) -> None:
        """Do what was asked for and tell the person alone what came of it, if anything did."""
        sentence = await work
        if sentence:
            await tell_aside(answer_url)(sentence)

    async def _sent(self, ack: AsyncAck, body: Json) -> None:
        sent = read_submission(body)
        if sent is None:
            await ack(response_action="errors", errors=_error(texts.WENT_WRONG))
            return

        async def late(sentence: str) -> None:
            await post_aside(self._client, sent.place.channel, sent.person.user, sentence)

        sentence = await self._actions.send(sent, late)
        if sentence:
            await ack(response_action="errors", errors=_error(sentence))
        else:
            await ack()

    async def _unknown_modal(self, ack: AsyncAck) -> None:
        await ack()


def _error(sentence: str) -> dict[str, str]:
    return {manifest.QUESTION_BLOCK: sentence}
