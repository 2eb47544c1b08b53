"""The desk: takes in what people write and press, and has every order carried out once.

    a message  → an order, or a question for the inbox; on record before Slack is told
    an order   → who gave it, what it is about, may they? → the verb's handler → the outcome

Nobody but the desk decides whether an order may be carried out; handlers rely on it. An order that
has a place in its thread (`bot.commands.thread_queue`) takes it when it is put on record: from then
on what was written later waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from bot.access import texts as access_texts
from bot.access.policy import AccessPolicy
from bot.access.quotas import BLOCKED, QuotaPolicy
from bot.commands import texts as words
from bot.commands.parser import split_handle
from bot.commands.registry import COMMANDS, CommandSpec, CommandTarget
from bot.commands.thread_queue import ThreadQueue
from bot.domain.cards import CommandResult, text_result
from bot.domain.commands import Command, CommandSource
from bot.domain.messages import Thread, ThreadKey
from bot.domain.sessions import MAIN_ROLE, SessionRecord
from bot.domain.turns import AcceptResult, AcceptStatus
from bot.domain.users import AccessRole, AdminStatus, User
from bot.errors import BotError
from bot.ports import Clock, Store

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandContext:
    """An order that may be carried out, with all that is known about it."""

    command: Command
    user: User
    access_roles: frozenset[AccessRole]
    args: str
    """What was said after the verb, without the handle of a session that was named."""
    position: int
    """Where it stands among the messages of its thread (`bot.domain.messages.ts_position`)."""
    received_at: float
    """When it came in, in seconds since the epoch by this machine's clock, like
    `Turn.accepted_at`."""
    session: SessionRecord | None = None
    """The session that it is about: the one that was named, else the thread's current one (of the
    role that gave the answer, under an answer); None where the thread has none (yet)."""
    thread: Thread | None = None
    """The thread in which it was given, when it is known (has had a turn)."""
    names_session: bool = False
    """Whether the session was named."""

    @property
    def thread_key(self) -> ThreadKey | None:
        """The thread in which it was given."""
        return self.command.thread

    @property
    def is_admin(self) -> bool:
        return AccessRole.ADMIN in self.access_roles


CommandHandler = Callable[[CommandContext], Awaitable[CommandResult]]
"""Carries out the orders of one verb. Raises `BotError`, whose sentence the person is told."""


class CommandDispatcher:
    """Where everything that people tell the bot comes in."""

    def __init__(
        self,
        store: Store,
        access: AccessPolicy,
        handlers: Mapping[str, CommandHandler],
        quotas: QuotaPolicy,
        *,
        start: Callable[[Command], bool],
        clock: Clock,
        wake: Callable[[], None] = lambda: None,
        redact: Callable[[str], str] = str,
    ) -> None:
        """`start` begins to execute a recorded command and returns at once, True if it could.

        `wake` is called when questions no longer have to wait for a command. `redact` removes
        secrets from the text of users.
        """
        self._store = store
        self._access = access
        self._handlers = handlers
        self._quotas = quotas
        self._start = start
        self._thread_queue = ThreadQueue(store, clock, wake)
        self.redact = redact
        self._recording_tasks: set[asyncio.Task[AcceptResult]] = set()

    async def accept_command(self, command: Command) -> AcceptResult:
        """Record and start a command that a message gave, with its text already redacted.

        It is on disk when this returns. Raises `StoreError` if it is not.
        """
        # A caller that is cancelled may have recorded it all the same. Then it must start, too:
        # Slack's redelivery counts as a duplicate.
        return await asyncio.shield(self._start_recording(command))

    def _start_recording(self, command: Command) -> asyncio.Task[AcceptResult]:
        task = asyncio.create_task(self._record_and_start(command), name=f"order {command.key}")
        self._recording_tasks.add(task)
        task.add_done_callback(self._on_recorded)
        return task

    async def _record_and_start(self, command: Command) -> AcceptResult:
        if not await self._thread_queue.put(command):
            return AcceptResult(status=AcceptStatus.DUPLICATE)
        log.info("order %s by %s in thread %s", command.name, command.user, command.thread)
        await self.start_recorded(command)
        return AcceptResult(status=AcceptStatus.COMMAND)

    async def start_recorded(self, command: Command) -> None:
        """Begin to carry out an order on record that nobody waits for at a door: one by a message,
        or one that a restart cut short. Where that cannot be, nothing waits for it either."""
        if not self._start(command):
            await self._thread_queue.release_hold(command)

    def _on_recorded(self, task: asyncio.Task[AcceptResult]) -> None:
        self._recording_tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("an order could not be recorded: %s", error)

    async def record(self, command: Command) -> bool:
        """Put an order on record that was pressed or commanded; False when it was before (a
        double click). Raises `StoreError`."""
        return await self._thread_queue.put(self._redact_args(command))

    async def load_unfinished(self) -> Sequence[tuple[Command, bool]]:
        """For the start: the orders that were not carried out, or that nobody was told of, and
        whether each is to be carried out: the questions of its thread wait for it still. Raises
        `StoreError`."""
        return await self._thread_queue.load_unfinished()

    def _redact_args(self, command: Command) -> Command:
        return replace(command, args=self.redact(command.args))

    async def execute(self, command: Command) -> CommandResult:
        """Do what a recorded order says, when its turn has come. Never raises for the order's sake:
        whatever is wrong becomes a sentence. The caller shows the outcome, then calls `done`; what
        was written later goes on as soon as this returns."""
        outcome = await self._execute_safely(command)
        await self._thread_queue.release_hold(command)
        return outcome

    async def _execute_safely(self, command: Command) -> CommandResult:
        try:
            async with self._thread_queue.in_order(command):
                return await self._authorize_and_run(self._redact_args(command))
        except TimeoutError:
            log.warning("order %s of %s took too long", command.name, command.user)
            return text_result(words.TOOK_TOO_LONG)
        except BotError as error:
            log.warning(
                "order %s of %s could not be carried out: %s", command.name, command.user, error
            )
            return text_result(error.user_message)
        except Exception:
            log.exception("order %s of %s could not be carried out", command.name, command.user)
            return text_result(BotError.user_message)

    async def mark_done(self, command: Command) -> None:
        """Whoever gave the order has been told. Raises `StoreError`."""
        await self._thread_queue.mark_done(command)

    async def _authorize_and_run(self, command: Command) -> CommandResult:
        verb = COMMANDS.get(command.name)
        if verb is None or command.source not in verb.sources:
            return text_result(words.OUTDATED)
        person = await self._access.fetch_user(command.user)
        charge = await self._access.admin_status(person)
        for channel in _channels_of(command) or [""]:
            out = await self._access.denial(person, channel, admin_status=charge)
            if out is not None:
                return text_result(access_texts.DENIAL_TEXTS[out])
        if verb.name != "help" and (await self._quotas.quota_of(person.id)).blocked:
            return text_result(BLOCKED)
        if (
            verb.target is not CommandTarget.NOTHING
            and command.thread is None
            and command.source is CommandSource.MESSAGE
        ):
            return text_result(words.OUTDATED)
        asked = await self._build_context(command, verb, person, charge)
        if isinstance(asked, CommandResult):
            return asked
        refusal = await self._quotas.quota_refusal(person.id) if verb.uses_quota else ""
        if refusal:
            return text_result(refusal)
        return await self._handlers[verb.name](asked)

    async def _build_context(
        self, command: Command, spec: CommandSpec, user: User, admin_status: AdminStatus
    ) -> CommandContext | CommandResult:
        """The order with the session that it is about, if the person may give it."""
        said, session, named = command.args.strip(), None, False
        if spec.target is CommandTarget.SESSION:
            said, number = split_handle(said)
            if number is not None:
                session, named = await self._store.session_by_number(number), True
                if session is None:
                    return text_result(words.NO_SUCH_SESSION)
        thread = None
        if command.thread is not None:
            thread = await self._store.thread_by_key(command.thread)
            if session is None and spec.target is not CommandTarget.NOTHING:
                session = await self._store.current_session(
                    command.thread, await self._session_role(command)
                )
        place = session.thread if session is not None else command.thread
        about = thread
        if session is not None and session.thread != command.thread:
            about = await self._store.thread_by_key(session.thread)
        standings = await self._access.roles_of(user, place, session, about, admin_status)
        if not _is_permitted(spec, standings, command.args.strip()):
            allowed = spec.roles_for(command.args.strip())
            return text_result(_denial_text(spec, standings, allowed, names_session=named))
        if spec.target is not CommandTarget.NOTHING and await self._is_hidden(user, place, command):
            return text_result(access_texts.NOT_VISIBLE)
        return CommandContext(
            command=command,
            user=user,
            access_roles=standings,
            args=said,
            position=self._thread_queue.position_of(command),
            received_at=self._thread_queue.received_at(command),
            session=session,
            thread=thread,
            names_session=named,
        )

    async def _session_role(self, command: Command) -> str:
        """Which of the thread's sessions is meant: the one that gave the answer under which the
        button stands, else the main one."""
        turn = None if command.turn is None else await self._store.turn_by_id(command.turn)
        if turn is None or turn.message.thread != command.thread:
            return MAIN_ROLE
        return turn.message.options.role

    async def _is_hidden(self, user: User, thread_key: ThreadKey | None, command: Command) -> bool:
        """Whether somebody who sees the place of what they name does not see one where they give
        the order: a button may be old, or forged. Orders are given also where the bot is not, but
        about no thread there."""
        seen = {"" if thread_key is None else thread_key.channel}
        given = command.thread.channel if command.thread is not None else ""
        if given and given not in seen:
            if not await self._access.can_see(user, given):
                return True
            seen.add(given)
        return bool(
            command.channel
            and command.channel not in seen
            and await self._access.is_hidden(user, command.channel)
        )


def _channels_of(command: Command) -> Sequence[str]:
    """The channels that an order is about: where it is given and, for an old button, the one of its
    thread. On the Home tab there may be none."""
    about = command.thread.channel if command.thread is not None else ""
    return tuple(dict.fromkeys(filter(None, (command.channel, about))))


def _denial_text(
    spec: CommandSpec,
    access_roles: frozenset[AccessRole],
    allowed: frozenset[AccessRole],
    *,
    names_session: bool,
) -> str:
    """Why not. Of a session in a place that somebody does not see nothing is told, not even that it
    is there."""
    if AccessRole.NO_ACCESS in access_roles:
        return words.NO_SUCH_SESSION if names_session else access_texts.NOT_VISIBLE
    if AccessRole.ADMIN_UNKNOWN in access_roles and AccessRole.ADMIN in allowed:
        return access_texts.ADMIN_UNKNOWN
    if allowed <= {AccessRole.ADMIN}:
        return words.ADMINS_ONLY
    if AccessRole.PARTICIPANT in allowed:
        return words.NOT_PARTICIPANT.format(verb=spec.name)
    return words.NOT_YOURS.format(verb=spec.name)


def _is_permitted(spec: CommandSpec, access_roles: frozenset[AccessRole], args: str) -> bool:
    """Whether somebody who is all this may give an order."""
    if AccessRole.NO_ACCESS in access_roles and spec.target is not CommandTarget.NOTHING:
        return spec.admins_skip_visibility and AccessRole.ADMIN in access_roles
    return spec.permits(access_roles, args)
