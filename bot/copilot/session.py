"""One live session of the runtime: `bot.ports.AgentSession`.

What makes it dependable: a prompt is only ever sent into a session at rest. After each answer,
however it ended, the runtime has said that the session rests, or the session is detached and
counts as lost; so nothing of one answer can be taken for the next.
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

from bot.clock import REAL, time_limit
from bot.copilot.event_stream import Answering, redacted
from bot.copilot.events import prompts_of
from bot.copilot.options import RuntimeOptions
from bot.copilot.runtime import Runtime
from bot.copilot.sdk_compat import history_of, is_refusal
from bot.copilot.side_question import ask_aside
from bot.domain.agent_events import AgentEvent, PromptTaken
from bot.errors import AgentError, AgentFault
from bot.ports import Prompts, Setup, Step

log = logging.getLogger(__name__)

STOP_SECONDS = 4.5
"""The port allows 5 s for a stop; an abort takes about 12 ms."""
REST_SECONDS = 3.0
DETACH_SECONDS = 1.5

_NO_SUCH_EVENT = re.compile(r"Event .* not found in session")
"""All errors have one code; only these words tell that the history has no such event."""


class LiveSession:
    """A session that the runtime has open."""

    def __init__(
        self,
        session: CopilotSession,
        runtime: Runtime,
        options: RuntimeOptions,
        *,
        setup: Setup,
        default_model: str,
        blank: bool,
    ) -> None:
        """`default_model` is what a setup without a model means; `blank` says that the session
        was made just now."""
        self._session = session
        self._runtime = runtime
        self._options = options
        self._setup = setup
        self._default_model = default_model
        self._blank = blank
        self._as_found = not blank
        self._open = True
        self._one_prompt = asyncio.Lock()
        self._answering: Answering | None = None
        self._settling: asyncio.Task[None] | None = None
        self._asked = False
        self._stop_at_once = False  # for a stop that comes before the prompt is on its way

    @property
    def id(self) -> str:
        return self._session.session_id

    @property
    def runtime(self) -> Runtime:
        """The one that has it."""
        return self._runtime

    @property
    def alive(self) -> bool:
        return self._open and not self._runtime.gone

    @property
    def setup(self) -> Setup:
        """`bot.ports.AgentSession.setup`."""
        return self._setup

    @property
    def blank(self) -> bool:
        """Whether nothing was ever asked in it: on disk there is nothing of it yet."""
        return self._blank

    @property
    def as_found(self) -> bool:
        """`bot.ports.AgentSession.as_found`."""
        return self._as_found

    async def ask(self, prompt: str) -> AsyncGenerator[AgentEvent, None]:
        """`bot.ports.AgentSession.ask`."""
        self._asked = True
        try:
            async with self._one_prompt, aclosing(self._redacted(prompt)) as events:
                async for event in events:
                    if isinstance(event, PromptTaken):
                        self._blank = self._as_found = False
                    yield event
        finally:
            self._asked = self._stop_at_once = False

    def _redacted(self, prompt: str) -> AsyncGenerator[AgentEvent, None]:
        """The answer to a prompt, the bot's secrets taken out of both."""
        redact = self._options.redact
        return redacted(self._answer_to(redact(prompt)), redact)

    async def _answer_to(self, prompt: str) -> AsyncGenerator[AgentEvent, None]:
        """Send the prompt into the session at rest, and leave it at rest again."""
        await self._at_rest()
        answering = self._answering = Answering(self._options)
        listening = ExitStack()
        try:
            self._listen(answering, listening)
            await self._send(answering, prompt)
            if self._stop_at_once:
                await self.stop()
            while (event := await answering.next()) is not None:
                yield event
        finally:
            self._answering = None
            answering.close()
            await self._conclude(answering, listening)

    async def stop(self) -> None:
        """`bot.ports.AgentSession.stop`."""
        answering = self._answering
        if answering is None:
            self._stop_at_once = self._asked
            return
        if answering.ended:
            return
        try:
            async with time_limit(REAL, STOP_SECONDS):
                # An abort that overtakes its prompt would be for nothing.
                await answering.sent.wait()
                if not answering.over.is_set():
                    await self._session.abort()
                    await answering.over.wait()
        except Exception as error:  # the answer ends for the reader, and `ask` clears up
            log.warning("session %s could not be stopped in good order: %r", self.id, error)
            answering.stopped()

    async def close(self) -> None:
        """`bot.ports.AgentSession.close`: bounded to 1.5 s. What is being answered ends as an
        error for its reader."""
        if not self._open:
            return
        answering = self._answering
        if answering is not None:
            answering.fail(AgentError(AgentFault.RUNTIME, f"session {self.id} was closed"))
        await self._detach()
        if answering is not None:
            answering.over.set()

    async def use(self, model: str, effort: str) -> None:
        """`bot.ports.AgentSession.use`."""
        await self._at_rest()
        await settle_model(self._runtime, self._session, model or self._default_model, effort)
        self._setup = replace(self._setup, model=model, effort=effort)

    async def forget_from(self, event: str) -> bool:
        """`bot.ports.AgentSession.forget_from`."""
        await self._at_rest()
        request = HistoryTruncateRequest(event_id=event)
        try:
            await self._runtime.call("forget", self._session.rpc.history.truncate(request))
        except AgentError as error:
            if _NO_SUCH_EVENT.search(str(error.__cause__)):
                return False
            raise
        # A switch of the model is an event of the history, too, and may have been cut with it.
        await self.use(self._setup.model, self._setup.effort)
        return True

    async def prompts(self) -> Prompts:
        """`bot.ports.AgentSession.prompts`."""
        await self._at_rest()
        return prompts_of(await self._runtime.call("history", history_of(self._session)))

    async def aside(self, question: str) -> str:
        """`bot.ports.AgentSession.aside`."""
        self._make_sure_alive()
        redact = self._options.redact
        answer = ask_aside(self._runtime, self._session, self._options, redact(question))
        return redact(await answer)

    async def rename(self, title: str) -> None:
        """`bot.ports.AgentSession.rename`."""
        self._make_sure_alive()
        await self._runtime.call("rename", self._session.rpc.name.set(NameSetRequest(name=title)))

    async def _at_rest(self) -> None:
        """Wait until what was asked before has been cleared up. Raises `AgentError`."""
        if self._settling is not None:
            await asyncio.shield(self._settling)
        self._make_sure_alive()

    def _make_sure_alive(self) -> None:
        if not self.alive:
            raise AgentError(AgentFault.RUNTIME, f"session {self.id} is not open any more")

    def _listen(self, answering: Answering, listening: ExitStack) -> None:
        try:
            listening.callback(self._session.on(answering.hear))
        except RuntimeError as error:
            self._open = False
            raise AgentError(AgentFault.RUNTIME, f"session {self.id} is closed") from error
        listening.callback(self._runtime.when_gone(answering.runtime_gone))

    async def _conclude(self, answering: Answering, listening: ExitStack) -> None:
        """Leave the session at rest, or detached. Bounded to 4.5 s."""
        if answering.over.is_set() or not answering.sent.is_set():
            listening.close()
            return
        self._settling = asyncio.create_task(self._settle(answering))
        self._settling.add_done_callback(lambda _: listening.close())
        # Shielded: being cancelled twice must not leave the model talking.
        await asyncio.shield(self._settling)

    async def _send(self, answering: Answering, prompt: str) -> None:
        try:
            with self._options.watch.step(Step.PROMPT):
                await self._runtime.call("send", self._session.send(prompt))
        finally:
            answering.sent.set()

    async def _settle(self, answering: Answering) -> None:
        """End an answer that nobody reads any more, so that the session rests. Bounded to 4.5 s;
        raises nothing."""
        try:
            async with time_limit(REAL, REST_SECONDS):
                await self._session.abort()
                await answering.over.wait()
        except Exception as error:  # whatever it was: the session must not be used again
            if self.alive:
                log.warning("session %s does not come to rest: %r", self.id, error)
            await self._detach()

    async def _detach(self) -> None:
        """Let go of the session; a running answer ends with it. Raises nothing."""
        self._open = False
        if self._runtime.gone:
            return
        try:
            await self._runtime.detach(self._session, DETACH_SECONDS)
        except AgentError as error:
            log.warning("session %s could not be closed in good order: %s", self.id, error)


