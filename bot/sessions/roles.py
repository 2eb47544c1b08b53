"""Loads roles: named instructions, each with a session of its own beside a thread's main one.

Three roles are built in. The operator may add others, or replace these, in a TOML file
(`docs/roles.md`). All faults of the file are reported together.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from bot.domain.messages import strip_unstorable
from bot.domain.sessions import EFFORTS
from bot.errors import SettingsError

TOOLS: Final = ("view", "grep", "glob")
"""The available tools, which only read (`bot.copilot.file_tools`)."""
MAX_ROLES: Final = 25
"""Maximum number of roles in the file."""
MAX_INSTRUCTION_CHARS: Final = 8_000
"""Maximum length of a role's instructions, in characters: they are part of every prompt."""

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,30}", re.ASCII)
_KEYS: Final = ("instructions", "model", "effort", "tools", "folder")


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A role: instructions, and the model and tools for them."""

    name: str
    """The prefix of a message to the role: `review: …`."""
    instructions: str
    """Instructions for the model in addition to the general ones."""
    model: str = ""
    """Empty if a more general preference counts."""
    effort: str = ""
    """Empty if a more general preference counts."""
    tools: tuple[str, ...] = ()
    folder: str = ""
    """The only folder that the tools may read; an absolute path without symbolic links."""


_PLANNING: Final = """\
You plan work together with the people in this thread; you do not do the work itself. Find out \
what is wanted and what is known; where something that matters is open, ask, at most three \
questions at once. Then give a plan: numbered steps in the order in which they are to be done, \
each small enough to be checked, with what could go wrong and how one sees that it is done. When \
people change their minds, give the whole plan anew, not just the change."""

_CODING: Final = """\
You write code for the people in this thread. Give complete code that can be used as it stands, \
in fenced blocks that name the language, with the handling of errors that its place calls for. \
Keep to the style of the code that you are shown. Say in a sentence or two what you did and why, \
what you took for granted, and how to try it out. You cannot run code here: never say that you \
have."""

_REVIEW: Final = """\
You review what the people in this thread show you: code, plans, texts. Look first for what is \
wrong or unsafe, then for what is missing, then for what could be simpler; leave taste aside. For \
each finding name the place, say what happens because of it, and how to mend it; put the worst \
first, and say how sure you are. Where nothing is wrong, say so in a sentence. Never praise for \
politeness' sake, and never invent findings."""

BUILT_IN_ROLES: Final[Mapping[str, Role]] = MappingProxyType(
    {
        name: Role(name=name, instructions=instructions)
        for name, instructions in (
            ("planning", _PLANNING),
            ("coding", _CODING),
            ("review", _REVIEW),
        )
    }
)
"""The built-in roles by name."""


def split_role_prefix(text: str) -> tuple[str, str]:
    """The role that a message is addressed to, and the rest: `review: look` is for `review`. Both
    are empty strings without a prefix or without a text after it."""
    name, _, rest = text.partition(":")
    return (name.strip().casefold(), rest.strip()) if rest.strip() else ("", "")


def load_roles(file: Path | None, *, reserved_names: frozenset[str]) -> Mapping[str, Role]:
    """All roles by name: the built-in ones and those of the file, which replace them.

    `reserved_names` are the names of commands. Raises `SettingsError` with every fault of the file,
    each with its remedy.
    """
    if file is None:
        return BUILT_IN_ROLES
    faults: list[str] = []
    file_roles = [
        _parse_role(name, table, file.parent, reserved_names, faults)
        for name, table in _parse_tables(file, faults)
    ]
    if len(file_roles) > MAX_ROLES:
        faults.append(f"there are {len(file_roles)} roles: give {MAX_ROLES} at most.")
    if faults:
        raise SettingsError([f"ROLES_FILE ({file.name}): {fault}" for fault in faults])
    return MappingProxyType({**BUILT_IN_ROLES, **{role.name: role for role in file_roles}})


