"""Canaries: the bot's own secrets, and texts that look like one, are found nowhere afterwards."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from bot.cli.main import main
from bot.cli.run import READY
from bot.redaction import REPLACEMENT
from tests import forked_processes
from tests.emulator_client import GENERAL, SIGNING_SECRET
from tests.forked_processes import Process
from tests.scenarios.conftest import ScenarioClient
from tests.scripted_model import Answer, ScriptedModel, ToolCall

BOT, APP = "xoxb-sandbox", "xapp-sandbox"
KEY = "sk-canary-of-the-models-key"
GITHUB = "ghp_canaryOfTheGitHubToken0123456789"
OURS = (BOT, APP, SIGNING_SECRET, KEY, GITHUB)
THEIRS = "xoxp-9999-somebody-elses-token"
"""Looks like a token and is not one of ours: for logs that is enough."""

ROLES = '[files]\ninstructions = "Read."\ntools = ["view"]\nfolder = "files"\n'


class Running:
    """A bot that runs as a process of its own and logs everything."""

    def __init__(self, process: Process, log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def output(self) -> str:
        return self._log.read_text(encoding="utf-8")

    async def ready(self) -> None:
        async with asyncio.timeout(60):
            while READY not in self.output:
                assert self.process.returncode is None, self.output
                await asyncio.sleep(0.05)


@asynccontextmanager
async def running(env: dict[str, str], log: Path) -> AsyncIterator[Running]:
    """`threadpilot run` with a umask that hides nothing."""
    with log.open("ab") as output:
        process = await forked_processes.start(
            main, "run", env={**os.environ, **env}, stdout=output, stderr=output, umask=0
        )
    try:
        bot = Running(process, log)
        await bot.ready()
        yield bot
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 60) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.fixture
def canaries(env: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """Every possible secret, and a role that can read."""
    (tmp_path / "files").mkdir()
    (tmp_path / "roles.toml").write_text(ROLES)
    return env | {
        "SLACK_SIGNING_SECRET": SIGNING_SECRET,
        "MODEL_API_KEY": KEY,
        "GITHUB_TOKEN": GITHUB,
        "ROLES_FILE": str(tmp_path / "roles.toml"),
        "LOG_LEVEL": "DEBUG",
        "SILENCE_SECONDS": "20",
    }


def files_of(folder: Path, named: str = "*") -> Iterator[Path]:
    return (path for path in folder.rglob(named) if path.is_file() and not path.is_symlink())


def rights_in(folder: Path) -> dict[Path, int]:
    """The permissions of a folder and of all that is in it."""
    return {path: stat.S_IMODE(path.stat().st_mode) for path in [folder, *folder.rglob("*")]}


def texts_of(paths: Iterable[Path]) -> dict[str, str]:
    """The texts in files, in any format."""
    return {str(path): path.read_bytes().decode("utf-8", "replace") for path in paths}


def found_in(texts: dict[str, str], secrets: tuple[str, ...]) -> list[str]:
    return [
        f"{secret} in {name}"
        for name, text in texts.items()
        for secret in secrets
        if secret in text
    ]


async def everything_seen(slack: ScenarioClient) -> dict[str, str]:
    """All calls of the bot to Slack, and all that users see of it."""
    seen = {
        f"call {n} {c['method']}": json.dumps(c["arguments"])
        for n, c in enumerate(await slack.calls())
    }
    for person in ("alice", "bob"):
        seen[f"what {person} alone sees"] = json.dumps(await slack.ephemeral(person))
        for name, content in await slack.files_of(person):
            seen[f"{person}'s file {name}"] = content
    return seen


async def driven(slack: ScenarioClient, model: ScriptedModel, threads: list[str]) -> None:
    """Answers, errors, status, lists, exports, audit: all views of a thread."""
    ts = await slack.start_thread("alice", "hello", "and then?")
    threads.append(ts)
    model.when("break", Answer(fault=401, code=THEIRS))
    await slack.say("alice", GENERAL, "break it", thread_ts=ts)
    await slack.wait_until_answered(GENERAL, ts, n=3)
    model.when("refuse", Answer(fault=400, code=THEIRS))
    await slack.say("alice", GENERAL, "refuse it", thread_ts=ts)
    await slack.wait_until_answered(GENERAL, ts, n=4)
    for command in ("!status", "!history", "!sessions", "!model"):
        await slack.ephemeral_after_message("alice", GENERAL, ts, command)
    for number, form in enumerate(("markdown", "json"), start=1):
        await slack.say("alice", GENERAL, f"!export {form}", thread_ts=ts)

        async def exported(wanted: int = number) -> bool:
            return len(await slack.files_of("alice")) == wanted

        await slack.wait_for(exported, 20.0, "the export comes")
    for command in ("admin", "admin audit", "admin usage", "admin sessions"):
        await slack.card_for("alice", GENERAL, command)
    await slack.home("alice")
    await slack.wait_for_published_home_text("alice", "Your settings")


async def test_no_secret_is_written_or_shown_anywhere(
    canaries: dict[str, str], slack: ScenarioClient, model: ScriptedModel, tmp_path: Path
) -> None:
    """Logs at the most verbose level, every call to Slack, every file, also the runtime's own. No
    file and no folder is readable by other users."""
    log, data = tmp_path / "log", Path(canaries["DATA_DIR"])
    threads: list[str] = []
    async with running(canaries, log) as bot:
        await driven(slack, model, threads)
        rights = rights_in(data)
        assert "turn ended: state=done" in bot.output
    assert {path: oct(mode) for path, mode in rights.items() if mode & 0o077} == {}
    assert rights[data] == 0o700
    assert {path.name for path in rights} >= {
        "threadpilot.db",
        "threadpilot.db-wal",
        "events.jsonl",
    }
    assert all(request.key == KEY for request in model.requests)

    assert found_in(texts_of(files_of(data)), OURS) == []
    assert found_in(await everything_seen(slack), OURS) == []
    assert found_in({"the log": log.read_text()}, (*OURS, THEIRS)) == []


async def test_a_secret_in_a_message_or_an_answer_is_not_repeated(
    canaries: dict[str, str], slack: ScenarioClient, model: ScriptedModel, tmp_path: Path
) -> None:
    """Posted in Slack, read in a file by a role, or written by the model itself, piece by piece.
    Messages, exports, logs and the database have none of it."""
    log, data = tmp_path / "log", Path(canaries["DATA_DIR"])
    (tmp_path / "files" / "env").write_text(f"TOKEN={BOT}\n")
    model.when(
        "say it", Answer(chunks=[*f"It is {BOT}, or {KEY}", f" or {APP}. "], chunk_delay=0.01)
    )
    disguised = [*"\u200b".join(BOT), " and ", *" ".join(KEY), " and ", *"`\n`".join(APP), "."]
    model.when("hide it", Answer(chunks=["Hidden: ", *disguised], chunk_delay=0.01))
    model.when("read it", Answer(lambda request: f"The file says: {request.results[-1]}"))
    model.when("read it", Answer(calls=[ToolCall("view", {"path": "env"})], times=1))
    async with running(canaries, log):
        ts = await slack.start_thread("alice", f"my token is {BOT}", "say it")
        assert f"It is {REPLACEMENT}, or {REPLACEMENT} or {REPLACEMENT}." in "".join(
            await slack.bot_texts(GENERAL, ts)
        )
        assert f"my token is {REPLACEMENT}" in model.requests[0].prompt
        hidden = await slack.ask_in_new_thread("alice", "hide it")
        [shown] = await slack.bot_texts(GENERAL, hidden)
        assert shown == f"Hidden: {REPLACEMENT} and {REPLACEMENT} and {REPLACEMENT}."
        other = await slack.say("alice", GENERAL, "@threadpilot files: read it")
        await slack.until_shown(GENERAL, other, f"TOKEN={REPLACEMENT}")
        assert not any(BOT in text for each in model.requests for text in each.results)
        await slack.say("alice", GENERAL, f"!title about {KEY}", thread_ts=ts)
        await slack.say("alice", GENERAL, f"!ask what is {APP}?", thread_ts=ts)
        await slack.until_shown(GENERAL, ts, f"what is {REPLACEMENT}")
        assert not any(APP in request.prompt for request in model.requests)
        await slack.say("alice", GENERAL, "!export json", thread_ts=ts)

        async def exported() -> bool:
            return bool(await slack.files_of("alice"))

        await slack.wait_for(exported, 20.0, "the export comes")
        await slack.ephemeral_after_message("alice", GENERAL, ts, "!history")
    assert found_in(await everything_seen(slack), OURS) == []
    assert found_in({"the log": log.read_text()}, OURS) == []
    assert found_in(texts_of(files_of(data, "threadpilot.*")), OURS) == []


async def test_the_runtime_gets_no_secret_that_it_does_not_need(
    canaries: dict[str, str], slack: ScenarioClient
) -> None:
    """As the kernel reports it for every process below the bot. Of the bot's environment there are
    only a few harmless names, and those of the runtime itself."""
    canaries |= {"UNRELATED_PASSWORD": "canary-of-the-machine"}
    log = Path(canaries["DATA_DIR"]).parent / "log"
    async with running(canaries, log) as bot:
        await slack.ask_in_new_thread("alice", "hello")
        below = psutil.Process(bot.process.pid).children(recursive=True)
        assert below, "the runtime is a process of its own"
        for process in below:
            [environment] = texts_of([Path(f"/proc/{process.pid}/environ")]).values()
            assert found_in({process.name(): environment}, (BOT, APP, SIGNING_SECRET, GITHUB)) == []
            assert "canary-of-the-machine" not in environment
            assert "SLACK" not in environment
            assert "canary" not in " ".join(process.cmdline())


@pytest.mark.parametrize(
    "arguments",
    [("doctor",), ("doctor", "--json"), ("sessions", "list"), ("audit", "verify")],
)
async def test_output_for_operators_has_no_secret(
    canaries: dict[str, str], slack: ScenarioClient, arguments: tuple[str, ...]
) -> None:
    """While the bot is stopped, also if Slack repeats the token in its error."""
    async with running(canaries, Path(canaries["DATA_DIR"]).parent / "log"):
        await slack.ask_in_new_thread("alice", "hello")
    await slack.fault("auth.test", "error", error=f"invalid_auth {BOT}", times=10)
    env = {**os.environ, **canaries}
    process = await forked_processes.start(main, *arguments, env=env, stdout=PIPE, stderr=PIPE)
    output = b"".join(await asyncio.wait_for(process.communicate(), 90)).decode()
    assert output
    assert found_in({"what it says": output}, OURS) == []


async def test_a_failed_start_shows_no_secret(
    canaries: dict[str, str], slack: ScenarioClient
) -> None:
    await slack.fault("auth.test", "error", error=f"invalid_auth {BOT} {THEIRS}", times=10)
    env = {**os.environ, **canaries}
    process = await forked_processes.start(main, "run", env=env, stdout=PIPE, stderr=PIPE)
    output = b"".join(await asyncio.wait_for(process.communicate(), 60)).decode()
    assert process.returncode == 1
    assert "invalid_auth" in output
    assert found_in({"what it says": output}, (*OURS, THEIRS)) == []
