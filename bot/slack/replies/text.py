"""Prepares the text of a reply: escapes the answer, splits it, adds the note and actions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bot.slack.api.blocks import Block
from bot.slack.formatting.links import LinkSanitizer
from bot.slack.formatting.sanitize import MentionEscaper, escape_mentions, sanitize
from bot.slack.replies.splitter import MIN_PART_LIMIT, PART_LIMIT, PartText, Splitter

MAX_SHOWN_CHARS: Final = 120_000
"""Maximum number of characters of an answer that are shown in the thread, in about eleven messages.
A longer answer shows its beginning. (Slack takes a message a second: 5 MB would be 480 messages,
which take eight minutes to post and are not read.)"""


class ReplyText:
    """The text of one reply, from its first word to its note."""

    def __init__(self, limit: int = PART_LIMIT) -> None:
        self._limit = limit
        self._note: str | None = None
        self._overflow_note = ""
        self._action_blocks: Sequence[Block] = ()
        self._reset()

    @property
    def parts(self) -> Sequence[PartText]:
        """The parts so far. A part that was sent does not change, until the text is replaced."""
        return self._splitter.parts

    @property
    def full_text(self) -> str:
        """The whole answer so far, unescaped."""
        return "".join(self._chunks)

    @property
    def is_truncated(self) -> bool:
        """True if the parts hold only the beginning of the answer."""
        return self._length > MAX_SHOWN_CHARS

    @property
    def is_finished(self) -> bool:
        """True if the text is complete."""
        return self._note is not None

    def append_text(self, text: str) -> None:
        """Add text to the answer."""
        room = max(0, MAX_SHOWN_CHARS - self._length)
        self._chunks.append(text)
        self._length += len(text)
        if room:
            self._splitter.add_text(
                self._link_sanitizer.feed(self._mention_escaper.feed(sanitize(text[:room])))
            )

    def replace_text(self, text: str) -> None:
        """Replace the whole answer so far by `text`."""
        previous = self.full_text
        if text.startswith(previous):
            self.append_text(text[len(previous) :])
            return
        self._reset()
        self.append_text(text)

    def complete(self, text: str, note: str, action_blocks: Sequence[Block] = ()) -> None:
        """Set the whole answer, the bot's own sentence after it, and the blocks below the last
        part."""
        self.replace_text(text)
        self._note, self._action_blocks = note, action_blocks
        self._flush()

    def set_overflow_note(self, text: str) -> None:
        """Set a sentence that comes before the note: where the rest of a truncated text is."""
        self._overflow_note = text
        self._apply_note()

    def drop_actions(self) -> bool:
        """Remove the actions. Returns False if there are none."""
        dropped, self._action_blocks = bool(self._action_blocks), ()
        for part in self.parts:
            part.action_blocks = ()
        return dropped

    def end_part(self, min_chars: int) -> None:
        """End the last part, after at least its first `min_chars` characters."""
        self._splitter.end_part(min_chars)

    def shrink_parts(self) -> bool:
        """Split the same text into parts of half the size. Returns False if they are as small as
        possible."""
        if self._limit // 2 < MIN_PART_LIMIT:
            return False
        self._limit //= 2
        text = self.full_text
        self._reset()
        self.append_text(text)
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
    """A note in italics and on one line, so that users do not take it for the model's text."""
    return f"_{escape_mentions(sanitize(' '.join(note.split())))}_"
