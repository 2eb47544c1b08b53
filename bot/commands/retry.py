"""Executes `retry`: the session forgets its reply and gets the same question again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final

from bot.commands.branch import excerpt, last_entry
from bot.commands.dispatcher import CommandContext, CommandGroup, CommandHandler
from bot.commands.models import join_models
from bot.commands.registry import OWNER_OR_ADMIN
from bot.commands.session_state import is_queued_after
from bot.commands.texts import branch as branch_texts
from bot.domain.cards import Button, Card, CommandResult, text_result
from bot.domain.messages import Message, MessageOptions, Trigger, ts_from_position
from bot.domain.sessions import SessionRecord
from bot.domain.turns import AcceptResult, AcceptStatus, Turn, TurnState
from bot.ports import Store
from bot.sessions.model_selection import ModelSelector

_CONFIRMED_FLAG: Final = "--forget"
"""The argument of the button that confirms the loss of later replies."""
_MAX_RETRIES_FOLLOWED: Final = 100
"""Maximum number of retries that are followed from one turn to its latest retry."""


class RetryCommand(CommandGroup):
    """Handles `retry`."""

    def __init__(
        self,
        store: Store,
        model_selector: ModelSelector,
        *,
        enqueue: Callable[[Message], Awaitable[AcceptResult]],
    ) -> None:
        """`enqueue` records a question (`bot.turns.inbox.Inbox.enqueue`)."""
        self._store = store
        self._model_selector = model_selector
        self._enqueue = enqueue

    def handlers(self) -> Mapping[str, CommandHandler]:
        return {"retry": self.retry}

    async def retry(self, ctx: CommandContext) -> CommandResult:
        """Answer a turn again.

        Later replies are forgotten with it. Only the owner or an admin may do that, after a
        confirmation.
        """
        name = ctx.args.removeprefix(_CONFIRMED_FLAG).strip()
        model = await self._model_selector.resolve_model(name) if name else ""
        if model is None:
            return text_result(self._unknown_model_text(name))
        turn = await self._find_turn(ctx)
        if isinstance(turn, CommandResult):
            return turn
        session = await self._store.current_session(turn.message.thread, turn.message.options.role)
        refusal = await self._check_in_history(turn, session)
        if refusal is not None:
            return refusal
        later = await self._count_later(ctx, turn, session)
        if later and not ctx.access_roles & OWNER_OR_ADMIN:
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
        """How many later turns a retry makes the session forget.

        These are the turns in its history after this one, and the open ones that were written
        before the command: they come first.
        """
        if session is None or await self._store.history_entry(session.number, turn.id) is None:
            return 0
        thread = turn.message.thread
        running = await self._store.running_turn(thread)
        open_turns = [
            *([running] if running is not None else []),
            *await self._store.waiting_turns(thread),
        ]
        earlier = [
            other
            for other in open_turns
            if other.message.options.role == session.role
            and not is_queued_after(other, ctx.position)
            and not other.message.options.compare_models
            and await self._store.history_entry(session.number, other.id) is None
        ]
        return await self._store.count_history_after(session.number, turn.id) + len(earlier)

    def _unknown_model_text(self, name: str) -> str:
        models = join_models(self._model_selector.available_models) or branch_texts.NO_MODELS
        return branch_texts.UNKNOWN_MODEL.format(name=excerpt(name), models=models)

    async def _find_turn(self, ctx: CommandContext) -> Turn | CommandResult:
        """The turn to answer again, or the result that refuses it.

        It is the turn of the button, or its latest retry; without a button the last turn.
        """
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
            # Another user retried the same reply at the same time.
            return text_result(branch_texts.RETRY_PENDING)
        if turn.result is not None and not turn.state.final:
            # Its reply is posted already, though the turn itself may not have ended.
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
        """The refusal for a turn that is not in the session's history, or None.

        A turn without an answer can be retried in any session.
        """
        has_answer = turn.result is not None and bool(turn.result.answer)
        if turn.state is not TurnState.DONE and not (
            turn.state is TurnState.STOPPED and has_answer
        ):
            return None
        if session is None or await self._store.history_entry(session.number, turn.id) is None:
            return text_result(branch_texts.OTHER_SESSION)
        return None

    def _build_message(self, ctx: CommandContext, turn: Turn, model: str) -> Message:
        command, original = ctx.command, turn.message
        return Message(
            event_id=f"order-{command.key}",
            thread=original.thread,
            # A button press has no message; its arrival replaces the timestamp.
            ts=command.ts or ts_from_position(ctx.position),
            user=command.user,
            user_team=ctx.user.team,
            text=original.text,
            trigger=Trigger.MENTION if command.ts else Trigger.REPLY_ACTION,
            direct=original.direct,
            options=MessageOptions(role=original.options.role, model=model, retry_of=turn.id),
        )


def _confirmation(turn: Turn, model: str, later_count: int) -> CommandResult:
    """The card that asks to confirm the loss of later replies."""
    confirm = Button(
        label=branch_texts.RETRY_ANYWAY,
        command_name="retry",
        args=f"{_CONFIRMED_FLAG} {model}".strip(),
        turn=turn.id,
        style="danger",
    )
    return CommandResult(
        card=Card(text=branch_texts.RETRY_CONFIRM.format(count=later_count), buttons=(confirm,))
    )
