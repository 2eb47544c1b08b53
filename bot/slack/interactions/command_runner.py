"""Runs recorded commands and delivers their results to Slack.

A press or a slash command is acknowledged when it is recorded. Then the command runs, its result is
shown, and it is marked as done. After a crash in between, the next start finds the unfinished
command: it reports it, or runs it if the questions of its thread still wait for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Final

from bot.commands import texts
from bot.commands.dispatcher import CommandDispatcher
from bot.domain.cards import Card, CommandResult, text_result
from bot.domain.commands import Command, CommandSource
from bot.domain.messages import TS_PATTERN, ThreadKey
from bot.errors import BotError, SlackError, StoreError
from bot.ports import Clock
from bot.slack import texts as slack_texts
from bot.slack.api.calls import SlackCallError, retry_delay
from bot.slack.api.ephemeral import respond
from bot.slack.cards.publisher import SlackCardPublisher
from bot.slack.cards.render import RenderedCard
from bot.slack.interactions.modals import ask_button
from bot.slack.interactions.payloads import CommandPress
from bot.tasks import BackgroundTasks

log = logging.getLogger(__name__)

COMMAND_TIMEOUT_SECONDS: Final = 300.0
"""Timeout in seconds of a command; longer work runs in the background and shows its progress."""
DELIVERY_SECONDS: Final = 120.0
"""Time in seconds in which a delivery is retried after transient errors."""
ACK_SECONDS: Final = 2.0
"""Timeout in seconds of the response to Slack, which waits for 3 s."""

_RECORD_SECONDS: Final = 2.0
_MARK_DONE_SECONDS: Final = 10.0
_MAX_RUNNING: Final = 500
MAX_RUNNING_PER_USER: Final = 20
"""Maximum number of commands of one user that run or wait at once."""
_ONE_DELIVERY_SECONDS: Final = 60.0

DeliverResult = Callable[[CommandResult], Awaitable[None]]
"""Delivers a result to its readers. Raises `SlackError`."""
PublishHomeTab = Callable[[str, Card], Awaitable[None]]
"""Publishes a user's Home tab again, with a card on top. Raises `SlackError`."""


