"""A running sandbox, and the hands of its people."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from slack_emulator.server import Sandbox, running_sandbox
from tests.emulator_client import SandboxClient


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
async def people(sandbox: Sandbox) -> AsyncIterator[SandboxClient]:
    async with SandboxClient(sandbox.url) as people:
        yield people
