"""Defines the arguments of `threadpilot sessions`."""

from __future__ import annotations

import argparse
from pathlib import Path

from bot.cli import texts
from bot.commands.transcripts import TranscriptFormat
from bot.sessions.cleanup_filter import EXAMPLES


def _page_number(given: str) -> int:
    if not given.isdecimal() or not 0 < int(given) <= 1_000_000:
        raise argparse.ArgumentTypeError(texts.BAD_PAGE)
    return int(given)


def build_parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(prog="threadpilot sessions", description=texts.ABOUT)
    commands = whole.add_subparsers(dest="command", required=True)

    listing = commands.add_parser("list", help=texts.HELP_LIST, allow_abbrev=False)
    listing.add_argument("--owner", default="", metavar="U…", help=texts.HELP_OWNER)
    listing.add_argument("--channel", default="", metavar="C…", help=texts.HELP_CHANNEL)
    listing.add_argument("--page", type=_page_number, default=1, metavar="N")
    listing.add_argument("--json", action="store_true")

    reset = commands.add_parser("reset", help=texts.HELP_RESET)
    reset.add_argument("session", metavar="s12")

    delete = commands.add_parser("delete", help=texts.HELP_DELETE)
    delete.add_argument("session", metavar="s12")
    delete.add_argument("--yes", action="store_true", help=texts.HELP_YES)

    cleanup = commands.add_parser("cleanup", help=texts.HELP_CLEANUP, allow_abbrev=False)
    for flag, example in EXAMPLES.items():
        cleanup.add_argument(flag, metavar=example.split()[1].upper(), help=texts.HELP_FLAGS[flag])
    cleanup.add_argument("--all", action="store_true", help=texts.HELP_ALL)
    cleanup.add_argument("--orphans", action="store_true", help=texts.HELP_ORPHANS)
    cleanup.add_argument("--dry-run", action="store_true", help=texts.HELP_DRY_RUN)
    cleanup.add_argument("--yes", action="store_true", help=texts.HELP_YES)

    export = commands.add_parser("export", help=texts.HELP_EXPORT)
    export.add_argument("session", metavar="s12")
    export.add_argument(
        "--format", choices=[form.value for form in TranscriptFormat], default="markdown"
    )
    export.add_argument("--json", action="store_true", help=texts.HELP_JSON)
    export.add_argument("-o", "--output", type=Path, metavar="FILE")
    return whole


def cleanup_flags(arguments: argparse.Namespace) -> list[str]:
    """The cleanup filter of the arguments, as flags for `bot.sessions.cleanup_filter`."""
    flags = []
    for flag in EXAMPLES:
        value: str | None = vars(arguments).get(flag.removeprefix("--").replace("-", "_"))
        if value is not None:
            flags += [f"{flag}={value}"]
    return [
        *flags,
        *(["--all"] if arguments.all else []),
        *(["--orphans"] if arguments.orphans else []),
    ]
