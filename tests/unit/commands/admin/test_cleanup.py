"""`admin cleanup`: preview, button, progress, cancelling, and the audit entries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.commands.admin.cleanup import UPDATE_INTERVAL_SECONDS
from bot.commands.texts import admin as admin_texts
from bot.domain.cards import Button, Card
from bot.domain.commands import CommandSource
from bot.errors import AgentError, AgentErrorKind
from bot.sessions.cleanup import BATCH_SIZE
from tests.unit.commands.admin.admin_fixtures import AdminFixture, admin_fixture
from tests.unit.commands.command_fixtures import ADA, BOB, DEV, CommandFixture, FakeAgent
from tests.unit.turns.inbox_fixtures import wait_until

DAY = 86_400.0
DIRECT = f"D{ADA}"


class SlowRuntime(FakeAgent):
    """An agent that deletes a batch when allowed to, and fails on demand."""

    def __init__(self) -> None:
        super().__init__()
        self.may_delete = asyncio.Semaphore(1_000)
        self.fails = False
        self.sizes: dict[str, int] = {}

    async def delete_sessions(self, session_ids: Sequence[str]) -> Mapping[str, int]:
        await self.may_delete.acquire()
        if self.fails:
            raise AgentError(AgentErrorKind.RUNTIME, "it died at /some/path")
        for session_id in session_ids:
            self.sizes.pop(session_id, None)
        return await super().delete_sessions(session_ids)

    async def stored_sizes(self) -> Mapping[str, int]:
        return self.sizes


@dataclass(frozen=True)
class CleanupCommandFixture:
    """An admin fixture for cleanups."""

    admins: AdminFixture
    runtime: SlowRuntime

    @property
    def world(self) -> CommandFixture:
        return self.admins.world

    async def run_command(
        self, args: str, *, form: CommandSource = CommandSource.SLASH_COMMAND
    ) -> Card:
        await self.world.clock.advance(1)
        return await self.admins.run_command(f"cleanup {args}".strip(), form=form)

    async def press_button(self, button: Button) -> Card:
        return await self.admins.press_button(button)

    async def ended(self) -> Card:
        """The card of the result."""
        await self.put_on_record()
        await wait_until(lambda: not self.world.publisher.shown[-1][1].buttons)
        thread, card = self.world.publisher.shown[-1]
        assert thread.channel == DIRECT
        return card

    async def put_on_record(self) -> str:
        """The audit entry of the result."""
        async with asyncio.timeout(20):
            while (await self.audited())[-1].startswith("begun"):  # noqa: ASYNC110 # no event to it
                await asyncio.sleep(0.01)
        return (await self.audited())[-1]

    async def audited(self) -> list[str]:
        entries = await self.admins.audited()
        assert {(by, act) for by, act, _, _ in entries} <= {(ADA, "admin cleanup")}
        return [detail for _, _, _, detail in reversed(entries)]


@pytest.fixture
async def admin_cleanup(tmp_path: Path) -> AsyncIterator[CleanupCommandFixture]:
    runtime = SlowRuntime()
    async with admin_fixture(tmp_path, runtime) as charge:
        yield CleanupCommandFixture(charge, runtime)


def only(card: Card) -> Button:
    (button,) = card.buttons
    return button


async def test_a_preview_shows_what_would_go_and_deletes_nothing(
    admin_cleanup: CleanupCommandFixture,
) -> None:
    session = await admin_cleanup.world.context_for(1)
    await admin_cleanup.world.context_for(2, user=BOB, channel=DEV)
    admin_cleanup.runtime.sizes = {session.id: 4_096, "on-no-record": 1_024}
    card = await admin_cleanup.run_command("--channel here")
    assert card.text.startswith("1 session, 4.0 KB. Last used between ")
    assert [line.text for line in card.items] == [
        admin_texts.UNREACHABLE.format(sessions="1 session", size="1.0 KB"),
        admin_texts.MISSING_ON_DISK.format(sessions="1 session"),
    ]
    delete, tidy = card.buttons
    assert (delete.label, delete.style, tidy.label) == (
        admin_texts.DELETE,
        "danger",
        admin_texts.REMOVE_ORPHANS,
    )
    assert "1 session" in delete.confirm
    assert len(await admin_cleanup.world.store.session_ids()) == 2
    assert await admin_cleanup.audited() == []


async def test_nothing_is_deleted_without_the_button(admin_cleanup: CleanupCommandFixture) -> None:
    await admin_cleanup.world.context_for(1)
    admin_cleanup.runtime.sizes = dict.fromkeys(await admin_cleanup.world.store.session_ids(), 1)
    card = await admin_cleanup.run_command("")
    assert card.buttons == ()
    assert card.small_print == admin_texts.FILTER_HELP
    assert (
        await admin_cleanup.run_command("go", form=CommandSource.BUTTON)
    ).text == admin_texts.FILTER_HELP
    assert "button" in (await admin_cleanup.run_command("go --all")).text
    assert len(await admin_cleanup.world.store.session_ids()) == 1


@pytest.mark.parametrize(
    "flags", ["--older-than soon", "--everything", "--channel general", "--keep -1"]
)
async def test_an_invalid_filter_gets_a_text(
    admin_cleanup: CleanupCommandFixture, flags: str
) -> None:
    card = await admin_cleanup.run_command(flags)
    assert flags.split()[-1] in card.text
    assert card.buttons == ()
    assert (
        await admin_cleanup.run_command(f"go {flags}", form=CommandSource.BUTTON)
    ).text == card.text


async def test_the_button_deletes_reports_and_audits(
    admin_cleanup: CleanupCommandFixture,
) -> None:
    await admin_cleanup.world.context_for(1, channel=DEV)
    kept = await admin_cleanup.world.context_for(2)
    admin_cleanup.runtime.sizes = dict.fromkeys(
        await admin_cleanup.world.store.session_ids(), 1_000
    )
    button = only(await admin_cleanup.run_command("--channel C0DEV"))
    assert (await admin_cleanup.press_button(button)).text == admin_texts.BEGUN
    card = await admin_cleanup.ended()
    assert card.text == admin_texts.DONE
    assert card.buttons == ()
    assert card.items[0].text == admin_texts.RESULT.format(deleted="1 session", size="2.0 KB")
    assert await admin_cleanup.world.store.session_ids() == {kept.id}
    begun, done = await admin_cleanup.audited()
    assert begun == "begun: 1 sessions, 1000 bytes"
    assert done.startswith("done: 1 deleted, 2048 bytes, 0 skipped")
    assert (
        len({thread.root_ts for thread, _ in admin_cleanup.world.publisher.shown if _.title}) == 1
    )

    assert (
        await admin_cleanup.press_button(button)
    ).text == admin_texts.BEGUN  # once more does no harm
    assert (await admin_cleanup.ended()).text == admin_texts.DONE
    assert await admin_cleanup.world.store.session_ids() == {kept.id}


async def test_a_late_press_takes_nothing_that_was_used_since_the_preview(
    admin_cleanup: CleanupCommandFixture,
) -> None:
    old = await admin_cleanup.world.context_for(1)
    admin_cleanup.runtime.sizes = {old.id: 1}
    button = only(await admin_cleanup.run_command("--all"))
    await admin_cleanup.world.clock.advance(31 * DAY)
    fresh = await admin_cleanup.world.context_for(2)
    await admin_cleanup.press_button(button)
    assert (await admin_cleanup.ended()).text == admin_texts.DONE
    assert await admin_cleanup.world.store.session_ids() == {fresh.id}


async def test_progress_is_shown_and_it_can_be_cancelled_between_batches(
    admin_cleanup: CleanupCommandFixture,
) -> None:
    for second in range(1, BATCH_SIZE + 6):
        await admin_cleanup.world.context_for(second)
    admin_cleanup.runtime.may_delete = asyncio.Semaphore(0)
    (delete, _) = (await admin_cleanup.run_command("--all")).buttons
    await admin_cleanup.press_button(delete)
    await wait_until(lambda: bool(admin_cleanup.world.publisher.shown))
    _, begun = admin_cleanup.world.publisher.shown[-1]
    assert begun.text == admin_texts.PROGRESS.format(deleted="0", total=str(BATCH_SIZE + 5))
    assert (await admin_cleanup.press_button(delete)).text == admin_texts.RUNNING

    await admin_cleanup.world.clock.advance(UPDATE_INTERVAL_SECONDS)
    assert (await admin_cleanup.press_button(only(begun))).text == admin_texts.CANCELLING
    admin_cleanup.runtime.may_delete.release()
    card = await admin_cleanup.ended()
    assert card.text == admin_texts.CANCELLED
    progress = [shown.text for _, shown in admin_cleanup.world.publisher.shown]
    assert (
        admin_texts.PROGRESS.format(deleted=str(BATCH_SIZE), total=str(BATCH_SIZE + 5)) in progress
    )
    assert len(await admin_cleanup.world.store.session_ids()) == 5
    assert (await admin_cleanup.audited())[-1].startswith(f"cancelled: {BATCH_SIZE} deleted")
    assert (await admin_cleanup.press_button(only(begun))).text == admin_texts.NOT_RUNNING


async def test_a_stop_of_the_bot_is_put_on_record_and_the_button_does_the_rest(
    admin_cleanup: CleanupCommandFixture,
) -> None:
    for second in range(1, BATCH_SIZE + 6):
        await admin_cleanup.world.context_for(second)
    admin_cleanup.runtime.may_delete = asyncio.Semaphore(1)
    (delete, _) = (await admin_cleanup.run_command("--all")).buttons
    await admin_cleanup.press_button(delete)
    async with asyncio.timeout(20):
        while len(await admin_cleanup.world.store.session_ids()) > 5:  # noqa: ASYNC110 # no event to it
            await asyncio.sleep(0.01)
    closing = asyncio.create_task(admin_cleanup.admins.admin.close())
    await asyncio.sleep(0)
    admin_cleanup.runtime.may_delete.release()  # too late: the cleanup is cancelled at once
    await closing
    assert (await admin_cleanup.ended()).text == admin_texts.INTERRUPTED
    assert len(await admin_cleanup.world.store.session_ids()) == 5
    assert (await admin_cleanup.audited())[-1].startswith("interrupted: ")

    admin_cleanup.runtime.may_delete = asyncio.Semaphore(1_000)
    await admin_cleanup.press_button(delete)
    assert (await admin_cleanup.ended()).text == admin_texts.DONE
    assert await admin_cleanup.world.store.session_ids() == set()


async def test_an_error_of_the_runtime_is_reported_in_plain_words(
    admin_cleanup: CleanupCommandFixture,
) -> None:
    session = await admin_cleanup.world.context_for(1)
    admin_cleanup.runtime.sizes = {session.id: 1}
    admin_cleanup.runtime.fails = True
    await admin_cleanup.press_button(only(await admin_cleanup.run_command("--all")))
    card = await admin_cleanup.ended()
    assert "Run it again to finish the rest" in card.text
    assert "path" not in card.text
    assert admin_texts.RESULT_FAILED.format(sessions="1 session") in [
        line.text for line in card.items
    ]
    assert (await admin_cleanup.audited())[-1].startswith("ended early: 0 deleted")


async def test_a_cleanup_runs_and_is_audited_even_if_slack_is_down(
    admin_cleanup: CleanupCommandFixture,
) -> None:
    session = await admin_cleanup.world.context_for(1)
    admin_cleanup.runtime.sizes = {session.id: 1}
    button = only(await admin_cleanup.run_command("--all"))
    admin_cleanup.world.publisher.trouble = True
    await admin_cleanup.press_button(button)
    assert (await admin_cleanup.put_on_record()).startswith("done: 1 deleted")
    assert await admin_cleanup.world.store.session_ids() == set()


async def test_leftovers_are_removed_by_a_button_of_their_own(
    admin_cleanup: CleanupCommandFixture,
) -> None:
    lost, kept = await admin_cleanup.world.context_for(1), await admin_cleanup.world.context_for(2)
    admin_cleanup.runtime.sizes = {kept.id: 1, "on-no-record": 7}
    tidy = only(await admin_cleanup.run_command(""))
    assert "2 in all" in tidy.confirm
    await admin_cleanup.press_button(tidy)
    await wait_until(lambda: admin_cleanup.world.clock.sleeping == 1)
    await admin_cleanup.world.clock.advance(
        2
    )  # a copy may just be going on record: it is looked at again
    assert (await admin_cleanup.ended()).text == admin_texts.DONE
    assert await admin_cleanup.world.store.session_ids() == {kept.id}
    assert admin_cleanup.runtime.deleted == ["on-no-record"]
    assert await admin_cleanup.world.store.session_by_number(lost.number) is None
