"""Executes `ask`: a side question that knows the thread and does not enter its memory.

It is put to a copy of the session. The session itself may be answering, and no turn may have to
wait for a side question. The copy is deleted afterwards. A copy that is left after `kill -9` is an
orphan, which the cleanup finds.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

from bot.access.quotas import QuotaPolicy
from bot.commands.dispatcher import CommandContext, CommandGroup, CommandHandler
from bot.commands.formatting import format_count
from bot.commands.texts import sessions as session_texts
from bot.domain.cards import Card, CommandResult, text_result
from bot.domain.text import truncate
from bot.errors import AgentError, AgentErrorKind, BotError
from bot.ports import Agent, UsageStore
from bot.sessions.model_selection import ModelSelector
from bot.sessions.pool import SessionPool

log = logging.getLogger(__name__)

MAX_QUESTION_CHARS: Final = 3_000
"""Maximum length of a side question in characters. A longer one belongs in the thread."""
MAX_ANSWER_CHARS: Final = 11_000
"""Maximum length of an answer in characters."""
_MAX_QUOTE_CHARS: Final = 500
MAX_CONCURRENT: Final = 4
"""Maximum number of side questions at once, of all users; more of them wait."""
_FRESH_PREFIX: Final = "aside-"
"""Prefix of the id of an empty session that is made for one side question."""
WAIT_SECONDS: Final = 30.0
"""Timeout in seconds of the wait for a free slot. After it the user reads that I am busy."""
DELETE_SECONDS: Final = 10.0
"""Timeout of deleting a copy, in seconds."""


class AskCommand(CommandGroup):
    """Handles `ask`."""

    def __init__(
        self,
        store: UsageStore,
        agent: Agent,
        pool: SessionPool,
        model_selector: ModelSelector,
        quotas: QuotaPolicy,
        *,
        paused: Callable[[], bool],
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        """`paused` returns True while no new turns are started."""
        self._store = store
        self._agent = agent
        self._pool = pool
        self._model_selector = model_selector
        self._quotas = quotas
        self._paused = paused
        self._wait_seconds = wait_seconds
        self._active_users: set[str] = set()
        self._slots = asyncio.Semaphore(MAX_CONCURRENT)

    def handlers(self) -> Mapping[str, CommandHandler]:
        return {"ask": self.ask}

    async def ask(self, ctx: CommandContext) -> CommandResult:
        question, user = ctx.args.strip(), ctx.user.id
        if not question:
            return text_result(session_texts.ASK_NOTHING)
        if len(question) > MAX_QUESTION_CHARS:
            length = format_count(len(question))
            return text_result(
                session_texts.ASK_TOO_LONG.format(
                    most=format_count(MAX_QUESTION_CHARS), length=length
                )
            )
        refusal = await self._quotas.quota_refusal(user)
        if refusal:
            return text_result(refusal)
        if self._paused():
            return text_result(session_texts.ASK_PAUSED)
        if user in self._active_users:
            return text_result(session_texts.ASK_ONE_AT_A_TIME)
        self._active_users.add(user)
        try:
            async with self._slot():
                # First: a question that costs tokens must be counted, even if it fails.
                await self._store.record_side_question(user, ctx.thread_key)
                answer = await self._ask_copy(ctx, question)
        finally:
            self._active_users.discard(user)
        return _answer_result(ctx, question, answer)

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        """Hold one of the slots for side questions.

        Raises `AgentError` of kind BUSY if none is free in time.
        """
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._slots.acquire()
        except TimeoutError as error:
            raise AgentError(AgentErrorKind.BUSY, "too many side questions at once") from error
        try:
            yield
        finally:
            self._slots.release()

    async def _ask_copy(self, ctx: CommandContext, question: str) -> str:
        owner = ctx.user.id
        selection = await self._model_selector.select(ctx.session, ctx.thread_key, owner=owner)
        async with (
            self._temporary_session(ctx) as copy,
            self._pool.acquire(copy, selection.config) as session,
        ):
            if session.is_new and not copy.startswith(_FRESH_PREFIX):
                raise AgentError(AgentErrorKind.RUNTIME, f"the copy {copy} is gone")
            answer = await session.ask_side_question(question)
        return answer.strip()

    @asynccontextmanager
    async def _temporary_session(self, ctx: CommandContext) -> AsyncIterator[str]:
        """The id of a temporary copy of the thread's session, or of an empty session."""
        copy = ""
        if ctx.session is not None:
            try:
                copy = await self._agent.fork_session(ctx.session.id)
            except AgentError as error:
                if error.kind is not AgentErrorKind.NO_SESSION:
                    raise
        copy = copy or f"{_FRESH_PREFIX}{uuid.uuid4()}"
        try:
            yield copy
        finally:
            await self._delete_copy(copy)

    async def _delete_copy(self, copy: str) -> None:
        """Delete a copy. The answer is kept even if this fails: the copy is an orphan then."""
        try:
            async with asyncio.timeout(DELETE_SECONDS):
                await self._pool.close_idle([copy])
                await self._agent.delete_sessions([copy])
        except (BotError, TimeoutError) as error:
            log.warning("side question copy not deleted: session=%s error=%s", copy, error)


def _answer_result(ctx: CommandContext, question: str, answer: str) -> CommandResult:
    if not answer:
        return text_result(session_texts.ASK_EMPTY)
    in_thread = ctx.thread_key is not None
    notes = [session_texts.ASK_SMALL if in_thread else session_texts.ASK_SMALL_ALONE]
    if len(answer) > MAX_ANSWER_CHARS:
        notes.insert(0, session_texts.ASK_CLIPPED)
    text = session_texts.ASK_ANSWERED.format(
        question=truncate(question, _MAX_QUOTE_CHARS), answer=truncate(answer, MAX_ANSWER_CHARS)
    )
    card = Card(title=session_texts.ASK_TITLE, text=text, small_print=" ".join(notes))
    return CommandResult(card=card, public=in_thread)
