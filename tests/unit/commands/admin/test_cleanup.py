"""The order `admin cleanup`: preview, button, progress, cancelling, and what is put on record."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.commands.admin.cleanup import REDRAW_SECONDS
from bot.commands.texts import admin as admin_texts
from bot.domain.cards import Card, Press
from bot.domain.commands import Form
from bot.errors import AgentError, AgentFault
from bot.sessions.cleanup import BATCH
from tests.unit.commands.admin.admin_fixtures import InCharge, in_charge
from tests.unit.commands.command_fixtures import ADA, BOB, DEV, Runtime, World
from tests.unit.turns.inbox_fixtures import until

DAY = 86_400.0
DIRECT = f"D{ADA}"


class SlowRuntime(Runtime):
    """A runtime that deletes a batch when it is let, and fails when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.may_delete = asyncio.Semaphore(1_000)
        self.fails = False
        self.sizes: dict[str, int] = {}

    async def delete(self, session_ids: Sequence[str]) -> Mapping[str, int]:
        await self.may_delete.acquire()
        if self.fails:
            raise AgentError(AgentFault.RUNTIME, "it died at /some/path")
        for session_id in session_ids:
            self.sizes.pop(session_id, None)
        return await super().delete(session_ids)

    async def stored(self) -> Mapping[str, int]:
        return self.sizes


@dataclass(frozen=True)
class Desk:
    """A world with cleanups."""

    charge: InCharge
    runtime: SlowRuntime

    @property
    def world(self) -> World:
        return self.charge.world

    async def order(self, said: str, *, form: Form = Form.COMMAND) -> Card:
        await self.world.clock.advance(1)
        return await self.charge.order(f"cleanup {said}".strip(), form=form)

    async def press(self, press: Press) -> Card:
        return await self.charge.press(press)

    async def ended(self) -> Card:
        """The card that shows how it ended."""
        await self.put_on_record()
        await until(lambda: not self.world.board.shown[-1][1].presses)
        thread, card = self.world.board.shown[-1]
        assert thread.channel == DIRECT
        return card

    async def put_on_record(self) -> str:
        """What is on record of its end."""
        async with asyncio.timeout(20):
            while (await self.audited())[-1].startswith("begun"):  # noqa: ASYNC110 # no event to it
                await asyncio.sleep(0.01)
        return (await self.audited())[-1]

    async def audited(self) -> list[str]:
        entries = await self.charge.audited()
        assert {(by, act) for by, act, _, _ in entries} <= {(ADA, "admin cleanup")}
        return [detail for _, _, _, detail in reversed(entries)]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    runtime = SlowRuntime()
    async with in_charge(tmp_path, runtime) as charge:
        yield Desk(charge, runtime)


def only(card: Card) -> Press:
    (press,) = card.presses
    return press


async def test_a_preview_shows_what_would_go_and_deletes_nothing(desk: Desk) -> None:
    session = await desk.world.asked(1)
    await desk.world.asked(2, user=BOB, channel=DEV)
    desk.runtime.sizes = {session.id: 4_096, "on-no-record": 1_024}
    card = await desk.order("--channel here")
    assert card.text.startswith("1 session, 4.0 KB. Last used between ")
    assert [line.text for line in card.lines] == [
        admin_texts.UNREACHABLE.format(sessions="1 session", size="1.0 KB"),
        admin_texts.LOST.format(sessions="1 session"),
    ]
    delete, tidy = card.presses
    assert (delete.label, delete.style, tidy.label) == (
        admin_texts.DELETE,
        "danger",
        admin_texts.TIDY,
    )
    assert "1 session" in delete.confirm
    assert len(await desk.world.store.session_ids()) == 2
    assert await desk.audited() == []


async def test_nothing_goes_for_the_asking(desk: Desk) -> None:
    await desk.world.asked(1)
    desk.runtime.sizes = dict.fromkeys(await desk.world.store.session_ids(), 1)
    card = await desk.order("")
    assert card.presses == ()
    assert card.small == admin_texts.NARROW
    assert (await desk.order("go", form=Form.BUTTON)).text == admin_texts.NARROW
    assert "button" in (await desk.order("go --all")).text
    assert len(await desk.world.store.session_ids()) == 1


@pytest.mark.parametrize(
    "flags", ["--older-than soon", "--everything", "--channel general", "--keep -1"]
)
async def test_what_means_nothing_gets_a_sentence(desk: Desk, flags: str) -> None:
    card = await desk.order(flags)
    assert flags.split()[-1] in card.text
    assert card.presses == ()
    assert (await desk.order(f"go {flags}", form=Form.BUTTON)).text == card.text


