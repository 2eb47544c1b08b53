"""Parses a typed text into a command; any other text is a question for the model.

`!name …` is always a command. Without the mark, a text is a command only if it is nothing else:
`model gpt-5` is one, `model trains` is not. Commands that take free text use a colon in place of
the mark: `ask: …`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Final

from bot.commands.registry import COMMANDS, COMMANDS_AND_ALIASES, CommandSpec
from bot.domain.commands import Command, CommandSource
from bot.domain.messages import Message, MessageOptions, Trigger
from bot.domain.sessions import parse_session_handle
from bot.sessions.roles import split_role_prefix

_MAX_COMMAND_CHARS: Final = 4_000
"""Maximum length of a command in characters; a longer text is a question."""
_NEVER_MATCHES: Final = r"(?!)"
_ANY_WORD: Final = r"\S{1,200}"
_MODEL_LIKE: Final = r"(?=\S{0,199}[-0-9./:])\S{1,200}"
"""The pattern of a model's name, which no ordinary word matches: `gpt-5`, `o3`, `llama3.2:1b`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownNames:
    """The names that a command may mention."""

    models: frozenset[str] = field(default_factory=frozenset)
    roles: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedCommand:
    """A command name and its arguments."""

    name: str
    args: str


def parse_command(
    text: str, known: KnownNames, source: CommandSource, *, from_slash_command: bool = False
) -> ParsedCommand | None:
    """The command in a text, or None.

    `from_slash_command` is True to parse by the rules of slash commands though `source` is
    another one: it finds commands that only work elsewhere.
    """
    if len(text) > _MAX_COMMAND_CHARS:
        return None
    marked = text.startswith("!")
    first, _, rest = text.removeprefix("!").partition(" ")
    name, newline, more = first.partition("\n")
    spec = COMMANDS_AND_ALIASES.get(name.removesuffix(":").casefold())
    if spec is None or source not in spec.sources:
        return None
    args = f"{more} {rest}".strip() if newline else rest.strip()
    from_slash_command = from_slash_command or source is CommandSource.SLASH_COMMAND
    free_text = spec.takes_free_text and (name.endswith(":") or from_slash_command)
    if marked or free_text:
        return ParsedCommand(name=spec.name, args=args)
    if name.endswith(":") or not _args_match(spec, args, known, source):
        return None
    return ParsedCommand(name=spec.name, args=args)


def parse_message(message: Message, known: KnownNames) -> Command | Message:
    """The command in a message, or the message as a question.

    A question that begins with a role (`review: …`) goes to the session of that role.
    """
    if message.trigger is Trigger.BOT_MENTION:  # bots ask, and give no commands
        return apply_role_prefix(message, known.roles)
    addressed = message.trigger in (Trigger.MENTION, Trigger.DIRECT)
    marked = message.text.startswith("!") and message.trigger is not Trigger.POSTED_QUESTION
    if message.trigger not in (Trigger.OVERHEARD, Trigger.BOT) and (addressed or marked):
        parsed = parse_command(message.text, known, CommandSource.MESSAGE)
        if parsed is not None and COMMANDS[parsed.name].uses_ids and message.command_text:
            parsed = parse_command(message.command_text, known, CommandSource.MESSAGE) or parsed
        if parsed is not None:
            return Command(
                key=message.event_id,
                name=parsed.name,
                args=parsed.args,
                user=message.user,
                source=CommandSource.MESSAGE,
                team=message.thread.team,
                channel=message.thread.channel,
                thread=message.thread,
                ts=message.ts,
            )
    return apply_role_prefix(message, known.roles)


def apply_role_prefix(message: Message, roles: frozenset[str]) -> Message:
    """The message, as a question to a role's session if it begins with the role and a colon."""
    role, question = split_role_prefix(message.text)
    if role not in roles:
        return message
    return replace(message, text=question, options=MessageOptions(role=role))


def split_handle(args: str) -> tuple[str, int | None]:
    """The arguments without a session's handle, and the session's number or None.

    A handle comes first, or last after other words (`json s12`).
    """
    parts = args.split()
    for index in (0, -1):
        if parts and parts[index][:1] in "sS" and (number := parse_session_handle(parts[index])):
            del parts[index]
            return " ".join(parts), number
    return args, None


def _args_match(spec: CommandSpec, args: str, known: KnownNames, source: CommandSource) -> bool:
    """True if the arguments make the text a command.

    A slash command accepts any word as a model, so that a wrong name gets the list of models. In a
    message such a text may be a question.
    """
    models = _alternatives(known.models)
    pattern = (
        spec.args_pattern.replace("{model}", models)
        .replace(
            "{a_model}",
            _ANY_WORD if source is CommandSource.SLASH_COMMAND else f"(?:{models}|{_MODEL_LIKE})",
        )
        .replace("{role}", _alternatives(known.roles))
    )
    return re.fullmatch(pattern, args, re.IGNORECASE | re.DOTALL) is not None


def _alternatives(names: frozenset[str]) -> str:
    longest_first = sorted(names, key=len, reverse=True)
    return f"(?:{'|'.join(map(re.escape, longest_first)) or _NEVER_MATCHES})"
