"""What `threadpilot run` does once the bot is up."""

from __future__ import annotations

import asyncio
import sys

_SERVE = """
import asyncio, gc, os, signal, types
from contextlib import asynccontextmanager
from bot import serving

@asynccontextmanager
async def opened(settings, clock):
    yield

@asynccontextmanager
async def running_on(engine):
    asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), signal.SIGTERM)
    yield
    print(gc.isenabled(), flush=True)

serving.open_engine, serving._wiring = opened, lambda: running_on
gc.disable()
asyncio.run(serving.serve(types.SimpleNamespace(shutdown_seconds=0.0, log_format="text")))
"""


async def test_garbage_is_collected_once_it_is_up() -> None:
    """`bot.__main__` leaves it lying while the bot starts; for ever would be a leak."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _SERVE, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await asyncio.wait_for(process.communicate(), 30)
    assert (said, process.returncode) == (b"True\n", 0)
