"""Who carries out which verb: every handler, made once with what it needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from bot.access.policy import Access
from bot.access.quotas import Limits
from bot.commands.admin.router import Admin
from bot.commands.ask import Asides
from bot.commands.branch import Branching
from bot.commands.compare import Comparisons
from bot.commands.dispatcher import Handler
from bot.commands.help import Help
from bot.commands.history import Remembering
from bot.commands.lifecycle import Switching
from bot.commands.models import ModelOrders
from bot.commands.retry import Retrying
from bot.commands.roles import RoleOrders
from bot.commands.sessions import Listing
from bot.commands.status import Status
from bot.commands.thread import Quietness, Renaming, Threads
from bot.commands.usage import Spending
from bot.commands.user_names import Names
from bot.ports import Agent, Board, Clock, People, Store
from bot.sessions.cleanup import Cleanup
from bot.sessions.model_selection import Choosing
from bot.sessions.pool import Sessions
from bot.turns.inbox import Inbox
from bot.turns.processor import Turns


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of a bot that orders have to do with."""

    store: Store
    agent: Agent
    sessions: Sessions
    choosing: Choosing
    inbox: Inbox
    turns: Turns
    access: Access
    people: People
    board: Board
    cleanup: Cleanup
    limits: Limits
    clock: Clock
    command: str
    """The slash command, with its slash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handlers:
    """All that carry out orders."""

    by_verb: Mapping[str, Handler]
    close: Callable[[], Awaitable[None]]
    """Ends what orders have begun and still goes on."""


def handlers(parts: Parts) -> Handlers:
    """One handler for each verb of the table."""
    store, board, clock, choosing = parts.store, parts.board, parts.clock, parts.choosing
    names = Names(parts.people)
    listing = Listing(store, parts.people, names, clock)
    admin = Admin(
        *(store, parts.people, board, clock, parts.cleanup, parts.limits, parts.inbox),
        listing=listing.sessions,
    )
    branching = Branching(store, parts.agent, parts.sessions, choosing, board, clock)
    retrying = Retrying(store, choosing, ask=parts.inbox.accept)
    comparisons = Comparisons(
        *(store, parts.agent, parts.sessions, choosing, board), ask=parts.inbox.accept
    )
    by_verb: dict[str, Handler] = {}
    for topic in (
        Help(command=parts.command),
        listing,
        Status(store, choosing, names, clock),
        Switching(store, board, parts.agent, parts.sessions, clock),
        Threads(store, board, parts.turns, parts.inbox, Renaming(parts.sessions, choosing).rename),
        Asides(
            *(store, parts.agent, parts.sessions, choosing, parts.limits),
            paused=lambda: parts.inbox.paused,
        ),
        Quietness(store, clock),
        Remembering(store, board, names, clock),
        Spending(store, parts.people, clock),
        ModelOrders(store, choosing, clock),
        RoleOrders(store, choosing),
        branching,
        retrying,
        comparisons,
        admin,
    ):
        by_verb |= topic.handlers()
    return Handlers(by_verb=by_verb, close=admin.close)
