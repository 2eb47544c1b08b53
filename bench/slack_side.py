"""Runs the Slack emulator in the bench's own process, to get the exact time of each change.

Users write here without HTTP, and every change of a thread is seen when it happens.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import yaml

from slack_emulator.api.arguments import Arguments
from slack_emulator.api.methods.chat import post_message
from slack_emulator.api.methods.request import ApiRequest
from slack_emulator.app_config import apply_changes
from slack_emulator.call_log import LoggedCall
from slack_emulator.server import RunningEmulator, running_emulator
from slack_emulator.state.changes import Change, MessageChanged, MessagePosted, StreamUpdated
from slack_emulator.state.entities import BOT_USER_ID, Message, StreamState

MANIFEST: Final = Path(__file__).parents[1] / "manifest.yml"
CHANNEL: Final = "C0GENERAL"
PEOPLE: Final = ("UALICE", "UBOB", "UCAROL")
MENTION: Final = f"<@{BOT_USER_ID}>"
LONGEST_WAIT: Final = 90.0
"""Timeout in seconds for an answer; no measured answer takes as long."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The content of one message of the bot, and the time of its change."""

    at: float
    """The time by `time.perf_counter`, like all times here."""
    ts: str
    text: str
    streaming: bool


@dataclass(eq=False, slots=True)
class _Waiting:
    what: Callable[[Shown], bool]
    seen: asyncio.Future[Shown]


@dataclass(slots=True)
class Sent:
    """A message of a user, with the time right before it was written."""

    at: float
    channel: str
    ts: str
    root_ts: str
    mark: str = ""


@dataclass(slots=True)
class SlackSide:
    """The workspace, its calls and its changes. `running_slack` makes one."""

    emulator: RunningEmulator
    calls: Counter[str] = field(default_factory=Counter)
    """Number of the bot's calls of each method since `forget_calls`."""
    refused: Counter[str] = field(default_factory=Counter)
    """Number of them that were refused with 429."""
    longest_wait: float = LONGEST_WAIT
    _waiting: dict[tuple[str, str], list[_Waiting]] = field(default_factory=dict)
    _watchers: list[Callable[[str, Shown], None]] = field(default_factory=list)
    _marks: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def api_url(self) -> str:
        """The value for `SLACK_API_URL`."""
        return self.emulator.api_url

    def new_mark(self) -> str:
        """A new, unique mark for a question (see `bench.model`)."""
        return f"m{next(self._marks)}"

    async def ask(
        self,
        way: str,
        *,
        root_ts: str = "",
        person: str = PEOPLE[0],
        channel: str = CHANNEL,
        mention: bool = True,
    ) -> Sent:
        """Ask for an answer in one of `bench.model`'s ways, in an existing or a new thread."""
        mark = self.new_mark()
        text = f"{MENTION} {way} {mark}" if mention else f"{way} {mark}"
        sent = await self.say(text, root_ts=root_ts, person=person, channel=channel)
        sent.mark = mark
        return sent

    async def say(
        self, text: str, *, root_ts: str = "", person: str = PEOPLE[0], channel: str = CHANNEL
    ) -> Sent:
        """Write a message as a user."""
        slack = self.emulator.slack
        arguments: dict[str, object] = {"channel": channel, "text": text}
        if root_ts:
            arguments["thread_ts"] = root_ts
        at = time.perf_counter()
        response = await post_message(
            slack, ApiRequest(slack.workspace.user(person), Arguments(arguments))
        )
        ts = str(response["ts"])
        return Sent(at=at, channel=channel, ts=ts, root_ts=root_ts or ts)

    async def until(self, sent: Sent, what: Callable[[Shown], bool]) -> Shown:
        """Wait for a change after which a message of the bot in that thread fits `what`.

        Raises `TimeoutError` after `longest_wait` seconds.
        """
        place = (sent.channel, sent.root_ts)
        waiting = _Waiting(what, asyncio.get_running_loop().create_future())
        self._waiting.setdefault(place, []).append(waiting)
        try:
            async with asyncio.timeout(self.longest_wait):
                return await waiting.seen
        except TimeoutError:
            mark = sent.mark or "the message"
            raise TimeoutError(f"no answer to {mark} within {self.longest_wait:g} s") from None
        finally:
            self._waiting[place].remove(waiting)
            if not self._waiting[place]:
                del self._waiting[place]

    async def first_text(self, sent: Sent) -> float:
        """Seconds from the question to the first text of its answer."""
        shown = await self.until(sent, lambda shown: sent.mark in shown.text)
        return shown.at - sent.at

    async def whole_text(self, sent: Sent) -> float:
        """Seconds from the question to the last text of its answer."""
        shown = await self.until(sent, lambda shown: f"{sent.mark}-end" in shown.text)
        return shown.at - sent.at

    async def ended(self, sent: Sent) -> float:
        """Seconds from the question to the end of its answer's stream."""

        def has_ended(shown: Shown) -> bool:
            return f"{sent.mark}-end" in shown.text and not shown.streaming

        return (await self.until(sent, has_ended)).at - sent.at

    def watch(self, watcher: Callable[[str, Shown], None]) -> None:
        """Call `watcher` with the thread's root for every change of a message of the bot."""
        self._watchers.append(watcher)

    def forget_calls(self) -> None:
        """Reset the counters of the bot's calls."""
        self.calls.clear()
        self.refused.clear()

    def set(self, **settings: object) -> None:
        """Change the app's settings at Slack, like `/sandbox/app`."""
        slack = self.emulator.slack
        slack.app_config = apply_changes(slack.app_config, settings)

    def on_event(self, change: Change) -> None:
        """Handle a change of the workspace."""
        match change:
            case MessagePosted(message=message):
                pass
            case MessageChanged(after=message) | StreamUpdated(after=message):
                pass
            case _:
                return
        if not message.from_app or message.thread_ts is None:
            return
        shown = Shown(
            time.perf_counter(),
            message.ts,
            _text_of(message),
            message.stream_state == StreamState.STREAMING,
        )
        for watcher in self._watchers:
            watcher(message.thread_ts, shown)
        for waiting in self._waiting.get((message.channel, message.thread_ts), ()):
            if not waiting.seen.done() and waiting.what(shown):
                waiting.seen.set_result(shown)

    def note(self, call: LoggedCall) -> None:
        """Count a call of the bot."""
        self.calls[call.method] += 1
        if call.status == 429:
            self.refused[call.method] += 1


def _text_of(message: Message) -> str:
    written = [str(block["text"]) for block in message.blocks if block.get("type") == "markdown"]
    return "\n".join(written) if written else message.text


@asynccontextmanager
async def running_slack(*, limits: bool) -> AsyncIterator[SlackSide]:
    """A workspace with the app of the manifest, with Slack's rate limits or without.

    Without them the bot needs a high `SLACK_LIMITS`.
    """
    async with running_emulator() as emulator:
        side = SlackSide(emulator)
        manifest = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))
        side.set(
            scopes=manifest["oauth_config"]["scopes"]["bot"],
            subscriptions=manifest["settings"]["event_subscriptions"]["bot_events"],
            commands=manifest["features"]["slash_commands"],
            shortcuts=manifest["features"]["shortcuts"],
            limits=limits,
        )
        emulator.slack.workspace.add_listener(side.on_event)
        emulator.slack.call_log.add_listener(side.note)
        yield side
