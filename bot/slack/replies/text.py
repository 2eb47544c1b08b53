"""What a reply has to show: the model's words, made safe, in parts; the bot's note; the foot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bot.slack.api.client import Block
from bot.slack.formatting.links import LinkSanitizer
from bot.slack.formatting.sanitize import MentionEscaper, escape_mentions, sanitize
from bot.slack.replies.splitter import MIN_PART_LIMIT, PART_LIMIT, PartText, Splitter

MAX_SHOWN_CHARS: Final = 120_000
"""So many characters of an answer are shown in the thread, in some eleven messages; of a longer one
that is the beginning. (Slack takes a message a second: 5 MB would be 480 messages, which take eight
minutes to post and nobody reads.)"""


class ReplyText:
    """The text of one reply from its first word to its note."""

    def __init__(self, limit: int = PART_LIMIT) -> None:
        self._limit = limit
        self._note: str | None = None
        self._overflow_note = ""
        self._action_blocks: Sequence[Block] = ()
        self._reset()

    @property
    def parts(self) -> Sequence[PartText]:
        """The parts up to here; a part that went out goes on saying what it said, until the
        text is replaced."""
        return self._splitter.parts

    @property
    def full_text(self) -> str:
        """Everything that the model said up to here, as it said it."""
        return "".join(self._chunks)

    @property
    def is_truncated(self) -> bool:
        """Whether the parts hold only the beginning of it."""
        return self._length > MAX_SHOWN_CHARS

    @property
    def is_finished(self) -> bool:
        """Whether nothing comes any more."""
        return self._note is not None

    def append_text(self, text: str) -> None:
        """The model said more."""
        room = max(0, MAX_SHOWN_CHARS - self._length)
        self._chunks.append(text)
        self._length += len(text)
        if room:
            self._splitter.add_text(
                self._link_sanitizer.feed(self._mention_escaper.feed(sanitize(text[:room])))
            )

    def replace_text(self, text: str) -> None:
        """The model's whole answer up to here is `text`."""
        said = self.full_text
        if text.startswith(said):
            self.append_text(text[len(said) :])
            return
        self._reset()
        self.append_text(text)

    def complete(self, text: str, note: str, action_blocks: Sequence[Block] = ()) -> None:
        """The model's whole answer is `text`; `note` is the bot's own sentence after it, `foot`
        what stands under the last part."""
        self.replace_text(text)
        self._note, self._action_blocks = note, action_blocks
        self._flush()

    def set_overflow_note(self, text: str) -> None:
        """Say this at the end, before the note: what becomes of a text that is cut short."""
        self._overflow_note = text
        self._apply_note()

    def drop_actions(self) -> bool:
        """Do without the foot; False where there is none."""
        dropped, self._action_blocks = bool(self._action_blocks), ()
        for part in self.parts:
            part.action_blocks = ()
        return dropped

    def end_part(self, min_chars: int) -> None:
        """End the last part here, keeping at least its first `shown` characters."""
        self._splitter.end_part(min_chars)

    def shrink_parts(self) -> bool:
        """Put the same text into parts half the size; False where they are as small as can be."""
        if self._limit // 2 < MIN_PART_LIMIT:
            return False
        self._limit //= 2
        said = self.full_text
        self._reset()
        self.append_text(said)
        if self._note is not None:
            self._flush()
        return True

    def _apply_note(self) -> None:
        note = " ".join(filter(None, (self._overflow_note, self._note)))
        if not note:
            return
        if not self.parts:
            self._splitter.parts.append(PartText("", is_final=True))
        self._splitter.parts[-1].note = _italic_note(note)

    def _flush(self) -> None:
        self._splitter.add_text(
            self._link_sanitizer.feed(self._mention_escaper.flush()) + self._link_sanitizer.flush()
        )
        self._splitter.complete()
        self._apply_note()
        last = next((part for part in reversed(self._splitter.parts) if not part.is_blank), None)
        if last is not None:
            last.action_blocks = self._action_blocks

    def _reset(self) -> None:
        self._chunks: list[str] = []
        self._length = 0
        self._mention_escaper = MentionEscaper()
        self._link_sanitizer = LinkSanitizer()
        self._splitter = Splitter(self._limit)


def _italic_note(note: str) -> str:
    """A note as nobody takes it for the model's words: in italics, on one line."""
    return f"_{escape_mentions(sanitize(' '.join(note.split())))}_"
