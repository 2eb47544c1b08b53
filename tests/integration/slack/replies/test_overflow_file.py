"""An answer that is too long for a thread shows its beginning there, and all of it in one file."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator

import pytest

from bot.domain.turns import Turn
from bot.slack import texts as slack_texts
from bot.slack.replies.text import MAX_SHOWN_CHARS
from tests.conformance.http_client import ALICE, Json
from tests.integration.slack.replies.reply_fixtures import (
    ONE,
    SEVERAL,
    ReplyFixture,
    reply_fixture,
    rerun_of,
)

MEGABYTE = 1_000_000


@pytest.fixture
async def bot() -> AsyncIterator[ReplyFixture]:
    async with reply_fixture() as bot:
        yield bot


def a_text(length: int) -> str:
    lines = (f"Line {number:07} of a very long answer.\n" for number in range(length // 36 + 1))
    return "".join(lines)[:length]


async def files(bot: ReplyFixture, turn: Turn) -> list[tuple[str, str]]:
    """The files in the turn's thread, name and content, as a user gets them."""
    found: list[tuple[str, str]] = []
    for message in await bot.messages(turn):
        for file in message.get("files", []):
            headers = {"Authorization": f"Bearer {ALICE}"}
            async with bot.outside.http.get(file["url_private"], headers=headers) as answer:
                found.append((str(file["name"]), await answer.text()))
    return found


async def answers(bot: ReplyFixture, turn: Turn) -> list[str]:
    """The text of the reply's own messages."""
    messages: list[Json] = [m for m in await bot.messages(turn) if not m.get("files")]
    return [str(message["text"]) for message in messages]


def check_beginning(shown: list[str], text: str, notice: str) -> None:
    """The messages show the beginning of the text, in order, and that there is more."""
    beginning = "".join(shown)
    assert beginning.endswith(f"\n\n_{notice}_")
    beginning = beginning.removesuffix(f"\n\n_{notice}_")
    assert len(beginning) == MAX_SHOWN_CHARS
    assert text.startswith(beginning)


@pytest.mark.parametrize("participants", [ONE, SEVERAL], ids=["stream", "edits"])
async def test_five_megabytes_take_a_dozen_messages_and_one_file(
    bot: ReplyFixture, participants: frozenset[str]
) -> None:
    text, turn = a_text(5 * MEGABYTE), await bot.start_turn()
    tracemalloc.start()
    try:
        async with bot.workspace.open_reply(turn, participants) as reply:
            for start in range(0, len(text), 50_000):
                reply.append(text[start : start + 50_000])
            await reply.finish(text)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    name = f"answer-{turn.id}.md"
    assert await files(bot, turn) == [(name, text)]
    check_beginning(
        await answers(bot, turn), text, slack_texts.FULL_ANSWER_IN_FILE.format(name=name)
    )
    calls = await bot.methods()
    assert sum(method.startswith("chat.") for method in calls) < 40
    assert most < 100 * MEGABYTE
    refused = [call for call in await bot.outside.control("calls") if call["status"] == 429]
    assert refused == []


async def test_an_answer_that_just_fits_is_shown_whole_and_needs_no_file(bot: ReplyFixture) -> None:
    text, turn = a_text(MAX_SHOWN_CHARS), await bot.start_turn()
    async with bot.workspace.open_reply(turn, ONE) as reply:
        await reply.finish(text)
    assert "".join(await answers(bot, turn)) == text
    assert await files(bot, turn) == []


async def test_a_long_answer_that_is_replaced_leaves_no_file(bot: ReplyFixture) -> None:
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, ONE) as reply:
        reply.append(a_text(2 * MAX_SHOWN_CHARS))
        reply.replace("")
        await reply.finish("A short one.")
    assert await answers(bot, turn) == ["A short one."]
    assert await files(bot, turn) == []


@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "500", "garbage", "429"])
@pytest.mark.parametrize("step", ["files.getUploadURLExternal", "files.completeUploadExternal"])
async def test_the_file_is_shared_once_after_any_failure(
    bot: ReplyFixture, step: str, kind: str
) -> None:
    await bot.fault(step, kind)
    text, turn = a_text(MAX_SHOWN_CHARS + 10), await bot.start_turn()
    async with bot.workspace.open_reply(turn, ONE) as reply:
        await reply.finish(text)
    name = f"answer-{turn.id}.md"
    assert await files(bot, turn) == [(name, text)]
    check_beginning(
        await answers(bot, turn), text, slack_texts.FULL_ANSWER_IN_FILE.format(name=name)
    )


async def test_killed_after_the_file_was_given_it_is_not_given_again(bot: ReplyFixture) -> None:
    text, turn = a_text(MAX_SHOWN_CHARS + 10), await bot.start_turn()
    async with bot.workspace.open_reply(turn, ONE) as reply:
        await reply.finish(text)
    bot.restart()
    async with bot.workspace.open_reply(rerun_of(turn), ONE, bot.parts(turn)) as reply:
        await reply.finish(text)
    assert await files(bot, turn) == [(f"answer-{turn.id}.md", text)]
    notice = slack_texts.FULL_ANSWER_IN_FILE.format(name=f"answer-{turn.id}.md")
    check_beginning(await answers(bot, turn), text, notice)


async def test_where_slack_takes_no_file_the_thread_says_how_to_get_the_rest(
    bot: ReplyFixture,
) -> None:
    await bot.fault("files.getUploadURLExternal", "error", error="missing_scope", times=9)
    text, turn = a_text(MAX_SHOWN_CHARS + 10), await bot.start_turn()
    async with bot.workspace.open_reply(turn, ONE) as reply:
        await reply.finish(text, "Stopped.")
    check_beginning(
        await answers(bot, turn), text, f"{slack_texts.FULL_ANSWER_UNAVAILABLE} Stopped."
    )
    assert len(await bot.outside.calls("files.getUploadURLExternal")) == 1
