"""Runs `threadpilot sessions`, which manages sessions with the code of the Slack commands.

The bot must not be running on the same data folder. Exit status: 0 success, 1 failure (the reason
is on standard error), 2 the settings or the arguments are wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bot.cli import texts
from bot.cli.sessions_args import build_parser, cleanup_flags
from bot.cli.terminal import confirm
from bot.clock import SystemClock
from bot.commands.formatting import (
    format_age,
    format_count,
    format_size,
    format_time,
    one_line,
    pluralize,
)
from bot.commands.lifecycle import delete_permanently
from bot.commands.session_state import model_of
from bot.commands.transcripts import TranscriptFormat, read_transcript
from bot.config.settings import Settings, load_settings
from bot.copilot.agent import CopilotAgent
from bot.domain.sessions import SessionFilter, SessionRecord, parse_session_handle
from bot.domain.text import truncate
from bot.errors import BotError, SettingsError
from bot.logs import start_logging
from bot.ports import Store
from bot.services import runtime_options
from bot.sessions.cleanup import Cleanup, CleanupReport
from bot.sessions.cleanup_filter import CleanupFilter, FilterSyntaxError, parse_filter
from bot.sessions.lock_files import folder_of_sessions
from bot.store import open_store
from bot.store.sqlite.data_dir import DATABASE_NAME

AUDIT_ACTOR: Final = "shell"
"""The actor in the audit log."""
PAGE_SIZE: Final = 20
"""Number of sessions on a page."""

_UNUSED_SETTINGS: Final = {
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
"""Settings that these commands do not need. Wrong values in them must not prevent a command."""


class CommandFailed(BotError):
    """A command cannot be done. The text gives the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Services:
    """What the commands use."""

    store: Store
    agent: CopilotAgent
    cleanup: Cleanup


class NoPool:
    """A `bot.sessions.cleanup.Pool` without a running bot: all sessions are free."""

    @asynccontextmanager
    async def exclusive(self, session_ids: Iterable[str]) -> AsyncIterator[frozenset[str]]:
        yield frozenset(session_ids)


def main(argv: Sequence[str]) -> int:
    """Run the command. Returns the exit status."""
    chosen = build_parser().parse_args(argv)
    try:
        settings = load_settings({**os.environ, **_UNUSED_SETTINGS})
        start_logging("WARNING", settings.secrets)
        return asyncio.run(_run_command(chosen, settings))
    except SettingsError as error:
        return _print_failure(texts.SETTINGS, *error.faults, status=2)
    except FilterSyntaxError as error:
        return _print_failure(error.user_message, status=2)
    except (BotError, OSError) as error:
        return _print_failure(str(error))
    except KeyboardInterrupt:
        return _print_failure(texts.INTERRUPTED)


def _print_failure(*lines: str, status: int = 1) -> int:
    for line in lines:
        print(f"threadpilot sessions: {line}", file=sys.stderr)
    return status


async def _run_command(arguments: argparse.Namespace, settings: Settings) -> int:
    async with _open_services(settings) as services:
        match arguments.command:
            case "list":
                return await _list_sessions(services, arguments)
            case "reset":
                return await _reset_session(services, arguments)
            case "delete":
                return await _delete_session(services, arguments)
            case "cleanup":
                return await _clean_up(services, arguments)
            case _:
                return await _export_session(services, arguments)


@asynccontextmanager
async def _open_services(settings: Settings) -> AsyncIterator[_Services]:
    """Open the database and, on demand, the runtime.

    Raises `BotError`: `DataFolderInUse` while a bot is running on the data folder.
    """
    if not (settings.data_dir / DATABASE_NAME).is_file():
        raise CommandFailed(texts.NO_DATABASE.format(folder=settings.data_dir))
    clock = SystemClock()
    async with (
        open_store(settings.data_dir, clock=clock, max_running_per_user=1) as store,
        CopilotAgent(runtime_options(settings, clock)) as agent,
    ):
        folder = folder_of_sessions(settings.data_dir)
        cleanup = Cleanup(store, agent, NoPool(), clock, sessions_dir=folder)
        yield _Services(store=store, agent=agent, cleanup=cleanup)


