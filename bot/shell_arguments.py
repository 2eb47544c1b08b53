"""What may be written after `threadpilot sessions`."""

from __future__ import annotations

import argparse
from pathlib import Path

from bot import words_shell as words
from bot.narrowing import EXAMPLES
from bot.orders.transcripts import Format


def _page(given: str) -> int:
    if not given.isdecimal() or not 0 < int(given) <= 1_000_000:
        raise argparse.ArgumentTypeError(words.BAD_PAGE)
    return int(given)


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(prog="threadpilot sessions", description=words.ABOUT)
    commands = whole.add_subparsers(dest="command", required=True)

    listing = commands.add_parser("list", help=words.HELP_LIST, allow_abbrev=False)
    listing.add_argument("--owner", default="", metavar="U…", help=words.HELP_OWNER)
    listing.add_argument("--channel", default="", metavar="C…", help=words.HELP_CHANNEL)
    listing.add_argument("--page", type=_page, default=1, metavar="N")
    listing.add_argument("--json", action="store_true")

    reset = commands.add_parser("reset", help=words.HELP_RESET)
    reset.add_argument("session", metavar="s12")

    delete = commands.add_parser("delete", help=words.HELP_DELETE)
    delete.add_argument("session", metavar="s12")
    delete.add_argument("--yes", action="store_true", help=words.HELP_YES)

    cleanup = commands.add_parser("cleanup", help=words.HELP_CLEANUP, allow_abbrev=False)
    for flag, example in EXAMPLES.items():
        cleanup.add_argument(flag, metavar=example.split()[1].upper(), help=words.HELP_FLAGS[flag])
    cleanup.add_argument("--all", action="store_true", help=words.HELP_ALL)
    cleanup.add_argument("--orphans", action="store_true", help=words.HELP_ORPHANS)
    cleanup.add_argument("--dry-run", action="store_true", help=words.HELP_DRY_RUN)
    cleanup.add_argument("--yes", action="store_true", help=words.HELP_YES)

    export = commands.add_parser("export", help=words.HELP_EXPORT)
    export.add_argument("session", metavar="s12")
    export.add_argument("--format", choices=[form.value for form in Format], default="markdown")
    export.add_argument("--json", action="store_true", help=words.HELP_JSON)
    export.add_argument("-o", "--output", type=Path, metavar="FILE")
    return whole


def flags_of(chosen: argparse.Namespace) -> list[str]:
    """What narrows the cleanup, as `bot.narrowing` reads it."""
    flags = []
    for flag in EXAMPLES:
        value: str | None = vars(chosen).get(flag.removeprefix("--").replace("-", "_"))
        if value is not None:
            flags += [f"{flag}={value}"]
    return [*flags, *(["--all"] if chosen.all else []), *(["--orphans"] if chosen.orphans else [])]
