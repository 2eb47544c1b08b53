"""Tests the operator's endpoints: `/metrics`, `/healthz`, `/readyz`, and the Grafana dashboard."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pytest

from bot.errors import SettingsError
from tests.emulator_client import GENERAL, PEOPLE
from tests.fakes import QuickClock
from tests.integration.copilot.session_probe import runtimes_of
from tests.scenarios.conftest import Bots, ScenarioClient
from tests.scenarios.operations.operator_client import Operator, Scrape
from tests.scripted_model import Answer, ScriptedModel

DASHBOARD = Path(__file__).parents[3] / "docs" / "grafana.json"
PARTS = ("_bucket", "_sum", "_count", "_total", "_created", "_info")


@pytest.fixture
def operator(bots: Bots, slack: ScenarioClient) -> Operator:
    return Operator(bots, slack)


async def test_turns_are_counted_by_how_they_ended_and_timed(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel, operator: Operator
) -> None:
    model.when("wrong", Answer(fault=400))
    model.when("long", Answer(chunks=["one ", "two"], hold_after=1))
    await bots.start()
    await slack.ask_in_new_thread("alice", "first")
    failed = await slack.say("bob", GENERAL, "@threadpilot wrong")
    await slack.wait_until_answered(GENERAL, failed, person="bob")
    stopped = await slack.say("carol", GENERAL, "@threadpilot long")
    await slack.until_shown(GENERAL, stopped, "one")
    await slack.stop("carol", GENERAL, stopped)
    await operator.until("threadpilot_turns_total", 1, state="done")
    await operator.until("threadpilot_turns_total", 1, state="failed")
    scrape = await operator.until("threadpilot_turns_total", 1, state="stopped")
    assert scrape.value("threadpilot_turns_total") == 3
    assert scrape.value("threadpilot_turn_seconds_count", state="done") == 1
    assert scrape.value("threadpilot_turn_wait_seconds_count") == 3
    assert scrape.value("threadpilot_first_text_seconds_count") == 3
    assert 0 < scrape.value("threadpilot_first_text_seconds_sum") < 180
    assert scrape.value("threadpilot_messages_total", acceptance="scheduled") == 3
    assert scrape.value("threadpilot_step_seconds_count", step="create") == 3
    assert scrape.value("threadpilot_step_seconds_count", step="prompt") == 3
    assert scrape.value("threadpilot_turns_waiting") == 0
    assert scrape.value("threadpilot_sessions_live") == 3
    assert scrape.value("threadpilot_sessions_places") == 50


async def test_what_slack_brings_is_timed_until_it_is_acknowledged_through_either_transport(
    bots: Bots, slack: ScenarioClient, transport: str, operator: Operator
) -> None:
    await bots.start()
    await slack.ask_in_new_thread("alice", "first")
    scrape = await operator.until("threadpilot_acknowledge_seconds_count", 2, answer="taken")
    assert scrape.value("threadpilot_messages_total", acceptance="repeated") >= 1, (
        "a mention arrives twice"
    )
    within = scrape.value("threadpilot_acknowledge_seconds_bucket", answer="taken", le="3.0")
    assert within == scrape.value("threadpilot_acknowledge_seconds_count", answer="taken")
    assert scrape.value("threadpilot_hearing") == 1
    if transport == "socket":
        await operator.until("threadpilot_slack_lines", 1)


async def test_calls_of_slack_are_counted_by_method_and_answer(
    bots: Bots, slack: ScenarioClient, operator: Operator
) -> None:
    await bots.start()
    await slack.fault("chat.stopStream", "429", retry_after=1)
    await slack.fault("chat.startStream", "500")
    await slack.ask_in_new_thread("alice", "first")
    await slack.ask_in_new_thread("alice", "second")
    scrape = await operator.until("threadpilot_turns_total", 2, state="done")
    called = "threadpilot_slack_calls_total"
    assert scrape.value(called, method="chat.stopStream", answer="ratelimited") == 1
    assert scrape.value(called, method="chat.startStream", answer="failed") == 1
    assert scrape.value(called, method="chat.startStream", answer="ok") == 1
    assert scrape.value(called, method="auth.test", answer="ok") == 1
    assert scrape.value(called, method="apps.connections.open", answer="ok") >= 1
    calls = await slack.calls("chat.startStream")
    counted = scrape.value("threadpilot_slack_call_seconds_count", method="chat.startStream")
    assert counted == len(calls) == 2


async def test_a_runtime_that_is_killed_shows_as_a_restart_and_tokens_by_model(
    bots: Bots, slack: ScenarioClient, operator: Operator
) -> None:
    await bots.start()
    ts = await slack.ask_in_new_thread("alice", "first")
    before = await operator.until("threadpilot_turns_total", 1, state="done")
    assert before.value("threadpilot_runtime_restarts_total") == 0
    assert before.value("threadpilot_runtime_memory_bytes") > 20_000_000
    [pid] = runtimes_of(operator.data)
    os.kill(pid, signal.SIGKILL)
    await slack.say("alice", GENERAL, "second", thread_ts=ts)
    await slack.wait_until_answered(GENERAL, ts, n=2)
    after = await operator.until("threadpilot_turns_total", 2, state="done")
    assert after.value("threadpilot_runtime_restarts_total") == 1
    assert after.value("threadpilot_step_seconds_count", step="resume") >= 2
    for kind in ("input", "output"):
        tokens = "threadpilot_tokens_total"
        assert after.value(tokens, model="scripted-1", kind=kind) > before.value(
            tokens, model="scripted-1", kind=kind
        )
    assert after.value("threadpilot_database_commit_seconds_count", result="ok") > 5


async def test_the_metrics_name_no_user_and_no_channel(
    bots: Bots, slack: ScenarioClient, operator: Operator
) -> None:
    await bots.start()
    ts = await slack.ask_in_new_thread("alice", "first")
    await slack.command("bob", GENERAL, "/copilot", "help")
    scrape = await operator.until("threadpilot_turns_total", 1, state="done")
    label_values = {value for sample in scrape.samples for value in sample.labels.values()}
    nameless = {*PEOPLE.values(), *PEOPLE, GENERAL, "T0SANDBOX", ts, "first"}
    assert [value for value in label_values if any(name in value for name in nameless)] == []
    assert len(scrape.samples) < 1_500


async def test_it_is_ready_while_slack_is_connected_and_the_database_takes_writes(
    bots: Bots, slack: ScenarioClient, transport: str, operator: Operator
) -> None:
    del transport  # in either mode
    await bots.start()
    assert await operator.get("/readyz") == (200, '{"ready": true}')
    with operator.locking_the_database():
        assert await operator.get("/readyz") == (503, '{"ready": false}')
        assert await operator.get("/healthz") == (200, '{"alive": true}')
        assert (await operator.scrape()).value("threadpilot_turns_waiting") == 0
    await operator.until_status("/readyz", 200)
    await slack.ask_in_new_thread("alice", "first")


async def test_it_is_not_ready_while_no_line_to_slack_is_up(
    bots: Bots, slack: ScenarioClient, operator: Operator
) -> None:
    await bots.start(QuickClock())
    await operator.until("threadpilot_slack_lines", 1)
    await slack.fault("socket", "refuse", times=100_000)
    await slack.fault("socket", "drop")
    await operator.until_status("/readyz", 503)
    scrape = await operator.scrape()
    assert scrape.value("threadpilot_hearing") == 0
    assert scrape.value("threadpilot_slack_lines") == 0
    await slack.clear_faults()
    await operator.until_status("/readyz", 200, timeout=60)


async def test_the_http_endpoint_for_operators_is_not_the_one_that_slack_uses(
    bots: Bots, slack: ScenarioClient, transport: str, operator: Operator
) -> None:
    await bots.start()
    assert (await operator.get("/slack/events"))[0] == 404
    if transport == "http":
        async with slack.http.get(f"http://127.0.0.1:{bots.env['HTTP_PORT']}/metrics") as answer:
            assert answer.status == 404


async def test_a_port_that_is_taken_is_reported_like_a_wrong_setting(
    bots: Bots, operator: Operator
) -> None:
    await bots.start()
    bots.env["DATA_DIR"] = str(operator.data.with_name("another"))
    with pytest.raises(SettingsError, match="METRICS_PORT or METRICS_HOST") as error:
        async with bots.running():
            pass
    assert len(error.value.faults) == 1


# The dashboard -----------------------------------------------------------------------------------


def queries_in(dashboard: object) -> list[str]:
    """Every query of a dashboard."""
    match dashboard:
        case dict():
            found = [text for each in dashboard.values() for text in queries_in(each)]
            expr = dashboard.get("expr")
            return [*found, expr] if isinstance(expr, str) else found
        case list():
            return [text for each in dashboard for text in queries_in(each)]
    return []


def named_in(queries: list[str]) -> set[str]:
    return {name for query in queries for name in re.findall(r"\bthreadpilot_\w+", query)}


def base_of(name: str) -> str:
    for part in PARTS:
        name = name.removesuffix(part)
    return name


def there(scrape: Scrape) -> set[str]:
    return {sample.name for sample in scrape.samples}


async def test_every_number_on_the_dashboard_exists_and_every_metric_is_on_it(
    bots: Bots, slack: ScenarioClient, operator: Operator
) -> None:
    await bots.start()
    await slack.ask_in_new_thread("alice", "first")
    scrape = await operator.until("threadpilot_turns_total", 1, state="done")
    named = named_in(queries_in(json.loads(DASHBOARD.read_text(encoding="utf-8"))))
    assert named - there(scrape) == set(), "the dashboard asks for what no bot has"
    ours = {name for name in scrape.families if name.startswith("threadpilot_")}
    assert {base_of(name) for name in ours} - {base_of(name) for name in named} == set()


def test_the_dashboard_can_be_imported_as_it_is() -> None:
    """The dashboard names no data source of its author, and every panel has a unit."""
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    assert dashboard["uid"] == "threadpilot"
    assert dashboard["id"] is None
    [variable] = [each for each in dashboard["templating"]["list"] if each["type"] == "datasource"]
    source = {"type": "prometheus", "uid": f"${{{variable['name']}}}"}
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    assert len(panels) >= 12
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    for panel in panels:
        assert panel["datasource"] == source, panel["title"]
        assert panel["description"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert all(target["datasource"] == source for target in panel["targets"])
    places = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in dashboard["panels"]
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]
    assert len(places) == len(set(places)), "panels lie over each other"
    assert max(x for x, _ in places) < 24


async def test_the_page_for_operators_tells_of_every_metric_and_no_other(
    bots: Bots, slack: ScenarioClient, operator: Operator
) -> None:
    await bots.start()
    await slack.ask_in_new_thread("alice", "first")
    scrape = await operator.until("threadpilot_turns_total", 1, state="done")
    page = (DASHBOARD.parent / "operating.md").read_text(encoding="utf-8")
    table = page.partition("<!-- metrics")[2].partition("<!-- /metrics")[0]
    ours = {base_of(name) for name in scrape.families if name.startswith("threadpilot_")}
    assert {base_of(name) for name in named_in([table])} == ours
    assert named_in([page.partition("## Alerts")[2]]) <= there(scrape)
