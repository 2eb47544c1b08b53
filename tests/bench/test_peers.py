"""Tests that the peer bots do the same work as ours and are measured the same way."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from bench.ground import Ground
from bench.model import script, steady_text
from bench.peers import programs
from bench.peers.bolt_sample import GROWING, PLACEHOLDER
from bench.peers.programs import running_bolt_sample, running_chat_sdk
from bench.programs import Program, ProgramError, running_bot
from bench.rows.peers import MORE, QUICKER, ended, opened, rows
from bench.slack_side import Shown, SlackSide, running_slack
from tests.scripted_model import ModelRequest, ScriptedModel

PEERS = Path(programs.__file__).parent
Start = Callable[[SlackSide, str, Path], AbstractAsyncContextManager[Program]]


@pytest.fixture
async def model() -> AsyncIterator[ScriptedModel]:
    async with ScriptedModel() as scripted:
        script(scripted)
        yield scripted


def marks(request: ModelRequest) -> list[str]:
    """The marks of all questions in a request, oldest first."""
    return re.findall(r"quick (m\d+)", "\n".join(request.prompts))


@pytest.mark.parametrize("start", [running_bot, running_chat_sdk, running_bolt_sample])
async def test_every_bot_answers_a_thread_by_a_session_of_its_own_with_the_same_instructions(
    start: Start, model: ScriptedModel, tmp_path: Path
) -> None:
    answers = set[str]()

    def watcher(_: str, shown: Shown) -> None:
        answers.add(shown.ts)

    async with running_slack(limits=False) as slack, start(slack, model.url, tmp_path / "bot"):
        slack.watch(watcher)
        side = await opened(slack, 2)
        for root_ts in side.threads:
            await ended(slack, await slack.ask("quick", root_ts=root_ts))
    assert len(answers) == 4, "each question has one answer"
    # The threads are opened at once, then asked again one after the other.
    first, second, *again = map(marks, model.requests)
    assert {*first, *second} == {"m1", "m2"}
    assert again == [["m1", "m3"], ["m2", "m4"]], "each remembers its own thread, and nothing else"
    settings = {(request.model, request.tools, request.system) for request in model.requests}
    assert len(settings) == 1
    assert "Threadpilot" in settings.pop()[2]


async def test_the_sample_on_bolt_edits_a_placeholder_into_the_answer_while_it_grows(
    model: ScriptedModel, tmp_path: Path
) -> None:
    shown = list[str]()

    def watcher(_: str, now: Shown) -> None:
        shown.append(now.text)

    async with (
        running_slack(limits=False) as slack,
        running_bolt_sample(slack, model.url, tmp_path / "bolt"),
    ):
        slack.watch(watcher)
        sent = await slack.ask("steady")
        await ended(slack, sent)
    placeholder, *growing, last = shown
    assert placeholder == PLACEHOLDER
    assert last == steady_text(sent.mark)
    assert len(growing) == 5
    assert all(last.startswith(text.removesuffix(GROWING)) for text in growing)


def test_the_chat_sdk_is_pinned_to_the_version() -> None:
    wanted = json.loads((PEERS / "chat_sdk" / "package.json").read_text(encoding="utf-8"))
    assert all(re.fullmatch(r"[0-9.]+", version) for version in wanted["dependencies"].values())


async def test_a_missing_chat_sdk_is_named_with_the_way_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "PACKAGES", tmp_path / "nowhere")
    async with running_slack(limits=False) as slack:
        with pytest.raises(ProgramError, match="make setup-bench"):
            async with running_chat_sdk(slack, "http://127.0.0.1:9", tmp_path / "bot"):
                pass


async def test_first_text_and_turns_a_second_are_measured_against_both(tmp_path: Path) -> None:
    measured = await rows(Ground(folder=tmp_path, tiny=True))
    assert [(row.name, row.unit, row.goal) for row in measured] == [
        ("First text, Chat SDK bot", "ms", QUICKER),
        ("First text, sample on Bolt", "ms", QUICKER),
        ("Turns a second, Chat SDK bot", "turns/s", MORE),
        ("Turns a second, sample on Bolt", "turns/s", MORE),
    ]
    assert all(row.ours > 0 and row.theirs > 0 for row in measured)
