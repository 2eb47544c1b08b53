"""Who carries out which verb: every handler, made once with what it needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from bot.access.policy import AccessPolicy
from bot.access.quotas import QuotaPolicy
from bot.commands.admin.router import AdminRouter
from bot.commands.ask import AskCommand
from bot.commands.branch import BranchCommands
from bot.commands.compare import CompareCommands
from bot.commands.dispatcher import CommandHandler
from bot.commands.help import Help
from bot.commands.history import HistoryCommands
from bot.commands.lifecycle import LifecycleCommands
from bot.commands.models import ModelCommands
from bot.commands.retry import RetryCommand
from bot.commands.roles import RoleCommands
from bot.commands.sessions import SessionsCommand
from bot.commands.status import StatusCommand
from bot.commands.thread import QuietCommands, SessionRenamer, ThreadCommands
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
    """The parts of a bot that orders have to do with."""

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
    """The slash command, with its slash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handlers:
    """All that carry out orders."""

    by_name: Mapping[str, CommandHandler]
    close: Callable[[], Awaitable[None]]
    """Ends what orders have begun and still goes on."""


def build_handlers(dependencies: CommandDependencies) -> Handlers:
    """One handler for each verb of the table."""
    store, board, clock, choosing = (
        dependencies.store,
        dependencies.publisher,
        dependencies.clock,
        dependencies.model_selector,
    )
    names = UserNames(dependencies.users)
    listing = SessionsCommand(store, dependencies.users, names, clock)
    admin = AdminRouter(
        *(
            store,
            dependencies.users,
            board,
            clock,
            dependencies.cleanup,
            dependencies.quotas,
            dependencies.inbox,
        ),
        list_sessions=listing.sessions,
    )
    branching = BranchCommands(store, dependencies.agent, dependencies.pool, choosing, board, clock)
    retrying = RetryCommand(store, choosing, enqueue=dependencies.inbox.enqueue)
    comparisons = CompareCommands(
        *(store, dependencies.agent, dependencies.pool, choosing, board),
        enqueue=dependencies.inbox.enqueue,
    )
    by_verb: dict[str, CommandHandler] = {}
    for topic in (
        Help(slash_command=dependencies.slash_command),
        listing,
        StatusCommand(store, choosing, names, clock),
        LifecycleCommands(store, board, dependencies.agent, dependencies.pool, clock),
        ThreadCommands(
            store,
            board,
            dependencies.turn_processor,
            dependencies.inbox,
            SessionRenamer(dependencies.pool, choosing).rename,
        ),
        AskCommand(
            *(store, dependencies.agent, dependencies.pool, choosing, dependencies.quotas),
            paused=lambda: dependencies.inbox.paused,
        ),
        QuietCommands(store, clock),
        HistoryCommands(store, board, names, clock),
        UsageCommand(store, dependencies.users, clock),
        ModelCommands(store, choosing, clock),
        RoleCommands(store, choosing),
        branching,
        retrying,
        comparisons,
        admin,
    ):
        by_verb |= topic.handlers()
    return Handlers(by_name=by_verb, close=admin.close)
