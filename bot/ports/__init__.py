"""Interfaces of the core to the outside: clock, store, agent, Slack, telemetry.

Each method states its promise here, where its implementers look. Implementations raise `BotError`s
only, and let cancellation through.
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