class CommandRunner:
    """Runs commands and delivers their results, with limits for each user."""

    def __init__(
        self,
        dispatcher: CommandDispatcher,
        publisher: SlackCardPublisher,
        clock: Clock,
        timeout_seconds: float = COMMAND_TIMEOUT_SECONDS,
    ) -> None:
        """`timeout_seconds` is the timeout of a command in seconds."""
        self._dispatcher = dispatcher
        self._publisher = publisher
        self._clock = clock
        self._running_tasks = BackgroundTasks(
            _MAX_RUNNING,
            timeout_seconds + DELIVERY_SECONDS + _ONE_DELIVERY_SECONDS + _MARK_DONE_SECONDS,
        )
        self._delivery_tasks = BackgroundTasks(
            _MAX_RUNNING, DELIVERY_SECONDS + _ONE_DELIVERY_SECONDS + _MARK_DONE_SECONDS
        )
        """Tasks that only deliver a result, also when too many commands run."""
        self._timeout_seconds = timeout_seconds
        self._running_by_user: Counter[str] = Counter()
        """Number of running commands of each user."""
        self._running_presses: set[tuple[str, ...]] = set()
        """Keys of the running presses: a second click is ignored."""

    def start_command(self, command: Command) -> bool:
        """Start a recorded command of a message, or one that was interrupted; returns at once.
        False if too much runs: then its user is informed."""
        deliver = self._thread_delivery(command)
        refusal = self._overload_text(command)
        if not refusal and self._start_task(command, self._execute_and_deliver(command, deliver)):
            return True
        work = self._deliver_and_mark_done(
            command, deliver, text_result(refusal or slack_texts.BUSY)
        )
        self._delivery_tasks.spawn(f"the refusal of {command.name}", work)
        return False

    def deliver_later(self, command: Command, result: CommandResult) -> None:
        """Start to deliver the result of a command whose interaction has ended, and mark it as
        done. It goes to its thread, or else to its user alone. Returns at once."""
        work = self._deliver_and_mark_done(command, self._thread_delivery(command), result)
        self._delivery_tasks.spawn(f"the result of {command.name}", work)

    async def run_button_command(
        self, press: CommandPress, publish_home_tab: PublishHomeTab
    ) -> str:
        """Record the command of a press, within 2 s, and start it; a double click is ignored. The
        refusal text, or an empty string."""
        if press.dedup_key in self._running_presses:
            return ""
        refusal = self._overload_text(press.command)
        if refusal:
            return refusal
        self._running_presses.add(press.dedup_key)
        recorded = await self._record(press.command)
        work = self._run_press(press, self._press_delivery(press, publish_home_tab))
        if recorded is True and self._start_task(press.command, work):
            return ""
        work.close()
        self._running_presses.discard(press.dedup_key)
        if recorded is True:
            self._delivery_tasks.spawn(
                "a refused command", self._dispatcher.mark_done(press.command)
            )
            return slack_texts.BUSY
        return recorded or ""

    async def run_slash_command(self, command: Command, response_url: str) -> RenderedCard | None:
        """Record a slash command and run it. The result for its user alone, or None if it takes
        more than 2 s: then it is delivered later."""
        started_at = asyncio.get_running_loop().time()
        refusal = self._overload_text(command)
        if refusal:
            return await self._render(command, text_result(refusal))
        recorded = await self._record(command)
        if recorded is not True:
            return await self._render(command, text_result(recorded)) if recorded else None
        response: asyncio.Future[RenderedCard] = asyncio.get_running_loop().create_future()
        deliver = self._slash_delivery(command, response_url, response)
        if not self._start_task(command, self._execute_and_deliver(command, deliver)):
            self._delivery_tasks.spawn("a refused command", self._dispatcher.mark_done(command))
            return await self._render(command, text_result(slack_texts.BUSY))
        remaining = ACK_SECONDS - (asyncio.get_running_loop().time() - started_at)
        try:
            return await asyncio.wait_for(response, max(remaining, 0.0))
        except TimeoutError:
            return None  # the future is cancelled, so the result is delivered later

    async def close(self) -> None:
        """Let running commands end within a few seconds; the rest stays recorded as unfinished."""
        await asyncio.gather(self._running_tasks.close(), self._delivery_tasks.close())

    # One command ------------------------------------------------------------------------------

    def _overload_text(self, command: Command) -> str:
        """The refusal text for a user with too many running commands, or an empty string."""
        return texts.TOO_MANY if self._running_by_user[command.user] >= MAX_RUNNING_PER_USER else ""

    def _start_task(self, command: Command, work: Coroutine[object, object, None]) -> bool:
        """Start a command. False if too many run."""
        task = self._running_tasks.spawn(f"the {command.source} {command.name}", work)
        if task is None:
            return False
        self._running_by_user[command.user] += 1
        task.add_done_callback(lambda _: self._on_task_done(command.user))
        return True

    def _on_task_done(self, user: str) -> None:
        self._running_by_user[user] -= 1
        if not self._running_by_user[user]:
            del self._running_by_user[user]

    async def _record(self, command: Command) -> bool | str:
        """True if the command is newly recorded, False if it was before; else the error text."""
        recording = asyncio.ensure_future(self._dispatcher.record(command))
        try:
            async with asyncio.timeout(_RECORD_SECONDS):
                return await asyncio.shield(recording)
        except TimeoutError:
            log.warning(
                "command not recorded in time: command=%s user=%s", command.name, command.user
            )
            self._running_tasks.spawn(
                f"discarding {command.name}", self._discard_if_recorded(command, recording)
            )
            return StoreError.user_message
        except BotError as error:
            log.warning(
                "command not recorded: command=%s user=%s reason=%s",
                *(command.name, command.user, error),
            )
            return error.user_message

    async def _discard_if_recorded(self, command: Command, recording: asyncio.Future[bool]) -> None:
        """Mark a command as done that was refused but is recorded after all. So it neither runs nor
        is reported at the next start."""
        if await recording:
            await self._dispatcher.mark_done(command)

    async def _run_press(self, press: CommandPress, deliver: DeliverResult) -> None:
        try:
            await self._execute_and_deliver(press.command, deliver)
        finally:
            self._running_presses.discard(press.dedup_key)

    async def _execute_and_deliver(self, command: Command, deliver: DeliverResult) -> None:
        """Run the command, deliver its result, mark it as done."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                result = await self._dispatcher.execute(command)
        except TimeoutError:
            log.warning("command timed out: command=%s user=%s", command.name, command.user)
            result = text_result(texts.TOOK_TOO_LONG)
        await self._deliver_and_mark_done(command, deliver, result)

    async def _deliver_and_mark_done(
        self, command: Command, deliver: DeliverResult, result: CommandResult
    ) -> None:
        """Deliver the result and mark the command as done, also if the delivery fails."""
        try:
            await self._deliver_with_retries(deliver, result)
        except SlackError as error:
            log.warning("result not delivered: command=%s reason=%s", command.name, error)
        async with asyncio.timeout(_MARK_DONE_SECONDS):
            await self._dispatcher.mark_done(command)

    async def _deliver_with_retries(self, deliver: DeliverResult, result: CommandResult) -> None:
        """Deliver the result, with retries after transient errors. Raises `SlackError`."""
        deadline, tries = self._clock.monotonic() + DELIVERY_SECONDS, 0
        while True:
            try:
                async with asyncio.timeout(_ONE_DELIVERY_SECONDS):
                    await deliver(result)
            except TimeoutError as error:
                raise SlackCallError(
                    "timeout", "delivery took too long", maybe_done=True
                ) from error
            except SlackCallError as error:
                pause = retry_delay(error, tries)
                if not error.transient or self._clock.monotonic() + pause > deadline:
                    raise
                log.warning("result not delivered yet: reason=%s", error)
            else:
                return
            tries += 1
            await self._clock.sleep(pause)

    # Delivery ---------------------------------------------------------------------------------

    def _thread_delivery(self, command: Command) -> DeliverResult:
        """Delivers into the command's thread, or to its user alone."""
        tries = 0

        async def deliver(result: CommandResult) -> None:
            nonlocal tries
            tries += 1
            if result.silent:
                return
            if result.public and command.thread is not None:
                await self._post_in_thread(
                    command, command.thread, result.card, is_redelivery=tries > 1
                )
            else:
                await self._post_ephemeral(command, result)

        return deliver

    def _press_delivery(
        self, press: CommandPress, publish_home_tab: PublishHomeTab
    ) -> DeliverResult:
        command, deliver_in_thread = press.command, self._thread_delivery(press.command)

        async def deliver(result: CommandResult) -> None:
            if result.silent:
                return
            public = result.public and command.thread is not None
            if public:
                await deliver_in_thread(result)
            if command.source is CommandSource.HOME_TAB:
                await publish_home_tab(command.user, result.card)
            elif not public:
                rendered = await self._render(command, result)
                try:
                    await respond(
                        press.response_url,
                        rendered.text,
                        rendered.blocks,
                        root_ts=press.root_ts,
                        replace_original=press.replaces_message,
                    )
                except SlackError as error:
                    log.info("result sent as an ephemeral message instead: reason=%s", error)
                    await self._publisher.send_ephemeral(
                        command.user, command.channel, press.root_ts, rendered
                    )

        return deliver

    def _slash_delivery(
        self, command: Command, response_url: str, response: asyncio.Future[RenderedCard]
    ) -> DeliverResult:
        async def deliver(result: CommandResult) -> None:
            empty = RenderedCard(text="", blocks=[])
            rendered = empty if result.silent else await self._render(command, result)
            if not response.done():
                response.set_result(rendered)
                return
            if result.silent:
                return
            try:
                await respond(response_url, rendered.text, rendered.blocks)
            except SlackError as error:
                log.info("result sent as an ephemeral message instead: reason=%s", error)
                await self._publisher.send_ephemeral(command.user, command.channel, "", rendered)

        return deliver

    async def _post_in_thread(
        self, command: Command, thread: ThreadKey, card: Card, *, is_redelivery: bool
    ) -> None:
        """Post into the thread once: on a retry the card may be posted already."""
        after = (
            command.ts if TS_PATTERN.fullmatch(command.ts) else f"{self._clock.now() - 3_600:.6f}"
        )
        if not (is_redelivery and await self._publisher.is_posted(thread, command.key, after)):
            await self._publisher.post(thread, card, command_key=command.key)

    async def _post_ephemeral(self, command: Command, result: CommandResult) -> None:
        """Post the result for its user alone, where the command was given. Slack shows ephemeral
        messages in a thread only if it has replies, so for a root message it goes to the
        channel."""
        rendered = await self._render(command, result)
        channel = command.channel or await self._publisher.open_dm(command.user)
        root_ts = command.thread.root_ts if command.thread is not None and command.channel else ""
        await self._publisher.send_ephemeral(
            command.user, channel, "" if root_ts == command.ts else root_ts, rendered
        )

    async def _render(self, command: Command, result: CommandResult) -> RenderedCard:
        """The rendered result for one user; the help also has the button for questions."""
        rendered = await self._publisher.render(
            result.card, thread=command.thread, command_name=command.name
        )
        if command.name == "help" and command.channel:
            return RenderedCard(text=rendered.text, blocks=[*rendered.blocks, ask_button()])
        return rendered
