"""Takes the README's pictures of the real bot in the emulator: `make screenshots`.

The model is scripted (`ANSWERS`), so that the pictures show how the bot works and stay the same;
everything else is real.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from selenium.webdriver import Chrome

from bot.app import open_bot
from bot.config.settings import Settings
from slack_emulator.server import running_emulator
from slack_emulator.state.clock import SystemClock
from tests.browser import ChromiumMissingError, chromium
from tests.emulator_client import DEV, GENERAL
from tests.emulator_page import Page
from tests.scenarios.conftest import MANIFEST, ScenarioClient, app_config_of, environment
from tests.scripted_model import Answer, ModelRequest, ScriptedModel

DOCS: Final = Path("docs")
WIDTH: Final = 1280
HEIGHT: Final = 800
HOME_HEIGHT: Final = 1230
"""All buttons of the admins on their Home tab."""
_HOUR: Final = 3_600.0

# Texts -------------------------------------------------------------------------------------------

MODELS: Final = ("gpt-fast", "gpt-deep", "gpt-mini")

HISTORY: Final = (
    (49.0, "bob", GENERAL, ("Suggest a name for our weekly team lunch.",)),
    (
        26.0,
        "alice",
        DEV,
        ("What does HTTP 429 mean for our importer?", "How long should it wait then?"),
    ),
    (25.0, "bob", DEV, ("Explain our date format in one sentence.",)),
    (5.0, "carol", GENERAL, ("Translate “see you tomorrow” into French.",)),
    (3.0, "alice", GENERAL, ("Draft a friendly reminder about the timesheets.",)),
    (
        0.3,
        "alice",
        DEV,
        (
            "The nightly backup failed with “database is locked”. What does that mean?",
            "How do I make it wait in Python?",
        ),
    ),
)

"""Rows of (hours ago, user, channel, questions of one thread)."""

ANSWERS: Final = {
    "team lunch": "**Lunch & Learn** if somebody shows something, **The Long Table** if not.",
    "HTTP 429": (
        "The server asks you to slow down: *too many requests*. The importer should pause "
        "and then try the same request again."
    ),
    "How long": "As long as the `Retry-After` header says; without one, 1 s, 2 s, 4 s and so on.",
    "date format": "Year, month, day (`2026-11-24`), so that dates sort like text.",
    "Translate": "« À demain ! »",
    "timesheets": (
        "> Hi all, a small reminder: please fill in your timesheets by Friday noon. Thank you!"
    ),
    "database is locked": (
        "Another process was **writing** to the SQLite file at that moment, and the backup did "
        "not wait for it. Two things help:\n\n"
        "1. give the backup a *busy timeout*, so that it waits instead of failing;\n"
        "2. use `PRAGMA journal_mode=WAL`, so that readers and one writer no longer block "
        "each other."
    ),
    "in Python": (
        "With the second argument of `connect`:\n\n"
        "```python\nimport sqlite3\n# wait up to 30 seconds for the lock\n"
        'db = sqlite3.connect("app.db", timeout=30)\n```'
    ),
}

COMPARED: Final = {
    "gpt-fast": "Sorry, we're busy right now. Please try again in a minute.",
    "gpt-deep": (
        "We are getting more visits than we can handle just now. Nothing you entered is lost: "
        "this page tries again by itself in 30 seconds."
    ),
}


# -------------------------------------------------------------------------------------------------


def compared(request: ModelRequest) -> str:
    """Each model's answer in the comparison."""
    return COMPARED.get(request.model, "Please try again later.")


class LateClock(SystemClock):
    """The machine's time, some hours late, so that older messages can be written. The emulator and
    the bot both use it."""

    def __init__(self, late: float) -> None:
        self.late = late

    def now(self) -> float:
        return time.time() - self.late

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass(frozen=True, slots=True)
class Stage:
    """The workspace, the model and the clock of the pictures."""

    url: str
    slack: ScenarioClient
    model: ScriptedModel
    clock: LateClock


