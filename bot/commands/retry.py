"""The order to answer again: the session forgets its answer and is asked like by a message."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final

from bot.commands.branch import excerpt, last_entry
from bot.commands.dispatcher import CommandContext, CommandHandler
from bot.commands.models import join_models
from bot.commands.registry import OWNERS
from bot.commands.session_state import is_queued_after
from bot.commands.texts import branch as branch_texts
from bot.domain.cards import Button, Card, CommandResult, text_result
from bot.domain.messages import Message, MessageOptions, Trigger, ts_from_position
from bot.domain.sessions import SessionRecord
from bot.domain.turns import AcceptResult, AcceptStatus, Turn, TurnState
from bot.ports import Store
from bot.sessions.model_selection import ModelSelector

_CONFIRMED_FLAG: Final = "--forget"
"""Said by the button that asks whether later answers may be forgotten."""
_MAX_RETRIES_FOLLOWED: Final = 100
"""So often one message is followed from an answer to the next."""


class RetryCommand:
    """Carries out `retry`."""

    def __init__(
        self,
        store: Store,
        model_selector: ModelSelector,
        *,
        enqueue: Callable[[Message], Awaitable[AcceptResult]],
    ) -> None:
        """`ask` is the inbox's `accept`."""
        self._store = store
        self._model_selector = model_selector
        self._enqueue = enqueue

    def handlers(self) -> Mapping[str, CommandHandler]:
        """The verb that is carried out here."""
        return {"retry": self.retry}

    async def retry(self, ctx: CommandContext) -> CommandResult:
        """Answer a turn anew. Later answers are forgotten with it: only its owner may do that, and
        is asked before."""
        named = ctx.args.removeprefix(_CONFIRMED_FLAG).strip()
        model = await self._model_selector.resolve_model(named) if named else ""
        if model is None:
            return text_result(self._unknown_model_text(named))
        turn = await self._find_turn(ctx)
        if isinstance(turn, CommandResult):
            return turn
        session = await self._store.current_session(turn.message.thread, turn.message.options.role)
        refused = await self._check_in_history(turn, session)
        if refused is not None:
            return refused
        later = await self._count_later(ctx, turn, session)
        if later and not ctx.access_roles & OWNERS:
            return text_result(branch_texts.RETRY_TRUNCATES.format(count=later))
        if later and not ctx.args.startswith(_CONFIRMED_FLAG):
            return _confirmation(turn, model, later)
        accepted = await self._enqueue(self._build_message(ctx, turn, model))
        if accepted.status is AcceptStatus.QUEUE_FULL:
            return text_result(branch_texts.FULL)
        if accepted.status is AcceptStatus.ALREADY_RETRIED:
            return text_result(branch_texts.RETRY_PENDING)
        return text_result(
            branch_texts.RETRY_WITH.format(model=model) if model else branch_texts.RETRY
        )

    async def _count_later(
        self, ctx: CommandContext, turn: Turn, session: SessionRecord | None
    ) -> int:
        """How many turns would be forgotten with this one: those that its session was asked after
        it, and those that it will have been asked until then, for they were written before."""
        if session is None or await self._store.history_entry(session.number, turn.id) is None:
            return 0
        thread = turn.message.thread
        running = await self._store.running_turn(thread)
        coming = [
            *([running] if running is not None else []),
            *await self._store.waiting_turns(thread),
        ]
        between = [
            each
            for each in coming
            if each.message.options.role == session.role
            and not is_queued_after(each, ctx.position)
            and not each.message.options.compare_models
            and await self._store.history_entry(session.number, each.id) is None
        ]
        return await self._store.count_history_after(session.number, turn.id) + len(between)

    def _unknown_model_text(self, name: str) -> str:
        models = join_models(self._model_selector.available_models) or branch_texts.NO_MODELS
        return branch_texts.UNKNOWN_MODEL.format(name=excerpt(name), models=models)

    async def _find_turn(self, ctx: CommandContext) -> Turn | CommandResult:
        """The turn to answer anew: the one whose button was used, or what became of it since; else
        the last one."""
        number = ctx.command.turn
        if number is None:
            last = await last_entry(self._store, ctx.session)
            number = last.turn if last is not None else 0
        turn = await self._store.turn_by_id(number)
        if turn is None or turn.message.thread != ctx.thread_key:
            return text_result(branch_texts.NOTHING_TO_REPEAT)
        if turn.message.options.compare_models:
            return text_result(branch_texts.NOT_A_COMPARISON)
        for _ in range(_MAX_RETRIES_FOLLOWED):
            newer = await self._store.latest_retry(turn.id)
            if newer is None:
                break
            turn = newer
        if turn.message.options.retry_of and turn.accepted_at > ctx.received_at:
            # Somebody else wanted the same answer given anew at the same time.
            return text_result(branch_texts.RETRY_PENDING)
        if turn.result is not None and not turn.state.final:
            # Its answer is shown already, though the turn itself may not have ended yet.
            turn = replace(turn, state=turn.result.state)
        if not turn.state.final:
            return text_result(
                branch_texts.RETRY_PENDING
                if turn.message.options.retry_of
                else branch_texts.NOT_FINISHED
            )
        return turn

    async def _check_in_history(
        self, turn: Turn, session: SessionRecord | None
    ) -> CommandResult | None:
        """Why the thread's session cannot answer a turn anew that it was not asked. One that it
        has no answer to it can be asked all the same."""
        answered = turn.result is not None and bool(turn.result.answer)
        if turn.state is not TurnState.DONE and not (turn.state is TurnState.STOPPED and answered):
            return None
        if session is None or await self._store.history_entry(session.number, turn.id) is None:
            return text_result(branch_texts.OTHER_SESSION)
        return None

    def _build_message(self, ctx: CommandContext, turn: Turn, model: str) -> Message:
        order, old = ctx.command, turn.message
        return Message(
            event_id=f"order-{order.key}",
            thread=old.thread,
            # A press has no message of its own; when it came in stands in for one.
            ts=order.ts or ts_from_position(ctx.position),
            user=order.user,
            user_team=ctx.user.team,
            text=old.text,
            trigger=Trigger.MENTION if order.ts else Trigger.REPLY_ACTION,
            direct=old.direct,
            options=MessageOptions(role=old.options.role, model=model, retry_of=turn.id),
        )


def _confirmation(turn: Turn, model: str, later_count: int) -> CommandResult:
    """The question whether later answers may be forgotten."""
    anyway = Button(
        label=branch_texts.RETRY_ANYWAY,
        command_name="retry",
        args=f"{_CONFIRMED_FLAG} {model}".strip(),
        turn=turn.id,
        style="danger",
    )
    return CommandResult(
        card=Card(text=branch_texts.RETRY_CONFIRM.format(count=later_count), buttons=(anyway,))
    )
