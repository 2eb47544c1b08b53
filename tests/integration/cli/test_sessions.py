"""Tests `threadpilot sessions` as its own process on a real data folder."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.cli import sessions as shell
from bot.cli import texts
from bot.cli.main import main
from bot.copilot.agent import CopilotAgent
from bot.copilot.options import RuntimeOptions
from bot.domain.sessions import SessionOrigin, SessionRecord
from bot.ports import SessionConfig
from tests import forked_processes
from tests.forked_processes import Process
from tests.integration.copilot.session_probe import answer_to
from tests.scripted_model import ScriptedModel
from tests.unit.commands.command_fixtures import BOB, DEV, CommandFixture, command_fixture

SECONDS = 60.0


@dataclass(frozen=True)
class CommandOutput:
    """The output of the command, and its exit status."""

    status: int
    out: str
    err: str


@dataclass(frozen=True)
class Machine:
    """The machine of a bot that is stopped."""

    folder: Path
    model: ScriptedModel

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @asynccontextmanager
    async def bot(self) -> AsyncIterator[CommandFixture]:
        """The bot's data, while it has the data folder open."""
        async with command_fixture(self.data) as bot:
            yield bot

    async def in_runtime(self, *session_ids: str) -> None:
        """Create sessions in the runtime."""
        options = RuntimeOptions(data_dir=self.data, base_url=self.model.url)
        async with CopilotAgent(options) as agent:
            for session_id in session_ids:
                session = await agent.open_session(session_id, SessionConfig())
                await answer_to(session, "hello")
                await session.close()

    async def start(self, *arguments: str, **settings: str) -> Process:
        """Start the command, without Slack tokens."""
        home = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        wanted = {"DATA_DIR": str(self.data), "MODEL_BASE_URL": self.model.url, **settings}
        return await forked_processes.start(
            main,
            "sessions",
            *arguments,
            cwd=self.folder,
            env={**home, **wanted},
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
        )

    async def run(self, *arguments: str, typed: str = "", **settings: str) -> CommandOutput:
        """Run the command to its end. `typed` is the answer to its question."""
        return await self.finish(await self.start(*arguments, **settings), typed)

    async def finish(self, process: Process, typed: str = "") -> CommandOutput:
        async with asyncio.timeout(SECONDS):
            out, err = await process.communicate(typed.encode())
        assert process.returncode is not None
        return CommandOutput(process.returncode, out.decode(), err.decode())


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    async with ScriptedModel() as model:
        yield Machine(tmp_path, model)


async def three_sessions(machine: Machine) -> list[SessionRecord]:
    async with machine.bot() as bot:
        return [
            await bot.context_for(1, text="What is \x1b[31mPython?"),
            await bot.context_for(2, user=BOB, channel=DEV, text="Mend `this` for me"),
            await bot.context_for(3, text="What is Rust?"),
        ]


async def test_sessions_are_listed_for_users_and_for_programs(machine: Machine) -> None:
    await three_sessions(machine)
    result = await machine.run("list")
    assert result.status == 0
    assert [line.split()[0] for line in result.out.splitlines()] == ["s3", "s2", "s1", "3"]
    assert "What is Rust?" in result.out
    assert result.out.count("gpt-5") == 3, "the model that answered is told"
    assert "\x1b" not in result.out
    assert result.err == ""

    result = await machine.run("list", "--json", "--owner", BOB, "--channel", DEV)
    shape = json.loads(result.out)
    assert (shape["total"], shape["page"]) == (1, 1)
    (session,) = shape["sessions"]
    assert session["handle"] == "s2"
    assert session["title"] == "Mend `this` for me"
    assert (session["turns"], session["current"]) == (1, True)
    assert (await machine.run("list", "--page", "2", "--json")).out.count("handle") == 0


