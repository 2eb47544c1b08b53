"""What the story asks of the database about hearing: until when nothing was missed, and where
people speak with the bot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.domain.messages import ThreadKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A stretch of time in which everything was heard, in seconds since the epoch."""

    since: float
    until: float


class HearingStore(Protocol):
    """Remembers, over restarts, until when everything was heard. Everything raises `StoreError`."""

    async def heard(self) -> Heard | None:
        """From when until when everything that was said has been heard; None where nothing ever
        was."""
        ...

    async def note_heard(self, until: float) -> None:
        """Note that everything said up to then has been heard, the first time also that nothing
        before was. What was noted last counts, also where the clock was put back meanwhile: a note
        of a time that has not come would hide what is missed until then."""
        ...

    async def threads_heard(self, team: str, since: float, most: int) -> Sequence[ThreadKey]:
        """The known threads (those that have had a turn) in which messages were heard since then,
        the last one heard first; `most` at most."""
        ...
