"""Take a picture of the sandbox's page: be somebody, say something, wait for the answers.

    .venv/bin/python -m scripts.screenshot http://127.0.0.1:8787 docs/thread.png \\
        --say "@threadpilot what is Python?" --reply "Show me an example."

Ends with status 1 and one sentence where the page does not come to what was asked for.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from selenium.common.exceptions import StaleElementReferenceException, TimeoutException
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser import ChromiumMissingError, chromium

T = TypeVar("T")


class Photographer:
    """Somebody at the page; each wait is bounded by `within` seconds."""

    def __init__(self, driver: Chrome, within: float) -> None:
        self._driver = driver
        self._within = within

    def come(self, address: str, person: str, channel: str) -> None:
        """Open the page as this person, in this channel (or `home`)."""
        self._driver.get(address)
        self._click(".person", person)
        self._wait(lambda: self._find(".person.chosen", person), f"{person} in the picker")
        self._click(".entry", channel)
        self._wait(lambda: self._find(".entry.here", channel), f"the channel {channel}")

    def say(self, text: str) -> None:
        """Write in the channel, and wait for the app's answer in the thread."""
        self._write(".main", text)
        self._wait(lambda: self._find(".main .message", ""), "the message")
        self._until_answers(1)

    def reply(self, text: str) -> None:
        """Write in the open thread, and wait for one answer more."""
        before = self._answers()
        self._write(".thread", text)
        self._until_answers(before + 1)

    def open_thread(self, text: str) -> None:
        """Open the thread under the newest message with this text."""
        row = self._wait(lambda: self._find(".main .message", text), f"a message with {text!r}")
        row.find_element(By.CSS_SELECTOR, ".thread-link").click()
        self._wait(lambda: self._find(".thread .message", ""), "the thread")

    def put_notice_away(self) -> None:
        """Close the strip at the top, if there is one."""
        for button in self._driver.find_elements(By.CSS_SELECTOR, ".notice button"):
            if button.is_displayed():
                button.click()

    def take(self, picture: Path) -> None:
        """Save what is seen; nothing has the focus."""
        self._driver.execute_script("document.activeElement?.blur()")
        picture.parent.mkdir(parents=True, exist_ok=True)
        if not self._driver.save_screenshot(str(picture)):
            raise OSError(f"{picture} cannot be written")

    def _write(self, pane: str, text: str) -> None:
        field = self._wait(lambda: self._find(f"{pane} .composer-field", ""), "the composer")
        field.send_keys(text, Keys.ESCAPE if "@" in text or "/" in text else "", Keys.ENTER)

    def _until_answers(self, count: int) -> None:
        def settled() -> bool:
            busy = self._find(".thread .streaming, .thread .status-line", "")
            return busy is None and self._answers() >= count

        self._wait(settled, "the app's answer")

    def _answers(self) -> int:
        return len(self._driver.find_elements(By.CSS_SELECTOR, ".thread .message .avatar-app"))

    def _click(self, selector: str, text: str) -> None:
        self._wait(lambda: self._find(selector, text), text).click()

    def _find(self, selector: str, text: str) -> WebElement | None:
        """The last element that is shown and has this text."""
        for element in reversed(self._driver.find_elements(By.CSS_SELECTOR, selector)):
            if element.is_displayed() and text in element.text:
                return element
        return None

    def _wait(self, look: Callable[[], T | None], what: str) -> T:
        unsettled = [StaleElementReferenceException]
        wait = WebDriverWait(self._driver, self._within, 0.2, ignored_exceptions=unsettled)
        found: T | None = wait.until(lambda _: look(), what)
        if found is None:  # Selenium raises before it comes to that
            raise TimeoutException(what)
        return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Take one picture; the exit status."""
    asked = _parser().parse_args(arguments)
    width, height = asked.size
    try:
        with chromium(width, height, dark=asked.dark) as driver:
            photographer = Photographer(driver, asked.within)
            photographer.come(asked.address, asked.person, asked.channel)
            for text in asked.say:
                photographer.say(text)
            if asked.thread is not None:
                photographer.open_thread(asked.thread)
            for text in asked.reply:
                photographer.reply(text)
            if asked.no_notice:
                photographer.put_notice_away()
            photographer.take(asked.picture)
    except ChromiumMissingError as error:
        print(error, file=sys.stderr)
        return 1
    except TimeoutException as error:
        print(f"The page did not show {error.msg} in time.", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="screenshot", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("address", help="the page, such as http://127.0.0.1:8787")
    parser.add_argument("picture", type=Path, help="the PNG to write")
    parser.add_argument("--as", dest="person", default="alice", help="who one is (alice)")
    parser.add_argument("--channel", default="general", help="a channel's name, or Home (general)")
    parser.add_argument("--say", action="append", default=[], help="write this in the channel")
    parser.add_argument("--thread", help="open the thread of the message with this text")
    parser.add_argument("--reply", action="append", default=[], help="write this in the thread")
    parser.add_argument("--size", type=_size, default=(1400, 900), help="such as 1400x900")
    parser.add_argument("--dark", action="store_true", help="in dark colours")
    parser.add_argument("--no-notice", action="store_true", help="without the strip at the top")
    parser.add_argument("--within", type=float, default=120.0, help="seconds per answer (120)")
    return parser


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-9]\d{2,3})x([1-9]\d{2,3})", text)
    if found is None:
        raise argparse.ArgumentTypeError("a size looks like 1400x900")
    return int(found[1]), int(found[2])


if __name__ == "__main__":
    raise SystemExit(main())