async def _list_sessions(services: _Services, arguments: argparse.Namespace) -> int:
    wanted = SessionFilter(owner=arguments.owner, channel=arguments.channel)
    offset = (arguments.page - 1) * PAGE_SIZE
    found = await services.store.list_sessions(wanted, offset, PAGE_SIZE)
    if arguments.json:
        listed = {
            "total": found.total,
            "page": arguments.page,
            "sessions": [_session_as_dict(session) for session in found.sessions],
        }
        print(json.dumps(listed, ensure_ascii=False, indent=2))
        return 0
    now = SystemClock().now()
    for session in found.sessions:
        print(_format_session(session, now))
    last = max(1, -(-found.total // PAGE_SIZE))
    sessions = pluralize(found.total, "session")
    print(
        texts.LISTED.format(
            sessions=sessions, page=format_count(arguments.page), last=format_count(last)
        )
    )
    return 0


async def _reset_session(services: _Services, arguments: argparse.Namespace) -> int:
    session = await _find_session(services.store, arguments.session)
    if not session.current:
        raise CommandFailed(texts.NOT_CURRENT.format(handle=session.handle))
    await _check_idle(services.store, session)
    await services.store.add_audit_entry(
        AUDIT_ACTOR, "sessions reset", session.handle, f"of {session.owner}"
    )
    fresh = await services.store.reset(session.thread, session.role, session.owner)
    print(texts.RESET.format(handle=session.handle, fresh=fresh.handle))
    return 0


async def _delete_session(services: _Services, arguments: argparse.Namespace) -> int:
    session = await _find_session(services.store, arguments.session)
    await _check_idle(services.store, session)
    question = texts.DELETE_QUESTION.format(handle=session.handle, title=_title(session))
    if not arguments.yes and not await confirm(f"{question} {texts.YES_OR_NO}"):
        raise CommandFailed(texts.NOTHING_DELETED)
    freed = await delete_permanently(
        services.store, services.agent, session, actor=AUDIT_ACTOR, action="sessions delete"
    )
    print(texts.DELETED.format(handle=session.handle, size=format_size(freed)))
    return 0


async def _clean_up(services: _Services, arguments: argparse.Namespace) -> int:
    cleanup_filter = parse_filter(cleanup_flags(arguments), now=SystemClock().now())
    if not cleanup_filter.is_specified:
        raise FilterSyntaxError(texts.SAY_WHICH)
    found = await services.cleanup.preview(cleanup_filter)
    sessions = found.sessions
    print(
        texts.FOUND.format(
            sessions=pluralize(sessions.count, "session"), size=format_size(sessions.size)
        )
    )
    if sessions.count:
        used = texts.USED.format(
            oldest=format_time(sessions.oldest), newest=format_time(sessions.newest)
        )
        print(used)
    size = format_size(found.orphan_session_bytes)
    print(texts.UNREACHABLE.format(sessions=pluralize(found.orphan_sessions, "session"), size=size))
    print(texts.LOST.format(sessions=pluralize(found.orphan_records, "session")))
    print(texts.LOCKS.format(locks=pluralize(found.stale_locks, "lock")))
    if arguments.dry_run:
        return 0
    if not arguments.yes and not await confirm(f"{texts.CLEANUP_QUESTION} {texts.YES_OR_NO}"):
        raise CommandFailed(texts.NOTHING_DELETED)
    flags = " ".join(cleanup_flags(arguments))
    detail = f"begun: {sessions.count} sessions, {sessions.size} bytes"
    await services.store.add_audit_entry(AUDIT_ACTOR, "sessions cleanup", flags, detail)
    return await _run_cleanup(services, cleanup_filter, sessions.count, flags)


async def _run_cleanup(
    services: _Services, cleanup_filter: CleanupFilter, total: int, flags: str
) -> int:
    """Run the cleanup. Ctrl-C ends it after the current batch. Returns the exit status."""
    cancelled = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, cancelled.set)

    async def progress(report: CleanupReport) -> None:
        text = texts.PROGRESS.format(
            deleted=format_count(report.deleted), total=format_count(total)
        )
        print(text, file=sys.stderr, flush=True)

    report = await services.cleanup.run(
        cleanup_filter, on_progress=progress, is_cancelled=cancelled.is_set
    )
    ended = "done" if report.is_complete else "cancelled" if report.cancelled else "ended early"
    text = texts.RESULT.format(
        deleted=pluralize(report.deleted, "session"),
        size=format_size(report.freed_bytes),
        skipped=format_count(report.skipped),
        orphans=format_count(report.orphans),
        locks=format_count(report.removed_locks),
        failed=format_count(report.failed),
    )
    await services.store.add_audit_entry(AUDIT_ACTOR, "sessions cleanup", flags, f"{ended}: {text}")
    print(text)
    return 0 if report.is_complete else _print_failure(texts.REPEAT)


async def _export_session(services: _Services, arguments: argparse.Namespace) -> int:
    session = await _find_session(services.store, arguments.session)
    await services.store.add_audit_entry(
        AUDIT_ACTOR, "sessions export", session.handle, f"of {session.owner}"
    )
    form = TranscriptFormat.JSON if arguments.json else TranscriptFormat(arguments.format)
    text = (await read_transcript(services.store, session)).render(form)
    if arguments.output is None:
        sys.stdout.write(text)
    else:
        await asyncio.to_thread(_write_private, arguments.output, text)
        print(texts.WRITTEN.format(file=arguments.output), file=sys.stderr)
    return 0


def _write_private(file: Path, text: str) -> None:
    """Write a file that only the operator's account can read: it may have private messages."""
    file.touch(mode=0o600)
    file.write_text(text, encoding="utf-8")


async def _find_session(store: Store, handle: str) -> SessionRecord:
    number = parse_session_handle(handle)
    session = await store.session_by_number(number) if number is not None else None
    if session is None:
        raise CommandFailed(texts.NO_SUCH_SESSION.format(given=truncate(one_line(handle), 40)))
    return session


async def _check_idle(store: Store, session: SessionRecord) -> None:
    """Raise `CommandFailed` if the session has a running or queued turn.

    The bot's next start continues an interrupted turn in this session.
    """
    if await store.running_turn(session.thread) or await store.waiting_turns(session.thread):
        raise CommandFailed(texts.IN_USE.format(handle=session.handle))


def _title(session: SessionRecord) -> str:
    return truncate(one_line(session.title), 60) or texts.UNTITLED


def _format_session(session: SessionRecord, now: float) -> str:
    facts = (
        pluralize(session.turn_count, "turn"),
        model_of(session) or "-",
        format_size(session.size),
        format_age(now - session.last_used_at),
        session.owner,
        str(session.thread),
        texts.CURRENT if session.current else texts.INACTIVE,
    )
    return f"{session.handle:<8} {_title(session)}  [{', '.join(facts)}]"


def _session_as_dict(session: SessionRecord) -> dict[str, object]:
    """A session as JSON. Existing keys are an interface for programs and must stay."""
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
        "turns": session.turn_count,
        "input_tokens": session.input_tokens,
        "output_tokens": session.output_tokens,
        "bytes": session.size,
        "created": session.created_at,
        "used": session.last_used_at,
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
