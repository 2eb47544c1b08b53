"""Dispatches commands: records each one, checks permissions, runs its handler once.

    a command  → recorded → author, target, permission → the handler → the result

The dispatcher checks the permissions in the table of commands; handlers rely on it, and a few check
more. A command that has a place in its thread (`bot.commands.thread_queue`) takes it when it is
recorded. From then on later messages of the thread wait for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from bot.access import texts as access_texts
from bot.access.policy import AccessPolicy
from bot.access.quotas import BLOCKED, QuotaPolicy
from bot.commands import texts
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
    """A permitted command, with everything that is known about it."""

    command: Command
    user: User
    access_roles: frozenset[AccessRole]
    args: str
    """The text after the command name, without the handle of a named session."""
    position: int
    """Its position among the messages of its thread (`bot.domain.messages.ts_position`)."""
    received_at: float
    """When it was received: seconds since the epoch by this machine's clock, like
    `Turn.accepted_at`."""
    session: SessionRecord | None = None
    """The target session: the named one, else the thread's current one. For a button under a reply
    it is the session of the role that replied. None if the thread has no session."""
    thread: Thread | None = None
    """The record of its thread; None before the first turn there."""
    names_session: bool = False
    """True if the user named the session."""

    @property
    def thread_key(self) -> ThreadKey | None:
        """The key of its thread; None outside of threads."""
        return self.command.thread

    @property
    def is_admin(self) -> bool:
        return AccessRole.ADMIN in self.access_roles


CommandHandler = Callable[[CommandContext], Awaitable[CommandResult]]
"""Executes one command. Raises `BotError`, whose `user_message` becomes the result."""


class CommandGroup(Protocol):
    """The commands of one topic."""

    def handlers(self) -> Mapping[str, CommandHandler]:
        """The handler of each command, by command name."""
        ...


class CommandDispatcher:
    """Records and executes commands."""

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
        task = asyncio.create_task(self._record_and_start(command), name=f"command {command.key}")
        self._recording_tasks.add(task)
        task.add_done_callback(self._on_recorded)
        return task

    async def _record_and_start(self, command: Command) -> AcceptResult:
        if not await self._thread_queue.put(command):
            return AcceptResult(status=AcceptStatus.DUPLICATE)
        log.info(
            "command recorded: command=%s user=%s thread=%s",
            command.name,
            command.user,
            command.thread,
        )
        await self.start_recorded(command)
        return AcceptResult(status=AcceptStatus.COMMAND)

    async def start_recorded(self, command: Command) -> None:
        """Start a recorded command for which no Slack request is open.

        It came by message, or a restart interrupted it. If it cannot be started, its hold on the
        thread is released.
        """
        if not self._start(command):
            await self._thread_queue.release_hold(command)

    def _on_recorded(self, task: asyncio.Task[AcceptResult]) -> None:
        self._recording_tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("command not recorded: error=%s", error)

    async def record(self, command: Command) -> bool:
        """Record a command from a button or a slash command.

        False if it is recorded already (a double click). Raises `StoreError`.
        """
        return await self._thread_queue.put(self._redact_args(command))

    async def load_unfinished(self) -> Sequence[tuple[Command, bool]]:
        """The commands that a restart left without a delivered result.

        Each comes with True if it is to be executed: the questions of its thread still wait for
        it. Raises `StoreError`.
        """
        return await self._thread_queue.load_unfinished()

    def _redact_args(self, command: Command) -> Command:
        return replace(command, args=self.redact(command.args))

    async def execute(self, command: Command) -> CommandResult:
        """Execute a recorded command when its turn has come.

        Errors become the text of the result. The caller delivers the result, then calls
        `mark_done`. Later messages of the thread continue as soon as this returns.
        """
        result = await self._execute_safely(command)
        await self._thread_queue.release_hold(command)
        return result

    async def _execute_safely(self, command: Command) -> CommandResult:
        try:
            async with self._thread_queue.in_order(command):
                return await self._authorize_and_run(self._redact_args(command))
        except TimeoutError:
            log.warning("command timed out: command=%s user=%s", command.name, command.user)
            return text_result(texts.TOOK_TOO_LONG)
        except BotError as error:
            log.warning(
                "command failed: command=%s user=%s error=%s", command.name, command.user, error
            )
            return text_result(error.user_message)
        except Exception:
            log.exception("command failed: command=%s user=%s", command.name, command.user)
            return text_result(BotError.user_message)

    async def mark_done(self, command: Command) -> None:
        """Record that the result is delivered. Raises `StoreError`."""
        await self._thread_queue.mark_done(command)

    async def _authorize_and_run(self, command: Command) -> CommandResult:
        spec = COMMANDS.get(command.name)
        if spec is None or command.source not in spec.sources:
            return text_result(texts.OLD_BUTTON)
        user = await self._access.fetch_user(command.user)
        admin_status = await self._access.admin_status(user)
        for channel in _channels_of(command) or [""]:
            denial = await self._access.denial(user, channel, admin_status=admin_status)
            if denial is not None:
                return text_result(access_texts.DENIAL_TEXTS[denial])
        if spec.name != "help" and (await self._quotas.quota_of(user.id)).blocked:
            return text_result(BLOCKED)
        if (
            spec.target is not CommandTarget.NOTHING
            and command.thread is None
            and command.source is CommandSource.MESSAGE
        ):
            return text_result(texts.OLD_BUTTON)
        ctx = await self._build_context(command, spec, user, admin_status)
        if isinstance(ctx, CommandResult):
            return ctx
        refusal = await self._quotas.quota_refusal(user.id) if spec.uses_quota else ""
        if refusal:
            return text_result(refusal)
        return await self._handlers[spec.name](ctx)

    async def _build_context(
        self, command: Command, spec: CommandSpec, user: User, admin_status: AdminStatus
    ) -> CommandContext | CommandResult:
        """The command with its target session, or the result that refuses it."""
        args, session, names_session = command.args.strip(), None, False
        if spec.target is CommandTarget.SESSION:
            args, number = split_handle(args)
            if number is not None:
                session, names_session = await self._store.session_by_number(number), True
                if session is None:
                    return text_result(texts.NO_SUCH_SESSION)
        thread = None
        if command.thread is not None:
            thread = await self._store.thread_by_key(command.thread)
            if session is None and spec.target is not CommandTarget.NOTHING:
                session = await self._store.current_session(
                    command.thread, await self._session_role(command)
                )
        thread_key = session.thread if session is not None else command.thread
        target_thread = thread
        if session is not None and session.thread != command.thread:
            target_thread = await self._store.thread_by_key(session.thread)
        roles = await self._access.roles_of(user, thread_key, session, target_thread, admin_status)
        if not _is_permitted(spec, roles, command.args.strip()):
            allowed = spec.roles_for(command.args.strip())
            return text_result(_denial_text(spec, roles, allowed, names_session=names_session))
        if spec.target is not CommandTarget.NOTHING and await self._is_origin_hidden(
            user, thread_key, command
        ):
            return text_result(access_texts.NOT_VISIBLE)
        return CommandContext(
            command=command,
            user=user,
            access_roles=roles,
            args=args,
            position=self._thread_queue.position_of(command),
            received_at=self._thread_queue.received_at(command),
            session=session,
            thread=thread,
            names_session=names_session,
        )

    async def _session_role(self, command: Command) -> str:
        """The role whose session is the target: that of the reply above the button, else the main
        one."""
        turn = None if command.turn is None else await self._store.turn_by_id(command.turn)
        if turn is None or turn.message.thread != command.thread:
            return MAIN_ROLE
        return turn.message.options.role

    async def _is_origin_hidden(
        self, user: User, thread_key: ThreadKey | None, command: Command
    ) -> bool:
        """True if the user sees the channel of the target but not the one the command came from.

        A button may be outdated or forged. Commands are also given in channels without the bot, but
        they concern no thread there.
        """
        visible = {"" if thread_key is None else thread_key.channel}
        origin = command.thread.channel if command.thread is not None else ""
        if origin and origin not in visible:
            if not await self._access.can_see(user, origin):
                return True
            visible.add(origin)
        return bool(
            command.channel
            and command.channel not in visible
            and await self._access.is_hidden(user, command.channel)
        )


def _channels_of(command: Command) -> Sequence[str]:
    """The channels of a command: its own and, for an old button, the one of its thread.

    Empty on the Home tab.
    """
    thread_channel = command.thread.channel if command.thread is not None else ""
    return tuple(dict.fromkeys(filter(None, (command.channel, thread_channel))))


def _denial_text(
    spec: CommandSpec,
    access_roles: frozenset[AccessRole],
    allowed: frozenset[AccessRole],
    *,
    names_session: bool,
) -> str:
    """The refusal text. It does not reveal that a session in a hidden channel exists."""
    if AccessRole.NO_ACCESS in access_roles:
        return texts.NO_SUCH_SESSION if names_session else access_texts.NOT_VISIBLE
    if AccessRole.ADMIN_UNKNOWN in access_roles and AccessRole.ADMIN in allowed:
        return access_texts.ADMIN_UNKNOWN
    if allowed <= {AccessRole.ADMIN}:
        return texts.ADMINS_ONLY
    if AccessRole.PARTICIPANT in allowed:
        return texts.NOT_PARTICIPANT.format(command=spec.name)
    return texts.NOT_YOURS.format(command=spec.name)


def _is_permitted(spec: CommandSpec, access_roles: frozenset[AccessRole], args: str) -> bool:
    """True if a user with these roles may give a command."""
    if AccessRole.NO_ACCESS in access_roles and spec.target is not CommandTarget.NOTHING:
        return spec.admins_skip_visibility and AccessRole.ADMIN in access_roles
    return spec.permits(access_roles, args)
