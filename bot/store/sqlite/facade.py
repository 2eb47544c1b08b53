"""The store's side that the inbox and the turns see: turns, threads, orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from bot.domain.commands import Command, PendingQuestion, ThreadHold
from bot.domain.messages import Message, Thread, ThreadKey
from bot.domain.turns import (
    AcceptResult,
    AcceptStatus,
    ClaimResult,
    ReplyPart,
    Turn,
    TurnResult,
    TurnState,
)
from bot.store.sqlite import (
    commands,
    inbox,
    indicators,
    questions,
    thread_context,
    thread_holds,
    threads,
    turns,
)
from bot.store.sqlite.side import Side


class InboxSide(Side):
    """`InboxStore`, `ThreadStore`, `CommandStore`, `IndicatorStore` and `PendingQuestionStore`."""

    # Turns

    async def accept_message(self, message: Message) -> AcceptResult:
        now = self._clock.now()
        accepted = await self._writer.submit(
            partial(inbox.accept_message, message=message, now=now, limits=self._limits)
        )
        self._telemetry.record_message(accepted)
        if accepted.status is AcceptStatus.QUEUE_FULL and accepted.turn is not None:
            self._telemetry.record_turn_ended(accepted.turn, accepted.turn.state)
        return accepted

    async def claim(self) -> ClaimResult:
        now, per_user = self._clock.now(), self._limits.max_running_per_user
        return await self._writer.submit(
            partial(turns.claim, now=now, max_running_per_user=per_user)
        )

    async def mark_prompted(self, turn: Turn) -> bool:
        return await self._writer.submit(
            partial(turns.mark_prompted, turn=turn, now=self._clock.now())
        )

    async def requeue(self, turn: Turn) -> bool:
        return await self._writer.submit(partial(turns.requeue, turn=turn))

    async def record_result(self, turn: Turn, result: TurnResult) -> bool:
        return await self._writer.submit(partial(turns.record_result, turn=turn, result=result))

    async def finish_turn(
        self, turn: Turn, state: TurnState, *, status_uncleared: bool = False
    ) -> bool:
        end = partial(turns.finish_turn, turn=turn, state=state, now=self._clock.now())
        finished = await self._writer.submit(partial(end, status_uncleared=status_uncleared))
        if finished:
            self._telemetry.record_turn_ended(turn, state)
        return finished

    async def recover(self) -> Sequence[Turn]:
        return await self._writer.submit(partial(turns.recover, now=self._clock.now()))

    async def turn_by_ts(self, team: str, channel: str, ts: str) -> Turn | None:
        return await self._read(partial(turns.turn_by_ts, team=team, channel=channel, ts=ts))

    async def turn_by_id(self, number: int) -> Turn | None:
        return await self._read(partial(turns.turn_by_id, number=number))

    async def running_turn(self, thread: ThreadKey) -> Turn | None:
        return await self._read(partial(turns.running_turn, key=thread))

    async def latest_retry(self, turn: int) -> Turn | None:
        return await self._read(partial(turns.latest_retry, number=turn))

    async def running_turns(self, user: str = "") -> Sequence[Turn]:
        return await self._read(partial(turns.running_turns, user=user))

    async def waiting_turns(self, thread: ThreadKey | None = None) -> Sequence[Turn]:
        return await self._read(partial(turns.waiting_turns, key=thread))

    async def unnotified(self, since: float) -> Sequence[Turn]:
        return await self._read(partial(turns.unnotified, since=since))

    async def mark_notified(self, turn: Turn, notice: str) -> None:
        await self._writer.submit(partial(turns.mark_notified, turn=turn, notice=notice))

    async def update_text(self, turn: Turn, text: str) -> bool:
        return await self._writer.submit(partial(turns.update_text, turn=turn, text=text))

    async def withdraw(self, turn: Turn) -> bool:
        now = self._clock.now()
        withdrawn = await self._writer.submit(partial(turns.withdraw, turn=turn, now=now))
        if withdrawn:
            self._telemetry.record_turn_ended(turn, TurnState.WITHDRAWN)
        return withdrawn

    async def queue_length(self) -> int:
        return await self._read(turns.queue_length)

    # Threads

    async def thread_by_key(self, key: ThreadKey) -> Thread | None:
        return await self._read(partial(threads.thread_by_key, key=key))

    async def add_participants(self, key: ThreadKey, users: frozenset[str]) -> None:
        await self._writer.submit(partial(threads.add_participants, key=key, users=users))

    async def save_part(self, turn: Turn, part: ReplyPart) -> None:
        self._telemetry.record_reply_posted(turn)
        await self._writer.submit(partial(threads.save_part, turn=turn, part=part))

    async def reply_parts(self, turn: Turn) -> Sequence[ReplyPart]:
        return await self._read(partial(threads.reply_parts, turn=turn))

    async def has_unseen_messages(
        self, thread: ThreadKey, after: str, before: str, session: int
    ) -> bool:
        query = partial(thread_context.has_unseen_messages, key=thread, after=after, before=before)
        return await self._read(partial(query, session=session))

    async def count_consecutive_bot_turns(self, message: Message) -> int:
        return await self._read(partial(inbox.count_consecutive_bot_turns, message=message))

    async def add_thread(self, key: ThreadKey, users: frozenset[str]) -> None:
        now = self._clock.now()
        await self._writer.submit(partial(threads.add_thread, key=key, users=users, now=now))

    # Orders

    async def accept_command(self, command: Command, hold: ThreadHold | None = None) -> bool:
        now = self._clock.now()
        return await self._writer.submit(
            partial(commands.accept_command, command=command, hold=hold, now=now)
        )

    async def release_hold(self, key: str) -> None:
        await self._writer.submit(partial(thread_holds.release_hold, key=key))

    async def renew_holds(self, expires_at: float) -> Mapping[str, ThreadHold]:
        return await self._writer.submit(partial(thread_holds.renew_holds, expires_at=expires_at))

    async def finish_command(self, key: str) -> None:
        await self._writer.submit(partial(commands.finish_command, key=key, now=self._clock.now()))

    async def unfinished_commands(self) -> Sequence[Command]:
        return await self._read(commands.unfinished_commands)

    # What is shown for a time

    async def add_waiting_indicator(self, turn: Turn) -> bool:
        return await self._writer.submit(partial(indicators.add_waiting_indicator, turn=turn))

    async def remove_waiting_indicator(self, turn: Turn) -> None:
        await self._writer.submit(partial(indicators.remove_waiting_indicator, turn=turn))

    async def stale_waiting_indicators(self, after: int) -> Sequence[Turn]:
        return await self._read(partial(indicators.stale_waiting_indicators, after=after))

    async def remove_status_indicator(self, turn: Turn) -> None:
        await self._writer.submit(partial(indicators.remove_status_indicator, turn=turn))

    async def stale_status_indicators(self, after: int) -> Sequence[Turn]:
        return await self._read(partial(indicators.stale_status_indicators, after=after))

    # Questions

    async def save_question(self, question: PendingQuestion) -> bool:
        return await self._writer.submit(partial(questions.save_question, question=question))

    async def delete_question(self, event_id: str) -> None:
        await self._writer.submit(partial(questions.delete_question, event_id=event_id))

    async def pending_questions(self) -> Sequence[PendingQuestion]:
        return await self._writer.submit(questions.pending_questions)
