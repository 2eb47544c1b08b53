"""Tests `admin cleanup`: preview, button, progress and cancelling; orphans and interruptions."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.clock import SystemClock
from bot.commands.texts import admin as admin_texts
from bot.domain.sessions import SessionFilter, SessionOrigin
from bot.ports import Store
from bot.sessions import cleanup_filter
from bot.sessions.cleanup_notices import GONE
from bot.sessions.lock_files import folder_of_sessions
from bot.store import open_store
from tests.emulator_client import DEV, GENERAL, Json
from tests.fakes import OffsetClock
from tests.scenarios.conftest import Bots, ScenarioClient, full_text_of, reply_actions_in
from tests.scenarios.delivery.test_mid_thread import excerpt_in
from tests.scenarios.operations.test_restart import threadpilot
from tests.scripted_model import Answer, ScriptedModel

DAY = 86_400.0


@asynccontextmanager
async def at_rest(bots: Bots) -> AsyncIterator[Store]:
    """The database of a bot that does not run."""
    async with open_store(
        Path(bots.env["DATA_DIR"]), clock=SystemClock(), max_running_per_user=1
    ) as store:
        yield store


def on_disk(bots: Bots) -> set[str]:
    """The sessions in the runtime's folder, without its folder for locks."""
    folder = folder_of_sessions(Path(bots.env["DATA_DIR"]))
    return {each.name for each in folder.iterdir() if not each.name.startswith(".")}


def the_folder(bots: Bots, session_id: str) -> Path:
    return folder_of_sessions(Path(bots.env["DATA_DIR"])) / session_id


async def on_record(bots: Bots) -> set[str]:
    async with at_rest(bots) as store:
        return set(await store.session_ids())


async def press(slack: ScenarioClient, message: Json, label: str, channel: str = GENERAL) -> None:
    """Press the button with this label as Alice."""
    [button] = [button for button in reply_actions_in(message) if button.label == label]
    await slack.press_reply_action("alice", channel, button)


async def preview(slack: ScenarioClient, flags: str = "") -> Json:
    return await slack.card_for("alice", GENERAL, f"admin cleanup {flags}".strip())


async def clean_up(slack: ScenarioClient, flags: str, label: str = admin_texts.DELETE) -> str:
    """Run a whole cleanup; return its final card."""
    before = len(await ended(slack))
    await press(slack, await preview(slack, flags), label)

    async def one_more() -> list[str]:
        return (await ended(slack))[before:]

    return (await slack.wait_for(one_more, 30, "the cleanup ends"))[0]


async def ended(slack: ScenarioClient) -> list[str]:
    """The direct messages to Alice about ended cleanups, oldest first."""
    direct = await slack.dm("alice")
    shown = [full_text_of(message) for message in reversed(await slack.history(direct))]
    return [text for text in shown if " deleted, " in text]


async def test_what_is_old_goes_after_a_preview_and_a_press_and_its_threads_are_notified(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    clock = OffsetClock()
    bot = await bots.start(clock)
    old = [
        await slack.ask_in_new_thread("bob", "one"),
        await slack.ask_in_new_thread("carol", "two", DEV),
    ]
    await slack.until_idle(bot)
    clock.move_forward(31 * DAY)
    new = await slack.ask_in_new_thread("bob", "three")
    shown = await preview(slack, "--older-than 30d")
    assert "2 sessions, " in full_text_of(shown)
    assert "Last used between" in full_text_of(shown)
    assert "KB" in full_text_of(shown)
    assert len(on_disk(bots)) == 3, "nothing goes for the asking"

    await press(slack, shown, admin_texts.DELETE)
    await slack.wait_for_ephemeral_text("alice", admin_texts.BEGUN)
    report = full_text_of(await slack.wait_for_dm_text("alice", admin_texts.DONE))
    assert "2 sessions deleted, " in report
    assert "0 B freed" not in report
    assert len(on_disk(bots)) == 1
    await slack.until_shown(GENERAL, old[0], GONE)
    await slack.until_shown(DEV, old[1], GONE)
    assert not await slack.shows(GENERAL, new, GONE)
    audit = full_text_of(await slack.card_for("alice", GENERAL, "admin audit"))
    assert "admin cleanup" in audit
    assert "begun: 2 sessions" in audit
    assert "done: 2 deleted" in audit

    await slack.say("bob", GENERAL, "afresh", thread_ts=old[0])
    await slack.until_shown(GENERAL, old[0], "You said: afresh")
    assert len(model.requests[-1].prompts) == 1
    texts = [line["text"] for line in excerpt_in(model.requests[-1].prompt)]
    assert texts[:2] == ["@threadpilot one", "You said: one"]
    await slack.say("bob", GENERAL, "on", thread_ts=new)
    await slack.until_shown(GENERAL, new, "You said: on")
    assert list(model.requests[-1].prompts) == ["three", "on"]


async def test_done_again_it_finds_nothing_more(bots: Bots, slack: ScenarioClient) -> None:
    bot = await bots.start()
    await slack.ask_in_new_thread("bob", "one")
    await slack.until_idle(bot)
    assert "1 session deleted" in await clean_up(slack, "--all")
    shown = await preview(slack, "--all")
    assert admin_texts.FOUND_NONE in full_text_of(shown)
    assert not [button for button in reply_actions_in(shown) if button.label == admin_texts.DELETE]


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
    bots: Bots, slack: ScenarioClient, model: ScriptedModel, flags: str, found: int
) -> None:
    model.models = ["scripted-1", "scripted-2"]
    bot = await bots.start()
    await slack.ask_in_new_thread("bob", "one")
    await slack.ask_in_new_thread("carol", "two")
    await slack.card_for("bob", GENERAL, "model scripted-2 for me")
    await slack.ask_in_new_thread("bob", "three", DEV)
    await slack.until_idle(bot)
    shown = full_text_of(await preview(slack, flags))
    assert (f"{found} session" in shown) if found else (admin_texts.FOUND_NONE in shown)