async def test_a_reset_gives_the_thread_a_fresh_session_and_keeps_the_old_one(
    machine: Machine,
) -> None:
    (first, *_) = await three_sessions(machine)
    result = await machine.run("reset", "s1")
    assert (result.status, result.out) == (0, texts.RESET.format(handle="s1", fresh="s4") + "\n")
    async with machine.bot() as bot:
        current = await bot.store.current_session(first.thread)
        assert current is not None
        assert (current.handle, current.owner) == ("s4", first.owner)
        assert (await bot.session(1)).current is False
        (entry,), _ = await bot.store.list_audit_entries(0, 5)
        assert (entry.actor, entry.action, entry.target) == ("shell", "sessions reset", "s1")
    result = await machine.run("reset", "s1")
    assert result.status == 1
    assert texts.NOT_CURRENT.format(handle="s1") in result.err


async def test_a_session_is_deleted_only_after_a_yes(machine: Machine) -> None:
    (first, *_) = await three_sessions(machine)
    await machine.in_runtime(first.id)
    for typed in ("", "perhaps\n"):
        result = await machine.run("delete", "s1", typed=typed)
        assert (result.status, texts.NOTHING_DELETED in result.err) == (1, True)
    result = await machine.run("delete", "s1", typed="y\n")
    assert result.status == 0
    assert "s1 is deleted" in result.out
    assert "0 B" not in result.out
    assert (await machine.run("delete", "s2", "--yes")).status == 0
    async with machine.bot() as bot:
        assert await bot.store.session_by_number(1) is None
        assert await bot.store.session_by_number(2) is None
        entries, _ = await bot.store.list_audit_entries(0, 5)
        assert [(each.action, each.target, each.detail) for each in entries] == [
            ("sessions delete", "s2", "of U0BOB, 1 turn"),
            ("sessions delete", "s1", "of U0ALICE, 1 turn"),
        ]
    assert first.id not in [each.name for each in machine.data.rglob("*")]


async def test_ctrl_c_at_the_question_ends_it_at_once(machine: Machine) -> None:
    await three_sessions(machine)
    process = await machine.start("delete", "s1")
    assert process.stdout is not None
    async with asyncio.timeout(SECONDS):
        await process.stdout.readuntil(texts.YES_OR_NO.encode())
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(SECONDS):
        assert await process.wait() == 1
    assert texts.INTERRUPTED in (await machine.finish(process)).err
    async with machine.bot() as bot:
        assert len(await bot.store.session_ids()) == 3


async def test_a_session_with_an_unanswered_question_is_not_deleted(machine: Machine) -> None:
    async with machine.bot() as bot:
        await bot.context_with(1)
    result = await machine.run("delete", "s1", "--yes")
    assert (result.status, texts.IN_USE.format(handle="s1") in result.err) == (1, True)


