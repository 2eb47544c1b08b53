"""Runs the scripted model: a small OpenAI-compatible server with answers that a test sets.

It is the project's one replacement for the model behind the Copilot runtime, reached over HTTP by
configuration (`MODEL_BASE_URL`) like any other model server:

    async with ScriptedModel() as model:
        model.when("weather", Answer("Rain."))               # the last user text contains "weather"
        model.when("first", lambda request: request.prompts[0])
        model.when("story", Answer(chunks=["Once ", "upon"], hold_after=1))
        model.when("notes", Answer(calls=[ToolCall("view", {"path": "notes.md"})], times=1))
        ... let the bot ask at model.url ...
        await model.reached()                                # the answer holds after "Once "
        model.release()
        assert model.requests[-1].prompt == "tell me a story"

A prompt without a scripted line gets `model.default`, which is "You said: <prompt>". The newest
line that fits is used. A line with `times` is used for that many requests, then the next older
one applies.

`python -m tests.scripted_model --port 8099` runs it alone.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self

from aiohttp import web

WAIT_SECONDS = 30.0
"""Timeout in seconds of every wait here, of a held answer or of a test."""

MODEL_NAME = "scripted-1"
"""The one model that `GET /models` lists, unless a test sets others."""

_ADDED = re.compile(r"^(?:<(current_datetime|tools_changed_notice)>.*?</\1>\s*)+", re.DOTALL)
"""The runtime's additions before a prompt: the time, and the notice that the model was switched."""
_MOST_PIECES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """One request for an answer, as the runtime sent it."""

    model: str
    messages: tuple[tuple[str, str], ...]
    """(role, text), the system prompt first; the runtime's own additions are in the text."""
    stream: bool = True
    tools: int = 0
    """Number of tools that the model is offered."""
    tool_names: tuple[str, ...] = ()
    effort: str = ""
    """The requested reasoning effort; "" for none."""
    key: str = field(default="", repr=False)
    """The API key of the request."""

    @property
    def prompts(self) -> tuple[str, ...]:
        """All user texts, oldest first, without the runtime's additions."""
        return tuple(prompt_of(text) for role, text in self.messages if role == "user")

    @property
    def prompt(self) -> str:
        """The last user text."""
        return self.prompts[-1] if self.prompts else ""

    @property
    def system(self) -> str:
        """The system prompt."""
        return "\n".join(text for role, text in self.messages if role == "system")

    @property
    def results(self) -> tuple[str, ...]:
        """The results of the tools that the model called, oldest first."""
        return tuple(text for role, text in self.messages if role == "tool")