def _parse_tables(file: Path, faults: list[str]) -> Sequence[tuple[str, Mapping[str, object]]]:
    """The named tables of the file; other content is a fault."""
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeError):
        faults.append("give a readable text file in UTF-8.")
        return ()
    except tomllib.TOMLDecodeError as error:
        faults.append(f"this is not valid TOML; fix it here: {error}.")
        return ()
    tables = []
    for name, table in content.items():
        if isinstance(table, dict):
            tables.append((name, table))
        else:
            faults.append(f"`{name}` is outside of a role; put it below a line `[name]`.")
    return tables


def _parse_role(
    name: str,
    table: Mapping[str, object],
    base_dir: Path,
    reserved_names: frozenset[str],
    faults: list[str],
) -> Role:
    """One role, as far as it is valid; its faults are added to `faults`."""
    role_faults: list[str] = []
    if not _NAME.fullmatch(name):
        role_faults.append(
            "a name is a small letter and up to 30 small letters, digits or hyphens; choose one."
        )
    elif name in reserved_names:
        role_faults.append("this is the name of a command; choose another one.")
    role_faults += [
        f"`{key}` is not a key of a role; give {', '.join(_KEYS)}, or leave it out."
        for key in table
        if key not in _KEYS
    ]
    role = Role(
        name=name,
        instructions=_instructions(table, role_faults),
        model=_text(table, "model", "give the name of a model in quotes.", role_faults),
        effort=_effort(table, role_faults),
        tools=_tools(table, role_faults),
        folder=_folder(table, base_dir, role_faults),
    )
    faults += [f"[{name}]: {fault}" for fault in role_faults]
    return role


def _text(table: Mapping[str, object], key: str, remedy: str, faults: list[str]) -> str:
    given = table.get(key, "")
    if isinstance(given, str):
        return given.strip()
    faults.append(f"`{key}`: {remedy}")
    return ""


def _instructions(table: Mapping[str, object], faults: list[str]) -> str:
    given = table.get("instructions")
    text = strip_unstorable(given).strip() if isinstance(given, str) else ""
    if not text:
        faults.append("`instructions` are missing: say in a text how the model is to work.")
    elif len(text) > MAX_INSTRUCTION_CHARS:
        faults.append(
            f"`instructions` are {len(text):,} characters: shorten them to "
            f"{MAX_INSTRUCTION_CHARS:,}."
        )
    return text


def _effort(table: Mapping[str, object], faults: list[str]) -> str:
    remedy = f"give one of {', '.join(EFFORTS)} in quotes, or leave it out."
    effort = _text(table, "effort", remedy, faults)
    if effort and effort not in EFFORTS:
        faults.append(f"`effort`: {remedy}")
    return effort


def _tools(table: Mapping[str, object], faults: list[str]) -> tuple[str, ...]:
    given = table.get("tools", [])
    if isinstance(given, list) and all(tool in TOOLS for tool in given):
        return tuple(tool for tool in TOOLS if tool in given)
    faults.append(f"`tools`: give a list of {', '.join(TOOLS)}; other tools are not allowed.")
    return ()


def _folder(table: Mapping[str, object], base_dir: Path, faults: list[str]) -> str:
    """The folder, relative to the file unless it is absolute; empty if none is given."""
    given = _text(table, "folder", "give a path in quotes.", faults)
    if given and not table.get("tools"):
        faults.append("`folder`: give `tools`, too, or leave it out.")
    if table.get("tools") and not table.get("folder"):
        faults.append("`tools` read in one folder only: give it as `folder`.")
    if not given:
        return ""
    try:
        folder = (base_dir / Path(given).expanduser()).resolve()
        exists = folder.is_dir()
    except (OSError, RuntimeError, ValueError):
        exists, folder = False, Path()
    if not exists:
        faults.append("`folder`: this folder does not exist; create it, or give another one.")
        return ""
    return str(folder)
