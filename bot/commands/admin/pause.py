"""The orders `admin pause`, `resume` and `drain`: take no new turns, go on, run empty.

A pause holds until somebody takes it back, over restarts too. Draining is for a restart: that one
goes on by itself.
"""

from __future__ import annotations

from typing import Final, Protocol

from bot.commands.dispatcher import CommandContext
from bot.commands.formatting import pluralize
from bot.commands.texts import admin as admin_texts
from bot.domain.cards import Card, CommandResult, text_result
from bot.domain.preferences import ENABLED, Preference, PreferenceKind, Scope
from bot.ports import CardPublisher, Clock, PreferenceStore, Store
from bot.tasks import BackgroundTasks

DRAIN_SECONDS: Final = 3_600.0
"""How long a drain is watched: twice as long as a turn may take."""
_TASK_NAME: Final = "drain"


class TurnPauser(Protocol):
    """Whether new turns are begun."""

    @property
    def paused(self) -> bool: ...

    @property
    def running_count(self) -> int:
        """How many turns run."""
        ...

    def pause_turns(self) -> None:
        """Begin no new turns: messages are taken, and wait."""
        ...

    def resume_turns(self) -> None:
        """Begin them again."""
        ...

    async def wait_until_idle(self, timeout: float) -> bool:
        """Wait until nothing runs; False when something still does after so many seconds."""
        ...


class PausingCommands:
    """Pauses, goes on, drains."""

    def __init__(
        self,
        store: Store,
        publisher: CardPublisher,
        clock: Clock,
        inbox: TurnPauser,
        tasks: BackgroundTasks,
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._clock = clock
        self._inbox = inbox
        self._tasks = tasks

    async def pause(self, ctx: CommandContext) -> CommandResult:
        team, by = ctx.command.team, ctx.user.id
        was = await is_paused(self._store, team)
        if was and self._inbox.paused:
            return text_result(admin_texts.ALREADY_PAUSED)
        await self._store.add_audit_entry(by, "admin pause", team)
        await self._store.set_preference(
            Preference(
                scope=Scope.WORKSPACE,
                scope_id=team,
                kind=PreferenceKind.PAUSED,
                value=ENABLED,
                set_by=by,
                set_at=self._clock.now(),
            )
        )
        self._inbox.pause_turns()
        return text_result(
            admin_texts.PAUSED.format(running=pluralize(self._inbox.running_count, "turn"))
        )

    async def resume(self, ctx: CommandContext) -> CommandResult:
        team = ctx.command.team
        if not await is_paused(self._store, team) and not self._inbox.paused:
            return text_result(admin_texts.NOT_PAUSED)
        await self._store.add_audit_entry(ctx.user.id, "admin resume", team)
        await self._store.clear_preference(Scope.WORKSPACE, team, PreferenceKind.PAUSED)
        self._inbox.resume_turns()
        return text_result(admin_texts.RESUMED)

    async def drain(self, ctx: CommandContext) -> CommandResult:
        by = ctx.user.id
        await self._store.add_audit_entry(by, "admin drain", ctx.command.team)
        self._inbox.pause_turns()
        running = pluralize(self._inbox.running_count, "turn")
        self._tasks.spawn(_TASK_NAME, self._notify_when_drained(by), unique=True)
        return text_result(admin_texts.DRAINING.format(running=running))

    async def _notify_when_drained(self, actor: str) -> None:
        """Tell who drains when nothing runs any more."""
        idle = await self._inbox.wait_until_idle(DRAIN_SECONDS)
        if not self._inbox.paused:
            sentence = admin_texts.DRAIN_RESUMED
        elif idle:
            sentence = admin_texts.DRAINED
        else:
            sentence = admin_texts.NOT_DRAINED.format(minutes=int(DRAIN_SECONDS // 60))
        await self._publisher.post_to_channel(
            await self._publisher.open_dm(actor), Card(text=sentence)
        )


async def is_paused(store: PreferenceStore, team: str) -> bool:
    """Whether somebody in charge has paused the bot, and nobody has let it go on. Raises
    `StoreError`."""
    choices = await store.preferences([(Scope.WORKSPACE, team)])
    return any(
        choice.kind is PreferenceKind.PAUSED and choice.value == ENABLED for choice in choices
    )
