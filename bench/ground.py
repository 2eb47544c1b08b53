"""What a row is measured on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """A place for one group of rows, and how much is measured there."""

    folder: Path
    """Empty, and gone afterwards."""
    tiny: bool = False
    """Only to see that it works: the figures are worth nothing."""

    def pick(self, full: T, tiny: T) -> T:
        """How much of something, by the size of the run."""
        return tiny if self.tiny else full
