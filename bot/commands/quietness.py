"""The orders `quiet` and `join`: whether the bot answers in a thread without being mentioned."""

from __future__ import annotations

from collections.abc import Mapping

from bot.commands import texts
from bot.commands.dispatcher import Asked, Handler
from bot.commands.session_state import how_it_goes
from bot.commands.texts import sessions as session_texts
from bot.domain import YES, Choice, Scope, Topic
from bot.domain.cards import Outcome, told
from bot.domain.messages import ThreadKey
from bot.ports import ChoiceStore, Clock


async def is_quiet(store: ChoiceStore, thread: ThreadKey) -> bool:
    """Whether the bot is to be silent in a thread until mentioned. Raises `StoreError`."""
    choices = await store.choices([(Scope.THREAD, str(thread))])
    return any(choice.topic is Topic.QUIET and choice.value == YES for choice in choices)


class Quietness:
    """Lets the bot be silent in a thread, and take part again."""

    def __init__(self, store: ChoiceStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def handlers(self) -> Mapping[str, Handler]:
        return {"quiet": self.quiet, "join": self.join}

    async def quiet(self, asked: Asked) -> Outcome:
        place = asked.place
        if place is None:
            return told(texts.ONLY_IN_THREADS.format(verb="quiet"))
        if asked.words:
            return told(how_it_goes("quiet"))
        if await is_quiet(self._store, place):
            return told(session_texts.QUIET_ALREADY)
        await self._store.choose(
            Choice(
                scope=Scope.THREAD,
                holder=str(place),
                topic=Topic.QUIET,
                value=YES,
                by=asked.person.user,
                at=self._clock.now(),
            )
        )
        # Nobody can be mentioned to in a direct message: everything is said to the bot there.
        direct = place.channel.startswith("D")
        return told(session_texts.QUIET_DIRECT if direct else session_texts.QUIET, public=True)

    async def join(self, asked: Asked) -> Outcome:
        place = asked.place
        if place is None:
            return told(texts.ONLY_IN_THREADS.format(verb="join"))
        if asked.words:
            return told(how_it_goes("join"))
        if not await self._store.unchoose(Scope.THREAD, str(place), Topic.QUIET):
            return told(session_texts.JOINED_ALREADY)
        return told(session_texts.JOINED, public=True)
