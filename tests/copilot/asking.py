"""Asking a session in tests, and looking at the runtime's process from outside."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

from bot.answer import Answer
from bot.model import AgentEvent, TextAdded, TextSettled, TextTakenBack
from bot.ports import AgentSession

ANSWER_SECONDS = 20.0


async def events_of(session: AgentSession, prompt: str) -> list[AgentEvent]:
    """Everything that a session says to a prompt. Raises what `ask` raises."""
    async with asyncio.timeout(ANSWER_SECONDS), aclosing(session.ask(prompt)) as events:
        return [event async for event in events]


async def answer_of(session: AgentSession, prompt: str) -> str:
    """The whole answer to a prompt, put together as a turn does it."""
    return text_of(await events_of(session, prompt))


def text_of(events: list[AgentEvent]) -> str:
    """What the events come to."""
    answer = Answer()
    for event in events:
        match event:
            case TextAdded(text=text):
                answer.add(text)
            case TextTakenBack():
                answer.take_back()
            case TextSettled(text=text):
                answer.settle(text)
    return answer.text


async def until(reached: Callable[[], bool], within: float = ANSWER_SECONDS) -> None:
    """Wait for a fact that comes with no event. Raises TimeoutError."""
    async with asyncio.timeout(within):
        while not reached():  # noqa: ASYNC110 (as it says)
            await asyncio.sleep(0.02)


def runtimes_of(data_dir: Path) -> list[int]:
    """The process ids of this process's runtimes that work on a data folder."""
    own = str(os.getpid())
    found = []
    for process in Path("/proc").iterdir():
        try:
            parent = (process / "stat").read_text().rsplit(")", 1)[1].split()[1]
            if parent == own and str(data_dir) in environment_of(int(process.name)).get(
                "COPILOT_HOME", ""
            ):
                found.append(int(process.name))
        except (OSError, ValueError, IndexError):
            continue  # not a process, or one that ended meanwhile
    return found


def environment_of(pid: int) -> dict[str, str]:
    """A process's environment as it was started with."""
    entries = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)
