"""The whole bot as a user at the keyboard meets it: the page in Chromium, all else as always."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from selenium.webdriver import Chrome, Keys

from bot.app import open_bot
from bot.config.settings import Settings
from slack_emulator.server import running_emulator
from tests.browser import chromium, console_errors
from tests.emulator.web.page_fixtures import run_in_thread
from tests.emulator_page import Page
from tests.scenarios.conftest import (
    MANIFEST,
    ScenarioClient,
    app_config_of,
    environment,
    question_of,
)
from tests.scripted_model import Answer, ModelRequest, ScriptedModel

MODELS: Final = ("gpt-fast", "gpt-deep")


@dataclass(frozen=True, slots=True)
class Whole:
    """The emulator's address, and the model that answers in it."""

    url: str
    model: ScriptedModel


@asynccontextmanager
async def whole_bot(data_dir: Path) -> AsyncIterator[Whole]:
    async with (
        running_emulator() as emulator,
        ScriptedModel() as model,
        ScenarioClient(emulator.url) as slack,
    ):
        model.models = list(MODELS)
        await slack.app(**app_config_of(MANIFEST))
        async with open_bot(Settings.from_env(environment(emulator, model, data_dir))):
            yield Whole(emulator.url, model)


@pytest.fixture(scope="module")
def driver() -> Iterator[Chrome]:
    with chromium() as driver:
        yield driver


@pytest.fixture
def bot(tmp_path: Path) -> Iterator[Whole]:
    with run_in_thread(partial(whole_bot, tmp_path / "data")) as whole:
        yield whole


@pytest.fixture
def page(driver: Chrome, bot: Whole) -> Iterator[Page]:
    console_errors(driver)
    yield Page(driver, bot.url).open()
    assert console_errors(driver) == []
    driver.get("about:blank")


def test_a_question_is_typed_and_its_answer_streams_until_stop(page: Page, bot: Whole) -> None:
    words = [f"word{number} " for number in range(400)]
    bot.model.when("story", Answer(chunks=words, chunk_delay=0.05))
    page.write("@threadpilot tell me a story")
    page.sees(".thread .message.streaming", "word1 ")
    page.sees(".thread .caret", "")
    page.press(".thread .stop-button")
    page.does_not_see(".thread .streaming")
    page.does_not_see(".thread .status-line")
    page.sees(".thread .message", "Stopped.")
    assert "word399" not in page.shows_status()
    page.reply("go on")
    page.sees(".thread .message", "You said: go on")


def test_a_question_is_asked_by_command_button_and_modal(page: Page) -> None:
    field = page.sees(".main .composer-field", "")
    field.send_keys("/copilot", Keys.ESCAPE, Keys.ENTER)
    page.press(".main .button", "Ask a question")
    page.sees("dialog h2", "Ask a question")
    page.sees("dialog textarea", "").send_keys("what is a modal?")
    page.press("dialog .button", "Ask")
    page.does_not_see("dialog")
    page.press(".main .thread-link", "1 reply")
    page.sees(".thread .message", "You said: what is a modal?")


def test_a_message_that_waits_is_marked(page: Page, bot: Whole) -> None:
    bot.model.when("first", Answer(chunks=["half ", "done"], hold_after=1))
    page.write("@threadpilot first")
    page.sees(".thread .message.streaming", "half")
    page.reply("second")
    page.sees(".thread .reaction", "")
    bot.model.release()
    page.sees(".thread .message", "You said: second")
    page.does_not_see(".thread .reaction")


def recite(request: ModelRequest) -> str:
    """A model that recites all user texts of this thread."""
    return " | ".join(map(question_of, request.prompts))


def a_thread(page: Page, *questions: str) -> None:
    """Ask in the channel and then in the thread that opens, and wait for each answer."""
    page.write(f"@threadpilot {questions[0]}")
    page.sees(".thread .message", f"{questions[0]}")
    page.sees(".thread .button", "Retry")
    for question in questions[1:]:
        before = page.texts(".thread .button").count("Retry")
        page.reply(question)
        page.until(partial(has_more_than, page, before), f"an answer to {question!r}")


def has_more_than(page: Page, before: int) -> bool | None:
    """True if the thread has more Retry buttons than before."""
    return page.texts(".thread .button").count("Retry") > before or None


def home(page: Page) -> None:
    """Go to the Home tab."""
    page.press(".entry", "Home")
    page.sees(".home .block-header", "")


