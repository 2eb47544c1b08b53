"""Finds an order in what somebody typed. Whatever is none is a question for the model.

`!verb …` is an order whatever follows. Without the mark, a sentence is an order only when it is
nothing but one: `model gpt-5` is, `model trains` is not. Verbs that free words follow take a colon
instead of the mark: `ask: …`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Final

from bot.commands.registry import NAMES, VERBS, Verb
from bot.domain.commands import Form, Order
from bot.domain.messages import Message, Trigger, Wish
from bot.domain.sessions import session_number
from bot.sessions.roles import spoken_to

_LONGEST: Final = 4_000
"""Characters of a sentence that may be an order; a longer one is a question."""
_NOTHING_FITS: Final = r"(?!)"
_ANY_WORD: Final = r"\S{1,200}"
_LIKE_A_MODEL: Final = r"(?=\S{0,199}[-0-9./:])\S{1,200}"
"""A word as no language has it: `gpt-5`, `o3`, `llama3.2:1b`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What orders may name."""

    models: frozenset[str] = field(default_factory=frozenset)
    roles: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A verb and what was said after it."""

    verb: str
    words: str


def read_words(text: str, known: Known, form: Form, *, commanded: bool = False) -> Said | None:
    """The order in a sentence, if it is one. `commanded`: what follows the slash command is looked
    through for an order that has another form only."""
    if len(text) > _LONGEST:
        return None
    marked = text.startswith("!")
    first, _, rest = text.removeprefix("!").partition(" ")
    name, newline, more = first.partition("\n")
    verb = NAMES.get(name.removesuffix(":").casefold())
    if verb is None or form not in verb.forms:
        return None
    words = f"{more} {rest}".strip() if newline else rest.strip()
    commanded = commanded or form is Form.COMMAND
    spoken = verb.spoken and (name.endswith(":") or commanded)
    if marked or spoken:
        return Said(verb=verb.name, words=words)
    if name.endswith(":") or not _fits(verb, words, known, form):
        return None
    return Said(verb=verb.name, words=words)


def read_message(message: Message, known: Known) -> Order | Message:
    """A message as an order, or as a question: to the session of a role where it begins with one
    (`review: …`)."""
    if message.trigger is Trigger.BOT_MENTION:  # bots ask, and order nothing
        return with_role(message, known.roles)
    spoken_to = message.trigger in (Trigger.MENTION, Trigger.DIRECT)
    marked = message.text.startswith("!") and message.trigger is not Trigger.COMMAND
    if message.trigger not in (Trigger.ASIDE, Trigger.BOT) and (spoken_to or marked):
        said = read_words(message.text, known, Form.MESSAGE)
        if said is not None and VERBS[said.verb].by_id and message.ordered:
            said = read_words(message.ordered, known, Form.MESSAGE) or said
        if said is not None:
            return Order(
                key=message.event_id,
                verb=said.verb,
                words=said.words,
                by=message.user,
                form=Form.MESSAGE,
                team=message.thread.team,
                channel=message.thread.channel,
                thread=message.thread,
                ts=message.ts,
            )
    return with_role(message, known.roles)


def with_role(message: Message, roles: frozenset[str]) -> Message:
    """The message as a question to a role's session, where it begins with the role's name and a
    colon."""
    role, question = spoken_to(message.text)
    if role not in roles:
        return message
    return replace(message, text=question, wish=Wish(role=role))


def without_handle(said: str) -> tuple[str, int | None]:
    """The words without a session's handle, and its number; None where none is named. A handle
    stands first, or last after other words (`json s12`)."""
    parts = said.split()
    for place in (0, -1):
        if parts and parts[place][:1] in "sS" and (number := session_number(parts[place])):
            del parts[place]
            return " ".join(parts), number
    return said, None


def _fits(verb: Verb, words: str, known: Known, form: Form) -> bool:
    """Whether what follows a verb makes the sentence an order. Who gets a model's name wrong is to
    be told which there are; but a message with any word there may be a question."""
    models = _one_of(known.models)
    pattern = (
        verb.words.replace("{model}", models)
        .replace(
            "{a_model}", _ANY_WORD if form is Form.COMMAND else f"(?:{models}|{_LIKE_A_MODEL})"
        )
        .replace("{role}", _one_of(known.roles))
    )
    return re.fullmatch(pattern, words, re.IGNORECASE | re.DOTALL) is not None


def _one_of(names: frozenset[str]) -> str:
    longest_first = sorted(names, key=len, reverse=True)
    return f"(?:{'|'.join(map(re.escape, longest_first)) or _NOTHING_FITS})"
