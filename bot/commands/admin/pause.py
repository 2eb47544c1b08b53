"""Executes `admin pause`, `admin resume` and `admin drain`.

A pause holds until an admin resumes, even over restarts. A drain prepares a restart, after which
the bot continues by itself.
"""

from __future__ import annotations

from typing import Final

from bot.commands.dispatcher import CommandContext
from bot.commands.formatting import pluralize
from bot.commands.texts import admin as admin_texts
from bot.domain.cards import Card, CommandResult, text_result
from bot.domain.preferences import ENABLED, Preference, PreferenceKind, Scope
from bot.ports import CardPublisher, Clock, PreferenceStore, Store
from bot.tasks import BackgroundTasks
from bot.turns.inbox import Inbox

DRAIN_SECONDS: Final = 3_600.0
"""Timeout of a drain in seconds: twice as long as a turn may take."""
_TASK_NAME: Final = "drain"


class PauseCommands:
    """Handles `admin pause`, `admin resume` and `admin drain`."""

    def __init__(
        self,
        store: Store,
        publisher: CardPublisher,
        clock: Clock,
        inbox: Inbox,
        tasks: BackgroundTasks,
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._clock = clock
        self._inbox = inbox
        self._tasks = tasks

    async def pause(self, ctx: CommandContext) -> CommandResult:
        team, actor = ctx.command.team, ctx.user.id
        was_paused = await is_paused(self._store, team)
        if was_paused and self._inbox.paused:
            return text_result(admin_texts.ALREADY_PAUSED)
        await self._store.add_audit_entry(actor, "admin pause", team)
        await self._store.set_preference(
            Preference(
                scope=Scope.WORKSPACE,
                scope_id=team,
                kind=PreferenceKind.PAUSED,
                value=ENABLED,
                set_by=actor,
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
        actor = ctx.user.id
        await self._store.add_audit_entry(actor, "admin drain", ctx.command.team)
        self._inbox.pause_turns()
        running = pluralize(self._inbox.running_count, "turn")
        self._tasks.spawn(_TASK_NAME, self._notify_when_drained(actor), unique=True)
        return text_result(admin_texts.DRAINING.format(running=running))

    async def _notify_when_drained(self, actor: str) -> None:
        """Send the admin a direct message when no turn runs any more."""
        is_idle = await self._inbox.wait_until_idle(DRAIN_SECONDS)
        if not self._inbox.paused:
            text = admin_texts.DRAIN_RESUMED
        elif is_idle:
            text = admin_texts.DRAINED
        else:
            text = admin_texts.NOT_DRAINED.format(minutes=int(DRAIN_SECONDS // 60))
        await self._publisher.post_to_channel(await self._publisher.open_dm(actor), Card(text=text))


async def is_paused(store: PreferenceStore, team: str) -> bool:
    """True if an admin has paused the bot and none has resumed it. Raises `StoreError`."""
    preferences = await store.preferences([(Scope.WORKSPACE, team)])
    return any(
        preference.kind is PreferenceKind.PAUSED and preference.value == ENABLED
        for preference in preferences
    )
