"""The order `help`: what this person may tell the bot at this place, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bot.commands.dispatcher import Asked, Handler
from bot.commands.registry import VERBS, Verb
from bot.commands.texts import sessions as session_texts
from bot.domain.cards import Card, Outcome, Press
from bot.domain.commands import Form


class Help:
    """Tells what can be ordered."""

    def __init__(self, *, command: str) -> None:
        """`command` is the slash command's name, with its slash."""
        self._command = command

    def handlers(self) -> Mapping[str, Handler]:
        return {"help": self.help}

    async def help(self, asked: Asked) -> Outcome:
        in_thread = asked.place is not None
        prefix = "!" if in_thread else f"{self._command} "
        lines = [_line(verb, prefix) for verb in offered(asked)]
        presses = [Press(label=session_texts.SESSIONS, verb="sessions")]
        if in_thread:
            presses.append(Press(label=session_texts.STATUS, verb="status"))
        return Outcome(
            card=Card(
                title=session_texts.HELP_TITLE,
                text="\n".join(lines),
                presses=tuple(presses),
                small=session_texts.HELP_IN_THREAD if in_thread else session_texts.HELP_IN_CHANNEL,
            )
        )


def offered(asked: Asked) -> Iterator[Verb]:
    """The verbs that a person may order where they are, in the table's order."""
    form = Form.MESSAGE if asked.place is not None else Form.COMMAND
    for verb in VERBS.values():
        if verb.listed and form in verb.forms and verb.permits(asked.standings, ""):
            yield verb


def _line(verb: Verb, prefix: str) -> str:
    typed = f"{prefix}{verb.name} {verb.usage}".rstrip()
    return f"• `{typed}` – {verb.says}"
