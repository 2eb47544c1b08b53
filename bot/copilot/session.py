"""Implements `bot.ports.AgentSession` with one live session of the runtime.

A prompt is sent to an idle session only. After each answer the runtime has reported that the
session is idle, or else the session is detached and counts as lost. So no event of one answer can
be mistaken for an event of the next.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncGenerator
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, replace

from copilot import CopilotSession
from copilot.rpc import HistoryTruncateRequest, NameSetRequest

from bot.clock import SYSTEM_CLOCK, time_limit
from bot.copilot.event_stream import PromptEvents, redact_events
from bot.copilot.events import prompt_ids_of
from bot.copilot.options import RuntimeOptions
from bot.copilot.runtime import Runtime
from bot.copilot.sdk_compat import history_of, is_refusal
from bot.copilot.side_question import ask_side_question
from bot.domain.agent_events import AgentEvent, PromptAccepted
from bot.errors import AgentError, AgentErrorKind
from bot.ports import PromptIds, SessionConfig, TurnStep

log = logging.getLogger(__name__)

STOP_SECONDS = 4.5
"""Timeout for an abort, in seconds. The port allows 5 s, and an abort takes about 12 ms."""
IDLE_SECONDS = 3.0
"""Timeout for an aborted session to become idle, in seconds."""
DETACH_SECONDS = 1.5
"""Timeout for detaching a session, in seconds."""

_NO_SUCH_EVENT = re.compile(r"Event .* not found in session")
"""Matches the error for an event that the history does not have. All errors have the same code, so
only the text identifies it."""


class LiveSession:
    """A session that the runtime has open."""

    def __init__(
        self,
        session: CopilotSession,
        runtime: Runtime,
        options: RuntimeOptions,
        *,
        config: SessionConfig,
        default_model: str,
        is_new: bool,
    ) -> None:
        """`default_model` is the model for a config without one. `is_new` is True for a session
        that was just created."""
        self._session = session
        self._runtime = runtime
        self._options = options
        self._config = config
        self._default_model = default_model
        self._is_new = is_new
        self._resumed = not is_new
        self._is_open = True
        self._prompt_lock = asyncio.Lock()
        self._prompt_events: PromptEvents | None = None
        self._becoming_idle: asyncio.Task[None] | None = None
        self._prompt_active = False
        self._abort_requested = False  # an abort that comes before the prompt is sent

    @property
    def id(self) -> str:
        return self._session.session_id

    @property
    def runtime(self) -> Runtime:
        """The runtime of the session."""
        return self._runtime

    @property
    def alive(self) -> bool:
        return self._is_open and not self._runtime.gone

    @property
    def config(self) -> SessionConfig:
        """`bot.ports.AgentSession.config`."""
        return self._config

    @property
    def is_new(self) -> bool:
        """True if the session never had a prompt. It is not on disk then."""
        return self._is_new

    @property
    def resumed(self) -> bool:
        """`bot.ports.AgentSession.resumed`."""
        return self._resumed

    async def ask(self, prompt: str) -> AsyncGenerator[AgentEvent, None]:
        """`bot.ports.AgentSession.ask`."""
        self._prompt_active = True
        try:
            async with self._prompt_lock, aclosing(self._redacted_answer(prompt)) as events:
                async for event in events:
                    if isinstance(event, PromptAccepted):
                        self._is_new = self._resumed = False
                    yield event
        finally:
            self._prompt_active = self._abort_requested = False

    def _redacted_answer(self, prompt: str) -> AsyncGenerator[AgentEvent, None]:
        """The answer to a prompt, without the bot's secrets in either."""
        redact = self._options.redact
        return redact_events(self._send_prompt(redact(prompt)), redact)

    async def _send_prompt(self, prompt: str) -> AsyncGenerator[AgentEvent, None]:
        """Send the prompt once the session is idle, and leave it idle afterwards."""
        await self._wait_idle()
        events = self._prompt_events = PromptEvents(self._options)
        subscriptions = ExitStack()
        try:
            self._subscribe(events, subscriptions)
            await self._send(events, prompt)
            if self._abort_requested:
                await self.abort()
            while (event := await events.next_event()) is not None:
                yield event
        finally:
            self._prompt_events = None
            events.cancel_timers()
            await self._conclude(events, subscriptions)

    async def abort(self) -> None:
        """`bot.ports.AgentSession.abort`."""
        events = self._prompt_events
        if events is None:
            self._abort_requested = self._prompt_active
            return
        if events.is_complete:
            return
        try:
            async with time_limit(SYSTEM_CLOCK, STOP_SECONDS):
                # An abort that arrives before its prompt has no effect.
                await events.prompt_sent.wait()
                if not events.runtime_done.is_set():
                    await self._session.abort()
                    await events.runtime_done.wait()
        except Exception as error:  # the answer ends for the reader, and `ask` cleans up
            log.warning("answer could not be aborted: session=%s error=%r", self.id, error)
            events.complete_as_stopped()

    async def close(self) -> None:
        """`bot.ports.AgentSession.close`: bounded to 1.5 s. A running answer ends with an error."""
        if not self._is_open:
            return
        events = self._prompt_events
        if events is not None:
            events.fail(AgentError(AgentErrorKind.RUNTIME, f"session {self.id} was closed"))
        await self._detach()
        if events is not None:
            events.runtime_done.set()

    async def switch_model(self, model: str, effort: str) -> None:
        """`bot.ports.AgentSession.switch_model`."""
        await self._wait_idle()
        await ensure_model(self._runtime, self._session, model or self._default_model, effort)
        self._config = replace(self._config, model=model, effort=effort)

    async def truncate_from(self, event_id: str) -> bool:
        """`bot.ports.AgentSession.truncate_from`."""
        await self._wait_idle()
        request = HistoryTruncateRequest(event_id=event_id)
        try:
            await self._runtime.call("forget", self._session.rpc.history.truncate(request))
        except AgentError as error:
            if _NO_SUCH_EVENT.search(str(error.__cause__)):
                return False
            raise
        # A switch of the model is an event of the history, too. It may be truncated as well.
        await self.switch_model(self._config.model, self._config.effort)
        return True

    async def prompt_ids(self) -> PromptIds:
        """`bot.ports.AgentSession.prompt_ids`."""
        await self._wait_idle()
        return prompt_ids_of(await self._runtime.call("history", history_of(self._session)))

    async def ask_side_question(self, question: str) -> str:
        """`bot.ports.AgentSession.ask_side_question`."""
        self._check_alive()
        redact = self._options.redact
        answer = ask_side_question(self._runtime, self._session, self._options, redact(question))
        return redact(await answer)

    async def rename(self, title: str) -> None:
        """`bot.ports.AgentSession.rename`."""
        self._check_alive()
        await self._runtime.call("rename", self._session.rpc.name.set(NameSetRequest(name=title)))

    async def _wait_idle(self) -> None:
        """Wait until the previous prompt is cleaned up. Raises `AgentError`."""
        if self._becoming_idle is not None:
            await asyncio.shield(self._becoming_idle)
        self._check_alive()

    def _check_alive(self) -> None:
        if not self.alive:
            raise AgentError(AgentErrorKind.RUNTIME, f"session {self.id} is not open any more")

    def _subscribe(self, events: PromptEvents, subscriptions: ExitStack) -> None:
        try:
            subscriptions.callback(self._session.on(events.handle_event))
        except RuntimeError as error:
            self._is_open = False
            raise AgentError(AgentErrorKind.RUNTIME, f"session {self.id} is closed") from error
        subscriptions.callback(self._runtime.add_gone_listener(events.fail_runtime_gone))

    async def _conclude(self, events: PromptEvents, subscriptions: ExitStack) -> None:
        """Leave the session idle or detached. Bounded to 4.5 s."""
        if events.runtime_done.is_set() or not events.prompt_sent.is_set():
            subscriptions.close()
            return
        self._becoming_idle = asyncio.create_task(self._abort_unread(events))
        self._becoming_idle.add_done_callback(lambda _: subscriptions.close())
        # Shielded: a second cancellation must not leave the model running.
        await asyncio.shield(self._becoming_idle)

    async def _send(self, events: PromptEvents, prompt: str) -> None:
        try:
            with self._options.telemetry.observe_step(TurnStep.PROMPT):
                await self._runtime.call("send", self._session.send(prompt))
        finally:
            events.prompt_sent.set()

    async def _abort_unread(self, events: PromptEvents) -> None:
        """Abort an answer that has no reader, so that the session becomes idle.

        Bounded to 4.5 s; raises nothing.
        """
        try:
            async with time_limit(SYSTEM_CLOCK, IDLE_SECONDS):
                await self._session.abort()
                await events.runtime_done.wait()
        except Exception as error:  # for any error: the session must not be used again
            if self.alive:
                log.warning("session did not become idle: session=%s error=%r", self.id, error)
            await self._detach()

    async def _detach(self) -> None:
        """Detach the session. A running answer ends with it. Raises nothing."""
        self._is_open = False
        if self._runtime.gone:
            return
        try:
            await self._runtime.detach(self._session, DETACH_SECONDS)
        except AgentError as error:
            log.warning("session could not be detached: session=%s error=%s", self.id, error)