def prompt_of(text: str) -> str:
    """A user text without the runtime's additions."""
    return _ADDED.sub("", text)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One tool that the model calls."""

    name: str
    arguments: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model does with a request.

    `text`: the text, or a function of the request; sent in up to 64 pieces.
    `chunks`: the pieces themselves, or a function of the request, instead of `text`.
    `first_delay`: seconds before the first piece.
    `chunk_delay`: seconds between pieces on average: after a late piece the next one comes
    earlier.
    `hold_after`: after this many pieces it waits for `ScriptedModel.release`, or until the client
    disconnects; 0 holds before the first.
    `fault`: an HTTP status (with optional `retry_after` seconds and an OpenAI error `code`), "cut"
    (the connection ends half-way), "garbage" (half-way comes a line that is not JSON), or "silence"
    (not even a status line).
    `calls`: after its text it calls these tools (only if it streams), and gets a request with their
    results; mostly with `times=1`, because the last user text stays the same.
    `finish`: "length" if it ends at the server's token limit and not at its own end.
    `times`: for this many requests only; None for no limit.
    """

    text: str | Callable[[ModelRequest], str] = ""
    chunks: Sequence[str] | Callable[[ModelRequest], Sequence[str]] | None = None
    first_delay: float = 0.0
    chunk_delay: float = 0.0
    hold_after: int | None = None
    fault: int | Literal["cut", "garbage", "silence"] | None = None
    retry_after: int | None = None
    code: str = ""
    calls: Sequence[ToolCall] = ()
    finish: Literal["stop", "length"] = "stop"
    times: int | None = None

    def pieces(self, request: ModelRequest) -> tuple[str, ...]:
        """The answer to a request in the pieces in which it is sent."""
        if callable(self.chunks):
            return tuple(self.chunks(request))
        if self.chunks is not None:
            return tuple(self.chunks)
        text = self.text if isinstance(self.text, str) else self.text(request)
        size = max(8, -(-len(text) // _MOST_PIECES))
        return tuple(text[start : start + size] for start in range(0, len(text), size))


@dataclass(slots=True)
class _Line:
    """One line of the script, and how often it may still be used."""

    substring: str
    answer: Answer
    left: int | None


class ScriptedModel:
    """The server; an async context manager. `port` 0 means any free one."""

    def __init__(
        self, port: int = 0, *, host: str = "127.0.0.1", keep_requests: bool = True
    ) -> None:
        self._host, self._port = host, port
        self._keep_requests = keep_requests
        self._script: list[_Line] = []
        self._runner: web.AppRunner | None = None
        self._held: set[asyncio.Event] = set()
        self._changed = asyncio.Condition()
        self._ids = itertools.count(1)
        self.default = Answer(lambda request: f"You said: {request.prompt}")
        self.models = [MODEL_NAME]
        """The models that `GET /models` lists."""
        self.hold_seconds = WAIT_SECONDS
        """Timeout in seconds of a held answer that no test releases."""
        self.requests: list[ModelRequest] = []
        """All requests received; none with `keep_requests=False`, for tests with many thousand
        requests."""
        self.holds = 0
        """Number of answers that have reached their hold so far."""
        self.disconnects = 0
        """Number of requests whose client disconnected before the answer was complete."""

    @property
    def url(self) -> str:
        """The base URL to configure; ends in /v1."""
        return f"http://{self._host}:{self._port}/v1"

    def when(self, substring: str, answer: Answer | str | Callable[[ModelRequest], str]) -> None:
        """Answer so if the last user text contains `substring`; the newest line wins."""
        line = answer if isinstance(answer, Answer) else Answer(answer)
        self._script.append(_Line(substring, line, line.times))

    def release(self) -> None:
        """Let all answers that hold at the moment continue."""
        for gate in self._held:
            gate.set()

    async def reached(self, holds: int = 1, *, within: float = WAIT_SECONDS) -> None:
        """Wait until this many answers in total have reached their hold. Raises TimeoutError."""
        await self._until(lambda: self.holds >= holds, within)

    async def received(self, requests: int = 1, *, within: float = WAIT_SECONDS) -> None:
        """Wait until this many requests in total have come in. Raises TimeoutError."""
        await self._until(lambda: len(self.requests) >= requests, within)

    async def disconnected(self, clients: int = 1, *, within: float = WAIT_SECONDS) -> None:
        """Wait until this many clients in total have disconnected early. Raises TimeoutError."""
        await self._until(lambda: self.disconnects >= clients, within)

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_get("/v1/models", self._list_models)
        # With handler_cancellation a handler is cancelled as soon as its client disconnects.
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _until(self, reached: Callable[[], bool], within: float) -> None:
        async with asyncio.timeout(within), self._changed:
            await self._changed.wait_for(reached)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _list_models(self, _: web.Request) -> web.Response:
        listed = [{"id": name, "object": "model", "owned_by": "tests"} for name in self.models]
        return web.json_response({"object": "list", "data": listed})

    async def _complete(self, http: web.Request) -> web.StreamResponse:
        try:
            request = _read(await http.json(), http.headers.get("Authorization", ""))
        except (ValueError, TypeError, KeyError) as error:
            return _refusal(400, f"not a chat completion request: {error}", "")
        answer = self._choose(request)
        if self._keep_requests:
            self.requests.append(request)
        await self._tell()
        try:
            return await self._play(http, request, answer)
        except (asyncio.CancelledError, ConnectionError):
            self.disconnects += 1
            # Shielded, because this very task is being cancelled.
            await asyncio.shield(self._tell())
            raise

    def _choose(self, request: ModelRequest) -> Answer:
        for line in reversed(self._script):
            if line.substring in request.prompt and line.left != 0:
                if line.left is not None:
                    line.left -= 1
                return line.answer
        return self.default

    async def _play(
        self, http: web.Request, request: ModelRequest, answer: Answer
    ) -> web.StreamResponse:
        if isinstance(answer.fault, int):
            return _refusal(answer.fault, "as scripted", answer.code, answer.retry_after)
        if answer.fault == "silence":
            await self._hold()
        pieces = answer.pieces(request)
        if not request.stream:
            return web.json_response(self._whole(request, "".join(pieces)))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(http)
        await self._stream(http, response, request, answer, pieces)
        return response

    async def _stream(
        self,
        http: web.Request,
        response: web.StreamResponse,
        request: ModelRequest,
        answer: Answer,
        pieces: Sequence[str],
    ) -> None:
        number = next(self._ids)
        await asyncio.sleep(answer.first_delay)
        clock = asyncio.get_running_loop()
        due = clock.time()
        for count, piece in enumerate(pieces):
            if count == answer.hold_after:
                await self._hold()
                due = clock.time()
            if answer.fault in ("cut", "garbage") and count == (len(pieces) + 1) // 2:
                break
            await _write(response, _chunk(number, request, {"content": piece}))
            if answer.chunk_delay:
                due += answer.chunk_delay
                await asyncio.sleep(due - clock.time())
        if answer.hold_after is not None and answer.hold_after >= len(pieces):
            await self._hold()
        if answer.fault == "cut":
            if http.transport is not None:
                http.transport.abort()
            return
        if answer.fault == "garbage":
            await response.write(b'data: {"choices": [{"delta"\n\n')
            return
        for place, call in enumerate(answer.calls):
            await _write(response, _chunk(number, request, _calling(number, place, call)))
        finish = "tool_calls" if answer.calls else answer.finish
        await _write(response, _chunk(number, request, {}, finish=finish))
        await _write(response, _chunk(number, request, None, usage=_usage(request, pieces)))
        await response.write(b"data: [DONE]\n\n")

    async def _hold(self) -> None:
        gate = asyncio.Event()
        self._held.add(gate)
        self.holds += 1
        try:
            await self._tell()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(gate.wait(), self.hold_seconds)
        finally:
            self._held.discard(gate)

    def _whole(self, request: ModelRequest, text: str) -> dict[str, object]:
        message = {"role": "assistant", "content": text}
        return {
            "id": f"chatcmpl-{next(self._ids)}",
            "object": "chat.completion",
            "model": request.model,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": _usage(request, [text]),
        }


def _read(body: dict[str, object], authorization: str) -> ModelRequest:
    """Parse a request body. Raises ValueError, TypeError or KeyError for an invalid one."""
    messages = body["messages"]
    tools = body.get("tools") or []
    if not isinstance(messages, list) or not isinstance(tools, list):
        raise TypeError("messages and tools have to be lists")
    return ModelRequest(
        model=str(body["model"]),
        messages=tuple((str(m["role"]), _text(m.get("content"))) for m in messages),
        stream=bool(body.get("stream")),
        tools=len(tools),
        tool_names=tuple(str(tool["function"]["name"]) for tool in tools),
        effort=str(body.get("reasoning_effort") or ""),
        key=authorization.removeprefix("Bearer "),
    )


def _text(content: object) -> str:
    """The text of a message, which comes as a string or as a list of typed parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return ""


def _usage(request: ModelRequest, pieces: Sequence[str]) -> dict[str, int]:
    """Tokens, counted as words."""
    taken = sum(len(text.split()) for _, text in request.messages)
    given = len("".join(pieces).split())
    return {"prompt_tokens": taken, "completion_tokens": given, "total_tokens": taken + given}


def _chunk(
    number: int,
    request: ModelRequest,
    delta: Mapping[str, object] | None,
    *,
    finish: str | None = None,
    usage: dict[str, int] | None = None,
) -> dict[str, object]:
    chunk: dict[str, object] = {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion.chunk",
        "created": 1_790_000_000,
        "model": request.model,
        "choices": []
        if delta is None
        else [{"index": 0, "delta": {"role": "assistant", **delta}, "finish_reason": finish}],
    }
    if usage is not None:
        chunk["usage"] = usage
    return chunk


def _calling(number: int, place: int, call: ToolCall) -> dict[str, object]:
    """The delta of one tool call, in one piece."""
    function = {"name": call.name, "arguments": json.dumps(dict(call.arguments))}
    called = {
        "index": place,
        "id": f"call-{number}-{place}",
        "type": "function",
        "function": function,
    }
    return {"content": None, "tool_calls": [called]}


async def _write(response: web.StreamResponse, chunk: dict[str, object]) -> None:
    await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")


def _refusal(status: int, message: str, code: str, retry_after: int | None = None) -> web.Response:
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    error = {"message": message, "type": "scripted_fault", "code": code or None, "param": None}
    return web.json_response({"error": error}, status=status, headers=headers)


async def _serve(port: int) -> None:
    async with ScriptedModel(port) as model:
        sys.stderr.write(f"scripted model ready at {model.url}\n")
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="An OpenAI-compatible server that echoes.")
    parser.add_argument("--port", type=int, default=8099)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(parser.parse_args().port))
