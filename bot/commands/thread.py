"""Orders about what goes on in a thread: `stop`, and `title`."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

from bot.access import texts as access_texts
from bot.commands import texts
from bot.commands.dispatcher import CommandContext, CommandHandler
from bot.commands.formatting import display_title, format_count, one_line, pluralize, usage_hint
from bot.commands.texts import sessions as session_texts
from bot.domain.cards import Button, Card, CommandResult, text_result
from bot.domain.messages import ThreadKey, strip_unstorable
from bot.domain.preferences import ENABLED, Preference, PreferenceKind, Scope
from bot.domain.sessions import MAIN_ROLE, SessionRecord
from bot.domain.users import UserKind
from bot.errors import BotError
from bot.ports import CardPublisher, Clock, PreferenceStore, Store
from bot.sessions.model_selection import ModelSelector
from bot.sessions.pool import SessionPool

log = logging.getLogger(__name__)

MAX_TITLE_CHARS: Final = 200
"""Characters of a title."""
_QUEUE_ARG: Final = "queue"


class AnswerStopper(Protocol):
    """Whoever has answers running."""

    async def stop_answer(self, thread: ThreadKey, requested_by: str) -> bool:
        """Stop the thread's running answer; whether there was one. Raises `NotAllowed` where `by`
        may not, `StoreError`."""
        ...


class MessageQueue(Protocol):
    """Whoever lets messages wait."""

    async def drop_waiting(self, thread: ThreadKey, requested_by: str = "") -> int:
        """Drop what waits in a thread, and tell whose it was, but for `by`; how many that were.
        Raises `StoreError`."""
        ...


RenameSession = Callable[[SessionRecord, str], Awaitable[None]]
"""Gives a session a name in the runtime. Raises `BotError`."""


class ThreadCommands:
    """Stops what runs in a thread and names its session."""

    def __init__(
        self,
        store: Store,
        publisher: CardPublisher,
        turn_processor: AnswerStopper,
        queue: MessageQueue,
        rename: RenameSession,
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._turn_processor = turn_processor
        self._queue = queue
        self._rename = rename

    def handlers(self) -> Mapping[str, CommandHandler]:
        return {"stop": self.stop_thread, "title": self.title}

    async def stop_thread(self, ctx: CommandContext) -> CommandResult:
        place, wished = ctx.thread_key, ctx.args.casefold()
        if place is None:
            return text_result(texts.ONLY_IN_THREADS.format(command="stop"))
        if wished not in ("", _QUEUE_ARG):
            return text_result(usage_hint("stop"))
        if wished and ctx.user.kind is not UserKind.MEMBER:
            in_line = await self._store.waiting_turns(place)
            if any(turn.message.user != ctx.user.id for turn in in_line):
                return text_result(access_texts.STOP_YOUR_OWN)
        # What waits goes first: else the next of it would begin where the running one ends.
        dropped = await self._queue.drop_waiting(place, ctx.user.id) if wished else 0
        stopped = await self._turn_processor.stop_answer(place, ctx.user.id)
        said = session_texts.STOPPED if stopped else session_texts.NOTHING_RUNS
        if wished:
            if not dropped:
                return text_result(said + session_texts.NOTHING_WAITED)
            return text_result(
                said + session_texts.DROPPED.format(messages=pluralize(dropped, "message")),
                public=True,
            )
        waiting = len(await self._store.waiting_turns(place))
        if not waiting:
            return text_result(said)
        messages = (
            session_texts.ONE_IS
            if waiting == 1
            else session_texts.MANY_ARE.format(count=format_count(waiting))
        )
        drop = Button(
            label=session_texts.DROP,
            command_name="stop",
            args=_QUEUE_ARG,
            style="danger",
            confirm=session_texts.DROP_CONFIRM,
        )
        return CommandResult(
            card=Card(text=said + session_texts.WAITS.format(messages=messages), buttons=(drop,))
        )

    async def title(self, ctx: CommandContext) -> CommandResult:
        session, place = ctx.session, ctx.thread_key
        if place is None:
            return text_result(texts.ONLY_IN_THREADS.format(command="title"))
        if session is None:
            return text_result(session_texts.NO_SESSION)
        if not ctx.args:
            shown = session_texts.TITLE_IS if session.title else session_texts.TITLE_NONE
            return text_result(shown.format(handle=session.handle, title=display_title(session)))
        title = one_line(strip_unstorable(ctx.args))
        if not title:
            return text_result(session_texts.TITLE_EMPTY)
        if len(title) > MAX_TITLE_CHARS:
            return text_result(
                session_texts.TITLE_TOO_LONG.format(
                    most=MAX_TITLE_CHARS, length=format_count(len(title))
                )
            )
        await self._store.rename_session(session.number, title)
        await self._publish_title(session, title)
        return text_result(
            session_texts.TITLE_SET.format(handle=session.handle, title=title), public=True
        )

    async def _publish_title(self, session: SessionRecord, title: str) -> None:
        """In the runtime and in Slack the title is a nicety: without it all works as well."""
        try:
            await self._rename(session, title)
        except BotError as error:
            log.info("session %s keeps its name in the runtime: %s", session.id, error)
        if session.role == MAIN_ROLE:
            await self._publisher.set_title(session.thread, title)


async def is_quiet(store: PreferenceStore, thread: ThreadKey) -> bool:
    """Whether the bot is to be silent in a thread until mentioned. Raises `StoreError`."""
    choices = await store.preferences([(Scope.THREAD, str(thread))])
    return any(
        choice.kind is PreferenceKind.QUIET and choice.value == ENABLED for choice in choices
    )


class QuietCommands:
    """Lets the bot be silent in a thread, and take part again."""

    def __init__(self, store: PreferenceStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def handlers(self) -> Mapping[str, CommandHandler]:
        return {"quiet": self.quiet, "join": self.join}

    async def quiet(self, ctx: CommandContext) -> CommandResult:
        place = ctx.thread_key
        if place is None:
            return text_result(texts.ONLY_IN_THREADS.format(command="quiet"))
        if ctx.args:
            return text_result(usage_hint("quiet"))
        if await is_quiet(self._store, place):
            return text_result(session_texts.QUIET_ALREADY)
        await self._store.set_preference(
            Preference(
                scope=Scope.THREAD,
                scope_id=str(place),
                kind=PreferenceKind.QUIET,
                value=ENABLED,
                set_by=ctx.user.id,
                set_at=self._clock.now(),
            )
        )
        # Nobody can be mentioned to in a direct message: everything is said to the bot there.
        direct = place.channel.startswith("D")
        return text_result(
            session_texts.QUIET_DIRECT if direct else session_texts.QUIET, public=True
        )

    async def join(self, ctx: CommandContext) -> CommandResult:
        place = ctx.thread_key
        if place is None:
            return text_result(texts.ONLY_IN_THREADS.format(command="join"))
        if ctx.args:
            return text_result(usage_hint("join"))
        if not await self._store.clear_preference(Scope.THREAD, str(place), PreferenceKind.QUIET):
            return text_result(session_texts.JOINED_ALREADY)
        return text_result(session_texts.JOINED, public=True)


class SessionRenamer:
    """Names sessions in the runtime."""

    def __init__(self, pool: SessionPool, model_selector: ModelSelector) -> None:
        self._pool = pool
        self._model_selector = model_selector

    async def rename(self, session: SessionRecord, title: str) -> None:
        """Name a session. One that answers, and one that the runtime does not have yet, keep the
        name they have. Raises `BotError`."""
        if not session.has_turns or self._pool.is_in_use(session.id):
            return
        chosen = await self._model_selector.select(session, session.thread)
        async with self._pool.acquire(session.id, chosen.config) as live:
            await live.rename(title)
