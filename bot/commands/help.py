"""The order `help`: what this person may tell the bot at this place, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bot.commands.dispatcher import CommandContext, CommandHandler
from bot.commands.registry import COMMANDS, CommandSpec
from bot.commands.texts import sessions as session_texts
from bot.domain.cards import Button, Card, CommandResult
from bot.domain.commands import CommandSource


class Help:
    """Tells what can be ordered."""

    def __init__(self, *, slash_command: str) -> None:
        """`command` is the slash command's name, with its slash."""
        self._command = slash_command

    def handlers(self) -> Mapping[str, CommandHandler]:
        return {"help": self.help}

    async def help(self, ctx: CommandContext) -> CommandResult:
        in_thread = ctx.thread_key is not None
        prefix = "!" if in_thread else f"{self._command} "
        lines = [_help_entry(verb, prefix) for verb in available_commands(ctx)]
        presses = [Button(label=session_texts.SESSIONS, command_name="sessions")]
        if in_thread:
            presses.append(Button(label=session_texts.STATUS, command_name="status"))
        return CommandResult(
            card=Card(
                title=session_texts.HELP_TITLE,
                text="\n".join(lines),
                buttons=tuple(presses),
                small_print=session_texts.HELP_IN_THREAD
                if in_thread
                else session_texts.HELP_IN_CHANNEL,
            )
        )


def available_commands(ctx: CommandContext) -> Iterator[CommandSpec]:
    """The verbs that a person may order where they are, in the table's order."""
    form = CommandSource.MESSAGE if ctx.thread_key is not None else CommandSource.SLASH_COMMAND
    for verb in COMMANDS.values():
        if verb.in_help and form in verb.sources and verb.permits(ctx.access_roles, ""):
            yield verb


def _help_entry(spec: CommandSpec, prefix: str) -> str:
    typed = f"{prefix}{spec.name} {spec.usage}".rstrip()
    return f"• `{typed}` – {spec.description}"
