"""What the story asks of the world: time, a store, an agent, Slack, somebody who watches.

Each port is a handful of verbs, and each verb's promise stands there, where those who implement it
look. Implementations raise `BotError`s only; cancellation passes through everything untouched.
"""

from __future__ import annotations

from bot.clock import Clock
from bot.ports.agent import Agent, AgentSession, PromptIds, SessionConfig
from bot.ports.session_store import SessionStore
from bot.ports.slack import (
    CardPublisher,
    Reply,
    ThreadExcerpt,
    ThreadHistory,
    ThreadMessage,
    UserDirectory,
    Workspace,
)
from bot.ports.store import AuditStore, ComparisonStore, PreferenceStore, Store, UsageStore
from bot.ports.telemetry import NULL_TELEMETRY, Observation, Telemetry, TurnStep
from bot.ports.turn_store import (
    Checkpoint,
    CheckpointStore,
    CommandStore,
    InboxStore,
    IndicatorStore,
    PendingQuestionStore,
    ThreadStore,
)

__all__ = [
    "NULL_TELEMETRY",
    "Agent",
    "AgentSession",
    "AuditStore",
    "CardPublisher",
    "Checkpoint",
    "CheckpointStore",
    "Clock",
    "CommandStore",
    "ComparisonStore",
    "InboxStore",
    "IndicatorStore",
    "Observation",
    "PendingQuestionStore",
    "PreferenceStore",
    "PromptIds",
    "Reply",
    "SessionConfig",
    "SessionStore",
    "Store",
    "Telemetry",
    "ThreadExcerpt",
    "ThreadHistory",
    "ThreadMessage",
    "ThreadStore",
    "TurnStep",
    "UsageStore",
    "UserDirectory",
    "Workspace",
]
