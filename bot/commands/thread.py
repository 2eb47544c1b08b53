"""Orders about what goes on in a thread: `stop`, and `title`."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

from bot.access import texts as access_texts
from bot.commands import texts
from bot.commands.dispatcher import Asked, Handler
from bot.commands.formatting import count, how_it_goes, many, one_line, titled
from bot.commands.texts import sessions as session_texts
from bot.domain.cards import Card, Outcome, Press, told
from bot.domain.messages import ThreadKey, storable
from bot.domain.preferences import YES, Choice, Scope, Topic
from bot.domain.sessions import MAIN, SessionRecord
from bot.domain.users import Kind
from bot.errors import BotError
from bot.ports import Board, ChoiceStore, Clock, Store
from bot.sessions.model_selection import Choosing
from bot.sessions.pool import Sessions

log = logging.getLogger(__name__)

TITLE_MOST: Final = 200
"""Characters of a title."""
_QUEUE: Final = "queue"


class Stopping(Protocol):
    """Whoever has answers running."""

    async def stop(self, thread: ThreadKey, by: str) -> bool:
        """Stop the thread's running answer; whether there was one. Raises `NotAllowed` where `by`
        may not, `StoreError`."""
        ...


class Queue(Protocol):
    """Whoever lets messages wait."""

    async def clear(self, thread: ThreadKey, by: str = "") -> int:
        """Drop what waits in a thread, and tell whose it was, but for `by`; how many that were.
        Raises `StoreError`."""
        ...


Rename = Callable[[SessionRecord, str], Awaitable[None]]
"""Gives a session a name in the runtime. Raises `BotError`."""


class Threads:
    """Stops what runs in a thread and names its session."""

    def __init__(
        self, store: Store, board: Board, turns: Stopping, queue: Queue, rename: Rename
    ) -> None:
        self._store = store
        self._board = board
        self._turns = turns
        self._queue = queue
        self._rename = rename

    def handlers(self) -> Mapping[str, Handler]:
        return {"stop": self.stop, "title": self.title}

    async def stop(self, asked: Asked) -> Outcome:
        place, wished = asked.place, asked.words.casefold()
        if place is None:
            return told(texts.ONLY_IN_THREADS.format(verb="stop"))
        if wished not in ("", _QUEUE):
            return told(how_it_goes("stop"))
        if wished and asked.person.kind is not Kind.MEMBER:
            in_line = await self._store.waiting(place)
            if any(turn.message.user != asked.person.user for turn in in_line):
                return told(access_texts.STOP_YOUR_OWN)
        # What waits goes first: else the next of it would begin where the running one ends.
        dropped = await self._queue.clear(place, asked.person.user) if wished else 0
        stopped = await self._turns.stop(place, asked.person.user)
        said = session_texts.STOPPED if stopped else session_texts.NOTHING_RUNS
        if wished:
            if not dropped:
                return told(said + session_texts.NOTHING_WAITED)
            return told(
                said + session_texts.DROPPED.format(messages=many(dropped, "message")), public=True
            )
        waiting = len(await self._store.waiting(place))
        if not waiting:
            return told(said)
        messages = (
            session_texts.ONE_IS
            if waiting == 1
            else session_texts.MANY_ARE.format(count=count(waiting))
        )
        drop = Press(
            label=session_texts.DROP,
            verb="stop",
            words=_QUEUE,
            style="danger",
            confirm=session_texts.DROP_CONFIRM,
        )
        return Outcome(
            card=Card(text=said + session_texts.WAITS.format(messages=messages), presses=(drop,))
        )

    async def title(self, asked: Asked) -> Outcome:
        session, place = asked.session, asked.place
        if place is None:
            return told(texts.ONLY_IN_THREADS.format(verb="title"))
        if session is None:
            return told(session_texts.NO_SESSION)
        if not asked.words:
            shown = session_texts.TITLE_IS if session.title else session_texts.TITLE_NONE
            return told(shown.format(handle=session.handle, title=titled(session)))
        title = one_line(storable(asked.words))
        if not title:
            return told(session_texts.TITLE_EMPTY)
        if len(title) > TITLE_MOST:
            return told(
                session_texts.TITLE_TOO_LONG.format(most=TITLE_MOST, length=count(len(title)))
            )
        await self._store.retitle(session.number, title)
        await self._show_title(session, title)
        return told(session_texts.TITLED.format(handle=session.handle, title=title), public=True)

    async def _show_title(self, session: SessionRecord, title: str) -> None:
        """In the runtime and in Slack the title is a nicety: without it all works as well."""
        try:
            await self._rename(session, title)
        except BotError as error:
            log.info("session %s keeps its name in the runtime: %s", session.id, error)
        if session.role == MAIN:
            await self._board.entitle(session.thread, title)


async def is_quiet(store: ChoiceStore, thread: ThreadKey) -> bool:
    """Whether the bot is to be silent in a thread until mentioned. Raises `StoreError`."""
    choices = await store.choices([(Scope.THREAD, str(thread))])
    return any(choice.topic is Topic.QUIET and choice.value == YES for choice in choices)


class Quietness:
    """Lets the bot be silent in a thread, and take part again."""

    def __init__(self, store: ChoiceStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def handlers(self) -> Mapping[str, Handler]:
        return {"quiet": self.quiet, "join": self.join}

    async def quiet(self, asked: Asked) -> Outcome:
        place = asked.place
        if place is None:
            return told(texts.ONLY_IN_THREADS.format(verb="quiet"))
        if asked.words:
            return told(how_it_goes("quiet"))
        if await is_quiet(self._store, place):
            return told(session_texts.QUIET_ALREADY)
        await self._store.choose(
            Choice(
                scope=Scope.THREAD,
                holder=str(place),
                topic=Topic.QUIET,
                value=YES,
                by=asked.person.user,
                at=self._clock.now(),
            )
        )
        # Nobody can be mentioned to in a direct message: everything is said to the bot there.
        direct = place.channel.startswith("D")
        return told(session_texts.QUIET_DIRECT if direct else session_texts.QUIET, public=True)

    async def join(self, asked: Asked) -> Outcome:
        place = asked.place
        if place is None:
            return told(texts.ONLY_IN_THREADS.format(verb="join"))
        if asked.words:
            return told(how_it_goes("join"))
        if not await self._store.unchoose(Scope.THREAD, str(place), Topic.QUIET):
            return told(session_texts.JOINED_ALREADY)
        return told(session_texts.JOINED, public=True)


class Renaming:
    """Names sessions in the runtime."""

    def __init__(self, sessions: Sessions, choosing: Choosing) -> None:
        self._sessions = sessions
        self._choosing = choosing

    async def rename(self, session: SessionRecord, title: str) -> None:
        """Name a session. One that answers, and one that the runtime does not have yet, keep the
        name they have. Raises `BotError`."""
        if not session.asked or self._sessions.busy(session.id):
            return
        chosen = await self._choosing.chosen(session, session.thread)
        async with self._sessions.held(session.id, chosen.setup) as live:
            await live.rename(title)
