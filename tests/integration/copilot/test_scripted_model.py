"""Tests that the scripted model does what its script says, because other tests rely on it."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest

from tests.scripted_model import MODEL_NAME, Answer, ScriptedModel, ToolCall


def question(text: str, *, stream: bool = True) -> dict[str, object]:
    """A request body as the runtime sends it."""
    dated = f"<current_datetime>2026-10-01T10:00:00Z</current_datetime>\n\n{text}"
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": dated}]
    return {"model": "m", "messages": messages, "stream": stream}


async def lines_of(model: ScriptedModel, body: dict[str, object]) -> tuple[int, list[str]]:
    """The status and the data lines of an answer."""
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http,
        http.post(f"{model.url}/chat/completions", json=body) as answer,
    ):
        text = await answer.text()
    return answer.status, [line[6:] for line in text.splitlines() if line.startswith("data: ")]


def text_of(lines: list[str]) -> str:
    """What the data lines say."""
    chunks = [json.loads(line) for line in lines if line != "[DONE]"]
    return "".join(
        choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"]
    )


async def test_it_says_what_the_script_says() -> None:
    """The newest fitting line, as long as it lasts; otherwise what it was asked."""
    async with ScriptedModel() as model:
        model.when("weather", "Sun.")
        model.when("weather", Answer("Rain.", times=1))
        model.when("shout", lambda request: request.prompt.upper())
        prompts = ["weather?", "weather?", "shout it", "x" * 1_000]
        answers = [text_of((await lines_of(model, question(text)))[1]) for text in prompts]
        assert answers == ["Rain.", "Sun.", "SHOUT IT", f"You said: {'x' * 1_000}"]
        assert [request.prompt for request in model.requests] == prompts
        assert model.requests[0].system == "Be kind."


async def test_it_streams_like_the_real_thing() -> None:
    """Pieces, a reason to finish, the tokens, and the end mark; or everything at once."""
    async with ScriptedModel() as model:
        model.when("hi", Answer(chunks=["a b", " c"]))
        status, lines = await lines_of(model, question("hi"))
        assert (status, lines[-1]) == (200, "[DONE]")
        assert json.loads(lines[-2])["usage"]["completion_tokens"] == 3
        assert json.loads(lines[-3])["choices"][0]["finish_reason"] == "stop"
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{model.url}/chat/completions", json=question("hi", stream=False)) as whole,
            http.get(f"{model.url}/models") as listed,
        ):
            assert (await whole.json())["choices"][0]["message"]["content"] == "a b c"
            assert (await listed.json())["data"][0]["id"] == MODEL_NAME


async def test_it_calls_tools_as_scripted() -> None:
    """After its words; what the tools gave back is in the request that follows."""
    async with ScriptedModel() as model:
        model.when("look", Answer("Let me look.", calls=[ToolCall("view", {"path": "a"})], times=1))
        _, lines = await lines_of(model, question("look"))
        chunks = [choice for line in lines[:-1] for choice in json.loads(line)["choices"]]
        assert text_of([json.dumps({"choices": chunks[:1]})]) == "Let me l"
        called = chunks[-2]["delta"]["tool_calls"][0]["function"]
        assert (called["name"], json.loads(called["arguments"])) == ("view", {"path": "a"})
        assert chunks[-1]["finish_reason"] == "tool_calls"
        follow_up = question("look")
        messages = [{"role": "user", "content": "look"}, {"role": "tool", "content": "found"}]
        follow_up["messages"] = messages
        follow_up["reasoning_effort"] = "low"
        follow_up["tools"] = [{"type": "function", "function": {"name": "view"}}]
        await lines_of(model, follow_up)
        request = model.requests[-1]
        assert (request.results, request.tool_names, request.effort) == (
            ("found",),
            ("view",),
            "low",
        )


async def test_what_the_runtime_puts_before_a_prompt_is_not_part_of_it() -> None:
    """The time, and the notice that the model was switched."""
    async with ScriptedModel() as model:
        notice = "<tools_changed_notice>\nThe model has been switched.\n</tools_changed_notice>"
        await lines_of(model, question(f"{notice}\n\nhello"))
        assert model.requests[-1].prompts == ("hello",)


async def test_it_lists_the_models_that_a_test_wants() -> None:
    """One of them by default."""
    async with ScriptedModel() as model, aiohttp.ClientSession() as http:
        model.models = ["big", "small"]
        async with http.get(f"{model.url}/models") as listed:
            assert [each["id"] for each in (await listed.json())["data"]] == ["big", "small"]


async def test_it_fails_as_scripted() -> None:
    """A status with its retry time and code, a cut, a line that is no JSON."""
    async with ScriptedModel() as model:
        model.when("limit", Answer(fault=429, retry_after=7, code="slow_down"))
        model.when("cut", Answer(chunks=["a", "b"], fault="cut"))
        model.when("garbage", Answer(chunks=["a", "b"], fault="garbage"))
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{model.url}/chat/completions", json=question("limit")) as limited,
        ):
            assert (limited.status, limited.headers["Retry-After"]) == (429, "7")
            assert (await limited.json())["error"]["code"] == "slow_down"
        with pytest.raises(aiohttp.ClientPayloadError):
            await lines_of(model, question("cut"))
        _, lines = await lines_of(model, question("garbage"))
        with pytest.raises(json.JSONDecodeError):
            text_of(lines)


async def test_it_holds_until_it_is_released() -> None:
    """And reports when it holds."""
    async with ScriptedModel() as model:
        model.when("wait", Answer(chunks=["a", "b"], hold_after=1))
        answer_task = asyncio.create_task(lines_of(model, question("wait")))
        await model.reached()
        assert not answer_task.done()
        model.release()
        assert text_of((await answer_task)[1]) == "ab"
        assert model.disconnects == 0


@pytest.mark.parametrize("answer", [Answer(fault="silence"), Answer("x", hold_after=0)])
async def test_it_counts_the_clients_that_leave(answer: Answer) -> None:
    """Before the first word, or in the middle."""
    async with ScriptedModel() as model:
        model.when("wait", answer)
        answer_task = asyncio.create_task(lines_of(model, question("wait")))
        await model.reached()
        answer_task.cancel()
        await model.disconnected(1, within=30)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"model": "m", "messages": 3}', b"\xff"])
async def test_it_refuses_what_is_no_question(body: bytes) -> None:
    """As a model server does."""
    async with ScriptedModel() as model:
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{model.url}/chat/completions", data=body) as answer,
        ):
            assert answer.status == 400
        assert model.requests == []
