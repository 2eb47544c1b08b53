"""Defines the one table of commands: what exists, how it is typed, and who may use it.

Parsing, help, permissions, the README's table and the tests all follow it.
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
"""All users who see the channel."""
PARTICIPANTS: Final = frozenset({_A, _O, _P})
"""Users who have posted in the thread."""
OWNER_OR_ADMIN: Final = frozenset({_A, _O})
"""The owner of the session and admins."""
ADMINS: Final = frozenset({_A})

TYPED_SOURCES: Final = frozenset({CommandSource.SLASH_COMMAND, CommandSource.MESSAGE})
INTERACTIVE_SOURCES: Final = frozenset({CommandSource.BUTTON, CommandSource.HOME_TAB})
ANY_SOURCE: Final = TYPED_SOURCES | INTERACTIVE_SOURCES
THREAD_SOURCES: Final = frozenset({CommandSource.MESSAGE, CommandSource.BUTTON})

VERBOSITIES: Final = ("brief", "normal", "detailed")
PERIODS: Final = ("day", "week", "month")


class CommandTarget(StrEnum):
    """What a command acts on."""

    NOTHING = "nothing"
    """The bot, or the user alone."""
    THREAD = "thread"
    """The thread that it is given in, with or without a session."""
    SESSION = "session"
    """A session: named by a handle as first or last word, else the thread's current one."""


