"""Reads field names from Slack's published type declarations.

Sources: `@slack/types` (events) and `@slack/web-api` (responses) as installed with the echo app.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tests.conformance.echo_app import NOT_INSTALLED, PACKAGES

_FIELD = re.compile(r"^    (?:\"(\w+)\"|(\w+))(\?)?:", re.MULTILINE)


@dataclass(frozen=True)
class Declared:
    """One declared shape: its required fields, and its optional ones."""

    name: str
    required: frozenset[str]
    optional: frozenset[str]

    def missing(self, value: Mapping[str, object]) -> set[str]:
        """Required fields that are missing."""
        return set(self.required - set(value))

    def unknown(self, value: Mapping[str, object]) -> set[str]:
        """Fields that Slack's own types do not declare."""
        return set(value) - self.required - self.optional


def event_shape(file: str, name: str) -> Declared:
    """An event's shape, from `@slack/types`."""
    return _declared(f"types/dist/events/{file}.d.ts", name)


def answer_shape(file: str, name: str) -> Declared:
    """The shape of a response, or of a part of it, from `@slack/web-api`."""
    return _declared(f"web-api/dist/types/response/{file}.d.ts", name)


def _declared(path: str, name: str) -> Declared:
    source = PACKAGES / "@slack" / path
    assert source.is_file(), NOT_INSTALLED
    # A declaration ends with a brace at the start of a line; nested shapes are indented further.
    found = re.search(
        rf"^export (?:interface|type) {name}\b[^{{]*{{\n(.*?)^}}",
        source.read_text(),
        re.MULTILINE | re.DOTALL,
    )
    assert found is not None, f"{name} is not declared in {path}"
    required: set[str] = set()
    optional: set[str] = set()
    for quoted, plain, mark in _FIELD.findall(found.group(1)):
        (optional if mark else required).add(quoted or plain)
    return Declared(name, frozenset(required), frozenset(optional))
