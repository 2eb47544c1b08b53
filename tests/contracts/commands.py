"""Checks what a store promises about commands, which run once, and about the audit log."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from bot.domain.commands import AuditEntry, Command, CommandSource
from bot.domain.turns import AcceptStatus
from bot.ports import Store
from tests.contracts.messages import BEGIN, make_message, ts_at
from tests.contracts.store_fixtures import Opened, scheduled
from tests.fakes import ManualClock

HERE = make_message(1).thread
COMMAND = Command(
    key="Ev-order",
    name="title",
    args="Snakes \ud83d",
    user="U0ALICE",
    source=CommandSource.MESSAGE,
    team="T0SANDBOX",
    channel="C0GENERAL",
    thread=HERE,
    ts=ts_at(2),
    turn=7,
)
BUTTON_COMMAND = Command(
    key="press-1",
    name="stop",
    args="",
    user="U0BOB",
    source=CommandSource.HOME_TAB,
    team="T0SANDBOX",
)


class CommandContract:
    async def test_a_command_is_recorded_once(self, store: Store) -> None:
        assert await store.accept_command(COMMAND)
        assert not await store.accept_command(COMMAND)
        assert not await store.accept_command(replace(COMMAND, ts=ts_at(3)))
        assert not await store.accept_command(replace(COMMAND, key="Ev-other"))
        assert await store.accept_command(replace(COMMAND, key="Ev-other", channel="C0DEV"))

    async def test_a_double_click_is_one_command(self, store: Store) -> None:
        found = await asyncio.gather(*(store.accept_command(BUTTON_COMMAND) for _ in range(5)))
        assert found == [True, False, False, False, False]
        assert await store.accept_command(replace(BUTTON_COMMAND, key="press-2"))

    async def test_a_message_that_is_a_command_is_no_question(self, store: Store) -> None:
        """Slack delivers a mention twice, with an event id of its own each time."""
        await store.accept_command(COMMAND)
        twin = make_message(2, root=1, event_id="Ev-twin")
        assert (await store.accept_message(twin)).status is AcceptStatus.DUPLICATE
        repeat = make_message(3, root=1, event_id="Ev-order")
        assert (await store.accept_message(repeat)).status is AcceptStatus.DUPLICATE
        assert await store.thread_by_key(HERE) is None
        assert (
            await store.accept_message(make_message(4, root=1))
        ).status is AcceptStatus.SCHEDULED

    async def test_the_question_that_comes_of_a_command_is_accepted_once(
        self, store: Store
    ) -> None:
        await store.accept_command(COMMAND)
        born = make_message(2, root=1, event_id="order-Ev-order")
        assert (await store.accept_message(born)).status is AcceptStatus.SCHEDULED
        assert (await store.accept_message(born)).status is AcceptStatus.DUPLICATE
        assert not await store.accept_command(COMMAND)

    async def test_a_message_that_was_a_question_is_no_command(self, store: Store) -> None:
        await store.accept_message(make_message(2, root=1, event_id="Ev-order"))
        assert not await store.accept_command(replace(COMMAND, key="Ev-twin"))
        assert not await store.accept_command(replace(COMMAND, ts=""))
        assert await store.unfinished_commands() == ()

    async def test_what_was_not_finished_is_listed_until_it_is(
        self, opened: Opened, clock: ManualClock
    ) -> None:
        done = replace(BUTTON_COMMAND, key="press-2")
        async with opened() as store:
            for order in (COMMAND, BUTTON_COMMAND, done):
                await store.accept_command(order)
                await clock.advance(1)
            await store.finish_command(done.key)
        async with opened() as store:
            left = await store.unfinished_commands()
            assert left == (replace(COMMAND, args="Snakes ?"), BUTTON_COMMAND)
            assert await store.unfinished_commands() == left
            await store.finish_command(COMMAND.key)
            assert await store.unfinished_commands() == (BUTTON_COMMAND,)
            assert not await store.accept_command(COMMAND)
            assert not await store.accept_command(done)

    async def test_only_so_many_are_listed_at_a_time(self, store: Store) -> None:
        commands = [replace(BUTTON_COMMAND, key=f"press-{n}") for n in range(403)]
        await asyncio.gather(*(store.accept_command(order) for order in commands))
        assert await store.unfinished_commands() == tuple(commands[:400])
        await asyncio.gather(*(store.finish_command(order.key) for order in commands[:400]))
        assert await store.unfinished_commands() == tuple(commands[400:])

    async def test_a_command_that_is_not_on_record_can_be_finished(self, store: Store) -> None:
        await store.finish_command("never-given")

    async def test_a_fresh_session_is_not_given_the_command_that_made_it(
        self, store: Store
    ) -> None:
        await scheduled(store, 1)
        await store.accept_command(COMMAND)
        assert (await store.reset(HERE, "", "U0ALICE")).seen_ts == ts_at(2)


class AuditContract:
    async def test_entries_come_newest_first(self, store: Store, clock: ManualClock) -> None:
        assert await store.list_audit_entries(0, 10) == ((), 0)
        for number in range(3):
            await store.add_audit_entry("U0ADMIN", "admin cleanup", f"s{number}", "3 of \ud83d")
            await clock.advance(1)
        entries, total = await store.list_audit_entries(1, 1)
        assert total == 3
        assert entries == (
            AuditEntry(
                id=2,
                at=BEGIN + 1.0,
                actor="U0ADMIN",
                action="admin cleanup",
                target="s1",
                detail="3 of ?",
            ),
        )
        await store.add_audit_entry("U0ADMIN", "admin pause", "")
        entries, total = await store.list_audit_entries(0, 10)
        assert [entry.id for entry in entries] == [4, 3, 2, 1]
        assert entries[0].detail == ""
