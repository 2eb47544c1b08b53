"""Drives the emulator's page in a browser, for tests that act as a user at the keyboard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Self, TypeVar

from selenium.common.exceptions import (
    ElementNotInteractableException,
    StaleElementReferenceException,
)
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

from tests.emulator_client import GENERAL

T = TypeVar("T")

WITHIN: Final = 15.0
"""Timeout in seconds for anything that should be shown, on a slow machine."""


class Page:
    """The emulator's page as one user uses it."""

    def __init__(self, driver: Chrome, url: str) -> None:
        self.driver = driver
        self.url = url

    def open(self, person: str = "UALICE", channel: str = GENERAL) -> Self:
        """Open the page as a user, and wait until it is loaded."""
        self.driver.get("about:blank")
        self.driver.get(f"{self.url}/#/{person}/{channel}")
        self.sees(".sidebar .entry.here", "")
        return self

    def until(self, look: Callable[[], T | None], what: str) -> T:
        """Wait until `look` finds something, and return it."""
        unsettled = [StaleElementReferenceException, ElementNotInteractableException]
        wait = WebDriverWait(self.driver, WITHIN, 0.05, ignored_exceptions=unsettled)
        found: T | None = wait.until(lambda _: look(), f"not seen: {what}")
        assert found is not None
        return found

    def sees(self, css: str, text: str) -> WebElement:
        """Wait until a visible element has this text in it."""

        def look() -> WebElement | None:
            for element in self.driver.find_elements(By.CSS_SELECTOR, css):
                if element.is_displayed() and text in element.text:
                    return element
            return None

        return self.until(look, f"{text!r} in {css}")

    def does_not_see(self, css: str) -> None:
        """Wait until no such element is visible."""
        self.until(
            lambda: (
                not any(
                    one.is_displayed() for one in self.driver.find_elements(By.CSS_SELECTOR, css)
                )
            ),
            f"{css} gone",
        )

    def click(self, css: str, text: str, act: Callable[[WebElement], object]) -> None:
        """Act on an element as soon as it is there; repeat if the page renders it again in
        between."""

        def done() -> bool:
            act(self.sees(css, text))
            return True

        self.until(done, f"{css} to do something with")

    def press(self, css: str, text: str = "") -> None:
        """Click on an element."""
        self.click(css, text, lambda element: element.click())

    def hover(self, css: str, text: str) -> None:
        """Move the pointer over an element."""
        self.click(css, text, lambda one: ActionChains(self.driver).move_to_element(one).perform())

    def last(self, css: str, text: str) -> WebElement:
        """Wait for elements that have this text in them; returns the last of them."""

        def look() -> WebElement | None:
            found = self.driver.find_elements(By.CSS_SELECTOR, css)
            return next((one for one in reversed(found) if text in one.text), None)

        return self.until(look, f"{text!r} in {css}")

    def texts(self, css: str) -> list[str]:
        """The texts of all such elements."""
        return [one.text for one in self.driver.find_elements(By.CSS_SELECTOR, css)]

    def choose(self, label: str, option: str) -> None:
        """Choose an option of the list with this label."""
        css = f"select[aria-label='{label}']"
        self.click(css, "", lambda one: Select(one).select_by_visible_text(option))

    def chosen(self, label: str) -> str:
        """The selected option of the list with this label."""
        option = Select(self.sees(f"select[aria-label='{label}']", "")).first_selected_option
        return option.text

    def write(self, text: str) -> None:
        """Type into the channel's composer and send it."""
        field = self.sees(".main .composer-field", "")
        field.send_keys(text)
        field.send_keys(Keys.ESCAPE, Keys.ENTER)

    def reply(self, text: str) -> None:
        """Type into the thread's composer and send it. (Escape would close the thread.)"""
        self.sees(".thread .composer-field", "").send_keys(text, Keys.ENTER)

    def menu_of(self, text: str) -> None:
        """Open the menu of the message that has this text."""
        more = ".message-tools [aria-haspopup=menu]:last-child"
        self.hover(".message", text)
        self.click(".message", text, lambda one: one.find_element(By.CSS_SELECTOR, more).click())
        self.sees(".menu", "")

    def shows_status(self) -> str:
        """All the text of the page."""
        return self.driver.find_element(By.TAG_NAME, "body").text
