"""Tests that responses of the runtime to abandoned calls are not logged."""

from __future__ import annotations

import asyncio
import logging

import pytest

from bot.copilot.sdk_compat import ignore_late_responses


async def test_a_late_response_is_not_logged_and_other_errors_are(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """asyncio would log it with a traceback, and with what was answered."""
    loop = asyncio.get_running_loop()
    ignore_late_responses(loop)
    ignore_late_responses(loop)
    given_up = loop.create_future()
    given_up.cancel()
    passed = asyncio.Event()
    with caplog.at_level(logging.ERROR, "asyncio"):
        loop.call_soon_threadsafe(given_up.set_result, {"text": "secret"})
        loop.call_soon_threadsafe(given_up.set_exception, ValueError("secret"))
        loop.call_soon(int, "no number")
        loop.call_soon(passed.set)
        await passed.wait()
    assert [type(line.exc_info[1]) for line in caplog.records if line.exc_info] == [ValueError]
    assert "no number" in caplog.text
    assert "secret" not in caplog.text


async def test_the_previous_handler_receives_other_errors() -> None:
    loop, messages = asyncio.get_running_loop(), list[str]()
    loop.set_exception_handler(lambda _, context: messages.append(str(context["message"])))
    ignore_late_responses(loop)
    given_up = loop.create_future()
    given_up.cancel()
    passed = asyncio.Event()
    loop.call_soon_threadsafe(given_up.set_result, 1)
    loop.call_exception_handler({"message": "trouble"})
    loop.call_soon(passed.set)
    await passed.wait()
    assert messages == ["trouble"]
