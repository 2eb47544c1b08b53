"""Starts Chromium for tests: Debian's own, headless, driven by Selenium.

Selenium's calls block. A test with an event loop of its own runs them with `asyncio.to_thread`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

CHROMIUM: Final = Path("/usr/bin/chromium")
CHROMEDRIVER: Final = Path("/usr/bin/chromedriver")
MISSING: Final = "The tests of the emulator's page need Chromium: run `make setup-tests`."

_FLAGS: Final = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--lang=en-US",
    "--force-prefers-reduced-motion",
)


class ChromiumMissingError(RuntimeError):
    """Chromium or its driver is not installed; the message says how to install it."""

    def __init__(self) -> None:
        super().__init__(MISSING)


@contextmanager
def chromium(
    width: int = 1400, height: int = 900, *, dark: bool = False, binary: Path = CHROMIUM
) -> Iterator[Chrome]:
    """Run a fresh Chromium with an empty profile. It ends, and its profile is deleted, with the
    context.

    Raises `ChromiumMissingError`.
    """
    if not (binary.exists() and CHROMEDRIVER.exists()):
        raise ChromiumMissingError
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        options = ChromeOptions()
        options.binary_location = str(binary)
        for flag in (*_FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = Chrome(options=options, service=Service(executable_path=str(CHROMEDRIVER)))
        try:
            _look(driver, width, height, dark=dark)
            yield driver
        finally:
            driver.quit()


def _look(driver: Chrome, width: int, height: int, *, dark: bool) -> None:
    """Set the size of the page itself (a window also has a frame) and its colour scheme."""
    driver.set_page_load_timeout(20)
    driver.set_script_timeout(20)
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
    )
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


def console_errors(driver: Chrome) -> list[str]:
    """Errors that the page logged since the last call; empty for a healthy page.

    Failed network requests are left out: a lost connection is a case of its own.
    """
    entries = driver.get_log("browser")  # type: ignore[no-untyped-call]  # Selenium types it not
    return [
        str(entry["message"])
        for entry in entries
        if entry["level"] == "SEVERE" and entry.get("source") != "network"
    ]
