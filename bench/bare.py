"""Runs the Copilot SDK alone, as its own examples use it: the baseline for the bot.

It has the same runtime, environment and session options as the bot, but no Slack, no database and
no order of messages. It takes one JSON object a line:

    {"do": "open", "sessions": ["a", "b"]}             creates sessions
    {"do": "resume", "session": "a", "prompt": …}      resumes one, asks: seconds to first text
    {"do": "detach", "session": "a"}                   disconnects one
    {"do": "ask", "session": "a", "prompt": …}         asks: seconds to first text, to the last text
                                                       and until the session is idle
    {"do": "loop", "prompts": {"a": […], …}}           asks all sessions at once, each one prompt
                                                       after another: seconds in all, and how many
                                                       answers there were
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from copilot import CopilotClient, CopilotSession, ProviderConfig, RuntimeConnection
from copilot.session_events import (
    AssistantMessageDeltaData,
    SessionErrorData,
    SessionEvent,
    SessionIdleData,
)

from bot.copilot.install import find_runtime, make_runtime_dirs, runtime_environment
from bot.copilot.options import SYSTEM_PROMPT, RuntimeOptions
from bot.copilot.permissions import refuse_all

READY = "bare SDK is ready"
MODEL = "scripted-1"

Answer = dict[str, Any]


class Bare:
    """The SDK's client and its sessions."""

    def __init__(self, client: CopilotClient, model_url: str) -> None:
        self._client = client
        self._given = session_options(model_url)
        self._sessions: dict[str, CopilotSession] = {}

    async def open(self, sessions: list[str]) -> Answer:
        for name in sessions:
            self._sessions[name] = await self._client.create_session(session_id=name, **self._given)
        return {"open": len(self._sessions)}

    async def detach(self, session: str) -> Answer:
        await self._sessions.pop(session).disconnect()
        return {}

    async def resume(self, session: str, prompt: str) -> Answer:
        began = time.perf_counter()
        self._sessions[session] = await self._client.resume_session(session, **self._given)
        resumed = time.perf_counter() - began
        times = await self.ask(session, prompt)
        return {name: seconds + resumed for name, seconds in times.items()}

    async def ask(self, session: str, prompt: str) -> Answer:
        rests, texts = asyncio.Event(), list[float]()
        errors: list[str] = []

        def on_event(event: SessionEvent) -> None:
            match event.data:
                case AssistantMessageDeltaData():
                    texts.append(time.perf_counter())
                case SessionErrorData() as error:
                    errors.append(str(error))
                    rests.set()
                case SessionIdleData():
                    rests.set()
                case _:
                    pass

        live = self._sessions[session]
        unsubscribe = live.on(on_event)
        began = time.perf_counter()
        await live.send(prompt)
        await rests.wait()
        unsubscribe()
        if errors or not texts:
            raise RuntimeError(f"no answer to {prompt!r}: {errors}")
        ends = time.perf_counter()
        return {"first": texts[0] - began, "last": texts[-1] - began, "rests": ends - began}

    async def loop(self, prompts: Mapping[str, list[str]]) -> Answer:
        async def one(session: str) -> int:
            for prompt in prompts[session]:
                await self.ask(session, prompt)
            return len(prompts[session])

        began = time.perf_counter()
        answers = sum(await asyncio.gather(*(one(session) for session in prompts)))
        return {"seconds": time.perf_counter() - began, "answers": answers}


def session_options(model_url: str) -> dict[str, Any]:
    """The options of every session: those of the bot's sessions without tools."""
    return {
        "model": MODEL,
        "provider": ProviderConfig(type="openai", base_url=model_url),
        "streaming": True,
        "available_tools": [],
        "system_message": {"mode": "replace", "content": SYSTEM_PROMPT},
        "on_permission_request": refuse_all,
    }


async def started(model_url: str, folder: Path) -> CopilotClient:
    """The SDK's client with its runtime running."""
    options = RuntimeOptions(data_dir=folder, base_url=model_url)
    folders = make_runtime_dirs(folder)
    client = CopilotClient(
        connection=RuntimeConnection.for_stdio(path=str(find_runtime(None))),
        base_directory=str(folders.state),
        working_directory=str(folders.work),
        mode="empty",
        env=runtime_environment(options, folders, MODEL, os.environ),
        use_logged_in_user=False,
        log_level="none",
    )
    await client.start()
    return client


async def _serve(model_url: str, folder: Path) -> None:
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=16 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    client = await started(model_url, folder)
    bare = Bare(client, model_url)
    does: Mapping[str, Callable[..., Awaitable[Answer]]] = {
        "open": bare.open,
        "detach": bare.detach,
        "resume": bare.resume,
        "ask": bare.ask,
        "loop": bare.loop,
    }
    _say(READY)
    try:
        while line := await lines.readline():
            wanted = json.loads(line)
            try:
                answer = await does[wanted.pop("do")](**wanted)
            except Exception as error:
                answer = {"error": repr(error)}
            _say(json.dumps(answer))
    finally:
        await client.stop()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], Path(sys.argv[2])))
