"""Builds the handler of every command, once, with its dependencies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from bot.access.policy import AccessPolicy
from bot.access.quotas import QuotaPolicy
from bot.commands.admin.router import AdminRouter
from bot.commands.ask import AskCommand
from bot.commands.branch import BranchCommands
from bot.commands.compare import CompareCommands
from bot.commands.dispatcher import CommandGroup, CommandHandler
from bot.commands.help import Help
from bot.commands.history import HistoryCommands
from bot.commands.lifecycle import LifecycleCommands
from bot.commands.models import ModelCommands
from bot.commands.retry import RetryCommand
from bot.commands.roles import RoleCommands
from bot.commands.sessions import SessionsCommand
from bot.commands.status import StatusCommand
from bot.commands.thread import ThreadCommands
from bot.commands.usage import UsageCommand
from bot.commands.user_names import UserNames
from bot.ports import Agent, CardPublisher, Clock, Store, UserDirectory
from bot.sessions.cleanup import Cleanup
from bot.sessions.model_selection import ModelSelector
from bot.sessions.pool import SessionPool
from bot.turns.inbox import Inbox
from bot.turns.processor import TurnProcessor


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandDependencies:
    """The parts of the bot that commands need."""

    store: Store
    agent: Agent
    pool: SessionPool
    model_selector: ModelSelector
    inbox: Inbox
    turn_processor: TurnProcessor
    access: AccessPolicy
    users: UserDirectory
    publisher: CardPublisher
    cleanup: Cleanup
    quotas: QuotaPolicy
    clock: Clock
    slash_command: str
    """The slash command with its leading slash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handlers:
    """The handlers of all commands."""

    by_name: Mapping[str, CommandHandler]
    close: Callable[[], Awaitable[None]]
    """Ends the background tasks of commands."""


def build_handlers(dependencies: CommandDependencies) -> Handlers:
    """One handler for each command of the table."""
    store, publisher, clock, model_selector = (
        dependencies.store,
        dependencies.publisher,
        dependencies.clock,
        dependencies.model_selector,
    )
    names = UserNames(dependencies.users)
    sessions = SessionsCommand(store, dependencies.users, names, clock)
    admin = AdminRouter(
        *(
            store,
            dependencies.users,
            publisher,
            clock,
            dependencies.cleanup,
            dependencies.quotas,
            dependencies.inbox,
        ),
        list_sessions=sessions.sessions,
    )
    branch = BranchCommands(
        store, dependencies.agent, dependencies.pool, model_selector, publisher, clock
    )
    retry = RetryCommand(store, model_selector, enqueue=dependencies.inbox.enqueue)
    compare = CompareCommands(
        *(store, dependencies.agent, dependencies.pool, model_selector, publisher),
        enqueue=dependencies.inbox.enqueue,
    )
    by_name: dict[str, CommandHandler] = {}
    groups: tuple[CommandGroup, ...] = (
        Help(slash_command=dependencies.slash_command),
        sessions,
        StatusCommand(store, model_selector, names, clock),
        LifecycleCommands(store, publisher, dependencies.agent, dependencies.pool, clock),
        ThreadCommands(
            *(store, publisher, dependencies.turn_processor, dependencies.inbox),
            *(dependencies.pool, model_selector, clock),
        ),
        AskCommand(
            *(store, dependencies.agent, dependencies.pool, model_selector, dependencies.quotas),
            paused=lambda: dependencies.inbox.paused,
        ),
        HistoryCommands(store, publisher, names, clock),
        UsageCommand(store, dependencies.users, clock),
        ModelCommands(store, model_selector, clock),
        RoleCommands(store, model_selector),
        branch,
        retry,
        compare,
        admin,
    )
    for group in groups:
        by_name |= group.handlers()
    return Handlers(by_name=by_name, close=admin.close)
