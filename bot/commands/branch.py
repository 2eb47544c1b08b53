"""Executes `rewind` and `fork`."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from bot.commands.dispatcher import CommandContext, CommandGroup, CommandHandler
from bot.commands.formatting import one_line
from bot.commands.session_state import is_blind, running_turn
from bot.commands.texts import branch as branch_texts
from bot.domain.cards import Card, CardItem, CommandResult, text_result
from bot.domain.messages import ThreadKey
from bot.domain.sessions import HistoryEntry, SessionOrigin, SessionRecord
from bot.domain.text import truncate
from bot.domain.turns import Turn
from bot.errors import SlackError
from bot.ports import Agent, CardPublisher, Clock, Store
from bot.sessions.model_selection import ModelSelector, SelectionRule
from bot.sessions.pool import SessionPool

log = logging.getLogger(__name__)

MAX_FORKS_PER_HOUR: Final = 20
"""Maximum number of forks per user and hour. Each one copies a session and posts to the channel."""
HOUR_SECONDS: Final = 3_600.0
_MAX_EXCERPT_CHARS: Final = 80
_HISTORY_ATTEMPTS: Final = 50
_HISTORY_RETRY_SECONDS: Final = 0.1


class BranchCommands(CommandGroup):
    """Handles `rewind` and `fork`."""

    def __init__(
        self,
        store: Store,
        agent: Agent,
        pool: SessionPool,
        model_selector: ModelSelector,
        publisher: CardPublisher,
        clock: Clock,
    ) -> None:
        self._store = store
        self._agent = agent
        self._pool = pool
        self._model_selector = model_selector
        self._publisher = publisher
        self._clock = clock
        self._forking_users: set[str] = set()
        """Ids of the users whose fork is being made."""

    def handlers(self) -> Mapping[str, CommandHandler]:
        return {"rewind": self.rewind, "fork": self.fork}

    # Rewind

    async def rewind(self, ctx: CommandContext) -> CommandResult:
        """Make a session forget a turn and everything after it, at once."""
        thread = ctx.thread_key
        if thread is None:
            return text_result(branch_texts.NOTHING_BEFORE)
        if await running_turn(self._store, thread, ctx.position) is not None:
            return text_result(branch_texts.BUSY)
        target = await self._rewind_target(ctx, thread)
        if target is None:
            return text_result(
                branch_texts.OTHER_SESSION if ctx.command.turn else branch_texts.NOTHING_BEFORE
            )
        session, entry = target
        selection = await self._model_selector.select(session, thread)
        if session.owner != ctx.user.id:
            await self._store.add_audit_entry(ctx.user.id, "rewind", session.handle)
        async with self._pool.acquire(session.id, selection.config) as live:
            if await running_turn(self._store, thread, ctx.position) is not None:
                return text_result(branch_texts.BUSY)
            await live.truncate_from(entry.event_id)
            # Forgotten messages must not be in the context of the next question.
            forgotten = await self._store.truncate_history(
                session.number,
                entry.turn,
                mark_seen=True,
                seen_until=ctx.command.ts,
                command_key=ctx.command.key,
            )
        others = len(forgotten) - 1
        others_text = (
            branch_texts.AND_ONE if others == 1 else branch_texts.AND_OTHERS.format(count=others)
        )
        return text_result(
            branch_texts.REWOUND.format(
                name=ctx.user.name,
                question=excerpt(entry.text),
                others=others_text if others > 0 else "",
            ),
            public=True,
        )

    async def _rewind_target(
        self, ctx: CommandContext, thread: ThreadKey
    ) -> tuple[SessionRecord, HistoryEntry] | None:
        """The session and the first turn to forget, or None."""
        number = ctx.command.turn
        if number is None:
            last = await last_entry(self._store, ctx.session)
            return None if ctx.session is None or last is None else (ctx.session, last)
        for session in await self._store.current_sessions(thread):
            entry = await self._store.history_entry(session.number, number)
            if entry is not None:
                return session, entry
        return None

    # Fork

    async def fork(self, ctx: CommandContext) -> CommandResult:
        """Copy a session into a new thread of its channel, within the hourly limit."""
        source = ctx.session
        if source is None or not source.has_turns:
            return text_result(branch_texts.NOTHING_TO_FORK)
        if is_blind(source):
            return text_result(branch_texts.STILL_BLIND)
        async with self._fork_permit(ctx.user.id) as refusal:
            return text_result(refusal) if refusal else await self._create_fork(ctx, source)

    @asynccontextmanager
    async def _fork_permit(self, user: str) -> AsyncIterator[str]:
        """Hold the one fork that a user may make at a time; yields the refusal text, or ""."""
        if user in self._forking_users:
            yield branch_texts.ONE_FORK_AT_A_TIME
            return
        self._forking_users.add(user)
        try:
            since = self._clock.now() - HOUR_SECONDS
            count = await self._store.count_forks_since(user, since)
            yield (
                "" if count < MAX_FORKS_PER_HOUR else branch_texts.FORKS_USED_UP.format(count=count)
            )
        finally:
            self._forking_users.discard(user)

    async def _create_fork(self, ctx: CommandContext, source: SessionRecord) -> CommandResult:
        """Copy the session and create the thread.

        The copy is recorded in the source's thread first, so that it always has an owner. An
        interrupted fork leaves a session that can be resumed or deleted.
        """
        last_included, first_excluded = await self._fork_point(ctx, source)
        if ctx.command.turn is not None and last_included is None:
            return text_result(branch_texts.OTHER_SESSION)
        copy = await self._copy_session(ctx, source, first_excluded)
        try:
            thread = await self._create_thread(ctx, source, last_included)
        except SlackError:
            await self._agent.delete_sessions([copy.id])
            await self._store.delete_sessions([copy.number])
            raise
        await self._store.add_thread(thread, frozenset({ctx.user.id}))
        await self._store.attach(copy.number, thread)
        text = branch_texts.FORKED_UPTO if last_included is not None else branch_texts.FORKED
        if source.role:
            text = f"{text} {_continue_hint(source.role)}"
        return CommandResult(card=Card(text=text, link=thread), public=ctx.thread_key is not None)

    async def _copy_session(
        self, ctx: CommandContext, source: SessionRecord, first_excluded: HistoryEntry | None
    ) -> SessionRecord:
        """A copy of the session, without `first_excluded` and later turns. Raises `BotError`."""
        title = branch_texts.FORK_TITLE.format(title=source.title or branch_texts.UNTITLED)[:200]
        copy = await self._agent.fork_session(
            source.id,
            before=first_excluded.event_id if first_excluded is not None else "",
            title=title,
        )
        return await self._store.add_session(
            source,
            session_id=copy,
            origin=SessionOrigin.FORK,
            thread=source.thread,
            owner=ctx.user.id,
            title=title,
            model=await self._pinned_model(source),
            before_turn=first_excluded.turn if first_excluded is not None else 0,
        )

    async def _pinned_model(self, source: SessionRecord) -> str:
        """The model set for a session or its thread, which the fork keeps; "" for none."""
        selection = await self._model_selector.select(source, source.thread)
        return (
            selection.config.model
            if selection.rule in (SelectionRule.SESSION, SelectionRule.THREAD)
            else ""
        )

    async def _fork_point(
        self, ctx: CommandContext, source: SessionRecord
    ) -> tuple[HistoryEntry | None, HistoryEntry | None]:
        """The last turn that the fork includes (None for all), and the first that it excludes.

        Turns after the fork command, and the running one, are excluded.
        """
        if ctx.command.turn is not None:
            last_included = await self._store.history_entry(source.number, ctx.command.turn)
            if last_included is not None:
                return last_included, await self._store.next_history_entry(
                    source.number, last_included.turn
                )
        later = await self._store.history_entry_after_position(source.number, ctx.position)
        if later is not None:
            return None, later
        running = await running_turn(self._store, source.thread)
        if running is None:
            return None, None
        return None, await self._history_entry_of(source, running)

    async def _history_entry_of(self, source: SessionRecord, running: Turn) -> HistoryEntry | None:
        """The history entry of a running turn, or None if its prompt is not sent yet.

        The prompt is recorded some milliseconds after it is sent.
        """
        for _ in range(_HISTORY_ATTEMPTS):
            entry = await self._store.history_entry(source.number, running.id)
            now = await running_turn(self._store, source.thread)
            if entry is not None or now is None or now.id != running.id or not now.prompted:
                return entry
            await self._clock.sleep(_HISTORY_RETRY_SECONDS)
        return None

    async def _create_thread(
        self, ctx: CommandContext, source: SessionRecord, last_included: HistoryEntry | None
    ) -> ThreadKey:
        """The new thread of a fork, with a root message by the bot. Raises `SlackError`."""
        name = ctx.user.name
        text = branch_texts.FORK_ROOT.format(name=name)
        if last_included is not None:
            text = branch_texts.FORK_ROOT_UPTO.format(
                name=name, question=excerpt(last_included.text)
            )
        origin = CardItem(text=branch_texts.FORK_ORIGIN, link=source.thread)
        card = Card(text=text, items=(origin,), small_print=_continue_hint(source.role))
        root = await self._publisher.post_to_channel(source.thread.channel, card)
        return ThreadKey(team=source.thread.team, channel=source.thread.channel, root_ts=root)


def _continue_hint(role: str) -> str:
    return branch_texts.FORK_HINT_ROLE.format(role=role) if role else branch_texts.FORK_HINT


async def last_entry(store: Store, session: SessionRecord | None) -> HistoryEntry | None:
    """The last turn in a session's history, or None. Raises `StoreError`."""
    if session is None:
        return None
    total = (await store.list_history(session.number, 0, 1)).total
    page = await store.list_history(session.number, max(total - 1, 0), 1)
    return page.entries[0] if page.entries else None


def excerpt(text: str) -> str:
    """The beginning of a text, on one line, to be quoted in a sentence."""
    return truncate(one_line(text), _MAX_EXCERPT_CHARS)
