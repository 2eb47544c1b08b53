"""Provides a running emulator that is known by HTTP alone, and clients of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from tests.conformance.http_client import ALICE, Outside, emulator_over_http
from tests.conformance.request_url import Listener, request_url
from tests.conformance.sdk_client import client_for
from tests.conformance.socket_client import Socket, socket_mode


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    async with emulator_over_http() as outside:
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
