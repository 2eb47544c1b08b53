"""The store's side that the inbox and the turns see: turns, threads, orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from bot.domain.commands import Hold, OpenQuestion, Order
from bot.domain.messages import Message, Thread, ThreadKey
from bot.domain.turns import Acceptance, Accepted, Claimed, Ending, Part, Turn, TurnState
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
    """`InboxStore`, `ThreadStore`, `OrderStore`, `SignStore` and `QuestionStore`."""

    # Turns

    async def accept(self, message: Message) -> Accepted:
        now = self._clock.now()
        accepted = await self._writer.do(
            partial(inbox.accept, message=message, now=now, bounds=self._bounds)
        )
        self._watch.accepted(accepted)
        if accepted.acceptance is Acceptance.FULL and accepted.turn is not None:
            self._watch.ended(accepted.turn, accepted.turn.state)
        return accepted

    async def claim(self) -> Claimed:
        now, per_user = self._clock.now(), self._bounds.per_user
        return await self._writer.do(partial(turns.claim, now=now, per_user=per_user))

    async def begin(self, turn: Turn) -> bool:
        return await self._writer.do(partial(turns.begin, turn=turn, now=self._clock.now()))

    async def hand_back(self, turn: Turn) -> bool:
        return await self._writer.do(partial(turns.hand_back, turn=turn))

    async def record(self, turn: Turn, ending: Ending) -> bool:
        return await self._writer.do(partial(turns.record, turn=turn, ending=ending))

    async def finish(self, turn: Turn, state: TurnState, *, status_left: bool = False) -> bool:
        end = partial(turns.finish, turn=turn, state=state, now=self._clock.now())
        finished = await self._writer.do(partial(end, status_left=status_left))
        if finished:
            self._watch.ended(turn, state)
        return finished

    async def recover(self) -> Sequence[Turn]:
        return await self._writer.do(partial(turns.recover, now=self._clock.now()))

    async def find(self, team: str, channel: str, ts: str) -> Turn | None:
        return await self._read(partial(turns.find, team=team, channel=channel, ts=ts))

    async def turn(self, number: int) -> Turn | None:
        return await self._read(partial(turns.turn_by_id, number=number))

    async def running(self, thread: ThreadKey) -> Turn | None:
        return await self._read(partial(turns.running, key=thread))

    async def answered_anew(self, turn: int) -> Turn | None:
        return await self._read(partial(turns.answered_anew, number=turn))

    async def all_running(self, user: str = "") -> Sequence[Turn]:
        return await self._read(partial(turns.all_running, user=user))

    async def waiting(self, thread: ThreadKey | None = None) -> Sequence[Turn]:
        return await self._read(partial(turns.waiting, key=thread))

    async def untold(self, since: float) -> Sequence[Turn]:
        return await self._read(partial(turns.untold, since=since))

    async def note_told(self, turn: Turn, sentence: str) -> None:
        await self._writer.do(partial(turns.note_told, turn=turn, sentence=sentence))

    async def reword(self, turn: Turn, text: str) -> bool:
        return await self._writer.do(partial(turns.reword, turn=turn, text=text))

    async def withdraw(self, turn: Turn) -> bool:
        now = self._clock.now()
        withdrawn = await self._writer.do(partial(turns.withdraw, turn=turn, now=now))
        if withdrawn:
            self._watch.ended(turn, TurnState.WITHDRAWN)
        return withdrawn

    async def queue_length(self) -> int:
        return await self._read(turns.queue_length)

    # Threads

    async def thread(self, key: ThreadKey) -> Thread | None:
        return await self._read(partial(threads.read_thread, key=key))

    async def note_people(self, key: ThreadKey, people: frozenset[str]) -> None:
        await self._writer.do(partial(threads.note_people, key=key, people=people))

    async def note_part(self, turn: Turn, part: Part) -> None:
        self._watch.shown(turn)
        await self._writer.do(partial(threads.note_part, turn=turn, part=part))

    async def parts(self, turn: Turn) -> Sequence[Part]:
        return await self._read(partial(threads.read_parts, turn=turn))

    async def heard_between(self, thread: ThreadKey, after: str, before: str, session: int) -> bool:
        query = partial(thread_context.heard_between, key=thread, after=after, before=before)
        return await self._read(partial(query, session=session))

    async def bots_before(self, message: Message) -> int:
        return await self._read(partial(inbox.bots_before, message=message))

    async def make_thread(self, key: ThreadKey, people: frozenset[str]) -> None:
        now = self._clock.now()
        await self._writer.do(partial(threads.make_thread, key=key, people=people, now=now))

    # Orders

    async def accept_order(self, order: Order, hold: Hold | None = None) -> bool:
        now = self._clock.now()
        return await self._writer.do(
            partial(commands.accept_order, order=order, hold=hold, now=now)
        )

    async def release_order(self, key: str) -> None:
        await self._writer.do(partial(thread_holds.release, key=key))

    async def renew_holds(self, until: float) -> Mapping[str, Hold]:
        return await self._writer.do(partial(thread_holds.renew, until=until))

    async def finish_order(self, key: str) -> None:
        await self._writer.do(partial(commands.finish_order, key=key, now=self._clock.now()))

    async def unfinished_orders(self) -> Sequence[Order]:
        return await self._read(commands.unfinished_orders)

    # What is shown for a time

    async def show_waiting(self, turn: Turn) -> bool:
        return await self._writer.do(partial(indicators.show_waiting, turn=turn))

    async def note_unmarked(self, turn: Turn) -> None:
        await self._writer.do(partial(indicators.note_unmarked, turn=turn))

    async def marks_left(self, after: int) -> Sequence[Turn]:
        return await self._read(partial(indicators.marks_left, after=after))

    async def note_status_back(self, turn: Turn) -> None:
        await self._writer.do(partial(indicators.note_status_back, turn=turn))

    async def statuses_left(self, after: int) -> Sequence[Turn]:
        return await self._read(partial(indicators.statuses_left, after=after))

    # Questions

    async def note_question(self, question: OpenQuestion) -> bool:
        return await self._writer.do(partial(questions.note_question, question=question))

    async def drop_question(self, event_id: str) -> None:
        await self._writer.do(partial(questions.drop_question, event_id=event_id))

    async def open_questions(self) -> Sequence[OpenQuestion]:
        return await self._writer.do(questions.open_questions)
