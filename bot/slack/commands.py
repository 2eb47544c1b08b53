"""`/copilot`: help, or a question that gets a thread of its own in the channel."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from bot.errors import SlackError
from bot.slack import surface, words
from bot.slack.asking import Asking, Question
from bot.slack.blocks import Block, help_card
from bot.slack.events import Identity
from bot.slack.interactions import Commanded, Person, Place
from bot.slack.people import People

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """What the person alone is shown in answer; nothing when `text` is empty."""

    text: str = ""
    blocks: list[Block] = field(default_factory=list)


class Commands:
    """What the slash command does."""

    def __init__(self, us: Identity, people: People, asking: Asking) -> None:
        self._us = us
        self._people = people
        self._asking = asking

    async def run(self, given: Commanded, late: Callable[[str], Awaitable[None]]) -> Aside:
        """Do it, and say what the person is shown; `late` tells them what comes out later."""
        try:
            team = await self._people.team_of(given.user)
        except SlackError as error:
            log.warning("who used the command could not be looked up: %s", error)
            return Aside(text=error.sentence)
        if team != self._us.team:
            return Aside(text=words.OUTSIDER)
        if given.text.casefold() in ("", "help"):
            short = words.HELP_SHORT.format(name=self._us.name, command=surface.COMMAND)
            return Aside(text=short, blocks=help_card(self._us.name))
        question = Question(
            key=given.trigger,
            person=Person(user=given.user, team=team),
            place=Place(channel=given.channel),
            text=given.text,
        )
        return Aside(text=await self._asking.ask(question, late))
