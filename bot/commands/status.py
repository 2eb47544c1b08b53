"""Executes `status`: shows the state of a session and its thread."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bot.commands import texts
from bot.commands.dispatcher import CommandContext, CommandGroup, CommandHandler
from bot.commands.formatting import display_title, format_age, format_count, pluralize, usage_hint
from bot.commands.session_state import is_answering, is_blind, state_of
from bot.commands.sessions import session_buttons
from bot.commands.texts import sessions as session_texts
from bot.commands.thread import is_quiet
from bot.commands.user_names import UserNames
from bot.domain.cards import Button, Card, CommandResult, text_result
from bot.domain.messages import ThreadKey
from bot.domain.sessions import SessionRecord
from bot.ports import Clock, Store
from bot.sessions.model_selection import ModelSelection, ModelSelector


@dataclass(frozen=True, slots=True, kw_only=True)
class _StatusFacts:
    """What is shown about a session in addition to its record."""

    selection: ModelSelection
    owner: str
    is_answering: bool
    waiting_count: int
    other_sessions: tuple[SessionRecord, ...]
    is_quiet: bool
    now: float


class StatusCommand(CommandGroup):
    """Handles `status`."""

    def __init__(
        self, store: Store, model_selector: ModelSelector, names: UserNames, clock: Clock
    ) -> None:
        self._store = store
        self._model_selector = model_selector
        self._names = names
        self._clock = clock

    def handlers(self) -> Mapping[str, CommandHandler]:
        return {"status": self.status}

    async def status(self, ctx: CommandContext) -> CommandResult:
        if ctx.args:
            return text_result(usage_hint("status"))
        session = ctx.session
        if session is None:
            if ctx.thread_key is None:
                return text_result(texts.ONLY_IN_THREADS.format(command="status"))
            return text_result(await self._no_session_text(ctx, ctx.thread_key))
        facts = await self._gather_facts(session)
        return CommandResult(
            card=Card(
                title=session_texts.STATUS_TITLE.format(
                    handle=session.handle, title=display_title(session)
                ),
                text="\n".join(_status_texts(session, facts)),
                buttons=(
                    Button(
                        label=session_texts.HISTORY, command_name="history", args=session.handle
                    ),
                    Button(label=session_texts.EXPORT, command_name="export", args=session.handle),
                    *self._buttons(ctx, session),
                ),
                small_print=session_texts.STATUS_ID.format(id=session.id),
                link=session.thread if session.thread != ctx.thread_key else None,
            )
        )

    def _buttons(self, ctx: CommandContext, session: SessionRecord) -> tuple[Button, ...]:
        if session.owner != ctx.user.id and not ctx.is_admin:
            return ()
        return session_buttons(session, visible=True, is_admin=ctx.is_admin)

    async def _no_session_text(self, ctx: CommandContext, thread_key: ThreadKey) -> str:
        """The text for a thread without a session; it may still have a model."""
        selection = await self._model_selector.select(None, thread_key, owner=ctx.user.id)
        quiet = await is_quiet(self._store, thread_key)
        return "\n".join(
            (session_texts.NO_SESSION, _model_text(selection), _quiet_text(quiet=quiet))
        )

    async def _gather_facts(self, session: SessionRecord) -> _StatusFacts:
        current = await self._store.current_sessions(session.thread)
        return _StatusFacts(
            selection=await self._model_selector.select(session, session.thread),
            owner=await self._names.name_of(session.owner),
            is_answering=await is_answering(self._store, session),
            waiting_count=len(await self._store.waiting_turns(session.thread)),
            other_sessions=tuple(other for other in current if other.number != session.number),
            is_quiet=await is_quiet(self._store, session.thread),
            now=self._clock.now(),
        )


def _status_texts(session: SessionRecord, facts: _StatusFacts) -> Iterator[str]:
    state = state_of(session, running=False)
    yield session_texts.STATUS_STATE.format(
        state=f"{state}, {format_age(facts.now - session.last_used_at)}"
    )
    yield session_texts.STATUS_OWNER.format(name=facts.owner)
    yield session_texts.STATUS_BLIND if is_blind(session) else _model_text(facts.selection)
    if facts.selection.config.effort:
        yield session_texts.STATUS_EFFORT.format(effort=facts.selection.config.effort)
    yield session_texts.STATUS_TURNS.format(
        turns=format_count(session.turn_count),
        input=format_count(session.input_tokens),
        output=format_count(session.output_tokens),
    )
    if session.context_tokens and session.context_limit:
        yield session_texts.STATUS_CONTEXT.format(
            used=format_count(session.context_tokens),
            limit=format_count(session.context_limit),
            percent=round(100 * session.context_tokens / session.context_limit),
        )
    yield session_texts.STATUS_QUEUE.format(queue=_queue_text(facts))
    if facts.other_sessions:
        others = ", ".join(
            f"{other.handle} ({other.role or display_title(other)})"
            for other in facts.other_sessions
        )
        yield session_texts.STATUS_OTHERS.format(sessions=others)
    yield _quiet_text(quiet=facts.is_quiet)


def _model_text(selection: ModelSelection) -> str:
    model = selection.display_model or session_texts.STATUS_DEFAULT
    return session_texts.STATUS_MODEL.format(model=model, rule=selection.rule_text)


def _quiet_text(*, quiet: bool) -> str:
    return session_texts.STATUS_QUIET if quiet else session_texts.STATUS_TAKES_PART


def _queue_text(facts: _StatusFacts) -> str:
    runs = session_texts.STATUS_ANSWERING if facts.is_answering else session_texts.STATUS_IDLE
    if not facts.waiting_count:
        return f"{runs}, {session_texts.STATUS_NOTHING_WAITS}"
    return (
        f"{runs}, "
        f"{session_texts.STATUS_WAITING.format(messages=pluralize(facts.waiting_count, 'message'))}"
    )
