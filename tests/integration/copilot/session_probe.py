"""Helpers to ask a session, and to inspect the runtime's process from outside."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path

from bot.domain.agent_events import AgentEvent, TextComplete, TextDelta, TextRetracted
from bot.ports import AgentSession
from bot.turns.answer_stream import AnswerBuffer

ANSWER_SECONDS = 60.0


async def events_of(session: AgentSession, prompt: str) -> list[AgentEvent]:
    """All events of the answer to a prompt. Raises what `ask` raises."""
    async with asyncio.timeout(ANSWER_SECONDS), aclosing(session.ask(prompt)) as events:
        return [event async for event in events]


async def first_text(events: AsyncIterator[AgentEvent]) -> TextDelta:
    """The first text. Earlier events are skipped."""
    async for event in events:
        if isinstance(event, TextDelta):
            return event
    raise AssertionError("the answer has no text")


async def answer_to(session: AgentSession, prompt: str) -> str:
    """The text of the answer to a prompt, joined as a turn does it."""
    return text_of(await events_of(session, prompt))


def text_of(events: list[AgentEvent]) -> str:
    """The text of the events."""
    answer = AnswerBuffer()
    for event in events:
        match event:
            case TextDelta(text=text):
                answer.add(text)
            case TextRetracted():
                answer.discard_current()
            case TextComplete(text=text):
                answer.complete_current(text)
    return answer.text


async def wait_until(reached: Callable[[], bool], within: float = ANSWER_SECONDS) -> None:
    """Wait for a condition that has no event. Raises TimeoutError."""
    async with asyncio.timeout(within):
        while not reached():  # noqa: ASYNC110 (as it says)
            await asyncio.sleep(0.02)


def runtimes_of(data_dir: Path, parent: int | None = None) -> list[int]:
    """The process ids of the runtimes that a process (default: this one) runs on a data folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        pid = int(process.name)
        try:
            belongs = _stat(pid)[1] == str(parent or os.getpid())
            if belongs and str(data_dir) in environment_of(pid).get("COPILOT_HOME", ""):
                found.append(pid)
        except OSError:
            continue  # it has ended since
    return found


def runs(pid: int) -> bool:
    """True if a process exists and is not a zombie."""
    try:
        return _stat(pid)[0] != "Z"
    except OSError:
        return False


async def freeze(pid: int) -> None:
    """Stop a process with SIGSTOP, and wait until all of its threads are stopped.

    On a busy machine some threads continue for a moment, and may answer requests.
    """
    os.kill(pid, signal.SIGSTOP)
    await wait_until(lambda: _is_stopped(pid))


def _is_stopped(pid: int) -> bool:
    try:
        states = [stat.read_text() for stat in Path(f"/proc/{pid}/task").glob("*/stat")]
    except OSError:
        return False  # a thread has ended since
    return all(state.rsplit(")", 1)[1].split()[0] == "T" for state in states)


def _stat(pid: int) -> list[str]:
    """State, parent and further fields of a process: those after the name in /proc/<pid>/stat."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def environment_of(pid: int) -> dict[str, str]:
    """The environment with which a process was started."""
    entries = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)
