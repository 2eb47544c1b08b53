"""The promises about what of a thread a session has to be told, and what it knows otherwise."""

from __future__ import annotations

from dataclasses import replace

from bot.domain.commands import Form
from bot.domain.messages import Message, Trigger, Wish
from bot.domain.sessions import Origin, SessionRecord, Told
from bot.domain.turns import Delivery, Ending, Part, Turn, TurnState
from bot.ports import Store
from tests.contracts.commands import ORDER
from tests.contracts.messages import said, ts_at
from tests.contracts.store_fixtures import answered, claimed, current, scheduled

HERE = said(1).thread


def told_of(
    *, known: frozenset[str], answers: frozenset[str], **questions: tuple[str, str]
) -> Told:
    return Told(known=known, answers=answers, questions=questions)


async def replied(store: Store, message: Message, *parts: float) -> Turn:
    """A turn that was answered, its reply in messages at these seconds."""
    await store.accept(message)
    turn = await claimed(store)
    session = await store.session_for(turn)
    await store.begin(turn)
    for number, second in enumerate(parts):
        part = Part(number=number, ts=ts_at(second), delivery=Delivery.EDITS, closed=True)
        await store.note_part(turn, part)
    if not message.wish.compare:
        await store.remember(turn, session.number, f"event-{turn.id}")
    await store.record(turn, Ending(state=TurnState.DONE, answer="So."))
    await store.finish(turn, TurnState.DONE)
    return turn


async def told(store: Store, session: SessionRecord) -> Told:
    """What a session, as it stands now, knows otherwise."""
    found = await store.session(session.number)
    assert found is not None
    return await store.told_otherwise(found)


def at(*seconds: float) -> frozenset[str]:
    return frozenset(ts_at(second) for second in seconds)


