"""Messages are answered once, even if events are missed, repeated, late or out of order.

Events are missed while the bot is down or has no connection. It answers them when it is connected
again.
"""

from __future__ import annotations

import logging

import pytest

from bot.access import texts as access_texts
from bot.domain.users import AccessRole
from tests.emulator_client import DEV, GENERAL
from tests.fakes import OffsetClock, QuickClock
from tests.scenarios.conftest import Bots, ScenarioClient, question_of
from tests.scenarios.operations.operator_client import Operator
from tests.scripted_model import Answer, ScriptedModel

BACKFILL_TIMEOUT_SECONDS = 700
"""Timeout in seconds after which Slack no longer redelivers an event: it tries for five minutes."""


async def questions_to(model: ScriptedModel) -> list[str]:
    """The questions that the model got, in order."""
    return [question_of(request.prompt) for request in model.requests]


async def wait_for_backfill(
    slack: ScenarioClient, caplog: pytest.LogCaptureFixture, times: int = 1
) -> str:
    """Wait until the bot has looked for missed events; returns its summary in the log."""

    async def summary() -> str | None:
        lines = [each.getMessage() for each in caplog.records]
        found = [line for line in lines if line.startswith("backfill finished: ")]
        return found[-1] if len(found) >= times else None

    return await slack.wait_for(summary, 30.0, "the bot has caught up")


@pytest.fixture
def caplog(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.DEBUG, "bot.turns.inbox")
    return caplog


# The bot is down --------------------------------------------------------------------------------


@pytest.mark.usefixtures("transport")
async def test_messages_sent_while_the_bot_is_down_are_answered_once_when_it_starts(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel, caplog: pytest.LogCaptureFixture
) -> None:
    """A mention in a channel, a follow-up in a known thread, and a direct message. All are older
    than Slack's retries."""
    async with bots.running():
        known = await slack.ask_in_new_thread("alice", "before")
    direct = await slack.dm("carol")
    mention = await slack.say("bob", DEV, "@threadpilot in a channel")
    await slack.say("alice", GENERAL, "in the thread", thread_ts=known)
    private = await slack.say("carol", direct, "in private")
    await slack.say("bob", DEV, "not for the bot")
    await slack.advance(BACKFILL_TIMEOUT_SECONDS)
    bot = await bots.start()
    assert await slack.wait_until_answered(DEV, mention) == ["You said: in a channel"]
    assert await slack.wait_until_answered(direct, private, person="carol") == [
        "You said: in private"
    ]
    await slack.until_shown(GENERAL, known, "You said: in the thread")
    summary = await wait_for_backfill(slack, caplog)
    assert "accepted=3 unread=0" in summary
    await slack.until_idle(bot)
    assert await slack.bot_texts(GENERAL, known) == ["You said: before", "You said: in the thread"]
    assert sorted(await questions_to(model)) == [
        "before",
        "in a channel",
        "in private",
        "in the thread",
    ]


