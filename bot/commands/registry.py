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

from bot.domain.commands import CommandSource
from bot.domain.sessions import EFFORTS
from bot.domain.users import AccessRole

_A, _O, _P, _M = AccessRole.ADMIN, AccessRole.OWNER, AccessRole.PARTICIPANT, AccessRole.MEMBER
VIEWERS: Final = frozenset({_A, _O, _P, _M})
"""Everybody who sees the place."""
PARTICIPANTS: Final = frozenset({_A, _O, _P})
"""Those who have written in the thread."""
OWNERS: Final = frozenset({_A, _O})
"""Those who answer for the session."""
ADMINS: Final = frozenset({_A})

TYPED_SOURCES: Final = frozenset({CommandSource.SLASH_COMMAND, CommandSource.MESSAGE})
INTERACTIVE_SOURCES: Final = frozenset({CommandSource.BUTTON, CommandSource.HOME_TAB})
ANY_SOURCE: Final = TYPED_SOURCES | INTERACTIVE_SOURCES
THREAD_SOURCES: Final = frozenset({CommandSource.MESSAGE, CommandSource.BUTTON})

VERBOSITIES: Final = ("brief", "normal", "detailed")
PERIODS: Final = ("day", "week", "month")


class CommandTarget(StrEnum):
    """What an order is about."""

    NOTHING = "nothing"
    """The bot, or the person alone."""
    THREAD = "thread"
    """The thread in which it is given; there need not be a session."""
    SESSION = "session"
    """A session: named by its handle as the first or last word, else the thread's current one."""


