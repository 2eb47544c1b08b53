"""Shows a turn's growing answer in its thread: implements `bot.ports.Reply`.

The turn sets the text. One writer task per reply brings the thread up to date, at Slack's pace.
Nothing writes after the end.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from bot.domain.cards import ReplyActions
from bot.domain.messages import ThreadKey
from bot.errors import SlackError
from bot.ports import Clock
from bot.slack.api.calls import SlackCallError, retry_delay
from bot.slack.cards.render import render_actions
from bot.slack.replies.delivery import ReplyDelivery
from bot.slack.replies.pacer import Pacer
from bot.slack.replies.text import ReplyText
from bot.tasks import wait_for_event

log = logging.getLogger(__name__)

FINISH_SECONDS: Final = 120.0
"""Timeout in seconds for the end of an answer while errors are transient. After that a later reply
has to finish it."""

_MAX_PAUSE_SECONDS: Final = 30.0
_CLOSE_SECONDS: Final = 11.0
_CANCEL_SECONDS: Final = 2.0
_STOP_SECONDS: Final = 6.0


class SlackReply:
    """One reply. It starts to write at once; `close` ends it in every case."""

    def __init__(
        self,
        thread: ThreadKey,
        text: ReplyText,
        delivery: ReplyDelivery,
        pacer: Pacer,
        clock: Clock,
    ) -> None:
        self._thread = thread
        self._text = text
        self._delivery = delivery
        self._pacer = pacer
        self._clock = clock
        self._failures = 0
        self._finishing = False
        self._closing = False
        self._changed = asyncio.Event()
        self._wake = asyncio.Event()
        self._done = asyncio.Event()
        self._last_error: SlackCallError | None = None
        self.is_complete = False
        """Whether `finish` has shown the answer. If not, the thread's content is not known."""
        self.may_show_status = True
        """`Reply.may_show_status`, set by the workspace when it clears the status."""
        self._writer = asyncio.create_task(self._write_loop(), name="reply")
        self._writer.add_done_callback(lambda _: self._done.set())

    def append(self, text: str) -> None:
        """`Reply.append`."""
        if self._is_closed():
            return
        self._text.append_text(text)
        self._changed.set()

    def replace(self, text: str) -> None:
        """`Reply.replace`."""
        if self._is_closed():
            return
        self._text.replace_text(text)
        self._changed.set()

    async def finish(self, text: str, note: str = "", actions: ReplyActions | None = None) -> None:
        """`Reply.finish`."""
        if not self._is_closed():
            action_blocks = render_actions(actions, self._thread) if actions is not None else ()
            self._text.complete(text, note, action_blocks)
            self._finishing = True
            self._changed.set()
            self._wake.set()
        await wait_for_event(self._done, self._clock, FINISH_SECONDS)
        if not self._writer.done():
            self._writer.cancel()
            await asyncio.wait({self._writer}, timeout=_CANCEL_SECONDS)
        if not self._writer.done() or self._writer.cancelled():
            raise self._last_error or SlackCallError("timeout", "the end", maybe_done=True)
        self._writer.result()
        self.is_complete = True

    async def close(self) -> None:
        """Stop the writer and all streams. Takes at most 20 s and raises no `SlackError`."""
        self._closing = True
        self._changed.set()
        self._wake.set()
        try:
            await asyncio.wait({self._writer}, timeout=_CLOSE_SECONDS)
        finally:
            self._writer.cancel()
            await asyncio.wait({self._writer}, timeout=_CANCEL_SECONDS)
            self._pacer.unregister(self._delivery)
        completed = self._writer.done() and not self._writer.cancelled()
        if completed and (error := self._writer.exception()):
            log.warning("reply incomplete: reason=%s", error)
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self._delivery.end_streams()
        except TimeoutError:
            log.warning("stream not stopped in time: Slack ends it")

    def _is_closed(self) -> bool:
        if self._finishing or self._closing:
            log.warning("reply already ended: new text ignored")
        return self._finishing or self._closing

    # The writer -----------------------------------------------------------------------------

    async def _write_loop(self) -> None:
        """Keep the thread up to date until the answer ends or the reply closes."""
        while True:
            await wait_for_event(
                self._changed, self._clock, self._delivery.remaining_stream_seconds()
            )
            self._changed.clear()
            if self._finishing:
                await self._sync_final()
                return
            if self._closing:
                return
            self._wake.clear()
            pause = await self._sync_partial()
            await wait_for_event(self._wake, self._clock, pause)

    async def _sync_partial(self) -> float:
        """Show the text so far, as far as the pace allows. Returns the seconds until the next
        look."""
        if wait := self._delivery.remaining_halt_seconds():
            self._changed.set()
            return wait
        if wait := self._pacer.reserve_write(self._delivery):
            self._changed.set()
            return wait
        try:
            all_shown = await self._delivery.sync(final=False)
        except SlackError as error:
            log.warning("partial answer not shown: reason=%s", error)
            all_shown, self._failures = False, self._failures + 1
        else:
            self._failures = 0
        if not all_shown:
            self._changed.set()
        pause = self._pacer.poll_interval(self._delivery.delivery)
        return min(_MAX_PAUSE_SECONDS, pause * float(2 ** min(self._failures, 8)))

    async def _sync_final(self) -> None:
        """Show the whole answer, with retries after transient errors for as long as `finish` waits.
        Raises `SlackCallError` if Slack refuses it."""
        attempts = 0
        while True:
            try:
                await self._delivery.sync(final=True)
            except SlackCallError as error:
                if not error.transient:
                    raise
                log.warning("end of answer not shown yet: reason=%s", error)
                self._last_error = error
            else:
                return
            await self._clock.sleep(retry_delay(self._last_error, attempts))
            attempts += 1
