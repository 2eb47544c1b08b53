"""Checks what a store promises about the messages of a thread that a session knows."""

from __future__ import annotations

from dataclasses import replace

from bot.domain.commands import CommandSource
from bot.domain.messages import Message, MessageOptions, Trigger
from bot.domain.sessions import KnownMessages, SessionOrigin, SessionRecord
from bot.domain.turns import Delivery, ReplyPart, Turn, TurnResult, TurnState
from bot.ports import Store
from tests.contracts.commands import COMMAND
from tests.contracts.messages import make_message, ts_at
from tests.contracts.store_fixtures import answered, claimed, current, scheduled

HERE = make_message(1).thread


def known_message_ids(
    *, known: frozenset[str], answers: frozenset[str], **questions: tuple[str, str]
) -> KnownMessages:
    return KnownMessages(known_ts=known, other_session_replies=answers, posted_questions=questions)


async def replied(store: Store, message: Message, *parts: float) -> Turn:
    """A turn that was answered, its reply in messages at these seconds."""
    await store.accept_message(message)
    turn = await claimed(store)
    session = await store.ensure_session(turn)
    await store.mark_prompted(turn)
    for number, second in enumerate(parts):
        part = ReplyPart(number=number, ts=ts_at(second), delivery=Delivery.EDITS, closed=True)
        await store.save_part(turn, part)
    if not message.options.compare_models:
        await store.append_history(turn, session.number, f"event-{turn.id}")
    await store.record_result(turn, TurnResult(state=TurnState.DONE, answer="So."))
    await store.finish_turn(turn, TurnState.DONE)
    return turn


async def known_messages(store: Store, session: SessionRecord) -> KnownMessages:
    """The messages that a session, as it is now, knows."""
    found = await store.session_by_number(session.number)
    assert found is not None
    return await store.known_messages(found)


def at(*seconds: float) -> frozenset[str]:
    return frozenset(ts_at(second) for second in seconds)


