"""A cleanup on a real database and the real runtime, for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bot.copilot.agent import CopilotAgent
from bot.copilot.options import RuntimeOptions
from bot.domain.sessions import SessionRecord
from bot.errors import AgentError, AgentErrorKind
from bot.ports import SessionConfig
from bot.sessions.cleanup import Cleanup
from bot.sessions.lock_files import folder_of_sessions
from bot.sessions.pool import SessionPool
from tests.fakes import QuickClock
from tests.integration.copilot.session_probe import answer_to
from tests.scripted_model import ScriptedModel
from tests.unit.commands.command_fixtures import ALICE, GENERAL, CommandFixture, command_fixture

DAY = 86_400.0


class Runtime(CopilotAgent):
    """The real runtime, counting what it is to delete; it fails at the batch that a test names."""

    def __init__(self, options: RuntimeOptions) -> None:
        super().__init__(options)
        self.batches: list[int] = []
        self.fails_at = 0

    async def delete_sessions(self, session_ids: Sequence[str]) -> Mapping[str, int]:
        self.batches.append(len(session_ids))
        if len(self.batches) == self.fails_at:
            raise AgentError(AgentErrorKind.RUNTIME, "it died")
        return await super().delete_sessions(session_ids)


@dataclass(frozen=True)
class CleanupFixture:
    """A cleanup with its store, runtime and pool."""

    world: CommandFixture
    agent: Runtime
    pool: SessionPool
    cleanup: Cleanup
    sessions: Path

    async def old(
        self, second: float, *, user: str = ALICE, channel: str = GENERAL
    ) -> SessionRecord:
        """A session with a record and in the runtime."""
        session = await self.world.context_for(second, user=user, channel=channel)
        await self.in_runtime(session.id)
        return session

    async def in_runtime(self, session_id: str) -> None:
        """Create a session in the runtime."""
        session = await self.agent.open_session(session_id, SessionConfig())
        await answer_to(session, "hello")
        await session.close()

    async def many(self, number: int) -> list[SessionRecord]:
        """Sessions with a record alone: deleting them is quick."""
        return [await self.world.context_for(second) for second in range(1, number + 1)]

    async def on_record(self) -> frozenset[str]:
        return await self.world.store.session_ids()


@asynccontextmanager
async def cleanup_fixture(folder: Path) -> AsyncIterator[CleanupFixture]:
    """A cleanup in a folder of its own."""
    async with (
        command_fixture(folder) as world,
        ScriptedModel() as model,
        Runtime(RuntimeOptions(data_dir=folder, base_url=model.url)) as agent,
    ):
        pool = SessionPool(agent, size=5)
        sessions = folder_of_sessions(folder)
        # The waits are short, and the times of the records come from the fixture's clock.
        cleanup = Cleanup(world.store, agent, pool, QuickClock(), sessions_dir=sessions)
        yield CleanupFixture(world, agent, pool, cleanup, sessions)
        await pool.close()
