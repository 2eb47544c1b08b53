"""Log lines name their turn and show no secret."""

from __future__ import annotations

import asyncio
import json
import logging
import weakref
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from bot.domain.messages import Message, ThreadKey, Trigger
from bot.domain.turns import Turn, TurnState
from bot.logs import (
    FLUSH_DELAY_SECONDS,
    LogThrottle,
    announce,
    log_context,
    start_logging,
    trace_context,
)


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("bot")
    handlers, level, our_level = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    ours.setLevel(our_level)


def a_turn() -> Turn:
    thread = ThreadKey(team="T0", channel="C0", root_ts="1.000100")
    message = Message(
        event_id="Ev1",
        thread=thread,
        ts="1.000100",
        user="U1",
        user_team="T0",
        text="hi",
        trigger=Trigger.MENTION,
    )
    return Turn(id=7, message=message, state=TurnState.RUNNING, epoch=1)


def test_a_line_of_a_turn_names_turn_and_thread(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging("INFO", ())
    with log_context(a_turn()):
        logging.getLogger("bot.turns.processor").info("inside")
    logging.getLogger("bot.turns.processor").info("outside")
    inside, outside = capsys.readouterr().err.splitlines()
    assert "[turn 7 thread T0/C0/1.000100] inside" in inside
    assert "[-] outside" in outside


def test_secrets_and_tokens_are_removed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    start_logging("INFO", {"s3cret-key"})
    try:
        raise ValueError("Bearer xoxb-12345-abc and s3cret-key")
    except ValueError:
        logging.getLogger("bot").exception("refused with %s", "ghp_abcdefgh1234")
    text = capsys.readouterr().err
    assert "refused with [secret]" in text
    assert "Bearer [secret] and [secret]" in text
    for canary in ("s3cret", "xoxb-12345", "ghp_abc"):
        assert canary not in text


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_value_too_short_for_a_secret_stays(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    start_logging("INFO", {"e", "turn"}, form)
    logging.getLogger("bot").info("the turn ended")
    assert "the turn ended" in capsys.readouterr().err


def test_throttled_lines_are_logged_once_a_minute_each() -> None:
    now = 0.0
    seldom = LogThrottle(60.0, lambda: now)
    assert [seldom.allow("a"), seldom.allow("a"), seldom.allow("b")] == [True, False, True]
    now = 59.0
    assert not seldom.allow("a")
    now = 60.0
    assert [seldom.allow("a"), seldom.allow("a")] == [True, False]


# LOG_FORMAT=json --------------------------------------------------------------------------------


def objects(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """The lines on standard error, each an object."""
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_as_json_each_line_is_an_object_with_turn_and_thread(
    capsys: pytest.CaptureFixture[str],
) -> None:
    start_logging("INFO", (), "json")
    with log_context(a_turn()), trace_context("0af7651916cd43dd8448eb211c80319c"):
        logging.getLogger("bot.turns.processor").info("inside %s", "\u2028 of\na turn")
    logging.getLogger("bot.turns.processor").warning("outside")
    inside, outside = objects(capsys)
    logged_at = datetime.fromisoformat(str(inside.pop("time")))
    assert logged_at.tzinfo == UTC
    assert datetime.now(UTC) - logged_at < timedelta(seconds=60)
    assert inside == {
        "level": "INFO",
        "logger": "bot.turns.processor",
        "message": "inside \u2028 of\na turn",
        "turn": 7,
        "thread": "T0/C0/1.000100",
        "trace": "0af7651916cd43dd8448eb211c80319c",
    }
    assert outside.keys() == {"time", "level", "logger", "message"}


def test_a_json_line_shows_no_secret_with_any_characters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """JSON escapes quotation marks and non-ASCII letters."""
    secrets = {'qu"ote\\d-key', "schlüssel-geheim"}
    start_logging("INFO", secrets, "json")
    try:
        raise ValueError(f"Bearer xoxb-12345-abc and {sorted(secrets)[0]}")
    except ValueError:
        logging.getLogger("bot").exception("refused with %s and %s", *sorted(secrets))
    [line] = objects(capsys)
    assert line["message"] == "refused with [secret] and [secret]"
    assert "ValueError: Bearer [secret] and [secret]" in str(line["exception"])
    assert "Traceback" in str(line["exception"])


async def test_lines_are_buffered_and_written_in_order(
    capsys: pytest.CaptureFixture[str],
) -> None:
    start_logging("INFO", ())
    log = logging.getLogger("bot.turns.processor")
    for number in range(3):
        log.info("line %d", number)
    assert capsys.readouterr().err == ""
    output = ""
    async with asyncio.timeout(20):
        while output.count("\n") < 3:
            await asyncio.sleep(FLUSH_DELAY_SECONDS)
            output += capsys.readouterr().err
    assert [line[-1] for line in output.splitlines()] == ["0", "1", "2"]


async def test_a_warning_flushes_the_buffer(
    capsys: pytest.CaptureFixture[str],
) -> None:
    start_logging("INFO", ())
    log = logging.getLogger("bot.turns.processor")
    log.info("before")
    log.warning("trouble")
    output = capsys.readouterr().err.splitlines()
    assert [line.split()[-1] for line in output] == ["before", "trouble"]


async def test_a_line_of_another_thread_flushes_the_buffer(
    capsys: pytest.CaptureFixture[str],
) -> None:
    start_logging("INFO", ())
    log = logging.getLogger("bot.turns.processor")
    log.info("before")
    await asyncio.to_thread(log.info, "elsewhere")
    output = capsys.readouterr().err.splitlines()
    assert [line.split()[-1] for line in output] == ["before", "elsewhere"]


async def test_nothing_is_left_unlogged_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging("INFO", ())
    logging.getLogger("bot.turns.processor").info("the last of it")
    logging.shutdown([weakref.ref(handler) for handler in logging.getLogger().handlers])
    assert "the last of it" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_announcement_is_written_at_every_log_level(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    start_logging("ERROR", (), form)
    announce(logging.getLogger("bot.cli.run"), "it is ready", form)
    output = capsys.readouterr().err
    assert output.count("\n") == 1
    assert (json.loads(output)["message"] if form == "json" else output.strip()) == "it is ready"
