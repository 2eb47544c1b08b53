"""Defines what one setting is: parser, default and meaning, as metadata of a dataclass field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingDefinition:
    """One row of the settings table."""

    name: str
    """The environment variable."""
    parse: Callable[[str], object]
    """Returns the value of a text. Raises `ValueError` that says what to give instead."""
    description: str
    default: str
    secret: bool
    required_when: str
    """When the setting is required, or an empty string if it never is."""


def setting(
    parse: Callable[[str], T],
    description: str,
    *,
    default: str = "",
    secret: bool = False,
    required_when: str = "",
) -> T:
    """A dataclass field that holds a setting. Its type is what `parse` returns.

    The field has no default of its own: `default` is a text, and is parsed like a given one.
    A secret is left out of the object's `repr`.
    """
    definition: T = field(
        repr=not secret,
        metadata={
            "parse": parse,
            "description": description,
            "default": default,
            "secret": secret,
            "required_when": required_when,
        },
    )
    return definition


def definitions_of(cls: type[DataclassInstance]) -> tuple[SettingDefinition, ...]:
    """The settings that a dataclass defines, in the order of its fields."""
    return tuple(SettingDefinition(name=each.name.upper(), **each.metadata) for each in fields(cls))
