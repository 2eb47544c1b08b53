"""The whole bot as somebody at the keyboard meets it: the page in Chromium, all else as ever."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, Keys

from bot.app import running
from bot.config import Settings
from bot.sandbox.server import running_sandbox
from tests.browser import chromium, console_errors
from tests.sandbox.page_stage import in_its_own_thread
from tests.sandbox_page import Page
from tests.scenarios.conftest import MANIFEST, Scene, environment, the_app_of
from tests.scripted_model import Answer, ScriptedModel


@dataclass(frozen=True, slots=True)
class Whole:
    """The sandbox's address, and the model that answers in it."""

    url: str
    model: ScriptedModel


@asynccontextmanager
async def whole_bot(data_dir: Path) -> AsyncIterator[Whole]:
    async with (
        running_sandbox() as sandbox,
        ScriptedModel() as model,
        Scene(sandbox.url) as slack,
    ):
        await slack.app(**the_app_of(MANIFEST))
        async with running(Settings.from_env(environment(sandbox, model, data_dir))):
            yield Whole(sandbox.url, model)


@pytest.fixture(scope="module")
def driver() -> Iterator[Chrome]:
    with chromium() as driver:
        yield driver


@pytest.fixture
def bot(tmp_path: Path) -> Iterator[Whole]:
    with in_its_own_thread(partial(whole_bot, tmp_path / "data")) as whole:
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
    page.sees_no(".thread .streaming")
    page.sees_no(".thread .status-line")
    page.sees(".thread .message", "Stopped.")
    assert "word399" not in page.tells()
    page.reply("go on")
    page.sees(".thread .message", "You said: go on")


def test_a_question_is_asked_by_command_button_and_modal(page: Page) -> None:
    field = page.sees(".main .composer-field", "")
    field.send_keys("/copilot", Keys.ESCAPE, Keys.ENTER)
    page.press(".main .button", "Ask a question")
    page.sees("dialog h2", "Ask a question")
    page.sees("dialog textarea", "").send_keys("what is a modal?")
    page.press("dialog .button", "Ask")
    page.sees_no("dialog")
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
    page.sees_no(".thread .reaction")
