"""Orders that show what a session was asked and answered: `history`, and `export` as a file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from bot.commands import texts
from bot.commands.dispatcher import Asked, Handler
from bot.commands.formatting import (
    Pages,
    age,
    clipped,
    how_it_goes,
    many,
    one_line,
    page_in,
    pager,
    titled,
    unmarked,
)
from bot.commands.session_state import blind
from bot.commands.texts import sessions as session_texts
from bot.commands.transcripts import Format, read_transcript
from bot.commands.user_names import Names
from bot.domain.cards import Card, Line, Outcome, told
from bot.domain.sessions import Remembered, SessionRecord
from bot.ports import Board, Clock, Store

PAGE_SIZE: Final = 5
_QUESTION: Final = 300
_ANSWER: Final = 500
_FORMAT: Final = re.compile("|".join(Format), re.IGNORECASE)


class Remembering:
    """Shows what sessions remember."""

    def __init__(self, store: Store, board: Board, names: Names, clock: Clock) -> None:
        self._store = store
        self._board = board
        self._names = names
        self._clock = clock

    def handlers(self) -> Mapping[str, Handler]:
        return {"history": self.history, "export": self.export}

    async def history(self, asked: Asked) -> Outcome:
        """A page of what was asked, the newest one where none is named."""
        wished = page_in(asked.words)
        if asked.words and wished is None:
            return told(how_it_goes("history"))
        session = asked.session
        if session is None:
            return told(_missing(asked, "history"))
        total = (await self._store.remembered(session.number, 0, 1)).total
        if not total:
            return told(_nothing(session))
        pages = Pages(total=total, per_page=PAGE_SIZE)
        page = pages.nearest(pages.last if wished is None else wished)
        first = pages.offset(page)
        found = await self._store.remembered(session.number, first, PAGE_SIZE)
        return Outcome(
            card=Card(
                title=session_texts.HISTORY_TITLE.format(
                    handle=session.handle, title=titled(session)
                ),
                text=pages.said(page, session_texts.PAGE),
                lines=await self._lines(_shown(session, found.turns), first),
                presses=pager(
                    "history",
                    pages,
                    page,
                    (session_texts.HISTORY_EARLIER, session_texts.HISTORY_LATER),
                    lambda page: f"{session.handle} {page}",
                ),
                link=session.thread if session.thread != asked.place else None,
            )
        )

    async def export(self, asked: Asked) -> Outcome:
        """The transcript, to the person alone."""
        if asked.words and not _FORMAT.fullmatch(asked.words):
            return told(how_it_goes("export"))
        session = asked.session
        if session is None:
            return told(_missing(asked, "export"))
        transcript = await read_transcript(self._store, session)
        if not transcript.turns:
            return told(_nothing(session))
        if session.owner != asked.person.user and asked.in_charge:
            detail = f"of {session.owner}, {many(len(transcript.turns), 'turn')}"
            await self._store.audit(asked.person.user, "export", session.handle, detail)
        people = {session.owner, *(turn.user for turn in transcript.turns)}
        names = await self._names.of(people)
        turns_shown = _shown(session, transcript.turns)
        about = replace(session, model="") if blind(session) else session
        transcript = replace(transcript, session=about, turns=turns_shown, names=names)
        form = Format(asked.words.casefold() or Format.MARKDOWN)
        await self._board.upload(
            asked.person.user,
            transcript.file_name(form),
            transcript.written(form),
            session_texts.EXPORT_COMMENT.format(handle=session.handle),
        )
        turns = many(len(transcript.turns), "turn")
        done = session_texts.EXPORT_DONE.format(handle=session.handle, turns=turns)
        if transcript.left_out:
            done += session_texts.EXPORT_LEFT_OUT.format(turns=many(transcript.left_out, "turn"))
        return told(done)

    async def _lines(self, turns: Sequence[Remembered], first: int) -> tuple[Line, ...]:
        names = await self._names.of({turn.user for turn in turns})
        now = self._clock.now()
        return tuple(
            _line(turn, number, names[turn.user], now)
            for number, turn in enumerate(turns, start=first + 1)
        )


def _shown(session: SessionRecord, turns: Sequence[Remembered]) -> Sequence[Remembered]:
    """The turns, without the models where these are not told."""
    return tuple(replace(turn, model="") for turn in turns) if blind(session) else turns


def _line(turn: Remembered, number: int, name: str, now: float) -> Line:
    who = session_texts.HISTORY_WHO.format(number=number, name=name, age=age(now - turn.asked))
    if turn.model:
        who = f"{who} · {turn.model}"
    answer = (
        clipped(one_line(unmarked(turn.answer[: 4 * _ANSWER])), _ANSWER) or session_texts.NO_ANSWER
    )
    return Line(
        text=clipped(one_line(turn.text), _QUESTION) or session_texts.UNTITLED,
        detail=f"{who}\n{answer}",
    )


def _missing(asked: Asked, verb: str) -> str:
    return (
        texts.ONLY_IN_THREADS.format(verb=verb) if asked.place is None else session_texts.NO_SESSION
    )


def _nothing(session: SessionRecord) -> str:
    if not session.asked:
        return session_texts.HISTORY_EMPTY.format(handle=session.handle)
    turns = many(session.turns, "time")
    return session_texts.HISTORY_OLDER_KIND.format(handle=session.handle, turns=turns)
