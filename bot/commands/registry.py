"""The one table of verbs: what there is to order, how it is written, and who may order it.

Parsing, help, permissions, the README's table and the tests all go by it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from bot.domain.commands import Form
from bot.domain.sessions import EFFORTS
from bot.domain.users import Standing

_A, _O, _P, _M = Standing.ADMIN, Standing.OWNER, Standing.PARTICIPANT, Standing.MEMBER
SEEING: Final = frozenset({_A, _O, _P, _M})
"""Everybody who sees the place."""
TAKING_PART: Final = frozenset({_A, _O, _P})
"""Those who have written in the thread."""
ANSWERING_FOR: Final = frozenset({_A, _O})
"""Those who answer for the session."""
IN_CHARGE: Final = frozenset({_A})

TYPED: Final = frozenset({Form.COMMAND, Form.MESSAGE})
PRESSED: Final = frozenset({Form.BUTTON, Form.HOME})
ANYWHERE: Final = TYPED | PRESSED
IN_THREADS: Final = frozenset({Form.MESSAGE, Form.BUTTON})

VERBOSITIES: Final = ("brief", "normal", "detailed")
PERIODS: Final = ("day", "week", "month")


class Meant(StrEnum):
    """What an order is about."""

    NOTHING = "nothing"
    """The bot, or the person alone."""
    THREAD = "thread"
    """The thread in which it is given; there need not be a session."""
    SESSION = "session"
    """A session: named by its handle as the first or last word, else the thread's current one."""


