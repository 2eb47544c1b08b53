"""Tests that each turn has one trace, from Slack's event through the runtime to the last append."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from tests.emulator_client import GENERAL, PEOPLE
from tests.fakes import QuickClock
from tests.integration.copilot.session_probe import environment_of, runtimes_of
from tests.scenarios.conftest import Bots, ScenarioClient
from tests.scenarios.operations.operator_client import Operator
from tests.scripted_model import Answer, ScriptedModel
from tests.trace_collector import OURS, THE_RUNTIMES, Collected, Collector


@pytest.fixture
async def collector(bots: Bots, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    """Set where the test's bot sends its traces: at once, not every five seconds."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    async with Collector() as collector:
        bots.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.url
        yield collector


def named(spans: Sequence[Collected], name: str) -> list[Collected]:
    return [span for span in spans if span.name == name]


async def collected(collector: Collector, *names: str, times: int = 1) -> Sequence[Collected]:
    """All spans, after these have arrived."""
    return await collector.until(
        lambda spans: all(len(named(spans, name)) >= times for name in names)
    )


async def test_a_turn_is_one_trace_from_the_event_to_the_last_append(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel, collector: Collector
) -> None:
    model.when("first", Answer(chunks=["one ", "two ", "three"], hold_after=2))
    bot = await bots.start()
    ts = await slack.say("alice", GENERAL, "@threadpilot first")
    await slack.until_shown(GENERAL, ts, "one")
    model.release()
    await slack.wait_until_answered(GENERAL, ts)
    await slack.until_idle(bot)
    spans = await collected(collector, "event", "wait", "turn")
    [event], [wait], [turn] = (named(spans, name) for name in ("event", "wait", "turn"))
    ours = [span for span in spans if span.service == OURS]
    assert {span.trace for span in ours} == {event.trace}
    assert event.parent == ""
    assert wait.parent == turn.parent == event.id
    below = {span.name for span in ours if span.parent == turn.id}
    assert {
        "resume",
        "create",
        "prompt",
        "slack chat.startStream",
        "slack chat.stopStream",
    } <= below
    assert event.begins <= event.ends <= turn.begins <= turn.ends
    [last] = named(ours, "slack chat.stopStream")
    assert turn.begins <= last.begins <= last.ends <= turn.ends
    assert turn.events == ("first text",)
    assert turn.attributes == {
        "threadpilot.turn": 1,
        "threadpilot.thread": f"T0SANDBOX/{GENERAL}/{ts}",
        "threadpilot.claim": 1,
        "threadpilot.state": "done",
    }
    assert not turn.failed


async def test_the_runtime_continues_the_trace_of_the_turn(
    bots: Bots, slack: ScenarioClient, collector: Collector
) -> None:
    """The runtime sends its own spans, below those of the turn that asks it. This holds also for a
    session that was opened for an earlier turn."""
    bot = await bots.start()
    ts = await slack.ask_in_new_thread("alice", "first")
    await slack.say("alice", GENERAL, "second", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: second")
    await slack.until_idle(bot)
    spans = await collected(collector, "turn", "prompt", "invoke_agent", times=2)
    agent_spans = named(spans, "invoke_agent")
    assert {span.service for span in agent_spans} == {THE_RUNTIMES}
    prompts = {span.id: span.trace for span in named(spans, "prompt")}
    assert {span.parent: span.trace for span in agent_spans} == prompts
    assert len(set(prompts.values())) == 2, "each turn is a trace of its own"


async def test_no_span_has_a_text_or_its_author(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel, collector: Collector
) -> None:
    """Neither our spans nor the runtime's, also after an error."""
    model.when("pelican", Answer("the heron answers", times=1))
    model.when("pelican", Answer(fault=400, times=1))
    bots.env["MODEL_API_KEY"] = "canary-of-a-key"
    bot = await bots.start()
    for _ in range(2):
        ts = await slack.say("alice", GENERAL, "@threadpilot pelican")
        await slack.wait_until_answered(GENERAL, ts)
    await slack.until_idle(bot)
    spans = await collected(collector, "turn", "invoke_agent", times=2)
    assert [span.attributes["threadpilot.state"] for span in named(spans, "turn")] == [
        "failed",
        "done",
    ]
    assert [span.failed for span in named(spans, "turn")] == [True, False]
    for canary in ("pelican", "heron", PEOPLE["alice"], "alice", "canary-of-a-key", "xoxb-"):
        assert canary.encode() not in collector.raw, canary


async def test_a_turn_recovered_by_a_restart_continues_its_trace(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel, collector: Collector
) -> None:
    model.when("first", Answer(chunks=["one ", "two"], hold_after=0, times=1))
    bots.env["SHUTDOWN_SECONDS"] = "0"
    async with bots.running():
        ts = await slack.say("alice", GENERAL, "@threadpilot first")
        await model.reached()
    async with bots.running() as bot:
        await slack.wait_until_answered(GENERAL, ts)
        await slack.until_idle(bot)
    spans = await collected(collector, "turn", times=2)
    assert len({span.trace for span in spans if span.service == OURS}) == 1
    [event] = named(spans, "event")
    claims = {span.attributes["threadpilot.claim"]: span for span in named(spans, "turn")}
    assert set(claims) == {1, 2}
    assert {span.parent for span in claims.values()} == {event.id}
    assert "threadpilot.state" not in claims[1].attributes
    assert claims[2].attributes["threadpilot.state"] == "done"


async def test_traces_and_metrics_are_to_be_had_together(
    bots: Bots, slack: ScenarioClient, collector: Collector
) -> None:
    operator = Operator(bots, slack)
    await bots.start()
    await slack.fault("chat.startStream", "500")
    await slack.ask_in_new_thread("alice", "first")
    scrape = await operator.until("threadpilot_turns_total", 1, state="done")
    called = "threadpilot_slack_calls_total"
    assert scrape.value(called, method="chat.startStream", answer="failed") == 1
    spans = await collected(collector, "turn", "slack chat.startStream")
    [call] = named(spans, "slack chat.startStream")
    assert call.failed
    assert call.attributes["threadpilot.answer"] == "failed"


async def test_a_collector_that_hangs_delays_no_turn(
    bots: Bots, slack: ScenarioClient, collector: Collector
) -> None:
    """Neither the answers nor the end of the bot wait for it."""
    collector.hangs = True
    async with bots.running(QuickClock()) as bot:
        await slack.ask_in_new_thread("alice", "first")
        await slack.until_idle(bot)
        ending = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - ending < 25


async def test_without_an_endpoint_the_runtime_sends_nothing_anywhere(
    bots: Bots, slack: ScenarioClient
) -> None:
    bot = await bots.start()
    await slack.ask_in_new_thread("alice", "first")
    await slack.until_idle(bot)
    [pid] = runtimes_of(Path(bots.env["DATA_DIR"]))
    assert [name for name in environment_of(pid) if "OTEL" in name] == []


async def test_the_standards_sampler_is_heeded(
    bots: Bots, slack: ScenarioClient, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trace is sent whole or not at all, even if its first span is of an earlier run of the
    bot."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    async with bots.running() as bot:
        await slack.ask_in_new_thread("alice", "first")
        await slack.until_idle(bot)
    assert [span.name for span in collector.spans if span.service == OURS] == []
