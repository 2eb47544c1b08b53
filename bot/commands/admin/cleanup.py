"""Executes `admin cleanup`: a preview, a button to confirm, then the cleanup itself.

Its progress appears in the direct messages with the admin who started it. The button carries the
time of its preview: a session that was used after it is never deleted, however late the button is
pressed.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from bot.commands.dispatcher import CommandContext
from bot.commands.formatting import format_count, format_size, format_time, pluralize
from bot.commands.registry import INTERACTIVE_SOURCES
from bot.commands.texts import admin as admin_texts
from bot.domain.cards import Button, Card, CardItem, CommandResult, text_result
from bot.errors import BotError, SlackError
from bot.ports import CardPublisher, Clock, Store
from bot.sessions.cleanup import Cleanup, CleanupPreview, CleanupReport
from bot.sessions.cleanup_filter import CleanupFilter, format_filter, parse_filter
from bot.sessions.cleanup_notices import CleanupNotices
from bot.tasks import BackgroundTasks

log = logging.getLogger(__name__)

COMMAND_NAME: Final = "admin"
AUDIT_ACTION: Final = "admin cleanup"
_TASK_NAME: Final = "cleanup"
UPDATE_INTERVAL_SECONDS: Final = 3.0
"""Interval between updates of the progress card, in seconds."""


class CleanupCommands:
    """Handles `admin cleanup`: previews, starts and cancels."""

    def __init__(
        self,
        store: Store,
        publisher: CardPublisher,
        clock: Clock,
        cleanup: Cleanup,
        tasks: BackgroundTasks,
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._clock = clock
        self._cleanup = cleanup
        self._tasks = tasks
        self._cancelled = asyncio.Event()

    async def cleanup(self, ctx: CommandContext) -> CommandResult:
        first, _, rest = ctx.args.partition(" ")
        if first.casefold() == "cancel":
            return self._cancel()
        if first.casefold() == "go":
            return await self._start(ctx, rest)
        return await self._preview(ctx)

    async def _preview(self, ctx: CommandContext) -> CommandResult:
        cleanup_filter = self._parse_filter(ctx, ctx.args)
        now = self._clock.now()
        preview = await self._cleanup.preview(cleanup_filter)
        buttons = []
        if (
            cleanup_filter.is_specified
            and not cleanup_filter.orphans_only
            and preview.sessions.count
        ):
            sessions = pluralize(preview.sessions.count, "session")
            buttons.append(
                _start_button(
                    admin_texts.DELETE,
                    admin_texts.DELETE_CONFIRM.format(sessions=sessions),
                    cleanup_filter,
                    now,
                )
            )
        orphans = preview.orphan_sessions + preview.orphan_records
        if orphans or preview.stale_locks:
            orphan_filter = parse_filter("--orphans", now=now)
            confirm = admin_texts.REMOVE_ORPHANS_CONFIRM.format(
                orphans=format_count(orphans + preview.stale_locks)
            )
            buttons.append(_start_button(admin_texts.REMOVE_ORPHANS, confirm, orphan_filter, now))
        card = Card(
            title=admin_texts.CLEANUP_TITLE,
            text=_preview_text(preview),
            items=tuple(_orphan_items(preview)),
            buttons=tuple(buttons),
            small_print=admin_texts.IN_USE
            if cleanup_filter.is_specified
            else admin_texts.FILTER_HELP,
        )
        return CommandResult(card=card)

    async def _start(self, ctx: CommandContext, flags: str) -> CommandResult:
        if ctx.command.source not in INTERACTIVE_SOURCES:
            return text_result(
                admin_texts.BUTTON_ONLY.format(flags=flags.replace("`", "'")[:100] or "--all")
            )
        cleanup_filter = self._parse_filter(ctx, flags)
        if not cleanup_filter.is_specified:
            return text_result(admin_texts.FILTER_HELP)
        if self._cleanup.is_running or self._tasks.is_running(_TASK_NAME):
            return text_result(admin_texts.RUNNING)
        preview = await self._cleanup.preview(cleanup_filter)
        actor = ctx.user.id
        detail = f"begun: {preview.sessions.count} sessions, {preview.sessions.size} bytes"
        await self._store.add_audit_entry(actor, AUDIT_ACTION, flags, detail)
        self._cancelled.clear()
        is_started = self._tasks.spawn(
            _TASK_NAME, self._run(actor, flags, cleanup_filter, preview), unique=True
        )
        return text_result(admin_texts.BEGUN if is_started else admin_texts.RUNNING)

    def _cancel(self) -> CommandResult:
        if not self._tasks.is_running(_TASK_NAME):
            return text_result(admin_texts.NOT_RUNNING)
        self._cancelled.set()
        return text_result(admin_texts.CANCELLING)

    def _parse_filter(self, ctx: CommandContext, flags: str) -> CleanupFilter:
        """The filter in the flags. Raises `FilterSyntaxError`."""
        return parse_filter(
            flags,
            now=self._clock.now(),
            current_channel=ctx.command.channel,
            current_user=ctx.user.id,
        )

    async def _run(
        self, actor: str, flags: str, cleanup_filter: CleanupFilter, preview: CleanupPreview
    ) -> None:
        """Run the cleanup, show its progress, and audit its result even if it is interrupted."""
        progress_card = _ProgressCard(self._publisher, self._clock, actor, preview.sessions.count)
        report = CleanupReport()

        async def progress(current: CleanupReport) -> None:
            nonlocal report
            report = current
            await progress_card.report_progress(current)

        try:
            await progress_card.post_initial()
            report = await self._cleanup.run(
                cleanup_filter,
                on_progress=progress,
                on_deleted=CleanupNotices(self._publisher).notify_threads,
                is_cancelled=self._cancelled.is_set,
            )
        except BaseException as error:
            await self._store.add_audit_entry(
                actor, AUDIT_ACTION, flags, f"interrupted: {_audit_detail(report)}"
            )
            text = error.user_message if isinstance(error, BotError) else admin_texts.INTERRUPTED
            await progress_card.post_final(text, report)
            raise
        await self._store.add_audit_entry(actor, AUDIT_ACTION, flags, _audit_detail(report))
        await progress_card.post_final(_summary(report), report)


class _ProgressCard:
    """Shows the progress of a cleanup in an admin's direct messages.

    Errors of Slack are logged only and do not affect the cleanup.
    """

    def __init__(self, publisher: CardPublisher, clock: Clock, user: str, total: int) -> None:
        self._publisher = publisher
        self._clock = clock
        self._user = user
        self._total = total
        self._updated_at = 0.0
        self._channel = self._ts = ""

    async def post_initial(self) -> None:
        try:
            self._channel = await self._publisher.open_dm(self._user)
            self._ts = await self._publisher.post_to_channel(
                self._channel, self._progress_card(CleanupReport())
            )
        except SlackError as error:
            log.warning("cleanup progress not shown: error=%s", error)
        self._updated_at = self._clock.monotonic()

    async def report_progress(self, report: CleanupReport) -> None:
        """Update the card, at most once per `UPDATE_INTERVAL_SECONDS`."""
        if self._clock.monotonic() - self._updated_at >= UPDATE_INTERVAL_SECONDS:
            await self._publish(self._progress_card(report))

    async def post_final(self, text: str, report: CleanupReport) -> None:
        await self._publish(
            Card(title=admin_texts.CLEANUP_TITLE, text=text, items=tuple(_result_items(report)))
        )

    def _progress_card(self, report: CleanupReport) -> Card:
        cancel = Button(label=admin_texts.CANCEL, command_name=COMMAND_NAME, args="cleanup cancel")
        text = admin_texts.PROGRESS.format(
            deleted=format_count(report.deleted), total=format_count(self._total)
        )
        return Card(title=admin_texts.CLEANUP_TITLE, text=text, buttons=(cancel,))

    async def _publish(self, card: Card) -> None:
        self._updated_at = self._clock.monotonic()
        try:
            if self._ts:
                await self._publisher.update(self._channel, self._ts, card)
            else:
                self._channel = await self._publisher.open_dm(self._user)
                self._ts = await self._publisher.post_to_channel(self._channel, card)
        except SlackError as error:
            log.warning("cleanup progress not shown: error=%s", error)


def _start_button(label: str, confirm: str, cleanup_filter: CleanupFilter, now: float) -> Button:
    return Button(
        label=label,
        command_name=COMMAND_NAME,
        args=f"cleanup go {format_filter(cleanup_filter, as_of=now)}",
        style="danger",
        confirm=confirm,
    )


def _preview_text(preview: CleanupPreview) -> str:
    sessions = preview.sessions
    if not sessions.count:
        return admin_texts.FOUND_NONE
    return admin_texts.FOUND.format(
        sessions=pluralize(sessions.count, "session"),
        size=format_size(sessions.size),
        oldest=format_time(sessions.oldest),
        newest=format_time(sessions.newest),
    )


def _orphan_items(preview: CleanupPreview) -> list[CardItem]:
    items = []
    if preview.orphan_sessions:
        sessions = pluralize(preview.orphan_sessions, "session")
        size = format_size(preview.orphan_session_bytes)
        items.append(CardItem(text=admin_texts.UNREACHABLE.format(sessions=sessions, size=size)))
    if preview.orphan_records:
        items.append(
            CardItem(
                text=admin_texts.MISSING_ON_DISK.format(
                    sessions=pluralize(preview.orphan_records, "session")
                )
            )
        )
    if preview.stale_locks:
        items.append(
            CardItem(text=admin_texts.LOCKS.format(locks=pluralize(preview.stale_locks, "lock")))
        )
    return items


def _summary(report: CleanupReport) -> str:
    if report.cancelled:
        return admin_texts.CANCELLED
    return (
        admin_texts.ENDED_EARLY.format(trouble=report.error_text)
        if report.error_text
        else admin_texts.DONE
    )


def _result_items(report: CleanupReport) -> list[CardItem]:
    deleted = pluralize(report.deleted, "session")
    texts = [admin_texts.RESULT.format(deleted=deleted, size=format_size(report.freed_bytes))]
    if report.skipped:
        texts.append(
            admin_texts.RESULT_SKIPPED.format(sessions=pluralize(report.skipped, "session"))
        )
    if report.orphans:
        texts.append(
            admin_texts.RESULT_ORPHANS.format(orphans=pluralize(report.orphans, "session"))
        )
    if report.removed_locks:
        texts.append(admin_texts.RESULT_LOCKS.format(locks=pluralize(report.removed_locks, "lock")))
    if report.failed:
        texts.append(admin_texts.RESULT_FAILED.format(sessions=pluralize(report.failed, "session")))
    return [CardItem(text=text) for text in texts]


def _audit_detail(report: CleanupReport) -> str:
    """The result of a cleanup for the audit log."""
    state = "cancelled" if report.cancelled else "ended early" if report.error_text else "done"
    return (
        f"{state}: {report.deleted} deleted, {report.freed_bytes} bytes, {report.skipped} skipped, "
        f"{report.orphans} orphans, {report.removed_locks} locks, {report.failed} failed"
    )