class Timing(StrEnum):
    """When an order is carried out, as for the thread in which it is given."""

    BESIDE = "beside"
    """At once, whatever else goes on: it only shows something, or stops what runs."""
    BEHIND = "behind"
    """After the orders of its thread that change something (`WITHIN`) and were given before it.
    Nothing waits for it."""
    WITHIN = "within"
    """In the order in which people wrote: it changes what the thread goes on with, or is a question
    itself. Later questions wait until it is carried out. Earlier ones that run or wait still are
    left as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """One row of the table."""

    name: str
    says: str
    """What it does, for the help."""
    usage: str = ""
    """What may be written after it, for the help."""
    aliases: tuple[str, ...] = ()
    words: str = ""
    """A pattern: what has to follow it for a sentence to be this order and not a question, with
    `{model}` and `{role}` for the names that there are, and `{a_model}` for what may be meant as
    one. (`!verb` is an order whatever follows.)"""
    by_id: bool = False
    """Whether what follows it may name people and channels: a message's are read by their ids, and
    not by the names that Slack shows for them."""
    spoken: bool = False
    """Whether free words follow it: then also `verb: …`, and `/copilot verb …`, are orders
    whatever follows."""
    meant: Meant = Meant.NOTHING
    may: frozenset[Standing] = SEEING
    stricter: tuple[tuple[str, frozenset[Standing]], ...] = ()
    """(pattern of all words, who may say these): the first that fits counts instead of `may`."""
    forms: frozenset[Form] = ANYWHERE
    unseen: bool = False
    """Whether those in charge may do it without seeing the place: nothing of it is shown."""
    timing: Timing = Timing.BESIDE
    shows: str | None = None
    """A pattern of all words with which it only shows something, and does so at once."""
    asks: bool = False
    """Whether it costs what a question does, so that those who may not ask may not order it."""
    listed: bool = True
    """Whether the help tells of it; what only buttons say is not told."""

    def timing_with(self, words: str) -> Timing:
        """When it is carried out with these words."""
        words = " ".join(words.split())
        if self.shows is not None and re.fullmatch(self.shows, words, re.IGNORECASE | re.DOTALL):
            return Timing.BESIDE
        return self.timing

    def permits(self, standings: frozenset[Standing], words: str) -> bool:
        """Whether somebody who is all this may order it with these words."""
        return bool(self.allowed(words) & standings)

    def allowed(self, words: str) -> frozenset[Standing]:
        """Who may order it with these words."""
        words = " ".join(words.split())
        for pattern, may in self.stricter:
            if re.fullmatch(pattern, words, re.IGNORECASE | re.DOTALL):
                return may
        return self.may


_HANDLE: Final = r"s[0-9]{1,12}"
_MAYBE_HANDLE: Final = rf"(?:{_HANDLE})?"
_PAGE: Final = r"(?:page )?[0-9]{1,6}"
_NAME: Final = r"\S{1,200}"
_MODEL_SHOWN: Final = r"|(?:for )?(?:channel|workspace|me)"
_EFFORT: Final = f"(?:{'|'.join(EFFORTS)})"

_TABLE: Final = (
    Verb(name="help", meant=Meant.THREAD, says="what I can do, and what you may do here"),
    Verb(
        name="sessions",
        aliases=("list",),
        usage="[all] [page]",
        words=rf"(?:all)? ?(?:{_PAGE})?",
        says="your sessions, the newest first",
        stricter=((r"all\b.*", IN_CHARGE),),
    ),
    Verb(
        name="status",
        usage="[s12]",
        words=_MAYBE_HANDLE,
        meant=Meant.SESSION,
        says="this thread's session: model, turns, tokens, queue, owner",
    ),
    Verb(
        name="reset",
        aliases=("new",),
        usage="[s12]",
        words=_MAYBE_HANDLE,
        meant=Meant.SESSION,
        may=ANSWERING_FOR,
        timing=Timing.WITHIN,
        says="go on in this thread with a fresh session; the old one can be taken back",
    ),
    Verb(
        name="resume",
        usage="<s12>",
        words=_MAYBE_HANDLE,
        meant=Meant.SESSION,
        may=ANSWERING_FOR,
        stricter=((r"", SEEING),),
        forms=IN_THREADS,
        timing=Timing.WITHIN,
        shows="",
        says="take up an earlier session of yours in this thread",
    ),
    Verb(
        name="stop",
        usage="[queue]",
        words=r"(?:queue)?",
        meant=Meant.THREAD,
        may=TAKING_PART,
        forms=IN_THREADS,
        says="stop the running answer; `queue` also drops what waits",
    ),
    Verb(
        name="model",
        usage="[name|default] [low|medium|high] [for me|channel|workspace]",
        words=rf"(?:{{a_model}}|default|{_EFFORT})?(?: {_EFFORT})?"
        r"(?: ?for (?:me|channel|workspace))?",
        meant=Meant.THREAD,
        may=ANSWERING_FOR,
        stricter=(
            (_MODEL_SHOWN, SEEING),
            (r".*\bfor (?:channel|workspace)", IN_CHARGE),
            (r".*\bfor me", SEEING),
        ),
        timing=Timing.WITHIN,
        shows=_MODEL_SHOWN,
        says="show or choose the model",
    ),
    Verb(
        name="compare",
        usage="[--open] <models…> <question>",
        words=r"(?:--open )?{model}(?:[,\s].*)?",
        meant=Meant.THREAD,
        may=TAKING_PART,
        forms=TYPED,
        timing=Timing.WITHIN,
        asks=True,
        says="ask several models the same and vote, without knowing which is which",
    ),
    Verb(
        name="ask",
        usage="<question>",
        spoken=True,
        meant=Meant.THREAD,
        may=SEEING,
        forms=TYPED,
        timing=Timing.BEHIND,
        says="a side question that does not enter the thread's memory",
    ),
    Verb(
        name="fork",
        usage="[s12]",
        words=_MAYBE_HANDLE,
        meant=Meant.SESSION,
        forms=IN_THREADS | {Form.HOME},
        timing=Timing.BEHIND,
        asks=True,
        says="go on in a new thread that knows everything up to here",
    ),
    Verb(
        name="retry",
        usage="[model]",
        words=r"(?:{a_model})?",
        meant=Meant.THREAD,
        may=TAKING_PART,
        forms=IN_THREADS,
        timing=Timing.WITHIN,
        asks=True,
        says="answer again, with another model if you name one",
    ),
    Verb(
        name="rewind",
        meant=Meant.THREAD,
        may=ANSWERING_FOR,
        forms=IN_THREADS,
        timing=Timing.WITHIN,
        says="go back to before the last answer, or before the one whose menu you use",
    ),
    Verb(
        name="role",
        usage="[name]",
        words=r"(?:{role})?",
        meant=Meant.THREAD,
        may=TAKING_PART,
        forms=IN_THREADS,
        timing=Timing.WITHIN,
        shows="",
        says="a session for a role beside this one; then `role: question` asks it",
    ),
    Verb(
        name="title",
        usage="<title>",
        spoken=True,
        meant=Meant.THREAD,
        may=TAKING_PART,
        forms=IN_THREADS,
        timing=Timing.BEHIND,
        shows="",
        says="name this thread's session",
    ),
    Verb(
        name="history",
        usage="[s12] [page]",
        words=rf"(?:s[0-9]{{1,12}})? ?(?:{_PAGE})?",
        meant=Meant.SESSION,
        says="what was asked and answered, page by page",
    ),
    Verb(
        name="export",
        usage="[markdown|json] [s12]",
        words=rf"(?:markdown|json)? ?{_MAYBE_HANDLE}",
        meant=Meant.SESSION,
        says="the transcript as a file, for you alone",
    ),
    Verb(
        name="usage",
        usage=f"[{'|'.join(PERIODS)}] [by thread|me|channel|model]",
        words=rf"(?:{'|'.join(PERIODS)})?(?: ?by (?:thread|me|channel|model))?",
        meant=Meant.THREAD,
        says="tokens and turns",
    ),
    Verb(
        name="quiet",
        meant=Meant.THREAD,
        may=TAKING_PART,
        forms=IN_THREADS,
        timing=Timing.WITHIN,
        says="stay silent in this thread until mentioned",
    ),
    Verb(
        name="join",
        meant=Meant.THREAD,
        may=TAKING_PART,
        forms=IN_THREADS,
        timing=Timing.WITHIN,
        says="take part in this thread again",
    ),
    Verb(
        name="admin",
        usage="<cleanup|sessions|usage|users|audit|limits|pause|resume|drain> …",
        by_id=True,
        words=r"(?:(?:cleanup|sessions|usage|users|audit|limits)(?: .*)?|pause|resume|drain)?",
        may=IN_CHARGE,
        says="clean up, see who uses what, limits, pause and drain",
    ),
    # What only buttons say.
    Verb(
        name="delete",
        words=_HANDLE,
        meant=Meant.SESSION,
        may=ANSWERING_FOR,
        forms=PRESSED,
        unseen=True,
        listed=False,
        timing=Timing.WITHIN,
        says="delete a session for good",
    ),
    Verb(
        name="vote",
        meant=Meant.THREAD,
        forms=frozenset({Form.BUTTON}),
        listed=False,
        says="vote for an answer of a comparison",
    ),
    Verb(
        name="reveal",
        meant=Meant.THREAD,
        may=TAKING_PART,
        forms=frozenset({Form.BUTTON}),
        listed=False,
        says="show which model gave which answer",
    ),
    Verb(
        name="keep",
        meant=Meant.THREAD,
        may=ANSWERING_FOR,
        forms=frozenset({Form.BUTTON}),
        listed=False,
        timing=Timing.WITHIN,
        says="go on with an answer of a comparison",
    ),
    Verb(
        name="set",
        words=rf"(?:model {_NAME}|verbosity (?:{'|'.join(VERBOSITIES)}))",
        forms=frozenset({Form.HOME}),
        listed=False,
        says="choose what counts for you",
    ),
)

VERBS: Final[Mapping[str, Verb]] = MappingProxyType({verb.name: verb for verb in _TABLE})
"""Every verb by its name."""

NAMES: Final[Mapping[str, Verb]] = MappingProxyType(
    {name: verb for verb in _TABLE for name in (verb.name, *verb.aliases)}
)
"""Every verb by each of its names."""
