"""`threadpilot sessions`: look after sessions from a shell, on the code that Slack's orders use.

The bot must not run on the same data folder meanwhile. Exit status: 0 done, 1 not done and said why
on standard error, 2 the settings or the arguments are wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bot.cli import texts
from bot.cli.sessions_args import flags_of, parser
from bot.clock import SystemClock
from bot.commands.formatting import age, clipped, count, many, one_line, size, when
from bot.commands.lifecycle import deleted
from bot.commands.session_state import model_of
from bot.commands.transcripts import Format, read_transcript
from bot.config.settings import Settings, load_settings
from bot.copilot.agent import CopilotAgent
from bot.domain.sessions import SessionFilter, SessionRecord, session_number
from bot.errors import BotError, SettingsError
from bot.logs import start_logging
from bot.ports import Store
from bot.services import runtime_options
from bot.sessions.cleanup import Cleanup, Report
from bot.sessions.cleanup_filter import Narrowing, NotUnderstood, narrowing
from bot.sessions.lock_files import folder_of_sessions
from bot.store import open_store
from bot.store.sqlite.data_dir import DATABASE

BY: Final = "shell"
"""Who did it, in the audit."""
PAGE_SIZE: Final = 20

_NOT_NEEDED: Final = {
    "SLACK_BOT_TOKEN": "xoxb-not-needed",
    "SLACK_APP_TOKEN": "xapp-not-needed",
    "SLACK_SIGNING_SECRET": "",
    "SLACK_MODE": "socket",
    "SLACK_API_URL": "",
    "HTTP_PORT": "",
    "ROLES_FILE": "",
    "ADMIN_USERS": "",
    "ADMIN_GROUP": "",
    "ALLOWED_CHANNELS": "",
    "ALLOWED_USERS": "",
    "ALLOWED_BOTS": "",
    "MAX_SESSIONS": "",
    "MAX_TURNS": "",
    "CATCH_UP_SECONDS": "",
    "LOG_FORMAT": "",
    "METRICS_PORT": "",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "",
}
"""Settings of the bot that no session needs: whatever is wrong with them must not be in the way."""


class NotDone(BotError):
    """What was asked for cannot be done; its text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tools:
    """What the commands work with."""

    store: Store
    agent: CopilotAgent
    cleanup: Cleanup


class _NobodyHolds:
    """`bot.sessions.cleanup.Pool` where no bot runs."""

    @asynccontextmanager
    async def reserved(self, session_ids: Iterable[str]) -> AsyncIterator[frozenset[str]]:
        yield frozenset(session_ids)


def main(argv: Sequence[str]) -> int:
    """Do what the arguments say; the exit status."""
    chosen = parser().parse_args(argv)
    try:
        settings = load_settings({**os.environ, **_NOT_NEEDED})
        start_logging("WARNING", settings.secrets)
        return asyncio.run(_do(chosen, settings))
    except SettingsError as error:
        return _failed(texts.SETTINGS, *error.faults, status=2)
    except NotUnderstood as error:
        return _failed(error.sentence, status=2)
    except (BotError, OSError) as error:
        return _failed(str(error))
    except KeyboardInterrupt:
        return _failed(texts.INTERRUPTED)


def _failed(*lines: str, status: int = 1) -> int:
    for line in lines:
        print(f"threadpilot sessions: {line}", file=sys.stderr)
    return status


async def _do(chosen: argparse.Namespace, settings: Settings) -> int:
    async with _tools(settings) as tools:
        match chosen.command:
            case "list":
                return await _list(tools, chosen)
            case "reset":
                return await _reset(tools, chosen)
            case "delete":
                return await _delete(tools, chosen)
            case "cleanup":
                return await _clean_up(tools, chosen)
            case _:
                return await _export(tools, chosen)


