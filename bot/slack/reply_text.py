"""What a reply has to show: the model's words, made safe, in parts; the bot's note; the foot."""

from __future__ import annotations

from collections.abc import Sequence

from bot.slack.cards import Block
from bot.slack.markdown import Defanger, defanged, showable
from bot.slack.parts import PART_LIMIT, SMALLEST_LIMIT, PartText, Splitter


class ReplyText:
    """The text of one reply from its first word to its note."""

    def __init__(self, limit: int = PART_LIMIT) -> None:
        self._limit = limit
        self._note: str | None = None
        self._foot: Sequence[Block] = ()
        self._begin()

    @property
    def parts(self) -> Sequence[PartText]:
        """The parts up to here; a part that went out goes on saying what it said, until the
        text is replaced."""
        return self._splitter.parts

    def append(self, text: str) -> None:
        """The model said more."""
        self._said.append(text)
        self._splitter.feed(self._defanger.feed(showable(text)))

    def replace(self, text: str) -> None:
        """The model's whole answer up to here is `text`."""
        said = "".join(self._said)
        if text.startswith(said):
            self.append(text[len(said) :])
            return
        self._begin()
        self.append(text)

    def finish(self, text: str, note: str, foot: Sequence[Block] = ()) -> None:
        """The model's whole answer is `text`; `note` is the bot's own sentence after it, `foot`
        what stands under the last part."""
        self.replace(text)
        self._note, self._foot = note, foot
        self._end(note)

    def drop_foot(self) -> bool:
        """Do without the foot; False where there is none."""
        dropped, self._foot = bool(self._foot), ()
        for part in self.parts:
            part.foot = ()
        return dropped

    def cut(self, shown: int) -> None:
        """End the last part here, keeping at least its first `shown` characters."""
        self._splitter.cut(shown)

    def narrow(self) -> bool:
        """Put the same text into parts half the size; False where they are as small as can be."""
        if self._limit // 2 < SMALLEST_LIMIT:
            return False
        self._limit //= 2
        said = "".join(self._said)
        self._begin()
        self.append(said)
        if self._note is not None:
            self._end(self._note)
        return True

    def _end(self, note: str) -> None:
        self._splitter.feed(self._defanger.end())
        self._splitter.end()
        if note:
            if not self.parts:
                self._splitter.parts.append(PartText("", final=True))
            self._splitter.parts[-1].note = _set_apart(note)
        last = next((part for part in reversed(self._splitter.parts) if not part.blank), None)
        if last is not None:
            last.foot = self._foot

    def _begin(self) -> None:
        self._said: list[str] = []
        self._defanger = Defanger()
        self._splitter = Splitter(self._limit)


def _set_apart(note: str) -> str:
    """A note as nobody takes it for the model's words: in italics, on one line."""
    return f"_{defanged(showable(' '.join(note.split())))}_"
