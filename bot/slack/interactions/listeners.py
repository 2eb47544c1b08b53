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
from bot.slack.api.client import SlackClient
from bot.slack.api.ephemeral import post_ephemeral, respond, responder_for
from bot.slack.cards.home_tab import HomeTabPublisher
from bot.slack.identity import BotIdentity
from bot.slack.interactions.command_runner import CommandRunner
from bot.slack.interactions.modals import Modals
from bot.slack.interactions.payloads import (
    ButtonPress,
    is_command_press,
    parse_button_press,
    parse_command_press,
    parse_shortcut,
    parse_slash_command,
    parse_submission,
)
from bot.slack.interactions.slash_command import SlashCommand
from bot.tasks import BackgroundTasks

Json = dict[str, object]

_ANYTHING: Final = re.compile(".*", re.DOTALL)


class Listeners:
    """Bolt's listeners for everything that people operate."""

    def __init__(
        self,
        client: SlackClient,
        identity: BotIdentity,
        background_tasks: BackgroundTasks,
        slash_command: SlashCommand,
        modals: Modals,
        command_runner: CommandRunner,
        home_tab: HomeTabPublisher,
    ) -> None:
        self._client = client
        self._identity = identity
        self._background_tasks = background_tasks
        self._slash_command = slash_command
        self._modals = modals
        self._command_runner = command_runner
        self._home_tab = home_tab

    def register(self, app: AsyncApp) -> None:
        """Make them known to Bolt; of each kind, the one that takes anything comes last."""
        app.command(manifest.SLASH_COMMAND)(self._on_slash_command)
        app.command(_ANYTHING)(self._on_unknown_command)
        app.shortcut(manifest.ASK_ABOUT_MESSAGE)(self._on_shortcut)
        app.action(_ANYTHING)(self._on_button)
        for modal in (manifest.ASK_MODAL, manifest.ABOUT_MODAL):
            app.view(modal)(self._on_modal_submitted)
        app.view(_ANYTHING)(self._on_unknown_modal)

    async def _on_slash_command(self, ack: AsyncAck, body: Json) -> None:
        given = parse_slash_command(body, self._identity)
        if given is None:
            await ack(texts.WENT_WRONG)
            return
        aside = await self._slash_command.handle(given)
        if aside.text:
            await ack(text=aside.text, blocks=aside.blocks or None)
        else:
            await ack()

    async def _on_unknown_command(self, ack: AsyncAck) -> None:
        await ack(texts.UNKNOWN_COMMAND)

    async def _on_button(self, ack: AsyncAck, body: Json) -> None:
        pressed = parse_button_press(body)
        if pressed is not None and is_command_press(pressed):
            await self._run_button_command(ack, body, pressed)
            return
        await ack()
        if pressed is not None:
            work = self._run_and_respond(self._modals.on_button(pressed), pressed.response_url)
            self._background_tasks.spawn("a button", work)

    async def _run_button_command(self, ack: AsyncAck, body: Json, press: ButtonPress) -> None:
        """On record before it is acknowledged; what comes of it is told when it comes."""
        order, sentence = parse_command_press(body, self._identity), texts.OLD_BUTTON
        if order is not None:
            sentence = await self._command_runner.run_button_command(order, self._home_tab.publish)
        await ack()
        if sentence:
            self._background_tasks.spawn("a button", self._report_rejected(press, sentence))

    async def _report_rejected(self, press: ButtonPress, text: str) -> None:
        """Say why not: where it was pressed, or on top of the Home tab."""
        if press.response_url:
            await respond(press.response_url, text)
        else:
            await self._home_tab.publish(press.actor.user, Card(text=text))

    async def _on_shortcut(self, ack: AsyncAck, body: Json) -> None:
        await ack()
        chosen = parse_shortcut(body, self._identity)
        if chosen is not None:
            work = self._run_and_respond(self._modals.on_shortcut(chosen), chosen.response_url)
            self._background_tasks.spawn("a shortcut", work)

    async def _run_and_respond(self, work: Awaitable[str], response_url: str) -> None:
        """Do what was asked for and tell the person alone what came of it, if anything did."""
        sentence = await work
        if sentence:
            await responder_for(response_url)(sentence)

    async def _on_modal_submitted(self, ack: AsyncAck, body: Json) -> None:
        sent = parse_submission(body)
        if sent is None:
            await ack(response_action="errors", errors=_modal_errors(texts.WENT_WRONG))
            return

        async def late(sentence: str) -> None:
            await post_ephemeral(self._client, sent.target.channel, sent.actor.user, text=sentence)

        sentence = await self._modals.on_submission(sent, late)
        if sentence:
            await ack(response_action="errors", errors=_modal_errors(sentence))
        else:
            await ack()

    async def _on_unknown_modal(self, ack: AsyncAck) -> None:
        await ack()


def _modal_errors(text: str) -> dict[str, str]:
    return {manifest.QUESTION_BLOCK: text}