class ThreadContextContract:
    async def test_a_session_knows_its_turns_and_not_those_of_others(self, store: Store) -> None:
        await replied(store, make_message(1), 1.1, 1.2)
        await replied(
            store, replace(make_message(2, root=1), options=MessageOptions(role="review")), 2.1
        )
        await store.accept_message(make_message(3, root=1, user="U0BOB", trigger=Trigger.FOLLOW_UP))
        main, review = await store.current_sessions(HERE)
        assert await known_messages(store, main) == known_message_ids(
            known=at(1, 1.1, 1.2), answers=at(2.1)
        )
        assert await known_messages(store, review) == known_message_ids(
            known=at(2, 2.1), answers=at(1.1, 1.2)
        )

    async def test_what_it_is_meant_to_have_forgotten_it_is_not_given(self, store: Store) -> None:
        turn = await replied(store, make_message(1), 1.1)
        later = await replied(store, make_message(2, root=1), 2.1)
        session = await current(store, HERE)
        await store.truncate_history(session.number, later.id)
        assert await known_messages(store, session) == known_message_ids(
            known=at(1, 1.1, 2, 2.1), answers=at()
        )
        assert not await store.has_unseen_messages(HERE, "", ts_at(9), session.number)
        await store.truncate_history(session.number, turn.id)
        assert await known_messages(store, session) == known_message_ids(
            known=at(), answers=at(1.1, 2.1)
        )
        assert await store.has_unseen_messages(HERE, "", ts_at(9), session.number)

    async def test_one_that_lost_its_memory_is_given_everything(self, store: Store) -> None:
        await replied(store, make_message(1), 1.1)
        await store.accept_command(COMMAND)
        session = await current(store, HERE)
        await store.clear_history(session.number)
        assert await known_messages(store, session) == known_message_ids(
            known=at(2), answers=at(1.1)
        )
        assert await store.has_unseen_messages(HERE, "", ts_at(9), session.number)

    async def test_a_fresh_one_is_not_given_what_the_one_before_it_answered(
        self, store: Store
    ) -> None:
        """Also if it was created later; once the earlier one is deleted, its reply is context."""
        await replied(store, make_message(1), 1.1)
        before = await current(store, HERE)
        fresh = await store.reset(HERE, "", "U0ALICE")
        assert await known_messages(store, fresh) == known_message_ids(known=at(1.1), answers=at())
        await store.delete_sessions([before.number])
        assert await known_messages(store, fresh) == known_message_ids(known=at(), answers=at(1.1))

    async def test_a_copy_knows_what_it_remembers(self, store: Store) -> None:
        await replied(store, make_message(1), 1.1)
        later = await replied(store, make_message(2, root=1), 2.1)
        source = await current(store, HERE)
        copy = await store.add_session(
            source,
            session_id="copy",
            origin=SessionOrigin.FORK,
            thread=HERE,
            owner="U0BOB",
            before_turn=later.id,
        )
        assert await known_messages(store, copy) == known_message_ids(
            known=at(1, 1.1, 2.1), answers=at()
        )

    async def test_no_session_is_given_what_came_of_a_comparison(self, store: Store) -> None:
        """All answers together are no answer; the session of the kept one knows it."""
        compare = replace(make_message(1), options=MessageOptions(compare_models=("gpt", "claude")))
        await replied(store, compare, 1.1, 1.2)
        source = await current(store, HERE)
        fresh = await store.reset(HERE, "", "U0ALICE")
        assert await known_messages(store, fresh) == known_message_ids(
            known=at(1.1, 1.2), answers=at()
        )
        copy = await store.add_session(
            source, session_id="copy", origin=SessionOrigin.COMPARISON, thread=HERE, owner="U0ALICE"
        )
        assert (await known_messages(store, copy)).known_ts == at(1.1, 1.2)

    async def test_it_knows_nothing_of_another_thread(self, store: Store) -> None:
        await replied(store, make_message(1), 1.1)
        await replied(store, make_message(500), 501)
        session = await current(store, HERE)
        moved = await store.attach(session.number, make_message(500).thread)
        assert moved is not None
        assert await known_messages(store, moved) == known_message_ids(known=at(501), answers=at())

    async def test_only_the_newest_turns_are_looked_at(self, store: Store) -> None:
        await replied(store, make_message(1), 1.1)
        for number in range(2_000):
            waiting = await scheduled(store, 2 + number, root=1)
            await store.withdraw(waiting)
        session = await current(store, HERE)
        assert await known_messages(store, session) == known_message_ids(known=at(), answers=at())

    async def test_a_question_by_command_is_of_who_asked_it(self, store: Store) -> None:
        """Until the session is prompted with it, and not from a session that it replaces."""
        await replied(
            store, make_message(1, trigger=Trigger.POSTED_QUESTION, text="Which one?"), 1.1
        )
        main = await current(store, HERE)
        assert (await known_messages(store, main)).posted_questions == {}
        await replied(
            store, replace(make_message(2, root=1), options=MessageOptions(role="review")), 2.1
        )
        review = await current(store, HERE, "review")
        assert (await known_messages(store, review)).posted_questions == {
            ts_at(1): ("U0ALICE", "Which one?")
        }
        fresh = await store.reset(HERE, "", "U0ALICE")
        assert (await known_messages(store, fresh)).posted_questions == {}

    async def test_commands_are_distinguished_from_messages(self, store: Store) -> None:
        await answered(store, make_message(1))
        session = await current(store, HERE)
        await store.accept_command(COMMAND)
        await store.accept_command(
            replace(COMMAND, key="press", source=CommandSource.BUTTON, ts="")
        )
        await store.accept_command(
            replace(COMMAND, key="Ev-9", ts=ts_at(9), thread=make_message(9).thread)
        )
        await store.accept_message(make_message(2, root=1, event_id="order-Ev-order"))
        assert await known_messages(store, session) == known_message_ids(
            known=at(1, 2), answers=at()
        )
        assert not await store.has_unseen_messages(HERE, ts_at(1), ts_at(9), session.number)

    async def test_messages_that_a_session_has_not_seen_are_found(self, store: Store) -> None:
        await answered(store, make_message(5, root=1))
        number = (await current(store, HERE)).number
        await answered(store, make_message(7, root=1, trigger=Trigger.REPLY_ACTION))
        other = (await store.reset(HERE, "", "U0ALICE")).number

        async def unseen(after: float, before: float, session: int = number) -> bool:
            return await store.has_unseen_messages(HERE, ts_at(after), ts_at(before), session)

        assert not await unseen(4, 9)
        assert await unseen(4, 9, other)
        assert not await unseen(6, 9, other)
        await store.accept_message(make_message(8, root=1, user="U0BOB", trigger=Trigger.FOLLOW_UP))
        assert await unseen(4, 9)
        assert not await unseen(8, 9)
        assert not await unseen(4, 8)
        await store.accept_message(make_message(11, root=1, user="B0ROBOT", trigger=Trigger.BOT))
        assert await unseen(10, 12)
        assert await store.has_unseen_messages(HERE, "", ts_at(9), number)
        assert await store.has_unseen_messages(HERE, "999999999.000000", ts_at(9), number)
        assert not await store.has_unseen_messages(
            make_message(9).thread, ts_at(4), ts_at(9), number
        )