# Under a reply -----------------------------------------------------------------------------------


def test_retry_under_a_reply_answers_again(page: Page, bot: Whole) -> None:
    bot.model.default = Answer(recite)
    bot.model.when("two", Answer("not so good", times=1))
    a_thread(page, "one", "two")
    page.sees(".thread .message", "not so good")
    page.last(".thread .button", "Retry").click()
    page.sees(".thread .message", "one | two")
    assert [question_of(text) for text in bot.model.requests[-1].prompts] == ["one", "two"]


def test_a_fork_continues_in_the_thread_of_its_link(page: Page, bot: Whole) -> None:
    bot.model.default = Answer(recite)
    a_thread(page, "one", "two")
    page.press(".thread .button", "Fork")
    page.press(".thread a", "Open the thread")
    page.sees(".thread .message", "forked another thread here")
    page.does_not_see(".thread .button")
    page.reply("three")
    page.sees(".thread .message", "one | three")
    page.press(".thread a", "Original thread")
    page.sees(".thread .message", "one | two")


def test_a_rewind_is_confirmed_before_it_is_done(page: Page, bot: Whole) -> None:
    bot.model.default = Answer(recite)
    a_thread(page, "one", "two")
    page.last(".thread .button", "Rewind to here").click()
    page.sees("dialog", "I'll forget this reply and everything after it.")
    page.press("dialog .button", "Cancel")
    page.does_not_see("dialog")
    page.last(".thread .button", "Rewind to here").click()
    page.press("dialog .button", "Rewind to here")
    page.sees(".thread .message", "I've forgotten “two”;")
    page.reply("three")
    page.sees(".thread .message", "one | three")


def test_the_menu_under_a_reply_shows_the_status(page: Page) -> None:
    a_thread(page, "one")
    page.press(".thread .block-actions [aria-haspopup=menu]")
    page.press(".menu-item", "Show status")
    page.sees(".thread .ephemeral", "Model: gpt-fast")
    page.press(".thread .ephemeral .button", "History")
    page.sees(".thread .ephemeral", "You said: one")


# A comparison ------------------------------------------------------------------------------------


def in_its_way(request: ModelRequest) -> str:
    """Models that each answer in a style of their own, which is not their name."""
    way = {"gpt-fast": "plainly", "gpt-deep": "warmly"}[request.model]
    return f"{way}: {recite(request)}"


def test_models_are_compared_blindly_and_one_is_kept(page: Page, bot: Whole) -> None:
    bot.model.default = Answer(in_its_way)
    a_thread(page, "before")
    page.reply("!compare gpt-fast gpt-deep which one?")
    page.sees(".thread .button", "Show models")
    [shown] = [
        text for text in page.texts(".thread .message") if "warmly: before | which one?" in text
    ]
    assert "plainly: before | which one?" in shown
    assert "gpt-" not in shown
    warm = "A" if shown.index("warmly") < shown.index("plainly") else "B"
    other = "AB".replace(warm, "")

    page.press(".thread .button", f"Vote {other}")
    page.sees(".thread .ephemeral", f"Your vote for {other} counts.")
    page.press(".thread .button", f"Vote {warm}")
    page.sees(".thread .ephemeral", f"Your vote for {warm} counts.")
    page.open("UBOB")
    page.press(".main .thread-link")
    page.press(".thread .button", f"Vote {warm}")
    page.sees(".thread .ephemeral", f"Your vote for {warm} counts.")
    assert f"vote for {other}" not in page.shows_status(), "votes of other users are hidden"

    page.open("UALICE")
    page.press(".main .thread-link")
    page.press(".thread .button", "Show models")
    names = page.sees(".thread .message", "Which model said what:").text
    assert f"{warm}: gpt-deep" in names
    assert f"{other}: gpt-fast" in names
    assert names.index("2 votes") > names.index(f"{warm}: gpt-deep")
    assert "no votes" in names

    page.press(".thread .button", f"Keep {warm}")
    page.sees("dialog", f"This thread continues with answer {warm}")
    page.press("dialog .button", f"Keep {warm}")
    page.sees(".thread .message", f"Continuing with {warm} (gpt-deep).")
    page.reply("and now?")
    page.sees(".thread .message", "warmly: before | which one? | and now?")
    home(page)
    page.sees(".home .block-header", "Best models")
    page.sees(".home .block-section", "1. gpt-deep: 2 votes in 1 comparison, kept 1 time")
    page.sees(".home .block-section", "2. gpt-fast: 0 votes in 1 comparison, kept 0 times")


