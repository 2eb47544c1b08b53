"""Tests `LOG_FORMAT=json`: every log line of the command is one JSON object."""

from __future__ import annotations

import json
import signal

from tests.emulator_client import GENERAL
from tests.scenarios.conftest import ScenarioClient
from tests.scenarios.operations.test_restart import threadpilot
from tests.scripted_model import Answer, ScriptedModel
from tests.trace_collector import OURS, Collector


async def test_every_line_of_a_bot_is_an_object_that_names_turn_thread_and_trace(
    env: dict[str, str], slack: ScenarioClient, model: ScriptedModel
) -> None:
    """No line has a token, also if a turn fails or a call is refused."""
    model.when("wrong", Answer(fault=400))
    async with Collector() as collector:
        env |= {"LOG_FORMAT": "json", "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        async with threadpilot("run", env=env, until='"message": "threadpilot is ready') as process:
            assert process.stderr is not None
            await slack.fault("chat.startStream", "error", error="invalid_auth")
            ts = await slack.ask_in_new_thread("alice", "wrong")
            process.send_signal(signal.SIGTERM)
            _, output = await process.communicate()
            assert process.returncode == 0
        spans = await collector.until(lambda spans: any(span.name == "turn" for span in spans))
    lines = [json.loads(line) for line in output.decode().splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    [trace] = {span.trace for span in spans if span.service == OURS}
    about = [line for line in lines if line.get("turn") == 1]
    assert [line["message"] for line in about if line["message"].startswith("turn ended")] == [
        "turn ended: state=failed"
    ]
    assert {line["thread"] for line in about} == {f"T0SANDBOX/{GENERAL}/{ts}"}
    assert {line["trace"] for line in about if "trace" in line} == {trace}
    assert any(line.get("trace") == trace for line in about)
    for canary in ("xoxb-sandbox", "xapp-sandbox"):
        assert canary not in output.decode()
