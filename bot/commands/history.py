"""Executes `history` and `export`, which show or send a session's questions and answers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from bot.commands import texts
from bot.commands.dispatcher import CommandContext, CommandGroup, CommandHandler
from bot.commands.formatting import (
    Pages,
    display_title,
    format_age,
    one_line,
    page_buttons,
    parse_page,
    pluralize,
    strip_markdown,
    usage_hint,
)
from bot.commands.session_state import is_blind
from bot.commands.texts import sessions as session_texts
from bot.commands.transcripts import TranscriptFormat, read_transcript
from bot.commands.user_names import UserNames
from bot.domain.cards import Card, CardItem, CommandResult, text_result
from bot.domain.sessions import HistoryEntry, SessionRecord
from bot.domain.text import truncate
from bot.ports import CardPublisher, Clock, Store

PAGE_SIZE: Final = 5
"""Number of turns on a page."""
_MAX_QUESTION_CHARS: Final = 300
_MAX_ANSWER_CHARS: Final = 500
_FORMAT_PATTERN: Final = re.compile("|".join(TranscriptFormat), re.IGNORECASE)


class HistoryCommands(CommandGroup):
    """Handles `history` and `export`."""

    def __init__(
        self, store: Store, publisher: CardPublisher, names: UserNames, clock: Clock
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._names = names
        self._clock = clock

    def handlers(self) -> Mapping[str, CommandHandler]:
        return {"history": self.history, "export": self.export}

    async def history(self, ctx: CommandContext) -> CommandResult:
        """Show a page of the history; without a number the last one."""
        requested_page = parse_page(ctx.args)
        if ctx.args and requested_page is None:
            return text_result(usage_hint("history"))
        session = ctx.session
        if session is None:
            return text_result(_no_session_text(ctx, "history"))
        total = (await self._store.list_history(session.number, 0, 1)).total
        if not total:
            return text_result(_empty_text(session))
        pages = Pages(total=total, per_page=PAGE_SIZE)
        page = pages.nearest(pages.last if requested_page is None else requested_page)
        first = pages.offset(page)
        history_page = await self._store.list_history(session.number, first, PAGE_SIZE)
        return CommandResult(
            card=Card(
                title=session_texts.HISTORY_TITLE.format(
                    handle=session.handle, title=display_title(session)
                ),
                text=pages.label(page, session_texts.PAGE),
                items=await self._items(
                    _without_hidden_models(session, history_page.entries), first
                ),
                buttons=page_buttons(
                    "history",
                    pages,
                    page,
                    (session_texts.HISTORY_EARLIER, session_texts.HISTORY_LATER),
                    lambda page: f"{session.handle} {page}",
                ),
                link=session.thread if session.thread != ctx.thread_key else None,
            )
        )

    async def export(self, ctx: CommandContext) -> CommandResult:
        """Send the transcript to the user alone."""
        if ctx.args and not _FORMAT_PATTERN.fullmatch(ctx.args):
            return text_result(usage_hint("export"))
        session = ctx.session
        if session is None:
            return text_result(_no_session_text(ctx, "export"))
        transcript = await read_transcript(self._store, session)
        if not transcript.turns:
            return text_result(_empty_text(session))
        if session.owner != ctx.user.id and ctx.is_admin:
            detail = f"of {session.owner}, {pluralize(len(transcript.turns), 'turn')}"
            await self._store.add_audit_entry(ctx.user.id, "export", session.handle, detail)
        users = {session.owner, *(turn.user for turn in transcript.turns)}
        names = await self._names.names_of(users)
        turns_shown = _without_hidden_models(session, transcript.turns)
        session_shown = replace(session, model="") if is_blind(session) else session
        transcript = replace(transcript, session=session_shown, turns=turns_shown, names=names)
        file_format = TranscriptFormat(ctx.args.casefold() or TranscriptFormat.MARKDOWN)
        await self._publisher.upload(
            ctx.user.id,
            transcript.file_name(file_format),
            transcript.render(file_format),
            session_texts.EXPORT_COMMENT.format(handle=session.handle),
        )
        turns = pluralize(len(transcript.turns), "turn")
        text = session_texts.EXPORT_DONE.format(handle=session.handle, turns=turns)
        if transcript.omitted_count:
            text += session_texts.EXPORT_OMITTED.format(
                turns=pluralize(transcript.omitted_count, "turn")
            )
        return text_result(text)

    async def _items(self, turns: Sequence[HistoryEntry], first: int) -> tuple[CardItem, ...]:
        names = await self._names.names_of({turn.user for turn in turns})
        now = self._clock.now()
        return tuple(
            _item(turn, number, names[turn.user], now)
            for number, turn in enumerate(turns, start=first + 1)
        )


def _without_hidden_models(
    session: SessionRecord, turns: Sequence[HistoryEntry]
) -> Sequence[HistoryEntry]:
    """The turns, without their models if these are hidden."""
    return tuple(replace(turn, model="") for turn in turns) if is_blind(session) else turns


def _item(turn: HistoryEntry, number: int, name: str, now: float) -> CardItem:
    detail = session_texts.HISTORY_WHO.format(
        number=number, name=name, age=format_age(now - turn.accepted_at)
    )
    if turn.model:
        detail = f"{detail} · {turn.model}"
    answer = (
        truncate(one_line(strip_markdown(turn.answer[: 4 * _MAX_ANSWER_CHARS])), _MAX_ANSWER_CHARS)
        or session_texts.NO_ANSWER
    )
    return CardItem(
        text=truncate(one_line(turn.text), _MAX_QUESTION_CHARS) or session_texts.UNTITLED,
        detail=f"{detail}\n{answer}",
    )


def _no_session_text(ctx: CommandContext, command_name: str) -> str:
    return (
        texts.ONLY_IN_THREADS.format(command=command_name)
        if ctx.thread_key is None
        else session_texts.NO_SESSION
    )


def _empty_text(session: SessionRecord) -> str:
    if not session.has_turns:
        return session_texts.HISTORY_EMPTY.format(handle=session.handle)
    turns = pluralize(session.turn_count, "time")
    return session_texts.HISTORY_UNAVAILABLE.format(handle=session.handle, turns=turns)