async def test_messages_answered_before_a_restart_are_not_answered_again(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor a command, nor a deleted message: each is read again, and known."""
    async with bots.running() as bot:
        ts = await slack.ask_in_new_thread("alice", "first")
        await slack.ephemeral_after_message("alice", GENERAL, ts, "!status")
        await slack.until_idle(bot)
    ephemerals = len(await slack.ephemeral("alice"))
    for times in (1, 2):
        async with bots.running():
            await wait_for_backfill(slack, caplog, times)
            await slack.say("alice", GENERAL, f"again {times}", thread_ts=ts)
            await slack.until_shown(GENERAL, ts, f"You said: again {times}")
    assert await questions_to(model) == ["first", "again 1", "again 2"]
    assert len(await slack.ephemeral("alice")) == ephemerals


async def test_a_conversation_in_a_missed_thread_is_answered_in_its_order(
    bots: Bots, slack: ScenarioClient
) -> None:
    async with bots.running():
        await slack.ask_in_new_thread("bob", "before")
    root = await slack.say("alice", GENERAL, "@threadpilot one")
    await slack.say("alice", GENERAL, "two", thread_ts=root)
    await slack.say("alice", GENERAL, "three", thread_ts=root)
    await slack.advance(BACKFILL_TIMEOUT_SECONDS)
    await bots.start()
    await slack.until_shown(GENERAL, root, "You said: three")
    assert await slack.bot_texts(GENERAL, root) == [
        f"You said: {n}" for n in ("one", "two", "three")
    ]


async def test_a_thread_that_continues_before_its_start_is_found_is_answered_in_its_order(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel, caplog: pytest.LogCaptureFixture
) -> None:
    """The bot receives events again, and is still looking for the missed ones."""
    async with bots.running():
        await slack.ask_in_new_thread("bob", "before")
    root = await slack.say("alice", GENERAL, "@threadpilot one")
    await slack.say("alice", GENERAL, "two", thread_ts=root)
    await slack.advance(BACKFILL_TIMEOUT_SECONDS)
    await slack.fault("users.conversations", "slow", times=1, seconds=4)
    bot = await bots.start()
    last = await slack.say("alice", GENERAL, "three", thread_ts=root)

    async def overheard() -> bool:
        return any(
            f" ts={last} " in line and line.endswith("status=overheard") for line in caplog.messages
        )

    await slack.wait_for(overheard, why="the follow-up is received")
    assert "backfill finished: " not in caplog.text
    await slack.until_shown(GENERAL, root, "You said: three")
    await wait_for_backfill(slack, caplog)
    await slack.until_idle(bot)
    answers = [f"You said: {n}" for n in ("one", "two", "three")]
    assert await slack.bot_texts(GENERAL, root) == answers
    assert await questions_to(model) == ["before", "one", "two", "three"]


async def test_a_follow_up_in_the_usual_order_has_nothing_read_again(
    bots: Bots, slack: ScenarioClient
) -> None:
    bots.env["CATCH_UP_SECONDS"] = "0"
    async with bots.running() as bot:
        ts = await slack.ask_in_new_thread("alice", "one")
        await slack.say("alice", GENERAL, "two", thread_ts=ts)
        await slack.wait_until_answered(GENERAL, ts, n=2)
        await slack.until_idle(bot)
    assert await slack.calls("conversations.replies") == []


async def test_a_mention_in_the_middle_of_a_thread_of_others_is_found(
    bots: Bots, slack: ScenarioClient
) -> None:
    root = await slack.say("alice", GENERAL, "lunch?")
    async with bots.running():
        await slack.ask_in_new_thread("bob", "before")
    await slack.say("bob", GENERAL, "hm", thread_ts=root)
    await slack.say("bob", GENERAL, "@threadpilot what is good?", thread_ts=root)
    await slack.advance(BACKFILL_TIMEOUT_SECONDS)
    await bots.start()
    await slack.until_shown(GENERAL, root, "You said: what is good?")
    assert await slack.bot_texts(GENERAL, root) == ["You said: what is good?"]


async def test_missed_messages_are_answered_as_edited_and_not_if_deleted(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel, caplog: pytest.LogCaptureFixture
) -> None:
    async with bots.running():
        await slack.ask_in_new_thread("bob", "before")
    edited = await slack.say("alice", GENERAL, "@threadpilot helo")
    deleted = await slack.say("alice", GENERAL, "@threadpilot never mind")
    await slack.edit("alice", GENERAL, edited, "@threadpilot hello")
    await slack.delete("alice", GENERAL, deleted)
    await slack.advance(BACKFILL_TIMEOUT_SECONDS)
    await bots.start()
    assert await slack.wait_until_answered(GENERAL, edited) == ["You said: hello"]
    await wait_for_backfill(slack, caplog)
    assert await questions_to(model) == ["before", "hello"]


async def test_a_missed_command_is_run_once(
    bots: Bots, slack: ScenarioClient, caplog: pytest.LogCaptureFixture
) -> None:
    async with bots.running():
        ts = await slack.ask_in_new_thread("alice", "before")
    before = len(await slack.ephemeral("alice"))
    await slack.say("alice", GENERAL, "!status", thread_ts=ts)
    await slack.advance(BACKFILL_TIMEOUT_SECONDS)
    for times in (1, 2):
        async with bots.running():
            await slack.wait_for_ephemeral("alice", before + 1)
            await wait_for_backfill(slack, caplog, times)
    assert len(await slack.ephemeral("alice")) == before + 1


async def test_denied_users_are_notified_for_missed_messages_too(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel, caplog: pytest.LogCaptureFixture
) -> None:
    async with bots.running():
        await slack.ask_in_new_thread("bob", "before")
    outsider = await slack.say("eve", GENERAL, "@threadpilot let me in")
    guest = await slack.say("gus", GENERAL, "@threadpilot me too")
    await slack.advance(BACKFILL_TIMEOUT_SECONDS)
    await bots.start()
    await slack.until_shown(GENERAL, outsider, access_texts.EXTERNAL_USER)
    await slack.until_shown(GENERAL, guest, access_texts.DENIAL_TEXTS[AccessRole.GUEST])
    await wait_for_backfill(slack, caplog)
    assert await questions_to(model) == ["before"]


async def test_messages_older_than_the_backfill_limit_are_not_answered(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    bots.env["CATCH_UP_SECONDS"] = "300"
    async with bots.running():
        await slack.ask_in_new_thread("bob", "before")
    await slack.say("alice", GENERAL, "@threadpilot long ago")
    await slack.advance(BACKFILL_TIMEOUT_SECONDS)
    fresh = await slack.say("alice", GENERAL, "@threadpilot just now")
    await slack.advance(400)  # nor is this one redelivered
    clock = OffsetClock()
    clock.move_forward(BACKFILL_TIMEOUT_SECONDS + 100)
    await bots.start(clock)
    assert await slack.wait_until_answered(GENERAL, fresh) == ["You said: just now"]
    assert await questions_to(model) == ["before", "just now"]


async def test_messages_before_the_first_start_are_not_answered(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel, caplog: pytest.LogCaptureFixture
) -> None:
    await slack.say("alice", GENERAL, "@threadpilot anybody there?")
    await slack.advance(BACKFILL_TIMEOUT_SECONDS)
    async with bots.running():
        await slack.ask_in_new_thread("bob", "hello")
    async with bots.running():
        await wait_for_backfill(slack, caplog)
    assert await questions_to(model) == ["hello"]


async def test_without_backfill_the_bot_reads_no_channel(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    bots.env["CATCH_UP_SECONDS"] = "0"
    async with bots.running():
        await slack.ask_in_new_thread("bob", "before")
    await slack.say("alice", GENERAL, "@threadpilot missed")
    await slack.advance(BACKFILL_TIMEOUT_SECONDS)
    async with bots.running():
        await slack.ask_in_new_thread("bob", "after")
    assert await slack.calls("conversations.history") == []
    assert await questions_to(model) == ["before", "after"]


# Slack fails for a while --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        ("conversations.history", "500"),
        ("conversations.history", "429"),
        ("conversations.history", "drop_after"),
        ("conversations.replies", "garbage"),
        ("conversations.replies", "500"),
        ("users.conversations", "500"),
    ],
)
async def test_missed_messages_are_found_after_slack_failed_for_a_while(
    bots: Bots, slack: ScenarioClient, method: str, kind: str
) -> None:
    async with bots.running():
        known = await slack.ask_in_new_thread("alice", "before")
    mention = await slack.say("bob", GENERAL, "@threadpilot in the channel")
    await slack.say("alice", GENERAL, "in the thread", thread_ts=known)
    await slack.advance(BACKFILL_TIMEOUT_SECONDS)
    await slack.fault(method, kind, times=2, retry_after=1)
    await bots.start(QuickClock())
    await slack.until_shown(GENERAL, mention, "You said: in the channel")
    await slack.until_shown(GENERAL, known, "You said: in the thread")


RETRIES_IN_FOUR_MINUTES = 6
"""Number of retries that take more than four minutes of the bot's time."""


async def wait_until_backfill_postponed(
    slack: ScenarioClient, caplog: pytest.LogCaptureFixture, times: int
) -> None:
    """Wait until the bot has failed this often to read what it missed."""

    async def tried() -> bool:
        return caplog.text.count("gap not filled yet") >= times

    await slack.wait_for(tried, 60.0, f"it is tried {times} times")


@pytest.mark.parametrize("kind", ["500", "429", "drop_before"])
async def test_mentions_are_found_after_reads_failed_for_four_minutes(
    bots: Bots,
    slack: ScenarioClient,
    model: ScriptedModel,
    caplog: pytest.LogCaptureFixture,
    kind: str,
) -> None:
    """Each is answered once, and operators see that a gap is still open."""
    operator = Operator(bots, slack)
    async with bots.running():
        known = await slack.ask_in_new_thread("alice", "before")
    mention = await slack.say("bob", DEV, "@threadpilot in the channel")
    await slack.say("alice", GENERAL, "in the thread", thread_ts=known)
    await slack.advance(BACKFILL_TIMEOUT_SECONDS)
    for method in ("conversations.history", "conversations.replies", "users.conversations"):
        await slack.fault(method, kind, times=10_000, retry_after=1)
    bot = await bots.start(QuickClock())
    await wait_until_backfill_postponed(slack, caplog, RETRIES_IN_FOUR_MINUTES)
    assert (await operator.scrape()).value("threadpilot_catching_up") == 1
    assert await questions_to(model) == ["before"]
    await slack.clear_faults()
    await slack.until_shown(DEV, mention, "You said: in the channel")
    await slack.until_shown(GENERAL, known, "You said: in the thread")
    await wait_for_backfill(slack, caplog)
    await slack.until_idle(bot)
    assert sorted(await questions_to(model)) == ["before", "in the channel", "in the thread"]
    assert (await operator.scrape()).value("threadpilot_catching_up") == 0


async def test_mentions_are_found_by_the_start_after_one_with_failed_reads(
    bots: Bots, slack: ScenarioClient, caplog: pytest.LogCaptureFixture
) -> None:
    async with bots.running():
        await slack.ask_in_new_thread("bob", "before")
    mention = await slack.say("alice", GENERAL, "@threadpilot missed")
    await slack.advance(BACKFILL_TIMEOUT_SECONDS)
    await slack.fault("conversations.history", "500", times=10_000)
    async with bots.running(QuickClock()):
        await wait_until_backfill_postponed(slack, caplog, 3)
    await slack.clear_faults()
    await bots.start()
    assert await slack.wait_until_answered(GENERAL, mention) == ["You said: missed"]


async def test_mentions_are_found_after_a_start_with_a_clock_that_was_a_day_ahead(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel, caplog: pytest.LogCaptureFixture
) -> None:
    """That start looked for messages of the future. The next one finds the mention, and the later
    messages."""
    async with bots.running():
        await slack.ask_in_new_thread("bob", "before")
    first = await slack.say("alice", GENERAL, "@threadpilot one")
    await slack.advance(BACKFILL_TIMEOUT_SECONDS)
    clock = OffsetClock()
    clock.move_forward(86_400)
    async with bots.running(clock):
        await wait_for_backfill(slack, caplog)
    second = await slack.say("carol", GENERAL, "@threadpilot two")
    await slack.advance(BACKFILL_TIMEOUT_SECONDS)
    bot = await bots.start()
    assert await slack.wait_until_answered(GENERAL, first) == ["You said: one"]
    assert await slack.wait_until_answered(GENERAL, second, person="carol") == ["You said: two"]
    await wait_for_backfill(slack, caplog, times=2)
    await slack.until_idle(bot)
    assert sorted(await questions_to(model)) == ["before", "one", "two"]
    assert "backfill started: seconds=-" not in caplog.text


@pytest.mark.parametrize("code", ["not_in_channel", "channel_not_found", "missing_scope"])
async def test_a_channel_that_can_never_be_read_keeps_no_gap_open_and_is_reported_once(
    bots: Bots,
    slack: ScenarioClient,
    model: ScriptedModel,
    caplog: pytest.LogCaptureFixture,
    code: str,
) -> None:
    """Although another one can only be read later."""
    async with bots.running():
        await slack.ask_in_new_thread("bob", "before")
    await slack.say("alice", GENERAL, "@threadpilot never read")
    mention = await slack.say("alice", DEV, "@threadpilot read later")
    await slack.advance(BACKFILL_TIMEOUT_SECONDS)
    # The channels with the latest messages to the bot are read first.
    await slack.fault("conversations.history", "error", error=code)
    await slack.fault("conversations.history", "500", times=4)
    bot = await bots.start(QuickClock())
    assert await slack.wait_until_answered(DEV, mention) == ["You said: read later"]
    summary = await wait_for_backfill(slack, caplog)
    assert summary.endswith("unread=1")
    assert caplog.text.count(f"cannot be read: channel={GENERAL} reason={code}") == 1
    assert "gap not filled yet" in caplog.text
    await slack.until_idle(bot)
    assert await questions_to(model) == ["before", "read later"]


async def test_an_unreadable_channel_is_a_clear_log_line_and_no_crash(
    bots: Bots, slack: ScenarioClient, caplog: pytest.LogCaptureFixture
) -> None:
    async with bots.running():
        await slack.ask_in_new_thread("bob", "before")
    await slack.fault("users.conversations", "error", error="missing_scope", times=100)
    await slack.fault("conversations.history", "error", error="missing_scope", times=100)
    bot = await bots.start()
    summary = await wait_for_backfill(slack, caplog)
    assert summary.endswith("unread=1")
    assert "channels of the bot not listed: reason=missing_scope" in caplog.text
    assert f"missed messages cannot be read: channel={GENERAL} reason=missing_scope" in caplog.text
    assert "Traceback" not in caplog.text
    await slack.ask_in_new_thread("alice", "and now")
    await slack.until_idle(bot)


async def test_a_backfill_that_was_stopped_starts_again_at_the_next_start(
    bots: Bots, slack: ScenarioClient
) -> None:
    async with bots.running():
        await slack.ask_in_new_thread("bob", "before")
    mention = await slack.say("alice", GENERAL, "@threadpilot missed")
    await slack.advance(BACKFILL_TIMEOUT_SECONDS)
    await slack.fault("users.conversations", "slow", times=1, seconds=25)
    async with bots.running():

        async def reading() -> bool:
            return not await slack.faults()

        await slack.wait_for(reading, why="the bot has begun to look")
    await bots.start()
    assert await slack.wait_until_answered(GENERAL, mention) == ["You said: missed"]


# Both connections are lost ----------------------------------------------------------------------


async def wait_for_connections(slack: ScenarioClient, count: int) -> None:
    async def open_now() -> bool:
        async with slack.http.get(f"{slack.url}/sandbox/app") as answer:
            return int((await answer.json())["connections"]) == count

    await slack.wait_for(open_now, 60.0, f"{count} lines to the bot are open")


@pytest.mark.parametrize("kind", ["drop", "half-open", "disconnect"])
async def test_messages_sent_without_a_connection_are_answered_after_a_reconnect(
    bots: Bots,
    slack: ScenarioClient,
    model: ScriptedModel,
    kind: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """However old they are: Slack no longer retries."""
    await bots.start(QuickClock())
    await wait_for_connections(slack, 2)
    known = await slack.ask_in_new_thread("alice", "before")
    await slack.fault("socket", "refuse", times=100_000)
    await slack.fault("socket", kind, reason="refresh_requested")
    mention = await slack.say("bob", GENERAL, "@threadpilot in a channel")
    await slack.say("alice", GENERAL, "in the thread", thread_ts=known)
    # In steps, because each try has to fail before the next one can wait for its time.
    for _ in range(20):
        await slack.advance(BACKFILL_TIMEOUT_SECONDS / 10)
    assert await questions_to(model) == ["before"]
    await slack.clear_faults()
    await slack.until_shown(GENERAL, mention, "You said: in a channel", timeout=60)
    await slack.until_shown(GENERAL, known, "You said: in the thread", timeout=60)
    assert sorted(await questions_to(model)) == ["before", "in a channel", "in the thread"]
    assert "accepted=2" in await wait_for_backfill(slack, caplog)


# Events are repeated, late, out of order --------------------------------------------------------


@pytest.mark.usefixtures("transport")
@pytest.mark.parametrize("kind", ["duplicate", "redeliver", "reorder"])
async def test_repeated_late_and_unordered_events_are_answered_once_and_in_order(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel, kind: str
) -> None:
    model.when("first", Answer(chunks=["one ", "done"], hold_after=1))
    bot = await bots.start()
    ts = await slack.say("alice", GENERAL, "@threadpilot first")
    await model.reached()
    await slack.fault("events", kind, times=2)
    posted = [
        await slack.say("alice", GENERAL, text, thread_ts=ts)
        for text in ("second", "third", "fourth")
    ]
    await slack.wait_until_reaction_set(GENERAL, posted[-1])
    await slack.wait_for(lambda: none_left(slack), why="the events have come as the test wants")
    await slack.advance(70)
    model.release()
    await slack.until_shown(GENERAL, ts, "You said: fourth")
    await slack.until_idle(bot)
    assert await slack.bot_texts(GENERAL, ts) == [
        "one done",
        *(f"You said: {text}" for text in ("second", "third", "fourth")),
    ]


async def none_left(slack: ScenarioClient) -> bool:
    return not await slack.faults()