@pytest.mark.parametrize("flags", ["--channel <#C0DEV|dev>", "--channel <#C0DEV>"])
async def test_in_a_message_too_a_channel_can_be_mentioned(
    bots: Bots, slack: ScenarioClient, flags: str
) -> None:
    bot = await bots.start()
    ts = await slack.ask_in_new_thread("alice", "one")
    await slack.ask_in_new_thread("bob", "two", DEV)
    await slack.until_idle(bot)
    shown = await slack.ephemeral_after_message(
        "alice", GENERAL, ts, f"@threadpilot admin cleanup {flags}"
    )
    assert "1 session, " in shown


async def test_nothing_goes_without_saying_which_and_without_the_button(
    bots: Bots, slack: ScenarioClient
) -> None:
    await bots.start()
    ts = await slack.ask_in_new_thread("alice", "one")
    shown = await preview(slack)
    assert admin_texts.FILTER_HELP in full_text_of(shown)
    assert not [button for button in reply_actions_in(shown) if button.command_name == "admin"]
    notice = await slack.ephemeral_after_message("alice", GENERAL, ts, "!admin cleanup go --all")
    assert "Deleting needs the button" in notice
    assert admin_texts.NOT_RUNNING in await slack.ephemeral_after_message(
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
        ("--older-than", "`--older-than` needs a value"),
        ("--keep none", cleanup_filter.BAD_COUNT.format(given="none")),
        ("--everything", "`--everything` isn't a cleanup flag"),
        ("--all --keep 3", cleanup_filter.ALL_AND_MORE.format(flag="--all")),
    ],
)
async def test_what_makes_no_sense_gets_a_sentence(
    bots: Bots, slack: ScenarioClient, flags: str, sentence: str
) -> None:
    await bots.start()
    assert sentence in full_text_of(await preview(slack, flags))


