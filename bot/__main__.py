"""The command `threadpilot`: arguments → settings → logs → run.

Exit status: 0 fine, 1 something is wrong and said on standard error, 2 the settings are wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence

from bot import __version__, demo, doctor, serving, shell, shell_audit
from bot.config import load_settings
from bot.errors import BotError, SettingsError
from bot.logs import start_logging, without_tokens
from bot.sandbox import __main__ as sandbox

_OWN_ARGUMENTS = {
    "demo": ("the bot in a Slack workspace on localhost, with a small local model", demo.main),
    "doctor": ("check tokens, scopes, runtime, model and database", doctor.main),
    "sessions": ("list, reset, delete, clean up and export sessions", shell.main),
    "audit": ("check that nothing was changed in the record of admin acts", shell_audit.main),
    "sandbox": ("the Slack workspace on localhost, alone", sandbox.main),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""
    os.umask(0o077)  # whatever it or the runtime makes is for its own account alone
    arguments = list(sys.argv[1:] if argv is None else argv)
    chosen, rest = _parser().parse_known_args(arguments[:1])[0].command, arguments[1:]
    if chosen in _OWN_ARGUMENTS:
        return _OWN_ARGUMENTS[chosen][1](rest)
    _parser().parse_args(arguments)
    return run()


def run() -> int:
    """`threadpilot run`: the bot, until it is asked to stop."""
    try:
        settings = load_settings()
        start_logging(settings.log_level, settings.secrets, settings.log_format)
        asyncio.run(serving.serve(settings))
    except SettingsError as error:
        print("threadpilot cannot start, because of its settings:", file=sys.stderr)
        for fault in error.faults:
            print(f"  {fault}", file=sys.stderr)
        return 2
    except BotError as error:
        print(f"threadpilot stops: {without_tokens(str(error))}", file=sys.stderr)
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
    for name, (meaning, _) in _OWN_ARGUMENTS.items():
        commands.add_parser(name, help=meaning, add_help=False)
    return parser


if __name__ == "__main__":
    sys.exit(main())
