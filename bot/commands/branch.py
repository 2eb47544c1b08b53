"""Orders that take a session back or branch it: go back, fork."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from bot.commands.dispatcher import CommandContext, CommandHandler
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
"""So many forks one person may have made: each is a copy of a session, and a message to all."""
HOUR_SECONDS: Final = 3_600.0
_MAX_EXCERPT_CHARS: Final = 80
_HISTORY_ATTEMPTS: Final = 50
_HISTORY_RETRY_SECONDS: Final = 0.1


class BranchCommands:
    """Carries out `rewind` and `fork`."""

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
        """Who is having a fork made just now."""

    def handlers(self) -> Mapping[str, CommandHandler]:
        """The verbs that are carried out here."""
        return {"rewind": self.rewind, "fork": self.fork}

    # Going back

    async def rewind(self, ctx: CommandContext) -> CommandResult:
        """Let a session forget a turn and all that came later, at once."""
        thread = ctx.thread_key
        if thread is None:
            return text_result(branch_texts.NOTHING_BEFORE)
        if await running_turn(self._store, thread, ctx.position) is not None:
            return text_result(branch_texts.BUSY)
        found = await self._rewind_target(ctx, thread)
        if found is None:
            return text_result(
                branch_texts.OTHER_SESSION if ctx.command.turn else branch_texts.NOTHING_BEFORE
            )
        session, turn = found
        chosen = await self._model_selector.select(session, thread)
        if session.owner != ctx.user.id:
            await self._store.add_audit_entry(ctx.user.id, "rewind", session.handle)
        async with self._pool.acquire(session.id, chosen.config) as live:
            if await running_turn(self._store, thread, ctx.position) is not None:
                return text_result(branch_texts.BUSY)
            await live.truncate_from(turn.event_id)
            # What is to be forgotten must not come along with the next question.
            forgotten = await self._store.truncate_history(
                session.number,
                turn.turn,
                mark_seen=True,
                seen_until=ctx.command.ts,
                command_key=ctx.command.key,
            )
        others = len(forgotten) - 1
        more = branch_texts.AND_ONE if others == 1 else branch_texts.AND_OTHERS.format(count=others)
        return text_result(
            branch_texts.REWOUND.format(
                name=ctx.user.name,
                question=excerpt(turn.text),
                others=more if others > 0 else "",
            ),
            public=True,
        )

    async def _rewind_target(
        self, ctx: CommandContext, thread: ThreadKey
    ) -> tuple[SessionRecord, HistoryEntry] | None:
        """The session and the turn to go back before."""
        number = ctx.command.turn
        if number is None:
            last = await last_entry(self._store, ctx.session)
            return None if ctx.session is None or last is None else (ctx.session, last)
        for session in await self._store.current_sessions(thread):
            turn = await self._store.history_entry(session.number, number)
            if turn is not None:
                return session, turn
        return None

    # Forking

    async def fork(self, ctx: CommandContext) -> CommandResult:
        """Copy a session into a new thread of the same channel, so many times an hour."""
        source = ctx.session
        if source is None or not source.has_turns:
            return text_result(branch_texts.NOTHING_TO_FORK)
        if is_blind(source):
            return text_result(branch_texts.STILL_BLIND)
        async with self._fork_permit(ctx.user.id) as refusal:
            return text_result(refusal) if refusal else await self._create_fork(ctx, source)

    @asynccontextmanager
    async def _fork_permit(self, user: str) -> AsyncIterator[str]:
        """While inside, somebody's one fork is made; the sentence where they may have none now."""
        if user in self._forking_users:
            yield branch_texts.ONE_FORK_AT_A_TIME
            return
        self._forking_users.add(user)
        try:
            since = self._clock.now() - HOUR_SECONDS
            had = await self._store.count_forks_since(user, since)
            yield "" if had < MAX_FORKS_PER_HOUR else branch_texts.FORKS_USED_UP.format(count=had)
        finally:
            self._forking_users.discard(user)

    async def _create_fork(self, ctx: CommandContext, source: SessionRecord) -> CommandResult:
        """Copy it. The copy is put on record beside its source first, so that it is never nobody's:
        what is left of a fork that was cut short is a session that can be resumed or deleted."""
        upto, after = await self._fork_point(ctx, source)
        if ctx.command.turn is not None and upto is None:
            return text_result(branch_texts.OTHER_SESSION)
        copy = await self._copy_session(ctx, source, after)
        try:
            thread = await self._create_thread(ctx, source, upto)
        except SlackError:
            await self._agent.delete_sessions([copy.id])
            await self._store.delete_sessions([copy.number])
            raise
        await self._store.add_thread(thread, frozenset({ctx.user.id}))
        await self._store.attach(copy.number, thread)
        text = branch_texts.FORKED_UPTO if upto is not None else branch_texts.FORKED
        if source.role:
            text = f"{text} {_continue_hint(source.role)}"
        return CommandResult(card=Card(text=text, link=thread), public=ctx.thread_key is not None)

    async def _copy_session(
        self, ctx: CommandContext, source: SessionRecord, first_excluded: HistoryEntry | None
    ) -> SessionRecord:
        """A copy of the session, up to a turn that it shall not know. Raises `BotError`."""
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
        """The model chosen for a session or for its thread: the fork goes on with it."""
        chosen = await self._model_selector.select(source, source.thread)
        return (
            chosen.config.model
            if chosen.rule in (SelectionRule.SESSION, SelectionRule.THREAD)
            else ""
        )

    async def _fork_point(
        self, ctx: CommandContext, source: SessionRecord
    ) -> tuple[HistoryEntry | None, HistoryEntry | None]:
        """The last turn that the fork shall know (None for all), and the first that it shall not.
        What was asked after the fork was ordered, and what is being answered just now, it does not
        know."""
        if ctx.command.turn is not None:
            upto = await self._store.history_entry(source.number, ctx.command.turn)
            if upto is not None:
                return upto, await self._store.next_history_entry(source.number, upto.turn)
        later = await self._store.history_entry_after_position(source.number, ctx.position)
        if later is not None:
            return None, later
        running = await running_turn(self._store, source.thread)
        if running is None:
            return None, None
        return None, await self._history_entry_of(source, running)

    async def _history_entry_of(self, source: SessionRecord, running: Turn) -> HistoryEntry | None:
        """Where a running turn's prompt stands in its session's history; None where it is not sent
        yet. Between its sending and that being on record lie some milliseconds."""
        for _ in range(_HISTORY_ATTEMPTS):
            noted = await self._store.history_entry(source.number, running.id)
            now = await running_turn(self._store, source.thread)
            if noted is not None or now is None or now.id != running.id or not now.prompted:
                return noted
            await self._clock.sleep(_HISTORY_RETRY_SECONDS)
        return None

    async def _create_thread(
        self, ctx: CommandContext, source: SessionRecord, last_included: HistoryEntry | None
    ) -> ThreadKey:
        """The thread for a fork, begun by the bot. Raises `SlackError`."""
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
    """The turn that a session was asked last. Raises `StoreError`."""
    if session is None:
        return None
    total = (await store.list_history(session.number, 0, 1)).total
    page = await store.list_history(session.number, max(total - 1, 0), 1)
    return page.entries[0] if page.entries else None


def excerpt(text: str) -> str:
    """A text as it is named in a sentence: its beginning, on one line."""
    return truncate(one_line(text), _MAX_EXCERPT_CHARS)
