"""`make screenshots`: take the README's pictures anew, of the real demo with its small model."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from bot.demo import choose_model, demo

THREAD = "docs/thread.png"
STEPS = ("--say", "@threadpilot what is Python?", "--reply", "What is it good for?")
LOOK = ("--no-notice", "--size", "1280x760")


async def take() -> int:
    """Start the demo on a free port, ask it something, take the picture; the exit status."""
    with tempfile.TemporaryDirectory() as data:
        async with demo(0, choose_model({}, None), Path(data), {}) as up:
            camera = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "scripts.screenshot", up.url, THREAD, *STEPS, *LOOK
            )
            return await camera.wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(take()))