async def test_a_cleanup_says_what_would_go_then_asks_then_deletes(machine: Machine) -> None:
    sessions = await three_sessions(machine)
    await machine.in_runtime(*(session.id for session in sessions), "on-no-record")

    result = await machine.run("cleanup", "--user", BOB, "--dry-run")
    assert result.status == 0
    assert "To be deleted: 1 session" in result.out
    assert "On disk but not in the database (deleted as well): 1 session" in result.out
    result = await machine.run("cleanup", "--user", BOB, typed="no\n")
    assert (result.status, texts.NOTHING_DELETED in result.err) == (1, True)

    result = await machine.run("cleanup", "--user", BOB, typed="yes\n")
    assert result.status == 0
    assert "1 session deleted" in result.out
    assert "1 orphans" in result.out
    assert texts.PROGRESS.format(deleted="1", total="1") in result.err
    result = await machine.run("cleanup", "--user", BOB, "--yes")
    assert "0 sessions deleted" in result.out
    async with machine.bot() as bot:
        assert await bot.store.session_ids() == {sessions[0].id, sessions[2].id}
        entries, _ = await bot.store.list_audit_entries(0, 5)
        assert {entry.action for entry in entries} == {"sessions cleanup"}
        details = [entry.detail.partition(":")[0] for entry in entries]
        assert details == ["done", "begun", "done", "begun"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cleanup", "--everything"), "unrecognized arguments"),
        (("cleanup", "--older-than"), "expected one argument"),
        (("cleanup", "--older", "30d"), "unrecognized arguments"),
        (("list", "--page", "0"), texts.BAD_PAGE),
        (("export", "s1", "--format", "pdf"), "invalid choice"),
        (("explode",), "invalid choice"),
        ((), "required"),
    ],
)
def test_arguments_that_there_are_not_get_a_message(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as error:
        shell.main(arguments)
    assert error.value.code == 2
    assert message in capsys.readouterr().err


async def test_a_cleanup_that_makes_no_sense_gets_a_message_and_status_2(
    machine: Machine,
) -> None:
    await three_sessions(machine)
    for arguments, message in (
        ((), texts.SAY_WHICH),
        (("--older-than", "soon"), "an age"),
        (("--keep", "-3"), "a valid number"),
        (("--all", "--keep", "3"), "combined with other flags"),
    ):
        result = await machine.run("cleanup", *arguments, typed="y\n")
        assert result.status == 2
        assert message in result.err
        assert "Traceback" not in result.err


@pytest.mark.parametrize("cut_short_by", [signal.SIGINT, signal.SIGKILL])
async def test_a_cleanup_that_is_cut_short_is_ended_by_doing_it_again(
    machine: Machine, cut_short_by: signal.Signals
) -> None:
    async with machine.bot() as bot:
        source = await bot.context_for(1)
        for number in range(400):
            await bot.store.add_session(
                source,
                session_id=f"copy-{number}",
                origin=SessionOrigin.FORK,
                thread=source.thread,
                owner=source.owner,
            )
    process = await machine.start("cleanup", "--all", "--yes")
    assert process.stderr is not None
    async with asyncio.timeout(SECONDS):
        assert b"50 of 401" in await process.stderr.readline()
    with suppress(ProcessLookupError):
        process.send_signal(cut_short_by)
    result = await machine.finish(process)
    assert "Traceback" not in result.err
    if result.status == 1:
        assert texts.REPEAT in result.err

    assert (await machine.run("cleanup", "--all", "--yes")).status == 0
    async with machine.bot() as bot:
        assert await bot.store.session_ids() == set()


async def test_a_transcript_is_written_as_markdown_or_json(machine: Machine) -> None:
    await three_sessions(machine)
    result = await machine.run("export", "s2")
    assert result.status == 0
    assert "Mend `this` for me" in result.out
    assert "A language." in result.out

    file = machine.folder / "out.json"
    result = await machine.run("export", "S2", "--json", "-o", str(file))
    assert (result.status, result.out) == (0, "")
    (turn,) = json.loads(file.read_text())["turns"]
    assert (turn["question"], turn["answer"]) == ("Mend `this` for me", "A language.")
    assert file.stat().st_mode & 0o077 == 0

    async with machine.bot() as bot:
        (entry, _), _ = await bot.store.list_audit_entries(0, 5)
        assert (entry.action, entry.target, entry.detail) == ("sessions export", "s2", "of U0BOB")

    result = await machine.run("export", "s2", "-o", str(machine.folder / "none" / "out.md"))
    assert result.status == 1
    assert "Traceback" not in result.err


async def test_sessions_that_are_not_there_are_named(machine: Machine) -> None:
    await three_sessions(machine)
    for command, handle in (("reset", "s99"), ("delete", "nonsense"), ("export", "s0")):
        result = await machine.run(command, handle)
        assert (result.status, handle in result.err) == (1, True)


async def test_while_the_bot_runs_it_says_so_and_does_nothing(machine: Machine) -> None:
    async with machine.bot() as bot:
        await bot.context_for(1)
        result = await machine.run("cleanup", "--all", "--yes")
        assert result.status == 1
        assert "is in use by another Threadpilot" in result.err
        assert len(await bot.store.session_ids()) == 1


async def test_a_folder_without_a_database_is_not_made_into_one(machine: Machine) -> None:
    result = await machine.run("list")
    assert result.status == 1
    assert "DATA_DIR" in result.err
    assert not machine.data.exists()


async def test_settings_that_sessions_need_are_checked_and_the_others_are_not(
    machine: Machine,
) -> None:
    await three_sessions(machine)
    result = await machine.run("list", SLACK_BOT_TOKEN="nonsense", HTTP_PORT="no", MAX_TURNS="many")
    assert result.status == 0
    result = await machine.run("list", MODEL_BASE_URL="nowhere")
    assert result.status == 2
    assert "MODEL_BASE_URL" in result.err
