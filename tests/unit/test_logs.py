"""Log lines name their turn and show no secret."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from bot.logs import about, start_logging
from bot.model import Message, ThreadKey, Trigger, Turn, TurnState


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
    with about(a_turn()):
        logging.getLogger("bot.turns").info("inside")
    logging.getLogger("bot.turns").info("outside")
    inside, outside = capsys.readouterr().err.splitlines()
    assert "[turn 7 thread T0/C0/1.000100] inside" in inside
    assert "[-] outside" in outside


def test_secrets_and_whatever_looks_like_a_token_are_taken_out(
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
