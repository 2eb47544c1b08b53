"""Runs `threadpilot audit verify`, which checks that the audit log of admin acts is unchanged.

It only reads, so a bot may be running on the data folder. Exit status: 0 the log is intact, 1 an
entry does not match or cannot be read (see standard error), 2 the settings or arguments are wrong.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from typing import Final

from bot.cli import texts
from bot.config.settings import SETTINGS, load_settings
from bot.errors import SettingsError
from bot.store.sqlite.audit_verify import verify_audit

_HASH: Final = re.compile(r"[0-9a-f]{64}")
_UNUSED_SETTINGS: Final = {
    **{setting.name: "" for setting in SETTINGS if setting.name != "DATA_DIR"},
    "SLACK_BOT_TOKEN": "xoxb-not-needed",
    "SLACK_APP_TOKEN": "xapp-not-needed",
    "SLACK_SIGNING_SECRET": "",
    "GITHUB_TOKEN": "",
    "MODEL_API_KEY": "",
    "MODEL_BASE_URL": "http://127.0.0.1/",
}
"""All settings but the folder. Wrong values in them must not prevent a check."""


def main(argv: Sequence[str]) -> int:
    """Run the command. Returns the exit status."""
    chosen = _parser().parse_args(argv)
    try:
        settings = load_settings({**os.environ, **_UNUSED_SETTINGS})
    except SettingsError as error:
        print(f"threadpilot audit: {texts.SETTINGS}", *error.faults, sep="\n", file=sys.stderr)
        return 2
    found = verify_audit(settings.data_dir, chosen.expect or "")
    print(found.message, file=sys.stdout if found.ok else sys.stderr)
    return 0 if found.ok else 1


def _hash_argument(given: str) -> str:
    given = given.strip().lower()
    if not _HASH.fullmatch(given):
        raise argparse.ArgumentTypeError(texts.BAD_HASH)
    return given


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="threadpilot audit", description=texts.ABOUT_AUDIT)
    commands = parser.add_subparsers(dest="command", required=True)
    verifying = commands.add_parser("verify", help=texts.HELP_VERIFY, allow_abbrev=False)
    verifying.add_argument("--expect", type=_hash_argument, metavar="HASH", help=texts.HELP_EXPECT)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
