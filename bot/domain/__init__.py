"""What the database knows of sessions, and of what was chosen, used, compared and ordered."""

from __future__ import annotations

from bot.domain.commands import AuditEntry, Form, Hold, OpenQuestion, Order
from bot.domain.comparisons import Candidate, Comparison, Score
from bot.domain.preferences import YES, Choice, Scope, Topic
from bot.domain.sessions import (
    EFFORTS,
    MAIN,
    Origin,
    Remembered,
    RememberedPage,
    SessionFilter,
    SessionPage,
    SessionRecord,
    Told,
    Totals,
    Unmatched,
    session_number,
)
from bot.domain.usage import UsageBy, UsageRow

__all__ = [
    "EFFORTS",
    "MAIN",
    "YES",
    "AuditEntry",
    "Candidate",
    "Choice",
    "Comparison",
    "Form",
    "Hold",
    "OpenQuestion",
    "Order",
    "Origin",
    "Remembered",
    "RememberedPage",
    "Scope",
    "Score",
    "SessionFilter",
    "SessionPage",
    "SessionRecord",
    "Told",
    "Topic",
    "Totals",
    "Unmatched",
    "UsageBy",
    "UsageRow",
    "session_number",
]
