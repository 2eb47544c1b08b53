"""Executes `reset`, `resume` and `delete`, which change the session of a thread.

A session stays in its channel: its content must not appear in another one.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from bot.commands import texts
from bot.commands.dispatcher import CommandContext, CommandGroup, CommandHandler
from bot.commands.formatting import display_title, format_age, format_size, pluralize, usage_hint
from bot.commands.session_state import is_answering, is_blind, is_queued_after, running_turn
from bot.commands.texts import sessions as session_texts
from bot.domain.cards import Button, Card, CardItem, CommandResult, text_result
from bot.domain.messages import ThreadKey
from bot.domain.sessions import SessionFilter, SessionRecord
from bot.domain.turns import Turn
from bot.errors import SlackError
from bot.ports import Agent, CardPublisher, Clock, Store
from bot.sessions.pool import SessionPool

log = logging.getLogger(__name__)

MAX_OFFERED: Final = 5
"""Maximum number of previous sessions that are offered if the user names none."""
_MAX_CONSIDERED: Final = 20


class LifecycleCommands(CommandGroup):
    """Handles `reset`, `resume` and `delete`."""

    def __init__(
        self,
        store: Store,
        publisher: CardPublisher,
        agent: Agent,
        pool: SessionPool,
        clock: Clock,
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._agent = agent
        self._pool = pool
        self._clock = clock

    def handlers(self) -> Mapping[str, CommandHandler]:
        return {"reset": self.reset, "resume": self.resume, "delete": self.delete_session}

    # Reset

    async def reset(self, ctx: CommandContext) -> CommandResult:
        session = ctx.session
        if ctx.args:
            return text_result(usage_hint("reset"))
        if session is None:
            outside_thread = texts.ONLY_IN_THREADS.format(command="reset")
            return text_result(
                outside_thread if ctx.thread_key is None else session_texts.NO_SESSION
            )
        if not session.current:
            return text_result(session_texts.RESET_INACTIVE.format(handle=session.handle))
        is_running = await is_answering(self._store, session, ctx.position)
        if not session.has_turns and not is_running:
            return text_result(session_texts.RESET_FRESH)
        if session.owner != ctx.user.id:
            await self._store.add_audit_entry(
                ctx.user.id, "reset", session.handle, f"of {session.owner}"
            )
        # The owner stays the same, even if an admin gave the command.
        seen_until = ctx.command.ts
        await self._store.reset(session.thread, session.role, session.owner, seen_until=seen_until)
        await self._pool.close_idle([session.id])
        done = session_texts.RESET_DONE_ROLE if session.role else session_texts.RESET_DONE
        parts = [done.format(handle=session.handle, role=session.role)]
        if is_running:
            parts.append(session_texts.RESET_RUNNING.format(handle=session.handle))
        text = " ".join(parts)
        if session.thread == ctx.thread_key:
            return text_result(text, public=True)
        await self._notify_thread(session.thread, text)
        return text_result(session_texts.RESET_ELSEWHERE.format(handle=session.handle))

    # Resume

    async def resume(self, ctx: CommandContext) -> CommandResult:
        thread_key, session = ctx.thread_key, ctx.session
        if thread_key is None:
            return text_result(texts.ONLY_IN_THREADS.format(command="resume"))
        if ctx.args:
            return text_result(session_texts.RESUME_NO_HANDLE)
        if not ctx.names_session or session is None:
            return await self._offer(ctx, thread_key)
        current = await self._store.current_session(thread_key, session.role)
        refusal = _resume_denial(ctx, thread_key, session, current)
        if refusal:
            return text_result(refusal)
        # The session is closed and opened again: its config may differ in this thread.
        async with self._pool.exclusive([session.id]) as reserved:
            refusal = await self._busy_text(ctx, session, reserved)
            if refusal:
                return text_result(refusal)
            await self._audit_resume(ctx, session, current)
            if ctx.thread is None:
                await self._store.add_thread(thread_key, frozenset({ctx.user.id}))
            if await self._store.attach(session.number, thread_key) is None:
                return text_result(texts.NO_SUCH_SESSION)
        if current is not None:
            await self._pool.close_idle([current.id])
        if session.current and session.thread != thread_key:
            await self._notify_thread(
                session.thread, session_texts.RESUME_MOVED.format(handle=session.handle)
            )
        return text_result(_resumed_text(session, current), public=True)

    async def _audit_resume(
        self, ctx: CommandContext, session: SessionRecord, current: SessionRecord | None
    ) -> None:
        """Record in the audit log that a user resumes or replaces the session of another one."""
        user, detail = ctx.user.id, []
        if session.owner != user:
            detail.append(f"of {session.owner}")
        if current is not None and current.owner != user:
            detail.append(f"in place of {current.handle} of {current.owner}")
        if detail:
            await self._store.add_audit_entry(user, "resume", session.handle, ", ".join(detail))

    async def _offer(self, ctx: CommandContext, thread_key: ThreadKey) -> CommandResult:
        """A card with previous sessions of this thread, then the user's own ones in this
        channel."""
        user = ctx.user.id
        of_thread = SessionFilter(thread=thread_key, inactive=True)
        of_channel = SessionFilter(owner=user, channel=thread_key.channel)
        found: dict[int, SessionRecord] = {}
        for session_filter in (of_thread, of_channel):
            for session in (
                await self._store.list_sessions(session_filter, 0, _MAX_CONSIDERED)
            ).sessions:
                is_allowed = session.owner == user or ctx.is_admin
                is_current_here = session.current and session.thread == thread_key
                if is_allowed and not is_current_here and not is_blind(session):
                    found.setdefault(session.number, session)
        if not found:
            return text_result(session_texts.RESUME_NONE)
        items = tuple(self._session_item(session) for session in list(found.values())[:MAX_OFFERED])
        return CommandResult(
            card=Card(
                title=session_texts.RESUME_TITLE, text=session_texts.RESUME_WHICH, items=items
            )
        )

    def _session_item(self, session: SessionRecord) -> CardItem:
        role = [session.role] if session.role else []
        used = format_age(self._clock.now() - session.last_used_at)
        return CardItem(
            text=display_title(session),
            detail=" · ".join((session.handle, *role, pluralize(session.turn_count, "turn"), used)),
            link=session.thread,
            buttons=(
                Button(label=session_texts.RESUME, command_name="resume", args=session.handle),
            ),
        )

    # Delete

    async def delete_session(self, ctx: CommandContext) -> CommandResult:
        session = ctx.session
        if session is None or not ctx.names_session:
            return text_result(texts.NO_SUCH_SESSION)
        async with self._pool.exclusive([session.id]) as reserved:
            refusal = await self._busy_text(ctx, session, reserved)
            if refusal:
                return text_result(refusal)
            freed = await delete_permanently(
                self._store, self._agent, session, actor=ctx.user.id, action="delete"
            )
        if session.current:
            await self._notify_thread(session.thread, session_texts.DELETED_HERE)
        return text_result(
            session_texts.DELETED.format(handle=session.handle, size=format_size(freed))
        )

    # Shared

    async def _busy_text(
        self, ctx: CommandContext, session: SessionRecord, reserved: frozenset[str]
    ) -> str:
        """The refusal text for a session in use, or an empty string.

        To be called while the session is reserved: a turn that starts after this check does not get
        the session before it is gone.
        """
        if await self._store.session_by_number(session.number) is None:
            return texts.NO_SUCH_SESSION
        running = await running_turn(self._store, session.thread, ctx.position)
        if session.id not in reserved or (running is not None and _targets(running, session)):
            return session_texts.BUSY.format(handle=session.handle)
        if session.current:
            waiting = await self._store.waiting_turns(session.thread)
            earlier = (turn for turn in waiting if not is_queued_after(turn, ctx.position))
            if any(_targets(turn, session) for turn in earlier):
                return session_texts.AWAITED.format(handle=session.handle)
        return ""

    async def _notify_thread(self, thread: ThreadKey, text: str) -> None:
        """Post in a thread what happened to its session. A failure is only logged: the channel may
        be gone."""
        try:
            await self._publisher.post(thread, Card(text=text))
        except SlackError as error:
            log.info("thread not notified: thread=%s error=%s", thread, error)


async def delete_permanently(
    store: Store, agent: Agent, session: SessionRecord, *, actor: str, action: str
) -> int:
    """Delete an unused session permanently. Returns the number of bytes freed.

    The audit entry comes first: no session may disappear without one. Then the runtime's data goes,
    then the record. If the process is killed in between, the record is left and the command can be
    repeated. Raises `AgentError` and `StoreError`.
    """
    turns = pluralize(session.turn_count, "turn")
    await store.add_audit_entry(actor, action, session.handle, f"of {session.owner}, {turns}")
    freed = (await agent.delete_sessions([session.id])).get(session.id, 0)
    await store.delete_sessions([session.number])
    return freed


def _targets(turn: Turn, session: SessionRecord) -> bool:
    """True if a turn of a session's thread uses that session.

    A comparison uses copies. Which ones are its own is not known before its end.
    """
    if is_blind(session):
        return bool(turn.message.options.compare_models)
    return session.current and turn.message.options.role == session.role


def _resume_denial(
    ctx: CommandContext,
    thread_key: ThreadKey,
    session: SessionRecord,
    current: SessionRecord | None,
) -> str:
    """The refusal text for resuming a session in a thread, or an empty string.

    It does not depend on what the session does now.
    """
    user = ctx.user.id
    if session.thread == thread_key and session.current:
        return session_texts.RESUME_PRESENT.format(handle=session.handle)
    if is_blind(session):
        return session_texts.RESUME_COPY.format(handle=session.handle)
    if (session.thread.team, session.thread.channel) != (thread_key.team, thread_key.channel):
        return session_texts.RESUME_OTHER_CHANNEL.format(handle=session.handle)
    if current is not None and current.owner != user and not ctx.is_admin:
        return session_texts.RESUME_NOT_YOURS
    if ctx.thread is None and ctx.command.ts != thread_key.root_ts:
        return session_texts.RESUME_TOO_EARLY
    return ""


def _resumed_text(session: SessionRecord, current: SessionRecord | None) -> str:
    template = session_texts.RESUME_DONE_NAMED if session.title else session_texts.RESUME_DONE
    turns = pluralize(session.turn_count, "turn")
    text = template.format(handle=session.handle, title=display_title(session), turns=turns)
    if current is None:
        return text
    return text + session_texts.RESUME_BEFORE.format(handle=current.handle)
