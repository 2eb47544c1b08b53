"""A running sandbox, and the hands of its people."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from slack_emulator.server import Sandbox, running_sandbox
from tests.conformance.listener import Listener, request_url
from tests.conformance.outside import ALICE, Outside, sandbox_from_outside
from tests.conformance.sdk import client_for
from tests.conformance.socket_mode import Socket, socket_mode
from tests.sandbox_client import SandboxClient


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
async def people(sandbox: Sandbox) -> AsyncIterator[SandboxClient]:
    async with SandboxClient(sandbox.url) as people:
        yield people


# For those who look from outside: nothing but HTTP


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    async with sandbox_from_outside() as outside:
        yield outside


@pytest.fixture
async def socket(outside: Outside) -> AsyncIterator[Socket]:
    async with socket_mode(outside) as socket:
        yield socket


@pytest.fixture
async def listener(outside: Outside) -> AsyncIterator[Listener]:
    async with request_url() as listener:
        await outside.control("app", {"request_url": listener.url})
        yield listener


@pytest.fixture
def slack(outside: Outside) -> AsyncWebClient:
    return client_for(outside)


@pytest.fixture
def alice(outside: Outside) -> AsyncWebClient:
    return client_for(outside, ALICE)