class CommandTiming(StrEnum):
    """When an order is carried out, as for the thread in which it is given."""

    IMMEDIATE = "beside"
    """At once, whatever else goes on: it only shows something, or stops what runs."""
    AFTER_PENDING = "behind"
    """After the orders of its thread that change something (`WITHIN`) and were given before it.
    Nothing waits for it."""
    IN_ORDER = "within"
    """In the order in which people wrote: it changes what the thread goes on with, or is a question
    itself. Later questions wait until it is carried out. Earlier ones that run or wait still are
    left as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSpec:
    """One row of the table."""

    name: str
    description: str
    """What it does, for the help."""
    usage: str = ""
    """What may be written after it, for the help."""
    aliases: tuple[str, ...] = ()
    args_pattern: str = ""
    """A pattern: what has to follow it for a sentence to be this order and not a question, with
    `{model}` and `{role}` for the names that there are, and `{a_model}` for what may be meant as
    one. (`!verb` is an order whatever follows.)"""
    uses_ids: bool = False
    """Whether what follows it may name people and channels: a message's are read by their ids, and
    not by the names that Slack shows for them."""
    takes_free_text: bool = False
    """Whether free words follow it: then also `verb: …`, and `/copilot verb …`, are orders
    whatever follows."""
    target: CommandTarget = CommandTarget.NOTHING
    allowed_roles: frozenset[AccessRole] = VIEWERS
    role_overrides: tuple[tuple[str, frozenset[AccessRole]], ...] = ()
    """(pattern of all words, who may say these): the first that fits counts instead of `may`."""
    sources: frozenset[CommandSource] = ANY_SOURCE
    admins_skip_visibility: bool = False
    """Whether those in charge may do it without seeing the place: nothing of it is shown."""
    timing: CommandTiming = CommandTiming.IMMEDIATE
    read_only_pattern: str | None = None
    """A pattern of all words with which it only shows something, and does so at once."""
    uses_quota: bool = False
    """Whether it costs what a question does, so that those who may not ask may not order it."""
    in_help: bool = True
    """Whether the help tells of it; what only buttons say is not told."""

    def timing_for(self, args: str) -> CommandTiming:
        """When it is carried out with these words."""
        args = " ".join(args.split())
        if self.read_only_pattern is not None and re.fullmatch(
            self.read_only_pattern, args, re.IGNORECASE | re.DOTALL
        ):
            return CommandTiming.IMMEDIATE
        return self.timing

    def permits(self, access_roles: frozenset[AccessRole], args: str) -> bool:
        """Whether somebody who is all this may order it with these words."""
        return bool(self.roles_for(args) & access_roles)

    def roles_for(self, args: str) -> frozenset[AccessRole]:
        """Who may order it with these words."""
        args = " ".join(args.split())
        for pattern, may in self.role_overrides:
            if re.fullmatch(pattern, args, re.IGNORECASE | re.DOTALL):
                return may
        return self.allowed_roles


_HANDLE: Final = r"s[0-9]{1,12}"
_OPTIONAL_HANDLE: Final = rf"(?:{_HANDLE})?"
_PAGE: Final = r"(?:page )?[0-9]{1,6}"
_NAME: Final = r"\S{1,200}"
_MODEL_QUERY: Final = r"|(?:for )?(?:channel|workspace|me)"
_EFFORT: Final = f"(?:{'|'.join(EFFORTS)})"

_SPECS: Final = (
    CommandSpec(
        name="help",
        target=CommandTarget.THREAD,
        description="what I can do, and what you may do here",
    ),
    CommandSpec(
        name="sessions",
        aliases=("list",),
        usage="[all] [page]",
        args_pattern=rf"(?:all)? ?(?:{_PAGE})?",
        description="your sessions, the newest first",
        role_overrides=((r"all\b.*", ADMINS),),
    ),
    CommandSpec(
        name="status",
        usage="[s12]",
        args_pattern=_OPTIONAL_HANDLE,
        target=CommandTarget.SESSION,
        description="this thread's session: model, turns, tokens, queue, owner",
    ),
    CommandSpec(
        name="reset",
        aliases=("new",),
        usage="[s12]",
        args_pattern=_OPTIONAL_HANDLE,
        target=CommandTarget.SESSION,
        allowed_roles=OWNERS,
        timing=CommandTiming.IN_ORDER,
        description="go on in this thread with a fresh session; the old one can be taken back",
    ),
    CommandSpec(
        name="resume",
        usage="<s12>",
        args_pattern=_OPTIONAL_HANDLE,
        target=CommandTarget.SESSION,
        allowed_roles=OWNERS,
        role_overrides=((r"", VIEWERS),),
        sources=THREAD_SOURCES,
        timing=CommandTiming.IN_ORDER,
        read_only_pattern="",
        description="take up an earlier session of yours in this thread",
    ),
    CommandSpec(
        name="stop",
        usage="[queue]",
        args_pattern=r"(?:queue)?",
        target=CommandTarget.THREAD,
        allowed_roles=PARTICIPANTS,
        sources=THREAD_SOURCES,
        description="stop the running answer; `queue` also drops what waits",
    ),
    CommandSpec(
        name="model",
        usage="[name|default] [low|medium|high] [for me|channel|workspace]",
        args_pattern=rf"(?:{{a_model}}|default|{_EFFORT})?(?: {_EFFORT})?"
        r"(?: ?for (?:me|channel|workspace))?",
        target=CommandTarget.THREAD,
        allowed_roles=OWNERS,
        role_overrides=(
            (_MODEL_QUERY, VIEWERS),
            (r".*\bfor (?:channel|workspace)", ADMINS),
            (r".*\bfor me", VIEWERS),
        ),
        timing=CommandTiming.IN_ORDER,
        read_only_pattern=_MODEL_QUERY,
        description="show or choose the model",
    ),
    CommandSpec(
        name="compare",
        usage="[--open] <models…> <question>",
        args_pattern=r"(?:--open )?{model}(?:[,\s].*)?",
        target=CommandTarget.THREAD,
        allowed_roles=PARTICIPANTS,
        sources=TYPED_SOURCES,
        timing=CommandTiming.IN_ORDER,
        uses_quota=True,
        description="ask several models the same and vote, without knowing which is which",
    ),
    CommandSpec(
        name="ask",
        usage="<question>",
        takes_free_text=True,
        target=CommandTarget.THREAD,
        allowed_roles=VIEWERS,
        sources=TYPED_SOURCES,
        timing=CommandTiming.AFTER_PENDING,
        description="a side question that does not enter the thread's memory",
    ),
    CommandSpec(
        name="fork",
        usage="[s12]",
        args_pattern=_OPTIONAL_HANDLE,
        target=CommandTarget.SESSION,
        sources=THREAD_SOURCES | {CommandSource.HOME_TAB},
        timing=CommandTiming.AFTER_PENDING,
        uses_quota=True,
        description="go on in a new thread that knows everything up to here",
    ),
    CommandSpec(
        name="retry",
        usage="[model]",
        args_pattern=r"(?:{a_model})?",
        target=CommandTarget.THREAD,
        allowed_roles=PARTICIPANTS,
        sources=THREAD_SOURCES,
        timing=CommandTiming.IN_ORDER,
        uses_quota=True,
        description="answer again, with another model if you name one",
    ),
    CommandSpec(
        name="rewind",
        target=CommandTarget.THREAD,
        allowed_roles=OWNERS,
        sources=THREAD_SOURCES,
        timing=CommandTiming.IN_ORDER,
        description="go back to before the last answer, or before the one whose menu you use",
    ),
    CommandSpec(
        name="role",
        usage="[name]",
        args_pattern=r"(?:{role})?",
        target=CommandTarget.THREAD,
        allowed_roles=PARTICIPANTS,
        sources=THREAD_SOURCES,
        timing=CommandTiming.IN_ORDER,
        read_only_pattern="",
        description="a session for a role beside this one; then `role: question` asks it",
    ),
    CommandSpec(
        name="title",
        usage="<title>",
        takes_free_text=True,
        target=CommandTarget.THREAD,
        allowed_roles=PARTICIPANTS,
        sources=THREAD_SOURCES,
        timing=CommandTiming.AFTER_PENDING,
        read_only_pattern="",
        description="name this thread's session",
    ),
    CommandSpec(
        name="history",
        usage="[s12] [page]",
        args_pattern=rf"(?:s[0-9]{{1,12}})? ?(?:{_PAGE})?",
        target=CommandTarget.SESSION,
        description="what was asked and answered, page by page",
    ),
    CommandSpec(
        name="export",
        usage="[markdown|json] [s12]",
        args_pattern=rf"(?:markdown|json)? ?{_OPTIONAL_HANDLE}",
        target=CommandTarget.SESSION,
        description="the transcript as a file, for you alone",
    ),
    CommandSpec(
        name="usage",
        usage=f"[{'|'.join(PERIODS)}] [by thread|me|channel|model]",
        args_pattern=rf"(?:{'|'.join(PERIODS)})?(?: ?by (?:thread|me|channel|model))?",
        target=CommandTarget.THREAD,
        description="tokens and turns",
    ),
    CommandSpec(
        name="quiet",
        target=CommandTarget.THREAD,
        allowed_roles=PARTICIPANTS,
        sources=THREAD_SOURCES,
        timing=CommandTiming.IN_ORDER,
        description="stay silent in this thread until mentioned",
    ),
    CommandSpec(
        name="join",
        target=CommandTarget.THREAD,
        allowed_roles=PARTICIPANTS,
        sources=THREAD_SOURCES,
        timing=CommandTiming.IN_ORDER,
        description="take part in this thread again",
    ),
    CommandSpec(
        name="admin",
        usage="<cleanup|sessions|usage|users|audit|limits|pause|resume|drain> …",
        uses_ids=True,
        args_pattern=(
            r"(?:(?:cleanup|sessions|usage|users|audit|limits)(?: "
            r".*)?|pause|resume|drain)?"
        ),
        allowed_roles=ADMINS,
        description="clean up, see who uses what, limits, pause and drain",
    ),
    # What only buttons say.
    CommandSpec(
        name="delete",
        args_pattern=_HANDLE,
        target=CommandTarget.SESSION,
        allowed_roles=OWNERS,
        sources=INTERACTIVE_SOURCES,
        admins_skip_visibility=True,
        in_help=False,
        timing=CommandTiming.IN_ORDER,
        description="delete a session for good",
    ),
    CommandSpec(
        name="vote",
        target=CommandTarget.THREAD,
        sources=frozenset({CommandSource.BUTTON}),
        in_help=False,
        description="vote for an answer of a comparison",
    ),
    CommandSpec(
        name="reveal",
        target=CommandTarget.THREAD,
        allowed_roles=PARTICIPANTS,
        sources=frozenset({CommandSource.BUTTON}),
        in_help=False,
        description="show which model gave which answer",
    ),
    CommandSpec(
        name="keep",
        target=CommandTarget.THREAD,
        allowed_roles=OWNERS,
        sources=frozenset({CommandSource.BUTTON}),
        in_help=False,
        timing=CommandTiming.IN_ORDER,
        description="go on with an answer of a comparison",
    ),
    CommandSpec(
        name="set",
        args_pattern=rf"(?:model {_NAME}|verbosity (?:{'|'.join(VERBOSITIES)}))",
        sources=frozenset({CommandSource.HOME_TAB}),
        in_help=False,
        description="choose what counts for you",
    ),
)

COMMANDS: Final[Mapping[str, CommandSpec]] = MappingProxyType({verb.name: verb for verb in _SPECS})
"""Every verb by its name."""

COMMANDS_AND_ALIASES: Final[Mapping[str, CommandSpec]] = MappingProxyType(
    {name: verb for verb in _SPECS for name in (verb.name, *verb.aliases)}
)
"""Every verb by each of its names."""
