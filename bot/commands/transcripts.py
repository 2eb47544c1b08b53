"""Writes the transcript of a session to a file: Markdown to read, JSON for programs.

In Markdown, questions and answers are inside fences that are longer than any fence in them, and
titles and names are escaped. So no text can pass for another part of the file.

The JSON is one object. Its fields stay; new ones may be added:

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

from bot.commands.formatting import format_count, format_time, one_line, pluralize
from bot.commands.texts import sessions as session_texts
from bot.domain.sessions import HistoryEntry, SessionRecord
from bot.domain.text import truncate
from bot.ports import SessionStore

MAX_TURNS: Final = 5_000
"""Maximum number of turns in one file."""
MAX_CHARS: Final = 20_000_000
"""Maximum number of characters of questions and answers in one file, about."""
VERSION: Final = 1
_PAGE_SIZE: Final = 200
_MARKUP: Final = re.compile(r"([!-/:-@\[-`{-~])")
_FENCES: Final = re.compile(r"`+")


class TranscriptFormat(StrEnum):
    """The file format of a transcript."""

    MARKDOWN = "markdown"
    JSON = "json"


_EXTENSIONS: Final = {TranscriptFormat.MARKDOWN: "md", TranscriptFormat.JSON: "json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """The questions and answers of a session."""

    session: SessionRecord
    turns: Sequence[HistoryEntry]
    omitted_count: int = 0
    """Number of the oldest turns that are left out."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Names by Slack user id; a user without a name appears by their id."""

    def render(self, file_format: TranscriptFormat) -> str:
        """The content of the file."""
        return as_json(self) if file_format is TranscriptFormat.JSON else as_markdown(self)

    def file_name(self, file_format: TranscriptFormat) -> str:
        return f"threadpilot-{self.session.handle}.{_EXTENSIONS[file_format]}"


async def read_transcript(store: SessionStore, session: SessionRecord) -> Transcript:
    """The newest turns of a session, at most `MAX_TURNS` and about `MAX_CHARS`; without names.

    Raises `StoreError`.
    """
    total = (await store.list_history(session.number, 0, 1)).total
    kept: list[HistoryEntry] = []
    chars, end = 0, total
    while end > 0 and len(kept) < MAX_TURNS and chars < MAX_CHARS:
        begin = max(0, end - min(_PAGE_SIZE, MAX_TURNS - len(kept)))
        page = (await store.list_history(session.number, begin, end - begin)).entries
        chars += sum(len(turn.text) + len(turn.answer) for turn in page)
        kept[:0] = page
        end = begin
    return Transcript(session=session, turns=tuple(kept), omitted_count=end)


def as_markdown(transcript: Transcript) -> str:
    """A transcript as Markdown."""
    return "\n".join(_markdown_parts(transcript)) + "\n"


def as_json(transcript: Transcript) -> str:
    """A transcript as JSON, in the format of this module's docstring."""
    session = transcript.session
    document = {
        "format": "threadpilot-transcript",
        "version": VERSION,
        "session": {
            "handle": session.handle,
            "id": session.id,
            "title": session.title,
            "role": session.role,
            "model": session.model,
            "owner": _user_json(transcript, session.owner),
            "team": session.thread.team,
            "channel": session.thread.channel,
            "thread": session.thread.root_ts,
            "created": _iso(session.created_at),
            "used": _iso(session.last_used_at),
            "turns": session.turn_count,
            "input_tokens": session.input_tokens,
            "output_tokens": session.output_tokens,
        },
        "left_out": transcript.omitted_count,
        "turns": [
            {
                "number": number,
                "ts": turn.ts,
                "asked": _iso(turn.accepted_at),
                "user": _user_json(transcript, turn.user),
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
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def _markdown_parts(transcript: Transcript) -> Iterator[str]:
    session = transcript.session
    yield f"# {_escape(session.title) or session_texts.UNTITLED}"
    yield ""
    yield f"- {session_texts.TRANSCRIPT_SESSION}: {session.handle}"
    if session.role:
        yield f"- {session_texts.TRANSCRIPT_ROLE}: {_escape(session.role)}"
    yield f"- {session_texts.TRANSCRIPT_OWNER}: {_escape(_display_name(transcript, session.owner))}"
    yield f"- {session_texts.TRANSCRIPT_CREATED}: {format_time(session.created_at)}"
    yield f"- {session_texts.TRANSCRIPT_TURNS}: {format_count(session.turn_count)}"
    yield "- " + session_texts.TRANSCRIPT_TOKENS.format(
        input=format_count(session.input_tokens), output=format_count(session.output_tokens)
    )
    if transcript.omitted_count:
        turns = pluralize(transcript.omitted_count, "turn")
        yield f"- {session_texts.TRANSCRIPT_OMITTED.format(turns=turns)}"
    for number, turn in _numbered(transcript):
        yield ""
        author = _escape(_display_name(transcript, turn.user))
        yield f"## {number}. {author}, {format_time(turn.accepted_at)}"
        yield ""
        yield from _fenced(turn.text)
        yield ""
        yield f"**{_escape(turn.model) or session_texts.UNKNOWN_MODEL}**{_usage_text(turn)}"
        yield ""
        yield from _fenced(turn.answer) if turn.answer else (session_texts.NO_ANSWER,)


def _numbered(transcript: Transcript) -> Iterator[tuple[int, HistoryEntry]]:
    return enumerate(transcript.turns, start=transcript.omitted_count + 1)


def _fenced(text: str) -> Iterator[str]:
    longest = max((len(run) for run in _FENCES.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    yield fence + "text"
    yield text
    yield fence


def _escape(text: str) -> str:
    return _MARKUP.sub(r"\\\1", truncate(one_line(text), 300))


def _usage_text(turn: HistoryEntry) -> str:
    tokens = session_texts.TRANSCRIPT_COST.format(
        input=format_count(turn.input_tokens), output=format_count(turn.output_tokens)
    )
    return f", {turn.seconds:.1f} s, {tokens}" if turn.seconds else f", {tokens}"


def _display_name(transcript: Transcript, user: str) -> str:
    return transcript.names.get(user, user)


def _user_json(transcript: Transcript, user: str) -> dict[str, str]:
    return {"id": user, "name": _display_name(transcript, user)}


def _iso(timestamp: float) -> str:
    return datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="seconds")
