"""Runs the command `threadpilot`: arguments → settings → logs → run.

Exit status: 0 success, 1 failure (see standard error), 2 the settings are wrong.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from bot import __version__
from bot.config.settings import load_settings
from bot.errors import BotError, SettingsError, TooFewDescriptors
from bot.file_descriptors import raise_open_file_limit
from bot.logs import redact_tokens, start_logging

_SUBCOMMANDS = {
    "demo": (
        "the bot in a Slack workspace on localhost, with a small local model",
        "bot.demo.main",
    ),
    "doctor": ("check tokens, scopes, runtime, model and database", "bot.cli.doctor"),
    "sessions": ("list, reset, delete, clean up and export sessions", "bot.cli.sessions"),
    "audit": ("check that the audit log of admin acts is unchanged", "bot.cli.audit"),
    "emulator": ("the Slack workspace on localhost, without the bot", "slack_emulator.__main__"),
}
"""The help text of each, and the module whose `main` takes its arguments. A module is imported only
for its own subcommand: each would make the others slow to start."""
_ALIASES = {"sandbox": "emulator"}
"""Old names of subcommands, which go on working."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status."""
    os.umask(0o077)  # only the bot's account can read the files that it or the runtime creates
    arguments = list(sys.argv[1:] if argv is None else argv)
    chosen, rest = _parser().parse_known_args(arguments[:1])[0].command, arguments[1:]
    try:
        raise_open_file_limit()
    except TooFewDescriptors as error:
        print(f"threadpilot cannot start: {error}", file=sys.stderr)
        return 1
    chosen = _ALIASES.get(chosen, chosen)
    if chosen in _SUBCOMMANDS:
        status: int = import_module(_SUBCOMMANDS[chosen][1]).main(rest)
        return status
    _parser().parse_args(arguments)
    return run()


def run() -> int:
    """Run `threadpilot run`: the bot, until it is stopped. Returns the exit status."""
    try:
        settings = load_settings()
        raise_open_file_limit(settings.max_sessions)
        start_logging(settings.log_level, settings.secrets, settings.log_format)
        gc.disable()  # imported objects stay: collecting them costs a tenth of the start
        from bot.cli.run import run as run_loop
        from bot.cli.run import serve

        run_loop(serve(settings))
    except KeyboardInterrupt:  # later `serve` handles the signal
        print("threadpilot stops: interrupted before the start.", file=sys.stderr)
    except SettingsError as error:
        print("threadpilot cannot start, the settings are wrong:", file=sys.stderr)
        for fault in error.faults:
            print(f"  {fault}", file=sys.stderr)
        return 2
    except BotError as error:
        print(f"threadpilot stops: {redact_tokens(str(error))}", file=sys.stderr)
        print("To find out more, run: threadpilot doctor", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="threadpilot", description="Every Slack thread is one GitHub Copilot session."
    )
    parser.add_argument("--version", action="version", version=f"threadpilot {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="run the bot, with the settings of the environment or .env")
    for name, (meaning, _) in _SUBCOMMANDS.items():
        aliases = [old for old, new in _ALIASES.items() if new == name]
        commands.add_parser(name, aliases=aliases, help=meaning, add_help=False)
    return parser


if __name__ == "__main__":
    sys.exit(main())
