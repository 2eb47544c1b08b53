"""Tests that the bench sees an answer's text and time as the workspace shows it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from bench.model import long_text, mark_of, steady_text
from bench.programs import ProgramError, bot_environment, running_bot, running_model
from bench.slack_side import Shown, SlackSide, running_slack
from bot.config.settings import Settings, load_settings

SHORT = 0.3


@asynccontextmanager
async def bot_in_slack(folder: Path) -> AsyncIterator[SlackSide]:
    """A workspace without limits, with the real bot."""
    async with (
        running_model(folder) as model_url,
        running_slack(limits=False) as slack,
        running_bot(slack, model_url, folder),
    ):
        yield slack


async def test_first_text_comes_before_the_whole_and_the_whole_before_the_end(
    tmp_path: Path,
) -> None:
    async with bot_in_slack(tmp_path) as slack:
        shown: list[Shown] = []
        slack.watch(lambda _, change: shown.append(change))
        sent = await slack.ask("steady")
        first, whole, ended = await asyncio.gather(
            slack.first_text(sent), slack.whole_text(sent), slack.ended(sent)
        )
        assert 0 < first < whole <= ended
        assert steady_text(sent.mark).strip() in shown[-1].text
        assert not shown[-1].streaming
        assert slack.calls["chat.startStream"] == 1
        assert slack.calls["chat.stopStream"] == 1
        assert not slack.refused
        slack.forget_calls()
        again = await slack.ask("instant", root_ts=sent.root_ts, mention=False)
        assert again.root_ts == sent.root_ts
        assert await slack.ended(again) > 0
        assert slack.calls.total() > 0


async def test_a_missing_answer_is_reported_after_the_timeout() -> None:
    async with running_slack(limits=False) as slack:
        slack.longest_wait = SHORT
        sent = await slack.ask("instant")
        with pytest.raises(TimeoutError, match=f"no answer to {sent.mark} within 0.3 s"):
            await slack.first_text(sent)


async def test_the_answer_to_another_question_does_not_count(
    tmp_path: Path,
) -> None:
    async with bot_in_slack(tmp_path) as slack:
        sent = await slack.ask("instant")
        wrong = replace(sent, mark="m999")
        right = asyncio.ensure_future(slack.ended(sent))
        mistaken = asyncio.ensure_future(slack.whole_text(wrong))
        await right
        assert not mistaken.done()
        mistaken.cancel()


async def test_a_bot_that_cannot_start_is_reported_with_its_own_error(tmp_path: Path) -> None:
    async with running_slack(limits=False) as slack:
        bot = running_bot(slack, "http://127.0.0.1:9/v1", tmp_path, MAX_TURNS="none")
        with pytest.raises(ProgramError, match="MAX_TURNS"):
            async with bot:
                pass


async def test_the_users_own_settings_have_no_effect(tmp_path: Path) -> None:
    """The user's own bot may be set up in the same folder."""
    dotenv = tmp_path / ".env"
    dotenv.write_text("SLACK_MODE=http\nMAX_SESSIONS=1\n", encoding="utf-8")
    theirs = {"MAX_TURNS": "1", "LOG_LEVEL": "DEBUG"}
    async with running_slack(limits=True) as slack:
        given = bot_environment(slack, "http://127.0.0.1:9/v1", tmp_path / "data")
    assert load_settings({**theirs, **given}, dotenv) == Settings.from_env(given)


def test_every_question_has_a_mark_of_its_own() -> None:
    assert mark_of("<@U1> quick m17") == "m17"
    assert mark_of("quick m17 and then: steady m18") == "m18"
    with pytest.raises(ValueError, match="asks for nothing"):
        mark_of("quick question")


@pytest.mark.parametrize("text", [steady_text("m1"), long_text("m1")])
def test_an_answer_begins_with_its_mark_and_ends_with_its_end(text: str) -> None:
    assert text.startswith("m1 ")
    assert text.rstrip().endswith(" m1-end")
    assert text.count("m1-end") == 1


def test_a_long_answer_has_two_thousand_words() -> None:
    assert len(long_text("m1").split()) == 2_000
