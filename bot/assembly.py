"""Who carries out which verb: every handler, made once with what it needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from bot.choosing import Choosing
from bot.cleanup import Cleanup
from bot.inbox import Inbox
from bot.limits import Limits
from bot.orders.access import Access
from bot.orders.admin import Admin
from bot.orders.asides import Asides
from bot.orders.branching import Branching
from bot.orders.comparisons import Comparisons
from bot.orders.desk import Handler
from bot.orders.helping import Help
from bot.orders.listing import Listing
from bot.orders.models import ModelOrders
from bot.orders.names import Names
from bot.orders.quietness import Quietness
from bot.orders.remembering import Remembering
from bot.orders.renaming import Renaming
from bot.orders.retrying import Retrying
from bot.orders.roles import RoleOrders
from bot.orders.spending import Spending
from bot.orders.status import Status
from bot.orders.switching import Switching
from bot.orders.threads import Threads
from bot.ports import Agent, Board, Clock, People, Store
from bot.sessions import Sessions
from bot.turns import Turns


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
