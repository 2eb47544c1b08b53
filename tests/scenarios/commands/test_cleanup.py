"""`admin cleanup`: preview, button, progress, cancelling; orphans, interruption, repetition."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.clock import SystemClock
from bot.commands.texts import admin as admin_texts
from bot.domain.sessions import Origin, SessionFilter
from bot.ports import Store
from bot.sessions import cleanup_filter
from bot.sessions.cleanup_notices import GONE
from bot.sessions.lock_files import folder_of_sessions
from bot.store import open_store
from tests.emulator_client import DEV, GENERAL, Json
from tests.fakes import ForwardClock
from tests.scenarios.conftest import Bots, Scene, all_of, feet_of
from tests.scenarios.delivery.test_mid_thread import quoted
from tests.scenarios.operations.test_restart import threadpilot
from tests.scripted_model import Answer, ScriptedModel

DAY = 86_400.0


@asynccontextmanager
async def at_rest(bots: Bots) -> AsyncIterator[Store]:
    """The database of a bot that does not run."""
    async with open_store(Path(bots.env["DATA_DIR"]), clock=SystemClock(), per_user=1) as store:
        yield store


def on_disk(bots: Bots) -> set[str]:
    """The sessions that the runtime keeps (beside a folder of its own for its locks)."""
    folder = folder_of_sessions(Path(bots.env["DATA_DIR"]))
    return {each.name for each in folder.iterdir() if not each.name.startswith(".")}


def the_folder(bots: Bots, session_id: str) -> Path:
    return folder_of_sessions(Path(bots.env["DATA_DIR"])) / session_id


async def on_record(bots: Bots) -> set[str]:
    async with at_rest(bots) as store:
        return set(await store.session_ids())


async def press(slack: Scene, message: Json, label: str, channel: str = GENERAL) -> None:
    """Alice presses a button by what stands on it."""
    [foot] = [foot for foot in feet_of(message) if foot.label == label]
    await slack.press_foot("alice", channel, foot)


async def preview(slack: Scene, flags: str = "") -> Json:
    return await slack.card_for("alice", GENERAL, f"admin cleanup {flags}".strip())


async def clean_up(slack: Scene, flags: str, label: str = admin_texts.DELETE) -> str:
    """A whole cleanup; what is shown of it in the end."""
    before = len(await ended(slack))
    await press(slack, await preview(slack, flags), label)

    async def one_more() -> list[str]:
        return (await ended(slack))[before:]

    return (await slack.wait_for(one_more, 30, "the cleanup ends"))[0]


async def ended(slack: Scene) -> list[str]:
    """What the direct messages with Alice show of cleanups that have ended, oldest first."""
    direct = await slack.dm("alice")
    shown = [all_of(message) for message in reversed(await slack.history(direct))]
    return [text for text in shown if " deleted, " in text]


async def test_what_is_old_goes_after_a_preview_and_a_press_and_its_threads_are_told(
    bots: Bots, slack: Scene, model: ScriptedModel
) -> None:
    clock = ForwardClock()
    bot = await bots.start(clock)
    old = [await slack.asked("bob", "one"), await slack.asked("carol", "two", DEV)]
    await slack.until_idle(bot)
    clock.forward(31 * DAY)
    new = await slack.asked("bob", "three")
    shown = await preview(slack, "--older-than 30d")
    assert "2 sessions, " in all_of(shown)
    assert "Last used between" in all_of(shown)
    assert "KB" in all_of(shown)
    assert len(on_disk(bots)) == 3, "nothing goes for the asking"

    await press(slack, shown, admin_texts.DELETE)
    await slack.until_told("alice", admin_texts.BEGUN)
    report = all_of(await slack.until_in_direct("alice", admin_texts.DONE))
    assert "2 sessions deleted, " in report
    assert "0 B freed" not in report
    assert len(on_disk(bots)) == 1
    await slack.until_shown(GENERAL, old[0], GONE)
    await slack.until_shown(DEV, old[1], GONE)
    assert not await slack.shows(GENERAL, new, GONE)
    audit = all_of(await slack.card_for("alice", GENERAL, "admin audit"))
    assert "admin cleanup" in audit
    assert "begun: 2 sessions" in audit
    assert "done: 2 deleted" in audit

    await slack.say("bob", GENERAL, "afresh", thread_ts=old[0])
    await slack.until_shown(GENERAL, old[0], "You said: afresh")
    assert len(model.requests[-1].prompts) == 1
    texts = [line["text"] for line in quoted(model.requests[-1].prompt)]
    assert texts[:2] == ["@threadpilot one", "You said: one"]
    await slack.say("bob", GENERAL, "on", thread_ts=new)
    await slack.until_shown(GENERAL, new, "You said: on")
    assert list(model.requests[-1].prompts) == ["three", "on"]


async def test_done_again_it_finds_nothing_more(bots: Bots, slack: Scene) -> None:
    bot = await bots.start()
    await slack.asked("bob", "one")
    await slack.until_idle(bot)
    assert "1 session deleted" in await clean_up(slack, "--all")
    shown = await preview(slack, "--all")
    assert admin_texts.FOUND_NONE in all_of(shown)
    assert not [foot for foot in feet_of(shown) if foot.label == admin_texts.DELETE]


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        ("--channel here", 2),
        ("--channel <#C0DEV|dev>", 1),
        ("--user <@UCAROL|carol>", 1),
        ("--user me", 0),
        ("--model scripted-2", 1),
        ("--keep 1", 2),
        ("--user UBOB --channel C0GENERAL --keep 1", 0),
        ("--older-than 1h", 0),
        ("—all", 3),
    ],
)
async def test_only_what_is_meant_is_found(
    bots: Bots, slack: Scene, model: ScriptedModel, flags: str, found: int
) -> None:
    model.models = ["scripted-1", "scripted-2"]
    bot = await bots.start()
    await slack.asked("bob", "one")
    await slack.asked("carol", "two")
    await slack.card_for("bob", GENERAL, "model scripted-2 for me")
    await slack.asked("bob", "three", DEV)
    await slack.until_idle(bot)
    shown = all_of(await preview(slack, flags))
    assert (f"{found} session" in shown) if found else (admin_texts.FOUND_NONE in shown)


@pytest.mark.parametrize("flags", ["--channel <#C0DEV|dev>", "--channel <#C0DEV>"])
async def test_in_a_message_too_a_channel_can_be_mentioned(
    bots: Bots, slack: Scene, flags: str
) -> None:
    bot = await bots.start()
    ts = await slack.asked("alice", "one")
    await slack.asked("bob", "two", DEV)
    await slack.until_idle(bot)
    shown = await slack.told_for("alice", GENERAL, ts, f"@threadpilot admin cleanup {flags}")
    assert "1 session, " in shown


async def test_nothing_goes_without_saying_which_and_without_the_button(
    bots: Bots, slack: Scene
) -> None:
    await bots.start()
    ts = await slack.asked("alice", "one")
    shown = await preview(slack)
    assert admin_texts.NARROW in all_of(shown)
    assert not [foot for foot in feet_of(shown) if foot.verb == "admin"]
    told = await slack.told_for("alice", GENERAL, ts, "!admin cleanup go --all")
    assert "Deleting needs the button" in told
    assert admin_texts.NOT_RUNNING in await slack.told_for(
        "alice", GENERAL, ts, "!admin cleanup cancel"
    )
    assert len(on_disk(bots)) == 1


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ("--older-than soon", cleanup_filter.BAD_DURATION.format(given="soon")),
        ("--older-than 0d", cleanup_filter.BAD_DURATION.format(given="0d")),
        ("--older-than -3d", cleanup_filter.BAD_DURATION.format(given="-3d")),
        ("--older-than 9999999w", cleanup_filter.BAD_DURATION.format(given="9999999w")),
        ("--older-than", "`--older-than` needs something after it"),
        ("--keep none", cleanup_filter.BAD_COUNT.format(given="none")),
        ("--everything", "I don't know what `--everything` means"),
        ("--all --keep 3", cleanup_filter.ALL_AND_MORE.format(flag="--all")),
    ],
)
async def test_what_makes_no_sense_gets_a_sentence(
    bots: Bots, slack: Scene, flags: str, sentence: str
) -> None:
    await bots.start()
    assert sentence in all_of(await preview(slack, flags))


async def test_what_was_used_since_the_preview_stays_however_late_the_press(
    bots: Bots, slack: Scene, model: ScriptedModel
) -> None:
    clock = ForwardClock()
    bot = await bots.start(clock)
    ts = await slack.asked("bob", "one")
    await slack.until_idle(bot)
    shown = await preview(slack, "--all")
    clock.forward(DAY)
    await slack.say("bob", GENERAL, "two", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: two")
    await press(slack, shown, admin_texts.DELETE)
    assert "0 sessions deleted" in all_of(await slack.until_in_direct("alice", admin_texts.DONE))
    await slack.say("bob", GENERAL, "three", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: three")
    assert model.requests[-1].prompts == ("one", "two", "three")


async def test_what_is_being_answered_is_left_out(
    bots: Bots, slack: Scene, model: ScriptedModel
) -> None:
    bot = await bots.start()
    await slack.asked("bob", "other")
    await slack.until_idle(bot)
    model.when("first", Answer(chunks=["one ", "done"], hold_after=1))
    ts = await slack.say("alice", GENERAL, "@threadpilot first")
    await model.reached()
    report = await clean_up(slack, "--all")
    assert "1 session deleted" in report
    assert "1 session left out, because somebody is using them" in report
    model.release()
    await slack.until_shown(GENERAL, ts, "one done")
    await slack.say("alice", GENERAL, "second", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: second")
    assert model.requests[-1].prompts == ("first", "second")


async def test_orphans_on_both_sides_go_by_a_button_of_their_own(
    bots: Bots, slack: Scene, model: ScriptedModel
) -> None:
    async with bots.running():
        threads = [await slack.asked("bob", f"number {number}") for number in range(3)]
    async with at_rest(bots) as store:
        newest_first = (await store.sessions(SessionFilter(), 0, 3)).sessions
        kept, lost, _ = [session.id for session in reversed(newest_first)]
    shutil.copytree(the_folder(bots, kept), the_folder(bots, "on-no-record"))
    shutil.rmtree(the_folder(bots, lost))

    async with bots.running():
        shown = await preview(slack)
        assert "On disk, but of no thread: 1 session" in all_of(shown)
        assert "1 session on record whose memory is gone" in all_of(shown)
        await press(slack, shown, admin_texts.TIDY)
        report = all_of(await slack.until_in_direct("alice", admin_texts.DONE))
        assert "0 sessions deleted" in report
        assert "Without its other half, and removed: 2 sessions" in report
        assert "On disk, but of no thread" not in all_of(await preview(slack))
        await slack.until_shown(GENERAL, threads[1], GONE)
        await slack.say("bob", GENERAL, "still there?", thread_ts=threads[0])
        await slack.until_shown(GENERAL, threads[0], "You said: still there?")
        assert model.requests[-1].prompts == ("number 0", "still there?")
    assert "on-no-record" not in on_disk(bots)
    assert lost not in await on_record(bots)
    assert await on_record(bots) == on_disk(bots)


async def test_an_ordinary_cleanup_takes_orphans_along(bots: Bots, slack: Scene) -> None:
    async with bots.running():
        await slack.asked("bob", "one")
        await slack.asked("bob", "two")
    [first, second] = sorted(on_disk(bots))
    shutil.copytree(the_folder(bots, first), the_folder(bots, "on-no-record"))
    shutil.rmtree(the_folder(bots, second))
    async with bots.running():
        report = await clean_up(slack, "--all")
    assert "2 sessions deleted" in report
    assert on_disk(bots) == set()
    assert await on_record(bots) == set()


COPIES = 60


async def many_sessions(bots: Bots, slack: Scene) -> Sequence[str]:
    """Threads whose sessions are the oldest, and more than one batch of newer copies."""
    async with bots.running():
        threads = [await slack.asked("bob", f"number {number}") for number in range(3)]
    async with at_rest(bots) as store:
        [source, *_] = (await store.sessions(SessionFilter(), 0, 1)).sessions
        for number in range(COPIES):
            await store.add_session(
                source,
                session_id=f"copy-{number}",
                origin=Origin.FORK,
                thread=source.thread,
                owner=source.owner,
            )
    return threads


async def begun(slack: Scene) -> Json:
    """Begin a cleanup of everything, and hold it in the middle: telling the first thread takes
    long. The card that shows how it goes."""
    shown = await preview(slack, "--all")
    assert f"{COPIES + 3} sessions" in all_of(shown)
    posted = len(await slack.calls("chat.postMessage"))
    await press(slack, shown, admin_texts.DELETE)
    card = await slack.until_in_direct("alice", "Cleaning up: 0 of 63")
    assert len(await slack.calls("chat.postMessage")) >= posted
    return card


async def test_a_cleanup_can_be_cancelled_and_done_again(bots: Bots, slack: Scene) -> None:
    await many_sessions(bots, slack)
    async with bots.running():
        await slack.fault("chat.postMessage", "slow", times=2, seconds=2)
        card = await begun(slack)
        await press(slack, card, admin_texts.CANCEL, await slack.dm("alice"))
        report = all_of(await slack.until_in_direct("alice", admin_texts.CANCELLED))
        assert "50 sessions deleted" in report
        assert "cancelled: 50 deleted" in all_of(
            await slack.card_for("alice", GENERAL, "admin audit")
        )
        assert "13 sessions" in all_of(await preview(slack, "--all"))
        assert "13 sessions deleted" in await clean_up(slack, "--all")
    assert await on_record(bots) == set()
    assert on_disk(bots) == set()


async def test_one_cleanup_at_a_time(bots: Bots, slack: Scene) -> None:
    await many_sessions(bots, slack)
    await bots.start()
    second = await preview(slack, "--all")
    await slack.fault("chat.postMessage", "slow", times=2, seconds=2)
    await begun(slack)
    await press(slack, second, admin_texts.DELETE)
    await slack.until_told("alice", admin_texts.RUNNING)
    await slack.until_in_direct("alice", admin_texts.DONE)


async def test_a_bot_that_is_killed_in_a_cleanup_does_the_rest_when_told_again(
    bots: Bots, slack: Scene
) -> None:
    threads = await many_sessions(bots, slack)
    async with threadpilot("run", env=bots.env) as process:
        await slack.fault("chat.postMessage", "slow", times=2, seconds=3)
        await begun(slack)
        process.kill()
        await process.wait()
    left = await on_record(bots)
    assert left, "it was killed in the middle"
    async with bots.running():
        assert "begun: 63 sessions" in all_of(await slack.card_for("alice", GENERAL, "admin audit"))
        assert f"{len(left)} sessions deleted" in await clean_up(slack, "--all")
        await slack.say("bob", GENERAL, "afresh", thread_ts=threads[0])
        await slack.until_shown(GENERAL, threads[0], "You said: afresh")
    assert await on_record(bots) == on_disk(bots)
    assert len(on_disk(bots)) == 1
