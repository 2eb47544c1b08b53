"""Tests metrics with bounded labels, and telemetry whose packages may be missing."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from bot.clock import SystemClock
from bot.domain.agent_events import TokensUsed
from bot.domain.messages import Message, ThreadKey, Trigger
from bot.domain.turns import Turn, TurnState
from bot.errors import StoreError
from bot.ports import NULL_TELEMETRY
from bot.telemetry.gauges import Gauges, StatusProbe
from bot.telemetry.metrics import MAX_MODELS, OTHER_MODEL, PrometheusTelemetry
from bot.telemetry.setup import NO_PACKAGES, open_telemetry
from tests.fakes import ManualClock

ROOT = Path(__file__).parents[3]


def a_turn(clock: ManualClock, *, number: int = 1, epoch: int = 1, prompted: bool = False) -> Turn:
    thread = ThreadKey(team="T0", channel="C0", root_ts="1.000100")
    message = Message(
        event_id=f"Ev{number}",
        thread=thread,
        ts=f"{number}.000100",
        user="U1",
        user_team="T0",
        text="hi",
        trigger=Trigger.MENTION,
    )
    return Turn(
        id=number,
        message=message,
        state=TurnState.RUNNING,
        epoch=epoch,
        prompted=prompted,
        accepted_at=clock.now(),
    )


def number(metrics: PrometheusTelemetry, name: str, **labels: str) -> float:
    found = metrics.registry.get_sample_value(name, labels)
    assert found is not None, f"there is no {name} with {labels}"
    return found


async def test_times_are_taken_from_when_the_message_was_recorded() -> None:
    clock = ManualClock()
    metrics = PrometheusTelemetry(clock)
    turn = a_turn(clock)
    await clock.advance(4)
    with metrics.observe_turn(turn):
        await clock.advance(3)
        metrics.record_reply_posted(turn)
        await clock.advance(5)
        metrics.record_reply_posted(turn)
        metrics.record_turn_ended(turn, TurnState.DONE)
    assert number(metrics, "threadpilot_turn_wait_seconds_sum") == 4
    assert number(metrics, "threadpilot_first_text_seconds_sum") == 7
    assert number(metrics, "threadpilot_first_text_seconds_count") == 1
    assert number(metrics, "threadpilot_turn_seconds_sum", state="done") == 12


async def test_a_turn_that_may_have_shown_something_before_is_not_timed_to_its_first_text() -> None:
    clock = ManualClock()
    metrics = PrometheusTelemetry(clock)
    turn = a_turn(clock, epoch=2, prompted=True)
    with metrics.observe_turn(turn):
        metrics.record_reply_posted(turn)
    assert number(metrics, "threadpilot_first_text_seconds_count") == 0
    assert number(metrics, "threadpilot_turn_wait_seconds_count") == 0


def test_a_clock_that_is_set_back_causes_no_negative_times() -> None:
    metrics = PrometheusTelemetry(ManualClock(now=1_000.0))
    metrics.record_turn_ended(a_turn(ManualClock(now=2_000.0)), TurnState.DONE)
    assert number(metrics, "threadpilot_turn_seconds_sum", state="done") == 0


def test_models_beyond_the_first_are_counted_together() -> None:
    metrics = PrometheusTelemetry(ManualClock())
    for count in range(MAX_MODELS + 5):
        metrics.record_tokens(TokensUsed(model=f"model-{count}", input_tokens=3, output_tokens=1))
    metrics.record_tokens(TokensUsed(model="model-0", input_tokens=4, output_tokens=1))
    assert number(metrics, "threadpilot_tokens_total", model="model-0", kind="input") == 7
    assert number(metrics, "threadpilot_tokens_total", model=OTHER_MODEL, kind="input") == 15
    assert (
        metrics.registry.get_sample_value(
            "threadpilot_tokens_total", {"model": f"model-{MAX_MODELS}", "kind": "input"}
        )
        is None
    )


def test_an_observation_without_an_outcome_counts_as_given_up() -> None:
    metrics = PrometheusTelemetry(ManualClock())
    with pytest.raises(asyncio.CancelledError), metrics.observe_api_call("chat.update"):
        raise asyncio.CancelledError
    called = "threadpilot_slack_calls_total"
    assert number(metrics, called, method="chat.update", answer="given_up") == 1


async def test_two_bots_in_one_process_count_apart() -> None:
    one, other = PrometheusTelemetry(ManualClock()), PrometheusTelemetry(ManualClock())
    one.record_runtime_restart()
    assert number(one, "threadpilot_runtime_restarts_total") == 1
    assert number(other, "threadpilot_runtime_restarts_total") == 0


async def test_a_gauge_that_cannot_be_read_is_unknown_and_no_old_number() -> None:
    waiting = iter([5])

    async def queue_length() -> int:
        for length in waiting:
            return length
        raise StoreError("the database is gone")

    async def memory() -> int:
        return 1

    registry = CollectorRegistry()
    gauges = Gauges(
        registry,
        StatusProbe(
            running_turns=lambda: 2,
            queued_turns=queue_length,
            max_sessions=9,
            live_sessions=lambda: 3,
            paused=lambda: False,
            runtime_memory=memory,
            is_connected=lambda: True,
            is_backfilling=lambda: False,
        ),
    )
    await gauges.refresh()
    assert registry.get_sample_value("threadpilot_turns_waiting") == 5
    await gauges.refresh()
    unknown = registry.get_sample_value("threadpilot_turns_waiting")
    assert unknown is not None
    assert unknown != unknown
    assert registry.get_sample_value("threadpilot_turns_running") == 2


async def test_without_settings_there_is_no_telemetry_and_no_open_port() -> None:
    async with open_telemetry(
        clock=SystemClock(), metrics_host="127.0.0.1", metrics_port=0, otlp_endpoint=""
    ) as telemetry_setup:
        assert telemetry_setup.telemetry is NULL_TELEMETRY
        assert telemetry_setup.server is None


# The packages for traces are an extra ------------------------------------------------------------

_OPEN = """
import asyncio, sys
{missing}
from bot import app
from bot.clock import SystemClock
from bot.errors import SettingsError
from bot.telemetry.setup import open_telemetry

async def main():
    try:
        async with open_telemetry(
            clock=SystemClock(), metrics_host="127.0.0.1", metrics_port=0,
            otlp_endpoint={endpoint!r},
        ):
            print("open")
    except SettingsError as error:
        print(error)
    print([name for name in sys.modules if name.startswith("opentelemetry.sdk")])

asyncio.run(main())
"""

_MISSING = "sys.modules['opentelemetry'] = None  # as if it were not installed"


def opened(*, endpoint: str, missing: str = "") -> list[str]:
    """The output of opening telemetry in a separate process, and the packages that it imported."""
    program = _OPEN.format(endpoint=endpoint, missing=missing)
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.splitlines()


def test_without_an_endpoint_the_packages_are_not_imported() -> None:
    assert opened(endpoint="") == ["open", "[]"]


def test_without_the_packages_a_bot_without_traces_runs_all_the_same() -> None:
    assert opened(endpoint="", missing=_MISSING) == ["open", "[]"]


def test_an_endpoint_without_the_packages_is_reported_with_what_to_install() -> None:
    assert opened(endpoint="http://127.0.0.1:9", missing=_MISSING) == [NO_PACKAGES, "[]"]
    assert "tracing" in NO_PACKAGES