@asynccontextmanager
async def _tools(settings: Settings) -> AsyncIterator[_Tools]:
    """The database and, once it is needed, the runtime. Raises `BotError`: `DataFolderInUse` while
    a bot runs on them."""
    if not (settings.data_dir / DATABASE).is_file():
        raise NotDone(texts.NO_DATABASE.format(folder=settings.data_dir))
    clock = SystemClock()
    async with (
        open_store(settings.data_dir, clock=clock, per_user=1) as store,
        CopilotAgent(runtime_options(settings, clock)) as agent,
    ):
        folder = folder_of_sessions(settings.data_dir)
        cleanup = Cleanup(store, agent, _NobodyHolds(), clock, sessions=folder)
        yield _Tools(store=store, agent=agent, cleanup=cleanup)


async def _list(tools: _Tools, chosen: argparse.Namespace) -> int:
    wanted = SessionFilter(owner=chosen.owner, channel=chosen.channel)
    offset = (chosen.page - 1) * PAGE_SIZE
    found = await tools.store.sessions(wanted, offset, PAGE_SIZE)
    if chosen.json:
        listed = {
            "total": found.total,
            "page": chosen.page,
            "sessions": [_shape(session) for session in found.sessions],
        }
        print(json.dumps(listed, ensure_ascii=False, indent=2))
        return 0
    now = SystemClock().now()
    for session in found.sessions:
        print(_line(session, now))
    last = max(1, -(-found.total // PAGE_SIZE))
    sessions = many(found.total, "session")
    print(texts.LISTED.format(sessions=sessions, page=count(chosen.page), last=count(last)))
    return 0


async def _reset(tools: _Tools, chosen: argparse.Namespace) -> int:
    session = await _named(tools.store, chosen.session)
    if not session.current:
        raise NotDone(texts.NOT_CURRENT.format(handle=session.handle))
    await _check_idle(tools.store, session)
    await tools.store.audit(BY, "sessions reset", session.handle, f"of {session.owner}")
    fresh = await tools.store.begin_anew(session.thread, session.role, session.owner)
    print(texts.RESET.format(handle=session.handle, fresh=fresh.handle))
    return 0


async def _delete(tools: _Tools, chosen: argparse.Namespace) -> int:
    session = await _named(tools.store, chosen.session)
    await _check_idle(tools.store, session)
    question = texts.DELETE_QUESTION.format(handle=session.handle, title=_title(session))
    if not chosen.yes and not await agreed(f"{question} {texts.YES_OR_NO}"):
        raise NotDone(texts.NOTHING_DELETED)
    freed = await deleted(tools.store, tools.agent, session, by=BY, act="sessions delete")
    print(texts.DELETED.format(handle=session.handle, size=size(freed)))
    return 0


async def _clean_up(tools: _Tools, chosen: argparse.Namespace) -> int:
    meant = narrowing(flags_of(chosen), now=SystemClock().now())
    if not meant.said:
        raise NotUnderstood(texts.SAY_WHICH)
    found = await tools.cleanup.preview(meant)
    sessions = found.sessions
    print(texts.FOUND.format(sessions=many(sessions.count, "session"), size=size(sessions.size)))
    if sessions.count:
        used = texts.USED.format(oldest=when(sessions.oldest), newest=when(sessions.newest))
        print(used)
    octets = size(found.unreachable_bytes)
    print(texts.UNREACHABLE.format(sessions=many(found.unreachable, "session"), size=octets))
    print(texts.LOST.format(sessions=many(found.lost, "session")))
    print(texts.LOCKS.format(locks=many(found.locks, "lock")))
    if chosen.dry_run:
        return 0
    if not chosen.yes and not await agreed(f"{texts.CLEANUP_QUESTION} {texts.YES_OR_NO}"):
        raise NotDone(texts.NOTHING_DELETED)
    flags = " ".join(flags_of(chosen))
    detail = f"begun: {sessions.count} sessions, {sessions.size} bytes"
    await tools.store.audit(BY, "sessions cleanup", flags, detail)
    return await _cleaned_up(tools, meant, sessions.count, flags)


async def _cleaned_up(tools: _Tools, meant: Narrowing, total: int, flags: str) -> int:
    """Do it; Ctrl-C ends it after the batch that it is at."""
    cancelled = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, cancelled.set)

    async def progress(sofar: Report) -> None:
        told = texts.PROGRESS.format(deleted=count(sofar.deleted), total=count(total))
        print(told, file=sys.stderr, flush=True)

    report = await tools.cleanup.run(meant, progress=progress, cancelled=cancelled.is_set)
    ended = "done" if report.whole else "cancelled" if report.cancelled else "ended early"
    told = texts.RESULT.format(
        deleted=many(report.deleted, "session"),
        size=size(report.bytes),
        skipped=count(report.skipped),
        orphans=count(report.orphans),
        locks=count(report.locks),
        failed=count(report.failed),
    )
    await tools.store.audit(BY, "sessions cleanup", flags, f"{ended}: {told}")
    print(told)
    return 0 if report.whole else _failed(texts.REPEAT)


async def _export(tools: _Tools, chosen: argparse.Namespace) -> int:
    session = await _named(tools.store, chosen.session)
    await tools.store.audit(BY, "sessions export", session.handle, f"of {session.owner}")
    form = Format.JSON if chosen.json else Format(chosen.format)
    text = (await read_transcript(tools.store, session)).written(form)
    if chosen.output is None:
        sys.stdout.write(text)
    else:
        await asyncio.to_thread(_write, chosen.output, text)
        print(texts.WRITTEN.format(file=chosen.output), file=sys.stderr)
    return 0


def _write(file: Path, text: str) -> None:
    """What people said in private places is for whoever runs the bot alone."""
    file.touch(mode=0o600)
    file.write_text(text, encoding="utf-8")


async def _named(store: Store, handle: str) -> SessionRecord:
    number = session_number(handle)
    session = await store.session(number) if number is not None else None
    if session is None:
        raise NotDone(texts.NO_SUCH_SESSION.format(given=clipped(one_line(handle), 40)))
    return session


async def _check_idle(store: Store, session: SessionRecord) -> None:
    """A turn that was cut short is taken up by the bot's next start, in this session."""
    if await store.running(session.thread) or await store.waiting(session.thread):
        raise NotDone(texts.IN_USE.format(handle=session.handle))


def _title(session: SessionRecord) -> str:
    return clipped(one_line(session.title), 60) or texts.UNTITLED


def _line(session: SessionRecord, now: float) -> str:
    facts = (
        many(session.turns, "turn"),
        model_of(session) or "-",
        size(session.size),
        age(now - session.used),
        session.owner,
        str(session.thread),
        texts.CURRENT if session.current else texts.SET_ASIDE,
    )
    return f"{session.handle:<8} {_title(session)}  [{', '.join(facts)}]"


def _shape(session: SessionRecord) -> dict[str, object]:
    """A session for programs; what it has now stays."""
    return {
        "handle": session.handle,
        "id": session.id,
        "title": session.title,
        "owner": session.owner,
        "team": session.thread.team,
        "channel": session.thread.channel,
        "thread": session.thread.root_ts,
        "role": session.role,
        "current": session.current,
        "origin": session.origin.value,
        "model": session.model,
        "turns": session.turns,
        "input_tokens": session.input_tokens,
        "output_tokens": session.output_tokens,
        "bytes": session.size,
        "created": session.created,
        "used": session.used,
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))


_STDIN: Final = 0


_LONGEST: Final = 1_000


_YES: Final = ("y", "yes")


async def agreed(question: str) -> bool:
    """Whether the person at the terminal says yes; no answer is none."""
    print(question, end=" ", flush=True)
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[str] = loop.create_future()

    def given(text: str) -> None:
        if not answer.done():
            answer.set_result(text)

    def wait() -> None:
        # Not `input`: a thread that waits in there cannot be left behind when the program ends.
        text = b""
        with suppress(OSError):
            text = os.read(_STDIN, _LONGEST)
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(given, text.decode("utf-8", "replace"))

    threading.Thread(target=wait, daemon=True, name="question").start()
    said = await answer
    if not said:
        print(file=sys.stderr)
    return said.strip().casefold() in _YES
