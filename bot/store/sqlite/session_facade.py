"""The store's side that knows sessions: a thread's own, lists of many, what each remembers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Final

from bot.domain.messages import ThreadKey
from bot.domain.sessions import (
    HistoryEntry,
    HistoryPage,
    KnownMessages,
    OrphanReport,
    SessionFilter,
    SessionOrigin,
    SessionPage,
    SessionRecord,
    SessionTotals,
)
from bot.domain.turns import Turn
from bot.store.sqlite import session_history, session_list, session_rows, sessions, thread_context
from bot.store.sqlite.side import Side

WRITE_BATCH_SIZE: Final = 500
"""Sessions that are written in one go; between two goes others get theirs."""
READ_BATCH_SIZE: Final = 10_000
"""Ids that are read in one go; between two goes the event loop gets its turn."""


class SessionsSide(Side):
    """`SessionStore`."""

    # A thread's own

    async def ensure_session(self, turn: Turn) -> SessionRecord:
        noted = await self._read(partial(sessions.assigned_session, turn=turn))
        if noted is not None:
            return noted
        now = self._clock.now()
        return await self._writer.submit(partial(sessions.ensure_session, turn=turn, now=now))

    async def current_session(self, thread: ThreadKey, role: str = "") -> SessionRecord | None:
        return await self._read(partial(sessions.current_session, key=thread, role=role))

    async def current_sessions(self, thread: ThreadKey) -> Sequence[SessionRecord]:
        return await self._read(partial(sessions.current_sessions, key=thread))

    async def session_by_number(self, number: int) -> SessionRecord | None:
        return await self._read(partial(session_rows.session_by_number, number=number))

    async def session_by_id(self, session_id: str) -> SessionRecord | None:
        return await self._read(partial(sessions.session_by_id, session_id=session_id))

    async def reset(
        self,
        thread: ThreadKey,
        role: str,
        owner: str,
        *,
        mark_seen: bool = True,
        seen_until: str = "",
    ) -> SessionRecord:
        begin = partial(sessions.reset, key=thread, role=role, owner=owner)
        return await self._writer.submit(
            partial(begin, now=self._clock.now(), mark_seen=mark_seen, seen_until=seen_until)
        )

    async def attach(self, number: int, thread: ThreadKey) -> SessionRecord | None:
        now = self._clock.now()
        return await self._writer.submit(
            partial(sessions.attach, number=number, key=thread, now=now)
        )

    async def add_session(
        self,
        source: SessionRecord,
        *,
        session_id: str,
        origin: SessionOrigin,
        thread: ThreadKey,
        owner: str,
        title: str = "",
        model: str = "",
        before_turn: int = 0,
    ) -> SessionRecord:
        return await self._writer.submit(
            partial(
                sessions.add_session,
                source=source,
                now=self._clock.now(),
                session_id=session_id,
                origin=origin,
                key=thread,
                owner=owner,
                title=title,
                model=model,
                before_turn=before_turn,
            )
        )

    async def count_forks_since(self, owner: str, since: float) -> int:
        return await self._read(partial(sessions.count_forks_since, owner=owner, since=since))

    async def rename_session(self, session: int, title: str) -> None:
        await self._writer.submit(partial(sessions.rename_session, number=session, title=title))

    async def set_model(self, session: int, model: str, effort: str) -> None:
        await self._writer.submit(
            partial(sessions.set_model, number=session, model=model, effort=effort)
        )

    # What each remembers

    async def append_history(self, turn: Turn, session: int, event_id: str) -> None:
        now = self._clock.now()
        await self._writer.submit(
            partial(
                session_history.append_history,
                turn=turn,
                session=session,
                event_id=event_id,
                now=now,
            )
        )

    async def truncate_history(
        self,
        session: int,
        turn: int,
        *,
        mark_seen: bool = False,
        seen_until: str = "",
        command_key: str = "",
    ) -> Sequence[int]:
        forget = partial(
            session_history.truncate_history, session=session, turn=turn, now=self._clock.now()
        )
        return await self._writer.submit(
            partial(forget, mark_seen=mark_seen, seen_until=seen_until, command_key=command_key)
        )

    async def clear_history(self, session: int) -> SessionRecord | None:
        return await self._writer.submit(partial(session_history.clear_history, session=session))

    async def list_history(self, session: int, offset: int, limit: int) -> HistoryPage:
        return await self._read(
            partial(session_history.list_history, session=session, offset=offset, limit=limit)
        )

    async def history_entry(self, session: int, turn: int) -> HistoryEntry | None:
        return await self._read(partial(session_history.history_entry, session=session, turn=turn))

    async def history_entry_after_position(
        self, session: int, position: int
    ) -> HistoryEntry | None:
        return await self._read(
            partial(
                session_history.history_entry_after_position, session=session, position=position
            )
        )

    async def next_history_entry(self, session: int, turn: int) -> HistoryEntry | None:
        return await self._read(
            partial(session_history.next_history_entry, session=session, turn=turn)
        )

    async def count_history_after(self, session: int, turn: int) -> int:
        return await self._read(
            partial(session_history.count_history_after, session=session, turn=turn)
        )

    async def known_messages(self, session: SessionRecord) -> KnownMessages:
        return await self._read(partial(thread_context.known_messages, session=session))

    # Many

    async def list_sessions(
        self, session_filter: SessionFilter, offset: int, limit: int
    ) -> SessionPage:
        return await self._read(
            partial(
                session_list.list_sessions,
                session_filter=session_filter,
                offset=offset,
                limit=limit,
            )
        )

    async def session_totals(self, session_filter: SessionFilter) -> SessionTotals:
        return await self._read(partial(session_list.session_totals, session_filter=session_filter))

    async def session_ids(self) -> frozenset[str]:
        found: set[str] = set()
        last = 0
        # By number: what is added meanwhile is found, too, and never taken for a stranger.
        while some := await self._read(
            partial(session_list.session_ids, after=last, limit=READ_BATCH_SIZE)
        ):
            found.update(name for _, name in some)
            last, _ = some[-1]
        return frozenset(found)

    async def save_sizes(self, sizes: Mapping[str, int]) -> OrphanReport:
        unrecorded, unsized, last = dict(sizes), 0, 0
        while some := await self._read(
            partial(session_list.session_sizes, after=last, limit=READ_BATCH_SIZE)
        ):
            last, *_ = some[-1]
            changed = {}
            for _, name, size, asked in some:
                found = unrecorded.pop(name, None)
                unsized += asked and found is None
                if found is not None and found != size:
                    changed[name] = found
            await self._write_sizes(changed)
        return OrphanReport(orphan_sizes=unrecorded, missing_count=unsized)

    async def _write_sizes(self, sizes: Mapping[str, int]) -> None:
        items = iter(sizes.items())
        while some := dict(islice(items, WRITE_BATCH_SIZE)):
            await self._writer.submit(partial(sessions.save_sizes, sizes=some))

    async def delete_sessions(self, sessions: Sequence[int]) -> int:
        dropped = 0
        for first in range(0, len(sessions), WRITE_BATCH_SIZE):
            some = sessions[first : first + WRITE_BATCH_SIZE]
            dropped += await self._writer.submit(
                partial(session_list.delete_sessions, numbers=some)
            )
        return dropped
