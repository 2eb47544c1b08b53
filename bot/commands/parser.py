"""Finds an order in what somebody typed. Whatever is none is a question for the model.

`!verb …` is an order whatever follows. Without the mark, a sentence is an order only when it is
nothing but one: `model gpt-5` is, `model trains` is not. Verbs that free words follow take a colon
instead of the mark: `ask: …`.
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
"""Characters of a sentence that may be an order; a longer one is a question."""
_NEVER_MATCHES: Final = r"(?!)"
_ANY_WORD: Final = r"\S{1,200}"
_MODEL_LIKE: Final = r"(?=\S{0,199}[-0-9./:])\S{1,200}"
"""A word as no language has it: `gpt-5`, `o3`, `llama3.2:1b`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownNames:
    """What orders may name."""

    models: frozenset[str] = field(default_factory=frozenset)
    roles: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedCommand:
    """A verb and what was said after it."""

    name: str
    args: str


def parse_command(
    text: str, known: KnownNames, source: CommandSource, *, from_slash_command: bool = False
) -> ParsedCommand | None:
    """The order in a sentence, if it is one. `commanded`: what follows the slash command is looked
    through for an order that has another form only."""
    if len(text) > _MAX_COMMAND_CHARS:
        return None
    marked = text.startswith("!")
    first, _, rest = text.removeprefix("!").partition(" ")
    name, newline, more = first.partition("\n")
    verb = COMMANDS_AND_ALIASES.get(name.removesuffix(":").casefold())
    if verb is None or source not in verb.sources:
        return None
    words = f"{more} {rest}".strip() if newline else rest.strip()
    from_slash_command = from_slash_command or source is CommandSource.SLASH_COMMAND
    spoken = verb.takes_free_text and (name.endswith(":") or from_slash_command)
    if marked or spoken:
        return ParsedCommand(name=verb.name, args=words)
    if name.endswith(":") or not _args_match(verb, words, known, source):
        return None
    return ParsedCommand(name=verb.name, args=words)


def parse_message(message: Message, known: KnownNames) -> Command | Message:
    """A message as an order, or as a question: to the session of a role where it begins with one
    (`review: …`)."""
    if message.trigger is Trigger.BOT_MENTION:  # bots ask, and order nothing
        return apply_role_prefix(message, known.roles)
    spoken_to = message.trigger in (Trigger.MENTION, Trigger.DIRECT)
    marked = message.text.startswith("!") and message.trigger is not Trigger.COMMAND
    if message.trigger not in (Trigger.OVERHEARD, Trigger.BOT) and (spoken_to or marked):
        said = parse_command(message.text, known, CommandSource.MESSAGE)
        if said is not None and COMMANDS[said.name].uses_ids and message.command_text:
            said = parse_command(message.command_text, known, CommandSource.MESSAGE) or said
        if said is not None:
            return Command(
                key=message.event_id,
                name=said.name,
                args=said.args,
                user=message.user,
                source=CommandSource.MESSAGE,
                team=message.thread.team,
                channel=message.thread.channel,
                thread=message.thread,
                ts=message.ts,
            )
    return apply_role_prefix(message, known.roles)


def apply_role_prefix(message: Message, roles: frozenset[str]) -> Message:
    """The message as a question to a role's session, where it begins with the role's name and a
    colon."""
    role, question = split_role_prefix(message.text)
    if role not in roles:
        return message
    return replace(message, text=question, options=MessageOptions(role=role))


def split_handle(args: str) -> tuple[str, int | None]:
    """The words without a session's handle, and its number; None where none is named. A handle
    stands first, or last after other words (`json s12`)."""
    parts = args.split()
    for place in (0, -1):
        if parts and parts[place][:1] in "sS" and (number := parse_session_handle(parts[place])):
            del parts[place]
            return " ".join(parts), number
    return args, None


def _args_match(spec: CommandSpec, args: str, known: KnownNames, source: CommandSource) -> bool:
    """Whether what follows a verb makes the sentence an order. Who gets a model's name wrong is to
    be told which there are; but a message with any word there may be a question."""
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
