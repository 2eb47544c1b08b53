"""What the story asks of the world: time, a store, an agent, Slack, somebody who watches.

Each port is a handful of verbs, and each verb's promise stands there, where those who implement it
look. Implementations raise `BotError`s only; cancellation passes through everything untouched.
"""

from __future__ import annotations

from bot.clock import Clock
from bot.ports.agent import Agent, AgentSession, Prompts, Setup
from bot.ports.session_store import SessionStore
from bot.ports.slack import Board, Earlier, Listening, People, Reply, Said, Workspace
from bot.ports.store import AuditStore, ChoiceStore, ComparisonStore, Store, UsageStore
from bot.ports.telemetry import UNWATCHED, Outcome, Step, Watch
from bot.ports.turn_store import (
    Heard,
    HearingStore,
    InboxStore,
    OrderStore,
    QuestionStore,
    SignStore,
    ThreadStore,
)

__all__ = [
    "UNWATCHED",
    "Agent",
    "AgentSession",
    "AuditStore",
    "Board",
    "ChoiceStore",
    "Clock",
    "ComparisonStore",
    "Earlier",
    "Heard",
    "HearingStore",
    "InboxStore",
    "Listening",
    "OrderStore",
    "Outcome",
    "People",
    "Prompts",
    "QuestionStore",
    "Reply",
    "Said",
    "SessionStore",
    "Setup",
    "SignStore",
    "Step",
    "Store",
    "ThreadStore",
    "UsageStore",
    "Watch",
    "Workspace",
]
