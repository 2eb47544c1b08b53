"""Schema 3: an audit that can be verified, questions asked by command, and how much was heard."""

from __future__ import annotations

from typing import Final

from bot.store.migrations import Migration

_AUDIT: Final[tuple[str, ...]] = ()

_ASKINGS: Final[tuple[str, ...]] = ()

_HEARING: Final[tuple[str, ...]] = ()

THIRD: Final = Migration(
    number=3,
    purpose="an audit that can be verified, questions asked by command, how much was heard",
    statements=(*_AUDIT, *_ASKINGS, *_HEARING),
)
