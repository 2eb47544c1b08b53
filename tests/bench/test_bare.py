"""Tests that the bare SDK does what it is asked and measures it right."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from bench.model import script
from bench.programs import ProgramError, running_bare
from tests.scripted_model import ScriptedModel


def seconds(answer: dict[str, object], name: str) -> float:
    value = answer[name]
    assert isinstance(value, float)
    return value


async def test_the_bare_sdk_answers_resumes_and_loops_and_says_how_long_it_took(
    tmp_path: Path,
) -> None:
    async with ScriptedModel() as model:
        script(model)
        async with running_bare(model.url, tmp_path) as bare:
            assert await bare.ask(do="open", sessions=["a", "b", "c"]) == {"open": 3}

            answer = await bare.ask(do="ask", session="a", prompt="steady m1")
            first, last, rests = (seconds(answer, name) for name in ("first", "last", "rests"))
            assert 0 < first < last <= rests

            prompts = {name: [f"instant m{n}" for n in range(2, 4)] for name in ("a", "b", "c")}
            looped = await bare.ask(do="loop", prompts=prompts)
            assert looped["answers"] == 6
            assert seconds(looped, "seconds") > 0
            wanted = Counter({"steady m1": 1, "instant m2": 3, "instant m3": 3})
            assert Counter(request.prompt for request in model.requests) == wanted

            assert await bare.ask(do="detach", session="a") == {}
            resumed = await bare.ask(do="resume", session="a", prompt="instant m9")
            assert seconds(resumed, "first") > 0
            assert model.requests[-1].prompts == (
                *("steady m1", "instant m2", "instant m3", "instant m9"),
            )


async def test_a_question_without_an_answer_is_a_fault_and_no_figure(tmp_path: Path) -> None:
    async with ScriptedModel() as model:
        script(model)
        async with running_bare(model.url, tmp_path) as bare:
            with pytest.raises(ProgramError, match="KeyError"):
                await bare.ask(do="ask", session="never opened", prompt="instant m1")
            with pytest.raises(ProgramError, match="shout"):
                await bare.ask(do="shout")
