"""What a reply has to show: the model's words, made safe, in parts; the bot's note; the foot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bot.slack.api.client import Block
from bot.slack.formatting.links import LinkGuard
from bot.slack.formatting.sanitize import Defanger, defanged, showable
from bot.slack.replies.splitter import PART_LIMIT, SMALLEST_LIMIT, PartText, Splitter

MOST_SHOWN: Final = 120_000
"""So many characters of an answer are shown in the thread, in some eleven messages; of a longer one
that is the beginning. (Slack takes a message a second: 5 MB would be 480 messages, which take eight
minutes to post and nobody reads.)"""


class ReplyText:
    """The text of one reply from its first word to its note."""

    def __init__(self, limit: int = PART_LIMIT) -> None:
        self._limit = limit
        self._note: str | None = None
        self._beneath = ""
        self._foot: Sequence[Block] = ()
        self._begin()

    @property
    def parts(self) -> Sequence[PartText]:
        """The parts up to here; a part that went out goes on saying what it said, until the
        text is replaced."""
        return self._splitter.parts

    @property
    def said(self) -> str:
        """Everything that the model said up to here, as it said it."""
        return "".join(self._said)

    @property
    def cut_short(self) -> bool:
        """Whether the parts hold only the beginning of it."""
        return self._length > MOST_SHOWN

    @property
    def ended(self) -> bool:
        """Whether nothing comes any more."""
        return self._note is not None

    def append(self, text: str) -> None:
        """The model said more."""
        room = max(0, MOST_SHOWN - self._length)
        self._said.append(text)
        self._length += len(text)
        if room:
            self._splitter.feed(self._links.feed(self._defanger.feed(showable(text[:room]))))

    def replace(self, text: str) -> None:
        """The model's whole answer up to here is `text`."""
        said = self.said
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
        self._end()

    def say_beneath(self, sentence: str) -> None:
        """Say this at the end, before the note: what becomes of a text that is cut short."""
        self._beneath = sentence
        self._put_note()

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
        said = self.said
        self._begin()
        self.append(said)
        if self._note is not None:
            self._end()
        return True

    def _put_note(self) -> None:
        note = " ".join(filter(None, (self._beneath, self._note)))
        if not note:
            return
        if not self.parts:
            self._splitter.parts.append(PartText("", final=True))
        self._splitter.parts[-1].note = _set_apart(note)

    def _end(self) -> None:
        self._splitter.feed(self._links.feed(self._defanger.end()) + self._links.end())
        self._splitter.end()
        self._put_note()
        last = next((part for part in reversed(self._splitter.parts) if not part.blank), None)
        if last is not None:
            last.foot = self._foot

    def _begin(self) -> None:
        self._said: list[str] = []
        self._length = 0
        self._defanger = Defanger()
        self._links = LinkGuard()
        self._splitter = Splitter(self._limit)


def _set_apart(note: str) -> str:
    """A note as nobody takes it for the model's words: in italics, on one line."""
    return f"_{defanged(showable(' '.join(note.split())))}_"
