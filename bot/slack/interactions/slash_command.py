"""`/copilot`: an order to the bot, or a question that gets a thread of its own in the channel."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from bot.commands import texts
from bot.commands.parser import Known, read_words
from bot.domain.commands import Form, Order
from bot.errors import SlackError
from bot.ports import People
from bot.slack.api.calls import bounded
from bot.slack.api.client import Block
from bot.slack.api.ephemeral import tell_aside
from bot.slack.identity import Identity
from bot.slack.interactions.ask import Asking, Question
from bot.slack.interactions.command_runner import OrderCounter
from bot.slack.interactions.payloads import Commanded, Person, Place

log = logging.getLogger(__name__)

_LOOK_UP_SECONDS = 1.0
"""For who it is: a command has to be acknowledged within 3 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """What the person alone is shown in answer; nothing when `text` is empty."""

    text: str = ""
    blocks: list[Block] = field(default_factory=list)


class Commands:
    """What the slash command does."""

    def __init__(
        self,
        us: Identity,
        people: People,
        asking: Asking,
        orders: OrderCounter,
        known: Callable[[], Known],
    ) -> None:
        """`known` tells what orders may name just now."""
        self._us = us
        self._people = people
        self._asking = asking
        self._orders = orders
        self._known = known

    async def run(self, given: Commanded) -> Aside:
        """Do it, and say what the person is shown; what comes out later they are told later."""
        text = given.ordered or "help"
        said = read_words(text, self._known(), Form.COMMAND)
        if said is not None:
            order = Order(
                key=given.trigger,
                verb=said.verb,
                words=said.words,
                by=given.user,
                form=Form.COMMAND,
                team=self._us.team,
                channel=given.channel,
            )
            drawn = await self._orders.command(order, given.answer_url)
            return Aside(text=drawn.text, blocks=drawn.blocks) if drawn is not None else Aside()
        elsewhere = read_words(text, self._known(), Form.MESSAGE, commanded=True)
        if elsewhere is not None:
            return Aside(text=texts.ONLY_IN_THREADS.format(verb=elsewhere.verb))
        return Aside(text=await self._ask(given))

    async def _ask(self, given: Commanded) -> str:
        """Ask the question. Empty, or the sentence why not."""
        try:
            person = await bounded(self._people.person(given.user), _LOOK_UP_SECONDS)
        except SlackError as error:
            log.warning("who used the command could not be looked up: %s", error)
            return error.sentence
        question = Question(
            key=given.trigger,
            person=Person(user=given.user, team=person.team),
            place=Place(channel=given.channel),
            text=given.text,
        )
        return await self._asking.ask(question, tell_aside(given.answer_url))
