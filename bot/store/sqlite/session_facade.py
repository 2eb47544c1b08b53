"""The store's side that knows sessions: a thread's own, lists of many, what each remembers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Final

from bot.domain.messages import ThreadKey
from bot.domain.sessions import (
    Origin,
    Remembered,
    RememberedPage,
    SessionFilter,
    SessionPage,
    SessionRecord,
    Told,
    Totals,
    Unmatched,
)
from bot.domain.turns import Turn
from bot.store.sqlite import session_history, session_list, session_rows, sessions, thread_context
from bot.store.sqlite.side import Side

TOGETHER: Final = 500
"""Sessions that are written in one go; between two goes others get theirs."""
READ_TOGETHER: Final = 10_000
"""Ids that are read in one go; between two goes the event loop gets its turn."""


class SessionsSide(Side):
    """`SessionStore`."""

    # A thread's own

    async def session_for(self, turn: Turn) -> SessionRecord:
        noted = await self._read(partial(sessions.asked_by, turn=turn))
        if noted is not None:
            return noted
        now = self._clock.now()
        return await self._writer.do(partial(sessions.session_for, turn=turn, now=now))

    async def current(self, thread: ThreadKey, role: str = "") -> SessionRecord | None:
        return await self._read(partial(sessions.current, key=thread, role=role))

    async def currents(self, thread: ThreadKey) -> Sequence[SessionRecord]:
        return await self._read(partial(sessions.currents, key=thread))

    async def session(self, number: int) -> SessionRecord | None:
        return await self._read(partial(session_rows.session_by_number, number=number))

    async def session_by_id(self, session_id: str) -> SessionRecord | None:
        return await self._read(partial(sessions.session_by_id, session_id=session_id))

    async def begin_anew(
        self, thread: ThreadKey, role: str, owner: str, *, told: bool = True, upto: str = ""
    ) -> SessionRecord:
        begin = partial(sessions.begin_anew, key=thread, role=role, owner=owner)
        return await self._writer.do(partial(begin, now=self._clock.now(), told=told, upto=upto))

    async def take_up(self, number: int, thread: ThreadKey) -> SessionRecord | None:
        now = self._clock.now()
        return await self._writer.do(partial(sessions.take_up, number=number, key=thread, now=now))

    async def add_session(
        self,
        source: SessionRecord,
        *,
        session_id: str,
        origin: Origin,
        thread: ThreadKey,
        owner: str,
        title: str = "",
        model: str = "",
        before_turn: int = 0,
    ) -> SessionRecord:
        return await self._writer.do(
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

    async def forks_since(self, owner: str, since: float) -> int:
        return await self._read(partial(sessions.forks_since, owner=owner, since=since))

    async def retitle(self, session: int, title: str) -> None:
        await self._writer.do(partial(sessions.retitle, number=session, title=title))

    async def choose_model(self, session: int, model: str, effort: str) -> None:
        await self._writer.do(
            partial(sessions.choose_model, number=session, model=model, effort=effort)
        )

    # What each remembers

    async def remember(self, turn: Turn, session: int, event: str) -> None:
        now = self._clock.now()
        await self._writer.do(
            partial(session_history.remember, turn=turn, session=session, event=event, now=now)
        )

    async def forget(
        self, session: int, turn: int, *, told: bool = False, upto: str = "", order: str = ""
    ) -> Sequence[int]:
        forget = partial(session_history.forget, session=session, turn=turn, now=self._clock.now())
        return await self._writer.do(partial(forget, told=told, upto=upto, order=order))

    async def lose(self, session: int) -> SessionRecord | None:
        return await self._writer.do(partial(session_history.lose, session=session))

    async def remembered(self, session: int, offset: int, limit: int) -> RememberedPage:
        return await self._read(
            partial(session_history.page, session=session, offset=offset, limit=limit)
        )

    async def recall(self, session: int, turn: int) -> Remembered | None:
        return await self._read(partial(session_history.recall, session=session, turn=turn))

    async def recall_later(self, session: int, position: int) -> Remembered | None:
        return await self._read(
            partial(session_history.recall_later, session=session, position=position)
        )

    async def recall_after(self, session: int, turn: int) -> Remembered | None:
        return await self._read(partial(session_history.recall_after, session=session, turn=turn))

    async def asked_after(self, session: int, turn: int) -> int:
        return await self._read(partial(session_history.asked_after, session=session, turn=turn))

    async def told_otherwise(self, session: SessionRecord) -> Told:
        return await self._read(partial(thread_context.told_otherwise, session=session))

    # Many

    async def sessions(self, wanted: SessionFilter, offset: int, limit: int) -> SessionPage:
        return await self._read(
            partial(session_list.sessions, wanted=wanted, offset=offset, limit=limit)
        )

    async def totals(self, wanted: SessionFilter) -> Totals:
        return await self._read(partial(session_list.totals, wanted=wanted))

    async def session_ids(self) -> frozenset[str]:
        found: set[str] = set()
        last = 0
        # By number: what is added meanwhile is found, too, and never taken for a stranger.
        while some := await self._read(
            partial(session_list.session_ids, after=last, limit=READ_TOGETHER)
        ):
            found.update(name for _, name in some)
            last, _ = some[-1]
        return frozenset(found)

    async def note_sizes(self, sizes: Mapping[str, int]) -> Unmatched:
        unrecorded, unsized, last = dict(sizes), 0, 0
        while some := await self._read(
            partial(session_list.sizes, after=last, limit=READ_TOGETHER)
        ):
            last, *_ = some[-1]
            changed = {}
            for _, name, size, asked in some:
                found = unrecorded.pop(name, None)
                unsized += asked and found is None
                if found is not None and found != size:
                    changed[name] = found
            await self._write_sizes(changed)
        return Unmatched(unrecorded=unrecorded, unsized=unsized)

    async def _write_sizes(self, sizes: Mapping[str, int]) -> None:
        items = iter(sizes.items())
        while some := dict(islice(items, TOGETHER)):
            await self._writer.do(partial(sessions.note_sizes, sizes=some))

    async def drop(self, sessions: Sequence[int]) -> int:
        dropped = 0
        for first in range(0, len(sessions), TOGETHER):
            some = sessions[first : first + TOGETHER]
            dropped += await self._writer.do(partial(session_list.drop, numbers=some))
        return dropped
