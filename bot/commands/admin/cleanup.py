"""The order `admin cleanup`: a preview, a button that must be confirmed, then the work itself, with
its progress in the direct messages with whoever ordered it.

The button carries the moment of its preview: what was used later is never deleted by it, however
late it is pressed.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from bot.commands.dispatcher import Asked
from bot.commands.formatting import count, many, size, when
from bot.commands.registry import PRESSED
from bot.commands.texts import admin as admin_texts
from bot.domain.cards import Card, Line, Outcome, Press, told
from bot.errors import BotError, SlackError
from bot.ports import Board, Clock, Store
from bot.sessions.cleanup import Cleanup, Preview, Report
from bot.sessions.cleanup_filter import Narrowing, as_words, narrowing
from bot.sessions.cleanup_notices import Farewells
from bot.tasks import Errands

log = logging.getLogger(__name__)

VERB: Final = "admin"
ACT: Final = "admin cleanup"
_ERRAND: Final = "cleanup"
REDRAW_SECONDS: Final = 3.0


class CleanupOrders:
    """Previews, begins and cancels cleanups."""

    def __init__(
        self, store: Store, board: Board, clock: Clock, cleanup: Cleanup, errands: Errands
    ) -> None:
        self._store = store
        self._board = board
        self._clock = clock
        self._cleanup = cleanup
        self._errands = errands
        self._cancelled = asyncio.Event()

    async def cleanup(self, asked: Asked) -> Outcome:
        first, _, rest = asked.words.partition(" ")
        if first.casefold() == "cancel":
            return self._cancel()
        if first.casefold() == "go":
            return await self._go(asked, rest)
        return await self._preview(asked)

    async def _preview(self, asked: Asked) -> Outcome:
        meant = self._meant(asked, asked.words)
        now = self._clock.now()
        found = await self._cleanup.preview(meant)
        presses = []
        if meant.said and not meant.orphans and found.sessions.count:
            sessions = many(found.sessions.count, "session")
            presses.append(
                _go(
                    admin_texts.DELETE,
                    admin_texts.DELETE_CONFIRM.format(sessions=sessions),
                    meant,
                    now,
                )
            )
        orphans = found.unreachable + found.lost
        if orphans or found.locks:
            only = narrowing("--orphans", now=now)
            confirm = admin_texts.TIDY_CONFIRM.format(orphans=count(orphans + found.locks))
            presses.append(_go(admin_texts.TIDY, confirm, only, now))
        card = Card(
            title=admin_texts.CLEANUP_TITLE,
            text=_sessions_found(found),
            lines=tuple(_left_over(found)),
            presses=tuple(presses),
            small=admin_texts.IN_USE if meant.said else admin_texts.NARROW,
        )
        return Outcome(card=card)

    async def _go(self, asked: Asked, flags: str) -> Outcome:
        if asked.order.form not in PRESSED:
            return told(
                admin_texts.PRESS_ONLY.format(flags=flags.replace("`", "'")[:100] or "--all")
            )
        meant = self._meant(asked, flags)
        if not meant.said:
            return told(admin_texts.NARROW)
        if self._cleanup.runs or self._errands.under_way(_ERRAND):
            return told(admin_texts.RUNNING)
        found = await self._cleanup.preview(meant)
        by = asked.person.user
        detail = f"begun: {found.sessions.count} sessions, {found.sessions.size} bytes"
        await self._store.audit(by, ACT, flags, detail)
        self._cancelled.clear()
        begun = self._errands.start(_ERRAND, lambda: self._work(by, flags, meant, found))
        return told(admin_texts.BEGUN if begun else admin_texts.RUNNING)

    def _cancel(self) -> Outcome:
        if not self._errands.under_way(_ERRAND):
            return told(admin_texts.NOT_RUNNING)
        self._cancelled.set()
        return told(admin_texts.CANCELLING)

    def _meant(self, asked: Asked, flags: str) -> Narrowing:
        """Raises `NotUnderstood`."""
        return narrowing(
            flags, now=self._clock.now(), here=asked.order.channel, me=asked.person.user
        )

    async def _work(self, by: str, flags: str, meant: Narrowing, found: Preview) -> None:
        """Do it, show it, and put on record what became of it, also when it is cut short."""
        shown = _Shown(self._board, self._clock, by, found.sessions.count)
        report = Report()

        async def progress(sofar: Report) -> None:
            nonlocal report
            report = sofar
            await shown.progress(sofar)

        try:
            await shown.begin()
            report = await self._cleanup.run(
                meant,
                progress=progress,
                gone=Farewells(self._board).tell,
                cancelled=self._cancelled.is_set,
            )
        except BaseException as error:
            await self._store.audit(by, ACT, flags, f"interrupted: {_on_record(report)}")
            told_why = error.sentence if isinstance(error, BotError) else admin_texts.INTERRUPTED
            await shown.end(told_why, report)
            raise
        await self._store.audit(by, ACT, flags, _on_record(report))
        await shown.end(_how_it_ended(report), report)


class _Shown:
    """The card in somebody's direct messages that shows how a cleanup goes. Slack's trouble is not
    the cleanup's."""

    def __init__(self, board: Board, clock: Clock, user: str, total: int) -> None:
        self._board = board
        self._clock = clock
        self._user = user
        self._total = total
        self._drawn = 0.0
        self._channel = self._ts = ""

    async def begin(self) -> None:
        try:
            self._channel = await self._board.direct(self._user)
            self._ts = await self._board.begin(self._channel, self._going_on(Report()))
        except SlackError as error:
            log.warning("how a cleanup goes could not be shown: %s", error)
        self._drawn = self._clock.monotonic()

    async def progress(self, report: Report) -> None:
        """Show it, at a pace that Slack likes."""
        if self._clock.monotonic() - self._drawn >= REDRAW_SECONDS:
            await self._draw(self._going_on(report))

    async def end(self, sentence: str, report: Report) -> None:
        await self._draw(
            Card(title=admin_texts.CLEANUP_TITLE, text=sentence, lines=tuple(_results(report)))
        )

    def _going_on(self, report: Report) -> Card:
        cancel = Press(label=admin_texts.CANCEL, verb=VERB, words="cleanup cancel")
        text = admin_texts.PROGRESS.format(deleted=count(report.deleted), total=count(self._total))
        return Card(title=admin_texts.CLEANUP_TITLE, text=text, presses=(cancel,))

    async def _draw(self, card: Card) -> None:
        self._drawn = self._clock.monotonic()
        try:
            if self._ts:
                await self._board.redraw(self._channel, self._ts, card)
            else:
                self._channel = await self._board.direct(self._user)
                self._ts = await self._board.begin(self._channel, card)
        except SlackError as error:
            log.warning("how a cleanup goes could not be shown: %s", error)


