"""Executes `help`: lists the commands that the user may give in this place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bot.commands.dispatcher import CommandContext, CommandGroup, CommandHandler
from bot.commands.registry import COMMANDS, CommandSpec
from bot.commands.texts import sessions as session_texts
from bot.domain.cards import Button, Card, CommandResult
from bot.domain.commands import CommandSource


class Help(CommandGroup):
    """Handles `help`."""

    def __init__(self, *, slash_command: str) -> None:
        """`slash_command` has its leading slash."""
        self._slash_command = slash_command

    def handlers(self) -> Mapping[str, CommandHandler]:
        return {"help": self.help}

    async def help(self, ctx: CommandContext) -> CommandResult:
        in_thread = ctx.thread_key is not None
        prefix = "!" if in_thread else f"{self._slash_command} "
        lines = [_help_entry(spec, prefix) for spec in available_commands(ctx)]
        buttons = [Button(label=session_texts.SESSIONS, command_name="sessions")]
        if in_thread:
            buttons.append(Button(label=session_texts.STATUS, command_name="status"))
        return CommandResult(
            card=Card(
                title=session_texts.HELP_TITLE,
                text="\n".join(lines),
                buttons=tuple(buttons),
                small_print=session_texts.HELP_IN_THREAD
                if in_thread
                else session_texts.HELP_IN_CHANNEL,
            )
        )


def available_commands(ctx: CommandContext) -> Iterator[CommandSpec]:
    """The commands that the user may give in this place, in the table's order."""
    source = CommandSource.MESSAGE if ctx.thread_key is not None else CommandSource.SLASH_COMMAND
    for spec in COMMANDS.values():
        if spec.in_help and source in spec.sources and spec.permits(ctx.access_roles, ""):
            yield spec


def _help_entry(spec: CommandSpec, prefix: str) -> str:
    typed = f"{prefix}{spec.name} {spec.usage}".rstrip()
    return f"• `{typed}` – {spec.description}"