class Telling:
    async def test_a_session_knows_its_turns_and_not_those_of_others(self, store: Store) -> None:
        await replied(store, said(1), 1.1, 1.2)
        await replied(store, replace(said(2, root=1), wish=Wish(role="review")), 2.1)
        await store.accept(said(3, root=1, user="U0BOB", trigger=Trigger.FOLLOW_UP))
        main, review = await store.currents(HERE)
        assert await told(store, main) == told_of(known=at(1, 1.1, 1.2), answers=at(2.1))
        assert await told(store, review) == told_of(known=at(2, 2.1), answers=at(1.1, 1.2))

    async def test_what_it_is_meant_to_have_forgotten_it_is_not_told(self, store: Store) -> None:
        turn = await replied(store, said(1), 1.1)
        later = await replied(store, said(2, root=1), 2.1)
        session = await current(store, HERE)
        await store.forget(session.number, later.id)
        assert await told(store, session) == told_of(known=at(1, 1.1, 2, 2.1), answers=at())
        assert not await store.heard_between(HERE, "", ts_at(9), session.number)
        await store.forget(session.number, turn.id)
        assert await told(store, session) == told_of(known=at(), answers=at(1.1, 2.1))
        assert await store.heard_between(HERE, "", ts_at(9), session.number)

    async def test_one_that_lost_its_memory_is_told_everything(self, store: Store) -> None:
        await replied(store, said(1), 1.1)
        await store.accept_order(ORDER)
        session = await current(store, HERE)
        await store.lose(session.number)
        assert await told(store, session) == told_of(known=at(2), answers=at(1.1))
        assert await store.heard_between(HERE, "", ts_at(9), session.number)

    async def test_a_fresh_one_is_not_told_what_the_one_before_it_answered(
        self, store: Store
    ) -> None:
        """Also where that comes after it was begun; once the one before is deleted, it is told."""
        await replied(store, said(1), 1.1)
        before = await current(store, HERE)
        fresh = await store.begin_anew(HERE, "", "U0ALICE")
        assert await told(store, fresh) == told_of(known=at(1.1), answers=at())
        await store.drop([before.number])
        assert await told(store, fresh) == told_of(known=at(), answers=at(1.1))

    async def test_a_copy_knows_what_it_remembers(self, store: Store) -> None:
        await replied(store, said(1), 1.1)
        later = await replied(store, said(2, root=1), 2.1)
        source = await current(store, HERE)
        copy = await store.add_session(
            source,
            session_id="copy",
            origin=Origin.FORK,
            thread=HERE,
            owner="U0BOB",
            before_turn=later.id,
        )
        assert await told(store, copy) == told_of(known=at(1, 1.1, 2.1), answers=at())

    async def test_nobody_is_told_what_came_of_a_comparison(self, store: Store) -> None:
        """All answers together are no answer; the one that is gone on with, its session knows."""
        compare = replace(said(1), wish=Wish(compare=("gpt", "claude")))
        await replied(store, compare, 1.1, 1.2)
        source = await current(store, HERE)
        fresh = await store.begin_anew(HERE, "", "U0ALICE")
        assert await told(store, fresh) == told_of(known=at(1.1, 1.2), answers=at())
        copy = await store.add_session(
            source, session_id="copy", origin=Origin.COMPARISON, thread=HERE, owner="U0ALICE"
        )
        assert (await told(store, copy)).known == at(1.1, 1.2)

    async def test_it_knows_nothing_of_another_thread(self, store: Store) -> None:
        await replied(store, said(1), 1.1)
        await replied(store, said(500), 501)
        session = await current(store, HERE)
        moved = await store.take_up(session.number, said(500).thread)
        assert moved is not None
        assert await told(store, moved) == told_of(known=at(501), answers=at())

    async def test_only_the_newest_turns_are_looked_at(self, store: Store) -> None:
        await replied(store, said(1), 1.1)
        for number in range(2_000):
            waiting = await scheduled(store, 2 + number, root=1)
            await store.withdraw(waiting)
        session = await current(store, HERE)
        assert await told(store, session) == told_of(known=at(), answers=at())

    async def test_a_question_by_command_is_of_who_asked_it(self, store: Store) -> None:
        """Until the session is asked it, and not of one in whose place it stands."""
        await replied(store, said(1, trigger=Trigger.COMMAND, text="Which one?"), 1.1)
        main = await current(store, HERE)
        assert (await told(store, main)).questions == {}
        await replied(store, replace(said(2, root=1), wish=Wish(role="review")), 2.1)
        review = await current(store, HERE, "review")
        assert (await told(store, review)).questions == {ts_at(1): ("U0ALICE", "Which one?")}
        fresh = await store.begin_anew(HERE, "", "U0ALICE")
        assert (await told(store, fresh)).questions == {}

    async def test_orders_are_told_apart_from_what_people_said(self, store: Store) -> None:
        await answered(store, said(1))
        session = await current(store, HERE)
        await store.accept_order(ORDER)
        await store.accept_order(replace(ORDER, key="press", form=Form.BUTTON, ts=""))
        await store.accept_order(replace(ORDER, key="Ev-9", ts=ts_at(9), thread=said(9).thread))
        await store.accept(said(2, root=1, event_id="order-Ev-order"))
        assert await told(store, session) == told_of(known=at(1, 2), answers=at())
        assert not await store.heard_between(HERE, ts_at(1), ts_at(9), session.number)

    async def test_it_is_known_whether_somebody_wrote_what_a_session_was_not_asked(
        self, store: Store
    ) -> None:
        await answered(store, said(5, root=1))
        number = (await current(store, HERE)).number
        await answered(store, said(7, root=1, trigger=Trigger.MENU))
        other = (await store.begin_anew(HERE, "", "U0ALICE")).number

        async def heard(after: float, before: float, session: int = number) -> bool:
            return await store.heard_between(HERE, ts_at(after), ts_at(before), session)

        assert not await heard(4, 9)
        assert await heard(4, 9, other)
        assert not await heard(6, 9, other)
        await store.accept(said(8, root=1, user="U0BOB", trigger=Trigger.FOLLOW_UP))
        assert await heard(4, 9)
        assert not await heard(8, 9)
        assert not await heard(4, 8)
        await store.accept(said(11, root=1, user="B0ROBOT", trigger=Trigger.BOT))
        assert await heard(10, 12)
        assert await store.heard_between(HERE, "", ts_at(9), number)
        assert await store.heard_between(HERE, "999999999.000000", ts_at(9), number)
        assert not await store.heard_between(said(9).thread, ts_at(4), ts_at(9), number)