# The Home tab ------------------------------------------------------------------------------------


def test_the_home_tab_lists_sessions_with_links(page: Page) -> None:
    home(page)
    page.sees(".home .block-header", "Hello, I'm Threadpilot")
    page.sees(".home .block-section", "No sessions yet")
    page.press(".entry", "general")
    for question in ("what is Python?", "what is Rust?"):
        a_thread(page, question)
    home(page)
    page.sees(".home .block-section", "The newest 2 of 2.")
    page.sees(".home .block-section", "Last 24 hours: 2 turns")
    page.press(".home a", "what is Python?")
    page.sees(".thread .message", "You said: what is Python?")
    page.sees(".main .message", "what is Rust?")


def test_a_session_is_deleted_on_the_home_tab_after_confirmation(page: Page, bot: Whole) -> None:
    a_thread(page, "what is Python?")
    home(page)
    page.press(".home .button", "Delete")
    page.sees("dialog", "Delete s1 with its memory and history?")
    page.press("dialog .button", "Cancel")
    page.does_not_see("dialog")
    page.press(".home .button", "Delete")
    page.press("dialog .button", "Delete")
    page.sees(".home .block-section", "s1 is deleted permanently")
    page.sees(".home .block-section", "No sessions yet")
    page.does_not_see(".home a")
    page.press(".entry", "general")
    page.press(".main .thread-link")
    page.sees(".thread .message", "The session of this thread was deleted.")
    page.reply("do you remember?")
    page.sees(".thread .message", "do you remember?")
    page.until(lambda: len(bot.model.requests) == 2 or None, "the model is asked")
    assert len(bot.model.requests[-1].prompts) == 1, "nothing of the session is left"


def test_many_sessions_are_shown_in_pages(page: Page) -> None:
    for number in range(1, 10):
        a_thread(page, f"question number {number}")
    home(page)
    page.sees(".home .block-section", "The newest 5 of 9.")
    page.press(".home .button", "All my sessions")
    page.sees(".home .block-section", "1 to 8 of 9, last used first.")
    page.press(".home .button", "Older ›")
    page.sees(".home .block-section", "9 to 9 of 9, last used first.")
    page.sees(".home a", "question number 1")
    page.sees(".home .block-context", "Page 2 of 2")
    page.press(".home .button", "‹ Newer")
    page.sees(".home .block-section", "1 to 8 of 9, last used first.")


def test_running_turns_are_on_the_home_tab_with_links(page: Page, bot: Whole) -> None:
    bot.model.when("slow", Answer(chunks=["half ", "done"], hold_after=1))
    page.write("@threadpilot slow")
    page.sees(".thread .message.streaming", "half")
    home(page)
    page.sees(".home .block-header", "Running now")
    page.press(".home a", "“slow”")
    page.sees(".thread .message.streaming", "half")
    bot.model.release()
    page.sees(".thread .message", "half done")


def test_model_and_length_of_answers_are_chosen_on_the_home_tab(page: Page, bot: Whole) -> None:
    home(page)
    page.choose("Model", "gpt-deep")
    page.sees(".home .block-section", "Your threads use gpt-deep from the next reply")
    page.choose("Length of replies", "Brief")
    page.sees(".home .block-section", "I'll keep replies in your threads short.")
    page.open("UALICE")
    a_thread(page, "what is Python?")
    assert bot.model.requests[-1].model == "gpt-deep"
    assert "Keep answers short" in bot.model.requests[-1].system
    home(page)
    assert (page.chosen("Model"), page.chosen("Length of replies")) == ("gpt-deep", "Brief")
    page.choose("Model", "Default")
    page.sees(".home .block-section", "Your threads use the default model again.")
    page.open("UALICE")
    a_thread(page, "what is Rust?")
    assert bot.model.requests[-1].model == "gpt-fast"


def test_only_admins_have_the_workspace_on_their_home_tab(page: Page) -> None:
    home(page)
    page.sees(".home .block-header", "Admin")
    page.press(".home .button", "Usage")
    page.sees(".home .block-header", "Usage of the last week")
    page.open("UBOB", "home")
    page.sees(".home .block-header", "Your settings")
    assert "in charge" not in page.shows_status()