NO_EFFORT = "none"


SWITCH_SECONDS = 5.0
"""For each of up to three calls; they take milliseconds."""


@dataclass(frozen=True, slots=True)
class _Running:
    """The model that a session runs with, and its reasoning effort ("" where none is set)."""

    model: str
    effort: str


async def settle_model(runtime: Runtime, session: CopilotSession, model: str, effort: str) -> None:
    """Have the session run with this model ("": whichever it has) and effort ("": none), and make
    sure that it does. Raises `AgentError`: MODEL_GONE when it stays with another model. Bounded to
    15 s."""
    now = await _running(runtime, session)
    wanted = _Running(model or now.model, effort)
    if now == wanted:
        return
    try:
        await runtime.call(
            "switch the model",
            session.set_model(wanted.model, reasoning_effort=effort or NO_EFFORT),
            SWITCH_SECONDS,
        )
    except AgentError as error:
        if error.fault is AgentFault.RUNTIME and is_refusal(error.__cause__):
            raise AgentError(AgentFault.MODEL_GONE, str(error)) from error
        raise
    now = await _running(runtime, session)
    if now.model != wanted.model:
        raise AgentError(
            AgentFault.MODEL_GONE, f"the session stays with {now.model} instead of {wanted.model}"
        )
    if now.effort != wanted.effort:
        log.warning("the model %s does not take the reasoning effort %r", model, effort)


async def _running(runtime: Runtime, session: CopilotSession) -> _Running:
    current = await runtime.call("model", session.rpc.model.get_current(), SWITCH_SECONDS)
    effort = current.reasoning_effort or ""
    return _Running(current.model_id or "", "" if effort == NO_EFFORT else effort)
