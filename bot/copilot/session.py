"""One live session of the runtime: `bot.ports.AgentSession`.

What makes it dependable: a prompt is only ever sent into a session at rest. After each answer,
however it ended, the runtime has said that the session rests, or the session is detached and
counts as lost; so nothing of one answer can be taken for the next.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import ExitStack, aclosing

from copilot import CopilotSession

from bot.copilot.answering import Answering
from bot.copilot.options import RuntimeOptions
from bot.copilot.runtime import Runtime
from bot.errors import AgentError, AgentFault
from bot.model import AgentEvent

log = logging.getLogger(__name__)

STOP_SECONDS = 4.5
"""The port allows 5 s for a stop; an abort takes about 12 ms."""
REST_SECONDS = 3.0
DETACH_SECONDS = 1.5


class LiveSession:
    """A session that the runtime has open."""

    def __init__(self, session: CopilotSession, runtime: Runtime, options: RuntimeOptions) -> None:
        self._session = session
        self._runtime = runtime
        self._options = options
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
    def alive(self) -> bool:
        return self._open and not self._runtime.gone

    async def ask(self, prompt: str) -> AsyncGenerator[AgentEvent, None]:
        """`bot.ports.AgentSession.ask`."""
        self._asked = True
        try:
            async with self._one_prompt, aclosing(self._answer_to(prompt)) as events:
                async for event in events:
                    yield event
        finally:
            self._asked = self._stop_at_once = False

    async def _answer_to(self, prompt: str) -> AsyncGenerator[AgentEvent, None]:
        """Send the prompt into the session at rest, and leave it at rest again."""
        if self._settling is not None:
            await asyncio.shield(self._settling)
        if not self.alive:
            raise AgentError(AgentFault.RUNTIME, f"session {self.id} is not open any more")
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
            async with asyncio.timeout(STOP_SECONDS):
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
            await self._runtime.call("send", self._session.send(prompt))
        finally:
            answering.sent.set()

    async def _settle(self, answering: Answering) -> None:
        """End an answer that nobody reads any more, so that the session rests. Bounded to 4.5 s;
        raises nothing."""
        try:
            async with asyncio.timeout(REST_SECONDS):
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