def _go(label: str, confirm: str, meant: Narrowing, now: float) -> Press:
    return Press(
        label=label,
        verb=VERB,
        words=f"cleanup go {as_words(meant, at=now)}",
        style="danger",
        confirm=confirm,
    )


def _sessions_found(found: Preview) -> str:
    sessions = found.sessions
    if not sessions.count:
        return admin_texts.FOUND_NONE
    return admin_texts.FOUND.format(
        sessions=many(sessions.count, "session"),
        size=size(sessions.size),
        oldest=when(sessions.oldest),
        newest=when(sessions.newest),
    )


def _left_over(found: Preview) -> list[Line]:
    lines = []
    if found.unreachable:
        sessions = many(found.unreachable, "session")
        octets = size(found.unreachable_bytes)
        lines.append(Line(text=admin_texts.UNREACHABLE.format(sessions=sessions, size=octets)))
    if found.lost:
        lines.append(Line(text=admin_texts.LOST.format(sessions=many(found.lost, "session"))))
    if found.locks:
        lines.append(Line(text=admin_texts.LOCKS.format(locks=many(found.locks, "lock"))))
    return lines


def _how_it_ended(report: Report) -> str:
    if report.cancelled:
        return admin_texts.CANCELLED
    return (
        admin_texts.ENDED_EARLY.format(trouble=report.trouble)
        if report.trouble
        else admin_texts.DONE
    )


def _results(report: Report) -> list[Line]:
    deleted = many(report.deleted, "session")
    texts = [admin_texts.RESULT.format(deleted=deleted, size=size(report.bytes))]
    if report.skipped:
        texts.append(admin_texts.RESULT_SKIPPED.format(sessions=many(report.skipped, "session")))
    if report.orphans:
        texts.append(admin_texts.RESULT_ORPHANS.format(orphans=many(report.orphans, "session")))
    if report.locks:
        texts.append(admin_texts.RESULT_LOCKS.format(locks=many(report.locks, "lock")))
    if report.failed:
        texts.append(admin_texts.RESULT_FAILED.format(sessions=many(report.failed, "session")))
    return [Line(text=text) for text in texts]


def _on_record(report: Report) -> str:
    """What became of it, for the audit."""
    ended = "cancelled" if report.cancelled else "ended early" if report.trouble else "done"
    return (
        f"{ended}: {report.deleted} deleted, {report.bytes} bytes, {report.skipped} skipped, "
        f"{report.orphans} orphans, {report.locks} locks, {report.failed} failed"
    )