NO_EFFORT = "none"
"""The runtime's word for a session without reasoning effort."""


SWITCH_SECONDS = 5.0
"""Timeout for each of up to three calls, in seconds. They take milliseconds."""


@dataclass(frozen=True, slots=True)
class _ActiveModel:
    """The model of a session, and its reasoning effort ("" if none is set)."""

    model: str
    effort: str


async def ensure_model(runtime: Runtime, session: CopilotSession, model: str, effort: str) -> None:
    """Switch the session to a model ("": the current one) and effort ("": none), and verify it.

    Raises `AgentError`: MODEL_GONE if the session stays with another model. Bounded to 15 s.
    """
    now = await _active_model(runtime, session)
    wanted = _ActiveModel(model or now.model, effort)
    if now == wanted:
        return
    try:
        await runtime.call(
            "switch the model",
            session.set_model(wanted.model, reasoning_effort=effort or NO_EFFORT),
            SWITCH_SECONDS,
        )
    except AgentError as error:
        if error.kind is AgentErrorKind.RUNTIME and is_refusal(error.__cause__):
            raise AgentError(AgentErrorKind.MODEL_GONE, str(error)) from error
        raise
    now = await _active_model(runtime, session)
    if now.model != wanted.model:
        raise AgentError(
            AgentErrorKind.MODEL_GONE,
            f"the session stays with {now.model} instead of {wanted.model}",
        )
    if now.effort != wanted.effort:
        log.warning("reasoning effort not accepted: model=%s effort=%s", model, effort)


async def _active_model(runtime: Runtime, session: CopilotSession) -> _ActiveModel:
    current = await runtime.call("model", session.rpc.model.get_current(), SWITCH_SECONDS)
    effort = current.reasoning_effort or ""
    return _ActiveModel(current.model_id or "", "" if effort == NO_EFFORT else effort)