@asynccontextmanager
async def stage(data: Path) -> AsyncIterator[Stage]:
    """The bot in an empty workspace."""
    clock = LateClock(50 * _HOUR)
    async with (
        running_emulator(clock=clock) as emulator,
        ScriptedModel() as model,
        ScenarioClient(emulator.url) as slack,
    ):
        model.models = list(MODELS)
        for question, answer in ANSWERS.items():
            model.when(question, answer)
        model.when("error page", Answer(compared, chunk_delay=0.08))
        await slack.app(**app_config_of(MANIFEST))
        settings = environment(emulator, model, data) | {"MODEL": MODELS[0]}
        async with open_bot(Settings.from_env(settings), clock=clock):
            yield Stage(emulator.url, slack, model, clock)


async def days_pass(on: Stage) -> None:
    """Write the threads of the last two days, by several users."""
    for hours_ago, person, channel, questions in HISTORY:
        on.clock.late = min(on.clock.late, hours_ago * _HOUR)
        ts = await on.slack.say(person, channel, f"@threadpilot {questions[0]}")
        await on.slack.reply_action(channel, ts, "retry")
        for number, question in enumerate(questions[1:], start=1):
            await on.slack.say(person, channel, question, thread_ts=ts)
            await on.slack.reply_action(channel, ts, "retry", number)


async def compare(on: Stage) -> str:
    """Run a comparison with votes and the names shown; return the root of its thread."""
    question = "compare gpt-fast gpt-deep Write a sentence for our error page when we are too busy."
    ts = await on.slack.say("bob", GENERAL, f"@threadpilot {question}")
    [shown] = await on.slack.wait_until_answered(GENERAL, ts)
    best = "A" if shown.index("We are") < shown.index("Sorry") else "B"
    other = "B" if best == "A" else "A"
    for person, label in (("alice", best), ("carol", best), ("bob", other)):
        n = 0 if label == "A" else 1
        await on.slack.press_reply_action(
            person, GENERAL, await on.slack.reply_action(GENERAL, ts, "vote", n)
        )
        await on.slack.wait_for_ephemeral(person)
    await on.slack.press_reply_action(
        "bob", GENERAL, await on.slack.reply_action(GENERAL, ts, "reveal")
    )
    await on.slack.until_shown(GENERAL, ts, "Which model said what")
    return ts


async def take() -> None:
    """Take all pictures, one after another."""
    with tempfile.TemporaryDirectory() as data:
        async with stage(Path(data)) as on:
            await days_pass(on)
            on.clock.late = 0
            thread = (await on.slack.history(DEV))[0]["ts"]
            comparison = await compare(on)
            await asyncio.to_thread(photograph, on, thread, comparison)


def photograph(on: Stage, thread: str, comparison: str) -> None:
    """Open the page as a user and take the pictures."""
    with chromium(WIDTH, HEIGHT) as driver:
        at_thread(driver, on, "UALICE", DEV, thread)
        snap(driver, DOCS / "thread.png")
        page = at_thread(driver, on, "UALICE", GENERAL, comparison)
        page.press(".thread .dismiss")
        page.does_not_see(".thread .ephemeral")
        page.hover(".pane-head h1", "general")
        snap(driver, DOCS / "compare.png")
    with chromium(WIDTH, HOME_HEIGHT) as driver:
        page = Page(driver, on.url).open("UALICE", "home")
        page.sees(".home .block-header", "Your sessions")
        snap(driver, DOCS / "home.png")


def at_thread(driver: Chrome, on: Stage, user: str, channel: str, thread: str) -> Page:
    """Open the page as a user with a thread open."""
    page = Page(driver, on.url).open(user, f"{channel}/{thread}")
    page.sees(".thread .message", "")
    return page


def snap(driver: Chrome, picture: Path) -> None:
    """Save a picture of the page, without a focused element."""
    driver.execute_script("document.activeElement?.blur()")
    picture.parent.mkdir(parents=True, exist_ok=True)
    if not driver.save_screenshot(str(picture)):
        raise OSError(f"{picture} cannot be written")


def main() -> int:
    """Run the command; return its exit status."""
    try:
        asyncio.run(take())
    except ChromiumMissingError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