async def test_the_button_deletes_reports_and_puts_on_record(desk: Desk) -> None:
    await desk.world.asked(1, channel=DEV)
    kept = await desk.world.asked(2)
    desk.runtime.sizes = dict.fromkeys(await desk.world.store.session_ids(), 1_000)
    press = only(await desk.order("--channel C0DEV"))
    assert (await desk.press(press)).text == admin_texts.BEGUN
    card = await desk.ended()
    assert card.text == admin_texts.DONE
    assert card.presses == ()
    assert card.lines[0].text == admin_texts.RESULT.format(deleted="1 session", size="2.0 KB")
    assert await desk.world.store.session_ids() == {kept.id}
    begun, done = await desk.audited()
    assert begun == "begun: 1 sessions, 1000 bytes"
    assert done.startswith("done: 1 deleted, 2048 bytes, 0 skipped")
    assert len({thread.root_ts for thread, _ in desk.world.board.shown if _.title}) == 1

    assert (await desk.press(press)).text == admin_texts.BEGUN  # once more does no harm
    assert (await desk.ended()).text == admin_texts.DONE
    assert await desk.world.store.session_ids() == {kept.id}


async def test_a_late_press_takes_nothing_that_was_used_since_the_preview(desk: Desk) -> None:
    old = await desk.world.asked(1)
    desk.runtime.sizes = {old.id: 1}
    press = only(await desk.order("--all"))
    await desk.world.clock.advance(31 * DAY)
    fresh = await desk.world.asked(2)
    await desk.press(press)
    assert (await desk.ended()).text == admin_texts.DONE
    assert await desk.world.store.session_ids() == {fresh.id}


async def test_progress_is_shown_and_it_can_be_cancelled_between_batches(desk: Desk) -> None:
    for second in range(1, BATCH + 6):
        await desk.world.asked(second)
    desk.runtime.may_delete = asyncio.Semaphore(0)
    (delete, _) = (await desk.order("--all")).presses
    await desk.press(delete)
    await until(lambda: bool(desk.world.board.shown))
    _, begun = desk.world.board.shown[-1]
    assert begun.text == admin_texts.PROGRESS.format(deleted="0", total=str(BATCH + 5))
    assert (await desk.press(delete)).text == admin_texts.RUNNING

    await desk.world.clock.advance(REDRAW_SECONDS)
    assert (await desk.press(only(begun))).text == admin_texts.CANCELLING
    desk.runtime.may_delete.release()
    card = await desk.ended()
    assert card.text == admin_texts.CANCELLED
    progress = [shown.text for _, shown in desk.world.board.shown]
    assert admin_texts.PROGRESS.format(deleted=str(BATCH), total=str(BATCH + 5)) in progress
    assert len(await desk.world.store.session_ids()) == 5
    assert (await desk.audited())[-1].startswith(f"cancelled: {BATCH} deleted")
    assert (await desk.press(only(begun))).text == admin_texts.NOT_RUNNING


async def test_a_stop_of_the_bot_is_put_on_record_and_the_button_does_the_rest(
    desk: Desk,
) -> None:
    for second in range(1, BATCH + 6):
        await desk.world.asked(second)
    desk.runtime.may_delete = asyncio.Semaphore(1)
    (delete, _) = (await desk.order("--all")).presses
    await desk.press(delete)
    async with asyncio.timeout(20):
        while len(await desk.world.store.session_ids()) > 5:  # noqa: ASYNC110 # no event to it
            await asyncio.sleep(0.01)
    await desk.charge.admin.close()
    assert (await desk.ended()).text == admin_texts.INTERRUPTED
    assert (await desk.audited())[-1].startswith("interrupted: ")

    desk.runtime.may_delete = asyncio.Semaphore(1_000)
    await desk.press(delete)
    assert (await desk.ended()).text == admin_texts.DONE
    assert await desk.world.store.session_ids() == set()


async def test_trouble_with_the_runtime_is_told_in_plain_words(desk: Desk) -> None:
    session = await desk.world.asked(1)
    desk.runtime.sizes = {session.id: 1}
    desk.runtime.fails = True
    await desk.press(only(await desk.order("--all")))
    card = await desk.ended()
    assert "again does the rest" in card.text
    assert "path" not in card.text
    assert admin_texts.RESULT_FAILED.format(sessions="1 session") in [
        line.text for line in card.lines
    ]
    assert (await desk.audited())[-1].startswith("ended early: 0 deleted")


async def test_it_is_done_and_put_on_record_also_when_slack_is_away(desk: Desk) -> None:
    session = await desk.world.asked(1)
    desk.runtime.sizes = {session.id: 1}
    press = only(await desk.order("--all"))
    desk.world.board.trouble = True
    await desk.press(press)
    assert (await desk.put_on_record()).startswith("done: 1 deleted")
    assert await desk.world.store.session_ids() == set()


async def test_what_lost_its_other_half_goes_by_a_button_of_its_own(desk: Desk) -> None:
    lost, kept = await desk.world.asked(1), await desk.world.asked(2)
    desk.runtime.sizes = {kept.id: 1, "on-no-record": 7}
    tidy = only(await desk.order(""))
    assert "2 in all" in tidy.confirm
    await desk.press(tidy)
    await until(lambda: desk.world.clock.sleeping == 1)
    await desk.world.clock.advance(2)  # a copy may just be going on record: it is looked at again
    assert (await desk.ended()).text == admin_texts.DONE
    assert await desk.world.store.session_ids() == {kept.id}
    assert desk.runtime.deleted == ["on-no-record"]
    assert await desk.world.store.session(lost.number) is None
