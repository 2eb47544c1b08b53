"""The answer of one turn as it grows out of a session's events."""

from __future__ import annotations

_GAP = "\n\n"


class Answer:
    """What the model has said up to here.

    A prompt may be answered in several messages (one per model call), shown with a blank line
    between them. What a model call said before it failed and was tried again does not count.
    """

    def __init__(self) -> None:
        self._settled: list[str] = []
        self._current: list[str] = []

    @property
    def text(self) -> str:
        """The whole answer up to here."""
        return _GAP.join(part for part in (*self._settled, "".join(self._current)) if part)

    def add(self, text: str) -> str:
        """The model said more; what of it is to be appended to what is shown."""
        if not text:
            return ""
        first = not self._current
        self._current.append(text)
        return _GAP + text if first and self._settled else text

    def take_back(self) -> bool:
        """The current message does not count; whether anything of it had been shown."""
        shown = bool(self._current)
        self._current.clear()
        return shown

    def take_all_back(self) -> None:
        """Nothing of it counts: it is asked for anew."""
        self._settled.clear()
        self._current.clear()

    def settle(self, text: str) -> bool:
        """The current message is complete and says `text`; whether that differs from what had
        been added (then everything shown has to be replaced)."""
        differs = "".join(self._current) != text
        self._current.clear()
        if text:
            self._settled.append(text)
        return differs
