"""Provides a running emulator and a client for its users."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from slack_emulator.server import RunningEmulator, running_emulator
from tests.emulator_client import EmulatorClient


@pytest.fixture
async def emulator() -> AsyncIterator[RunningEmulator]:
    async with running_emulator() as running:
        yield running


@pytest.fixture
async def client(emulator: RunningEmulator) -> AsyncIterator[EmulatorClient]:
    async with EmulatorClient(emulator.url) as client:
        yield client
