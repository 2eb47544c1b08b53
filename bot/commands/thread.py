"""Executes `stop`, `title`, `quiet` and `join`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from bot.access import texts as access_texts
from bot.commands import texts
from bot.commands.dispatcher import CommandContext, CommandGroup, CommandHandler
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
from bot.turns.inbox import Inbox
from bot.turns.processor import TurnProcessor

log = logging.getLogger(__name__)

MAX_TITLE_CHARS: Final = 200
"""Maximum length of a title in characters."""
_QUEUE_ARG: Final = "queue"


class ThreadCommands(CommandGroup):
    """Handles the commands of threads."""

    def __init__(
        self,
        store: Store,
        publisher: CardPublisher,
        turn_processor: TurnProcessor,
        inbox: Inbox,
        pool: SessionPool,
        model_selector: ModelSelector,
        clock: Clock,
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._turn_processor = turn_processor
        self._inbox = inbox
        self._pool = pool
        self._model_selector = model_selector
        self._clock = clock

    def handlers(self) -> Mapping[str, CommandHandler]:
        return {
            "stop": self.stop_thread,
            "title": self.title,
            "quiet": self.quiet,
            "join": self.join,
        }

    async def stop_thread(self, ctx: CommandContext) -> CommandResult:
        thread_key, arg = ctx.thread_key, ctx.args.casefold()
        if thread_key is None:
            return text_result(texts.ONLY_IN_THREADS.format(command="stop"))
        if arg not in ("", _QUEUE_ARG):
            return text_result(usage_hint("stop"))
        if arg and ctx.user.kind is not UserKind.MEMBER:
            waiting_turns = await self._store.waiting_turns(thread_key)
            if any(turn.message.user != ctx.user.id for turn in waiting_turns):
                return text_result(access_texts.STOP_YOUR_OWN)
        # First the waiting ones: else the next one would start when the running one ends.
        dropped = await self._inbox.drop_waiting(thread_key, ctx.user.id) if arg else 0
        stopped = await self._turn_processor.stop_answer(thread_key, ctx.user.id)
        text = session_texts.STOPPED if stopped else session_texts.NOTHING_RUNS
        if arg:
            if not dropped:
                return text_result(text + session_texts.NOTHING_WAITED)
            return text_result(
                text + session_texts.DROPPED.format(messages=pluralize(dropped, "message")),
                public=True,
            )
        waiting = len(await self._store.waiting_turns(thread_key))
        if not waiting:
            return text_result(text)
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
            card=Card(text=text + session_texts.WAITS.format(messages=messages), buttons=(drop,))
        )

    async def title(self, ctx: CommandContext) -> CommandResult:
        session, thread_key = ctx.session, ctx.thread_key
        if thread_key is None:
            return text_result(texts.ONLY_IN_THREADS.format(command="title"))
        if session is None:
            return text_result(session_texts.NO_SESSION)
        if not ctx.args:
            text = session_texts.TITLE_IS if session.title else session_texts.TITLE_NONE
            return text_result(text.format(handle=session.handle, title=display_title(session)))
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

    async def quiet(self, ctx: CommandContext) -> CommandResult:
        thread_key = ctx.thread_key
        if thread_key is None:
            return text_result(texts.ONLY_IN_THREADS.format(command="quiet"))
        if ctx.args:
            return text_result(usage_hint("quiet"))
        if await is_quiet(self._store, thread_key):
            return text_result(session_texts.QUIET_ALREADY)
        await self._store.set_preference(
            Preference(
                scope=Scope.THREAD,
                scope_id=str(thread_key),
                kind=PreferenceKind.QUIET,
                value=ENABLED,
                set_by=ctx.user.id,
                set_at=self._clock.now(),
            )
        )
        # In a direct message every message is for the bot, so a mention makes no difference.
        direct = thread_key.channel.startswith("D")
        return text_result(
            session_texts.QUIET_DIRECT if direct else session_texts.QUIET, public=True
        )

    async def join(self, ctx: CommandContext) -> CommandResult:
        thread_key = ctx.thread_key
        if thread_key is None:
            return text_result(texts.ONLY_IN_THREADS.format(command="join"))
        if ctx.args:
            return text_result(usage_hint("join"))
        if not await self._store.clear_preference(
            Scope.THREAD, str(thread_key), PreferenceKind.QUIET
        ):
            return text_result(session_texts.JOINED_ALREADY)
        return text_result(session_texts.JOINED, public=True)

    async def _publish_title(self, session: SessionRecord, title: str) -> None:
        """Set the title in the runtime and in Slack, where it is optional."""
        try:
            await self._rename_in_runtime(session, title)
        except BotError as error:
            log.info("session not renamed: session=%s error=%s", session.id, error)
        if session.role == MAIN_ROLE:
            await self._publisher.set_title(session.thread, title)

    async def _rename_in_runtime(self, session: SessionRecord, title: str) -> None:
        """Rename a session in the runtime.

        A session in use, or one that the runtime does not have yet, keeps its name. Raises
        `BotError`.
        """
        if not session.has_turns or self._pool.is_in_use(session.id):
            return
        selection = await self._model_selector.select(session, session.thread)
        async with self._pool.acquire(session.id, selection.config) as live:
            await live.rename(title)


async def is_quiet(store: PreferenceStore, thread: ThreadKey) -> bool:
    """True if the bot is silent in a thread until mentioned. Raises `StoreError`."""
    preferences = await store.preferences([(Scope.THREAD, str(thread))])
    return any(
        preference.kind is PreferenceKind.QUIET and preference.value == ENABLED
        for preference in preferences
    )
