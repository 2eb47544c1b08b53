"""The orders `admin pause`, `resume` and `drain`: take no new turns, go on, run empty.

A pause holds until somebody takes it back, over restarts too. Draining is for a restart: that one
goes on by itself.
"""

from __future__ import annotations

from typing import Final, Protocol

from bot.commands.dispatcher import Asked
from bot.commands.formatting import many
from bot.commands.texts import admin as admin_texts
from bot.domain.cards import Card, Outcome, told
from bot.domain.preferences import YES, Choice, Scope, Topic
from bot.ports import Board, ChoiceStore, Clock, Store
from bot.tasks import Errands

DRAIN_SECONDS: Final = 3_600.0
"""How long a drain is watched: twice as long as a turn may take."""
_DRAIN: Final = "drain"


class Pausing(Protocol):
    """Whether new turns are begun."""

    @property
    def paused(self) -> bool: ...

    @property
    def busy(self) -> int:
        """How many turns run."""
        ...

    def pause(self) -> None:
        """Begin no new turns: messages are taken, and wait."""
        ...

    def go_on(self) -> None:
        """Begin them again."""
        ...

    async def until_idle(self, seconds: float) -> bool:
        """Wait until nothing runs; False when something still does after so many seconds."""
        ...


class PausingOrders:
    """Pauses, goes on, drains."""

    def __init__(
        self, store: Store, board: Board, clock: Clock, pausing: Pausing, errands: Errands
    ) -> None:
        self._store = store
        self._board = board
        self._clock = clock
        self._pausing = pausing
        self._errands = errands

    async def pause(self, asked: Asked) -> Outcome:
        team, by = asked.order.team, asked.person.user
        was = await is_paused(self._store, team)
        if was and self._pausing.paused:
            return told(admin_texts.WAS_PAUSED)
        await self._store.audit(by, "admin pause", team)
        await self._store.choose(
            Choice(
                scope=Scope.WORKSPACE,
                holder=team,
                topic=Topic.PAUSED,
                value=YES,
                by=by,
                at=self._clock.now(),
            )
        )
        self._pausing.pause()
        return told(admin_texts.PAUSED.format(running=many(self._pausing.busy, "turn")))

    async def resume(self, asked: Asked) -> Outcome:
        team = asked.order.team
        if not await is_paused(self._store, team) and not self._pausing.paused:
            return told(admin_texts.WAS_GOING_ON)
        await self._store.audit(asked.person.user, "admin resume", team)
        await self._store.unchoose(Scope.WORKSPACE, team, Topic.PAUSED)
        self._pausing.go_on()
        return told(admin_texts.RESUMED)

    async def drain(self, asked: Asked) -> Outcome:
        by = asked.person.user
        await self._store.audit(by, "admin drain", asked.order.team)
        self._pausing.pause()
        running = many(self._pausing.busy, "turn")
        self._errands.start(_DRAIN, lambda: self._watch(by))
        return told(admin_texts.DRAINING.format(running=running))

    async def _watch(self, by: str) -> None:
        """Tell who drains when nothing runs any more."""
        idle = await self._pausing.until_idle(DRAIN_SECONDS)
        if not self._pausing.paused:
            sentence = admin_texts.GOES_ON
        elif idle:
            sentence = admin_texts.DRAINED
        else:
            sentence = admin_texts.NOT_DRAINED.format(minutes=int(DRAIN_SECONDS // 60))
        await self._board.begin(await self._board.direct(by), Card(text=sentence))


async def is_paused(store: ChoiceStore, team: str) -> bool:
    """Whether somebody in charge has paused the bot, and nobody has let it go on. Raises
    `StoreError`."""
    choices = await store.choices([(Scope.WORKSPACE, team)])
    return any(choice.topic is Topic.PAUSED and choice.value == YES for choice in choices)