class CommandTiming(StrEnum):
    """When a command is executed, relative to the messages of its thread."""

    IMMEDIATE = "beside"
    """At once: it only shows something, or stops a running turn."""
    AFTER_PENDING = "behind"
    """After the earlier commands of its thread that have an order (`IN_ORDER`). Nothing waits for
    it."""
    IN_ORDER = "within"
    """In the order of the messages: it changes the thread's session, or is a question itself. Later
    questions wait until it is executed. Earlier ones that run or wait stay as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSpec:
    """One row of the command table."""

    name: str
    description: str
    """What it does, for the help text."""
    usage: str = ""
    """The arguments it takes, for the help text."""
    aliases: tuple[str, ...] = ()
    args_pattern: str = ""
    """A pattern of the arguments that make a text this command and not a question. `{model}` and
    `{role}` match known names, `{a_model}` a possible model name. With `!` in front, any text
    is the command."""
    uses_ids: bool = False
    """True if its arguments may name users and channels. In a message these are read by their ids,
    not by the names that Slack shows."""
    takes_free_text: bool = False
    """True if free text follows it. Then `name: …` and `/copilot name …` are always this
    command."""
    target: CommandTarget = CommandTarget.NOTHING
    allowed_roles: frozenset[AccessRole] = VIEWERS
    role_overrides: tuple[tuple[str, frozenset[AccessRole]], ...] = ()
    """Pairs of an arguments pattern and the roles that may use it. The first match replaces
    `allowed_roles`."""
    sources: frozenset[CommandSource] = ANY_SOURCE
    admins_skip_visibility: bool = False
    """True if admins may use it without seeing the channel: it shows nothing of the content."""
    timing: CommandTiming = CommandTiming.IMMEDIATE
    read_only_pattern: str | None = None
    """A pattern of the arguments with which it only shows something, and runs at once."""
    uses_quota: bool = False
    """True if it costs as much as a question: a user without turns left may not use it."""
    in_help: bool = True
    """True if the help text lists it; commands of buttons only are not listed."""

    def timing_for(self, args: str) -> CommandTiming:
        """When it is executed with these arguments."""
        args = " ".join(args.split())
        if self.read_only_pattern is not None and re.fullmatch(
            self.read_only_pattern, args, re.IGNORECASE | re.DOTALL
        ):
            return CommandTiming.IMMEDIATE
        return self.timing

    def permits(self, access_roles: frozenset[AccessRole], args: str) -> bool:
        """True if a user with these roles may use it with these arguments."""
        return bool(self.roles_for(args) & access_roles)

    def roles_for(self, args: str) -> frozenset[AccessRole]:
        """The roles that may use it with these arguments."""
        args = " ".join(args.split())
        for pattern, roles in self.role_overrides:
            if re.fullmatch(pattern, args, re.IGNORECASE | re.DOTALL):
                return roles
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
        description="your sessions, newest first",
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
        allowed_roles=OWNER_OR_ADMIN,
        timing=CommandTiming.IN_ORDER,
        description="start a fresh session in this thread; `resume` restores the old one",
    ),
    CommandSpec(
        name="resume",
        usage="<s12>",
        args_pattern=_OPTIONAL_HANDLE,
        target=CommandTarget.SESSION,
        allowed_roles=OWNER_OR_ADMIN,
        role_overrides=((r"", VIEWERS),),
        sources=THREAD_SOURCES,
        timing=CommandTiming.IN_ORDER,
        read_only_pattern="",
        description="restore a previous session of yours in this thread",
    ),
    CommandSpec(
        name="stop",
        usage="[queue]",
        args_pattern=r"(?:queue)?",
        target=CommandTarget.THREAD,
        allowed_roles=PARTICIPANTS,
        sources=THREAD_SOURCES,
        description="stop the running reply; `queue` also clears the queue",
    ),
    CommandSpec(
        name="model",
        usage="[name|default] [low|medium|high] [for me|channel|workspace]",
        args_pattern=rf"(?:{{a_model}}|default|{_EFFORT})?(?: {_EFFORT})?"
        r"(?: ?for (?:me|channel|workspace))?",
        target=CommandTarget.THREAD,
        allowed_roles=OWNER_OR_ADMIN,
        role_overrides=(
            (_MODEL_QUERY, VIEWERS),
            (r".*\bfor (?:channel|workspace)", ADMINS),
            (r".*\bfor me", VIEWERS),
        ),
        timing=CommandTiming.IN_ORDER,
        read_only_pattern=_MODEL_QUERY,
        description="show or set the model",
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
        description="ask several models the same and vote without knowing which is which",
    ),
    CommandSpec(
        name="ask",
        usage="<question>",
        takes_free_text=True,
        target=CommandTarget.THREAD,
        allowed_roles=VIEWERS,
        sources=TYPED_SOURCES,
        timing=CommandTiming.AFTER_PENDING,
        description="a side question that isn't part of the thread's memory",
    ),
    CommandSpec(
        name="fork",
        usage="[s12]",
        args_pattern=_OPTIONAL_HANDLE,
        target=CommandTarget.SESSION,
        sources=THREAD_SOURCES | {CommandSource.HOME_TAB},
        timing=CommandTiming.AFTER_PENDING,
        uses_quota=True,
        description="continue in a new thread that knows everything up to here",
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
        description="retry the last reply, with another model if you name one",
    ),
    CommandSpec(
        name="rewind",
        target=CommandTarget.THREAD,
        allowed_roles=OWNER_OR_ADMIN,
        sources=THREAD_SOURCES,
        timing=CommandTiming.IN_ORDER,
        description="forget the last reply, or the one whose menu you use and all after it",
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
        description="start a role's own session beside this one; `role: question` asks it",
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
        description="questions and replies, page by page",
    ),
    CommandSpec(
        name="export",
        usage="[markdown|json] [s12]",
        args_pattern=rf"(?:markdown|json)? ?{_OPTIONAL_HANDLE}",
        target=CommandTarget.SESSION,
        description="the transcript as a file, sent only to you",
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
        description="cleanup, usage, users, limits, audit log, pause and drain",
    ),
    # Commands that only buttons give.
    CommandSpec(
        name="delete",
        args_pattern=_HANDLE,
        target=CommandTarget.SESSION,
        allowed_roles=OWNER_OR_ADMIN,
        sources=INTERACTIVE_SOURCES,
        admins_skip_visibility=True,
        in_help=False,
        timing=CommandTiming.IN_ORDER,
        description="delete a session permanently",
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
        allowed_roles=OWNER_OR_ADMIN,
        sources=frozenset({CommandSource.BUTTON}),
        in_help=False,
        timing=CommandTiming.IN_ORDER,
        description="continue with an answer of a comparison",
    ),
    CommandSpec(
        name="set",
        args_pattern=rf"(?:model {_NAME}|verbosity (?:{'|'.join(VERBOSITIES)}))",
        sources=frozenset({CommandSource.HOME_TAB}),
        in_help=False,
        description="set your own defaults",
    ),
)

COMMANDS: Final[Mapping[str, CommandSpec]] = MappingProxyType({spec.name: spec for spec in _SPECS})
"""Every command by its name."""

COMMANDS_AND_ALIASES: Final[Mapping[str, CommandSpec]] = MappingProxyType(
    {name: spec for spec in _SPECS for name in (spec.name, *spec.aliases)}
)
"""Every command by its name and its aliases."""
