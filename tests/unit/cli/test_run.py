"""Tests what `threadpilot run` does once the bot has started."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

_SERVE = """
import asyncio, gc, os, signal, types
from contextlib import asynccontextmanager
from bot.cli import run

@asynccontextmanager
async def opened(settings, clock):
    yield

@asynccontextmanager
async def open_bot_on(services):
    asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), signal.SIGTERM)
    yield
    print(gc.isenabled(), flush=True)

run.open_services, run._import_app = opened, lambda: open_bot_on
gc.disable()
asyncio.run(run.serve(types.SimpleNamespace(shutdown_seconds=0.0, log_format="text")))
"""


async def test_garbage_is_collected_once_it_is_up() -> None:
    """`bot.cli.main` disables garbage collection during the start. Later that would be a leak."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _SERVE, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(process.communicate(), 30)
    assert (output, process.returncode) == (b"True\n", 0)


_CTRL_C_IN_AN_IMPORT = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path, target=None):
        if name == "copilot.client":
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run in background
sys.meta_path.insert(0, Finder())
from bot.cli.main import main
sys.exit(main(["run"]))
"""


async def test_ctrl_c_during_the_import_ends_without_a_traceback(
    tmp_path: Path,
) -> None:
    settings = {
        "SLACK_BOT_TOKEN": "xoxb-sandbox",
        "SLACK_APP_TOKEN": "xapp-sandbox",
        "SLACK_API_URL": "http://127.0.0.1:9/api/",
        "MODEL_BASE_URL": "http://127.0.0.1:9/v1",
        "DATA_DIR": str(tmp_path),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _CTRL_C_IN_AN_IMPORT),
        env={**os.environ, **settings},
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await asyncio.wait_for(process.communicate(), 60)
    assert b"Traceback" not in errors
    assert b"threadpilot stops: interrupted before the start." in errors
    assert process.returncode == 0