async def test_what_was_used_since_the_preview_stays_however_late_the_press(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    clock = OffsetClock()
    bot = await bots.start(clock)
    ts = await slack.ask_in_new_thread("bob", "one")
    await slack.until_idle(bot)
    shown = await preview(slack, "--all")
    clock.move_forward(DAY)
    await slack.say("bob", GENERAL, "two", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: two")
    await press(slack, shown, admin_texts.DELETE)
    assert "0 sessions deleted" in full_text_of(
        await slack.wait_for_dm_text("alice", admin_texts.DONE)
    )
    await slack.say("bob", GENERAL, "three", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: three")
    assert model.requests[-1].prompts == ("one", "two", "three")


async def test_what_is_being_answered_is_left_out(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    bot = await bots.start()
    await slack.ask_in_new_thread("bob", "other")
    await slack.until_idle(bot)
    model.when("first", Answer(chunks=["one ", "done"], hold_after=1))
    ts = await slack.say("alice", GENERAL, "@threadpilot first")
    await model.reached()
    report = await clean_up(slack, "--all")
    assert "1 session deleted" in report
    assert "1 session skipped, because they're in use" in report
    model.release()
    await slack.until_shown(GENERAL, ts, "one done")
    await slack.say("alice", GENERAL, "second", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: second")
    assert model.requests[-1].prompts == ("first", "second")


async def test_orphans_on_both_sides_go_by_a_button_of_their_own(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    async with bots.running():
        threads = [await slack.ask_in_new_thread("bob", f"number {number}") for number in range(3)]
    async with at_rest(bots) as store:
        newest_first = (await store.list_sessions(SessionFilter(), 0, 3)).sessions
        kept, lost, _ = [session.id for session in reversed(newest_first)]
    shutil.copytree(the_folder(bots, kept), the_folder(bots, "on-no-record"))
    shutil.rmtree(the_folder(bots, lost))

    async with bots.running():
        shown = await preview(slack)
        assert "Leftover data on disk, of no thread: 1 session" in full_text_of(shown)
        assert "Leftover records without data on disk: 1 session" in full_text_of(shown)
        await press(slack, shown, admin_texts.REMOVE_ORPHANS)
        report = full_text_of(await slack.wait_for_dm_text("alice", admin_texts.DONE))
        assert "0 sessions deleted" in report
        assert "Leftovers removed: 2 sessions" in report
        assert "on disk, of no thread" not in full_text_of(await preview(slack))
        await slack.until_shown(GENERAL, threads[1], GONE)
        await slack.say("bob", GENERAL, "still there?", thread_ts=threads[0])
        await slack.until_shown(GENERAL, threads[0], "You said: still there?")
        assert model.requests[-1].prompts == ("number 0", "still there?")
    assert "on-no-record" not in on_disk(bots)
    assert lost not in await on_record(bots)
    assert await on_record(bots) == on_disk(bots)


async def test_an_ordinary_cleanup_takes_orphans_along(bots: Bots, slack: ScenarioClient) -> None:
    async with bots.running():
        await slack.ask_in_new_thread("bob", "one")
        await slack.ask_in_new_thread("bob", "two")
    [first, second] = sorted(on_disk(bots))
    shutil.copytree(the_folder(bots, first), the_folder(bots, "on-no-record"))
    shutil.rmtree(the_folder(bots, second))
    async with bots.running():
        report = await clean_up(slack, "--all")
    assert "2 sessions deleted" in report
    assert on_disk(bots) == set()
    assert await on_record(bots) == set()


COPIES = 60


async def many_sessions(bots: Bots, slack: ScenarioClient) -> Sequence[str]:
    """Threads with the oldest sessions, and more than one batch of newer copies."""
    async with bots.running():
        threads = [await slack.ask_in_new_thread("bob", f"number {number}") for number in range(3)]
    async with at_rest(bots) as store:
        [source, *_] = (await store.list_sessions(SessionFilter(), 0, 1)).sessions
        for number in range(COPIES):
            await store.add_session(
                source,
                session_id=f"copy-{number}",
                origin=SessionOrigin.FORK,
                thread=source.thread,
                owner=source.owner,
            )
    return threads


async def begun(slack: ScenarioClient) -> Json:
    """Begin a cleanup of everything and hold it: its notice in the first thread takes long. Return
    the card with its progress."""
    shown = await preview(slack, "--all")
    assert f"{COPIES + 3} sessions" in full_text_of(shown)
    posted = len(await slack.calls("chat.postMessage"))
    await press(slack, shown, admin_texts.DELETE)
    card = await slack.wait_for_dm_text("alice", "Cleaning up: 0 of 63")
    assert len(await slack.calls("chat.postMessage")) >= posted
    return card


async def test_a_cleanup_can_be_cancelled_and_done_again(bots: Bots, slack: ScenarioClient) -> None:
    await many_sessions(bots, slack)
    async with bots.running():
        await slack.fault("chat.postMessage", "slow", times=2, seconds=2)
        card = await begun(slack)
        await press(slack, card, admin_texts.CANCEL, await slack.dm("alice"))
        report = full_text_of(await slack.wait_for_dm_text("alice", admin_texts.CANCELLED))
        assert "50 sessions deleted" in report
        assert "cancelled: 50 deleted" in full_text_of(
            await slack.card_for("alice", GENERAL, "admin audit")
        )
        assert "13 sessions" in full_text_of(await preview(slack, "--all"))
        assert "13 sessions deleted" in await clean_up(slack, "--all")
    assert await on_record(bots) == set()
    assert on_disk(bots) == set()


async def test_one_cleanup_at_a_time(bots: Bots, slack: ScenarioClient) -> None:
    await many_sessions(bots, slack)
    await bots.start()
    second = await preview(slack, "--all")
    await slack.fault("chat.postMessage", "slow", times=2, seconds=2)
    await begun(slack)
    await press(slack, second, admin_texts.DELETE)
    await slack.wait_for_ephemeral_text("alice", admin_texts.RUNNING)
    await slack.wait_for_dm_text("alice", admin_texts.DONE)


async def test_a_cleanup_after_a_kill_in_another_one_does_the_rest(
    bots: Bots, slack: ScenarioClient
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
        assert "begun: 63 sessions" in full_text_of(
            await slack.card_for("alice", GENERAL, "admin audit")
        )
        assert f"{len(left)} sessions deleted" in await clean_up(slack, "--all")
        await slack.say("bob", GENERAL, "afresh", thread_ts=threads[0])
        await slack.until_shown(GENERAL, threads[0], "You said: afresh")
    assert await on_record(bots) == on_disk(bots)
    assert len(on_disk(bots)) == 1
