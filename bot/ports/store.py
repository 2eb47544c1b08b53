"""The whole database, as the story asks for it."""

from __future__ import annotations

from typing import Protocol

from bot.ports.hearing_store import HearingStore
from bot.ports.indicator_store import SignStore
from bot.ports.people_store import (
    AuditStore,
    ChoiceStore,
    ComparisonStore,
    OrderStore,
    UsageStore,
)
from bot.ports.question_store import QuestionStore
from bot.ports.session_store import SessionStore
from bot.ports.turn_store import InboxStore, ThreadStore


class Store(
    InboxStore,
    ThreadStore,
    SessionStore,
    ChoiceStore,
    UsageStore,
    ComparisonStore,
    OrderStore,
    AuditStore,
    HearingStore,
    QuestionStore,
    SignStore,
    Protocol,
):
    """The whole database."""

    async def check(self) -> None:
        """Raise `StoreError` unless a message could be recorded just now."""
        ...
