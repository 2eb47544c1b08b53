"""What the story asks of the world: time, a store, an agent, Slack.

Each port is a handful of verbs, and each verb's promise stands there, where those who implement it
look. Implementations raise `BotError`s only; cancellation passes through everything untouched.
"""

from __future__ import annotations

from bot.ports.agent import Agent, AgentSession, Setup
from bot.ports.clock import Clock
from bot.ports.people_store import (
    AuditStore,
    ChoiceStore,
    ComparisonStore,
    OrderStore,
    UsageStore,
)
from bot.ports.session_store import SessionStore
from bot.ports.slack import Board, Earlier, Listening, People, Reply, Said, Workspace
from bot.ports.store import Store
from bot.ports.turn_store import InboxStore, ThreadStore

__all__ = [
    "Agent",
    "AgentSession",
    "AuditStore",
    "Board",
    "ChoiceStore",
    "Clock",
    "ComparisonStore",
    "Earlier",
    "InboxStore",
    "Listening",
    "OrderStore",
    "People",
    "Reply",
    "Said",
    "SessionStore",
    "Setup",
    "Store",
    "ThreadStore",
    "UsageStore",
    "Workspace",
]
