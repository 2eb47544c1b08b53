"""The transcript of a session as a file: Markdown to read, JSON for programs.

What was asked and answered stands in the Markdown inside fences that are longer than any fence in
it, and titles and names have their markup escaped, so that no text can pass for another part of the
file.

The JSON is one object; what it has now stays, what may come is added:

    format      "threadpilot-transcript"
    version     1
    session     handle, id, title, role, model, owner {id, name}, team, channel, thread (Slack's
                ts), created and used (ISO 8601, UTC), turns, input_tokens, output_tokens
    left_out    how many of the oldest turns are not in the file
    turns       oldest first, each: number, ts, asked (ISO 8601, UTC), user {id, name}, question,
                answer, state, model, seconds, input_tokens, output_tokens
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from bot.commands.formatting import clipped, count, many, one_line, when
from bot.commands.texts import sessions as session_texts
from bot.domain.sessions import Remembered, SessionRecord
from bot.ports import SessionStore

MOST_TURNS: Final = 5_000
MOST_CHARS: Final = 20_000_000
"""Characters of questions and answers that go into one file."""
VERSION: Final = 1
_PAGE: Final = 200
_MARKUP: Final = re.compile(r"([!-/:-@\[-`{-~])")
_FENCES: Final = re.compile(r"`+")


class Format(StrEnum):
    """What a transcript is written in."""

    MARKDOWN = "markdown"
    JSON = "json"


_ENDINGS: Final = {Format.MARKDOWN: "md", Format.JSON: "json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """What a session was asked and answered."""

    session: SessionRecord
    turns: Sequence[Remembered]
    left_out: int = 0
    """How many of the oldest turns are not in it."""
    names: Mapping[str, str] = field(default_factory=dict)
    """What people are called, by their Slack user ids; an id stands for itself where missing."""

    def written(self, form: Format) -> str:
        """The file's text."""
        return as_json(self) if form is Format.JSON else as_markdown(self)

    def file_name(self, form: Format) -> str:
        return f"threadpilot-{self.session.handle}.{_ENDINGS[form]}"


async def read_transcript(store: SessionStore, session: SessionRecord) -> Transcript:
    """The newest turns of a session, at most `MOST_TURNS` and about `MOST_CHARS`; without names.

    Raises `StoreError`.
    """
    total = (await store.remembered(session.number, 0, 1)).total
    kept: list[Remembered] = []
    chars, end = 0, total
    while end > 0 and len(kept) < MOST_TURNS and chars < MOST_CHARS:
        begin = max(0, end - min(_PAGE, MOST_TURNS - len(kept)))
        page = (await store.remembered(session.number, begin, end - begin)).turns
        chars += sum(len(turn.text) + len(turn.answer) for turn in page)
        kept[:0] = page
        end = begin
    return Transcript(session=session, turns=tuple(kept), left_out=end)


def as_markdown(transcript: Transcript) -> str:
    """A transcript to read."""
    return "\n".join(_markdown(transcript)) + "\n"


def as_json(transcript: Transcript) -> str:
    """A transcript for programs, in the shape that this module's docstring tells."""
    session = transcript.session
    shape = {
        "format": "threadpilot-transcript",
        "version": VERSION,
        "session": {
            "handle": session.handle,
            "id": session.id,
            "title": session.title,
            "role": session.role,
            "model": session.model,
            "owner": _who(transcript, session.owner),
            "team": session.thread.team,
            "channel": session.thread.channel,
            "thread": session.thread.root_ts,
            "created": _iso(session.created),
            "used": _iso(session.used),
            "turns": session.turns,
            "input_tokens": session.input_tokens,
            "output_tokens": session.output_tokens,
        },
        "left_out": transcript.left_out,
        "turns": [
            {
                "number": number,
                "ts": turn.ts,
                "asked": _iso(turn.asked),
                "user": _who(transcript, turn.user),
                "question": turn.text,
                "answer": turn.answer,
                "state": turn.state.value,
                "model": turn.model,
                "seconds": turn.seconds,
                "input_tokens": turn.input_tokens,
                "output_tokens": turn.output_tokens,
            }
            for number, turn in _numbered(transcript)
        ],
    }
    return json.dumps(shape, ensure_ascii=False, indent=2) + "\n"


def _markdown(transcript: Transcript) -> Iterator[str]:
    session = transcript.session
    yield f"# {_inert(session.title) or session_texts.UNTITLED}"
    yield ""
    yield f"- {session_texts.TRANSCRIPT_SESSION}: {session.handle}"
    if session.role:
        yield f"- {session_texts.TRANSCRIPT_ROLE}: {_inert(session.role)}"
    yield f"- {session_texts.TRANSCRIPT_OWNER}: {_inert(_name(transcript, session.owner))}"
    yield f"- {session_texts.TRANSCRIPT_BEGUN}: {when(session.created)}"
    yield f"- {session_texts.TRANSCRIPT_TURNS}: {count(session.turns)}"
    yield "- " + session_texts.TRANSCRIPT_TOKENS.format(
        input=count(session.input_tokens), output=count(session.output_tokens)
    )
    if transcript.left_out:
        left_out = many(transcript.left_out, "turn")
        yield f"- {session_texts.TRANSCRIPT_LEFT_OUT.format(turns=left_out)}"
    for number, turn in _numbered(transcript):
        yield ""
        yield f"## {number}. {_inert(_name(transcript, turn.user))}, {when(turn.asked)}"
        yield ""
        yield from _fenced(turn.text)
        yield ""
        yield f"**{_inert(turn.model) or session_texts.UNKNOWN_MODEL}**{_cost(turn)}"
        yield ""
        yield from _fenced(turn.answer) if turn.answer else (session_texts.NO_ANSWER,)


def _numbered(transcript: Transcript) -> Iterator[tuple[int, Remembered]]:
    return enumerate(transcript.turns, start=transcript.left_out + 1)


def _fenced(text: str) -> Iterator[str]:
    longest = max((len(run) for run in _FENCES.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    yield fence + "text"
    yield text
    yield fence


def _inert(text: str) -> str:
    return _MARKUP.sub(r"\\\1", clipped(one_line(text), 300))


def _cost(turn: Remembered) -> str:
    tokens = session_texts.TRANSCRIPT_COST.format(
        input=count(turn.input_tokens), output=count(turn.output_tokens)
    )
    return f", {turn.seconds:.1f} s, {tokens}" if turn.seconds else f", {tokens}"


def _name(transcript: Transcript, user: str) -> str:
    return transcript.names.get(user, user)


def _who(transcript: Transcript, user: str) -> dict[str, str]:
    return {"id": user, "name": _name(transcript, user)}


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
