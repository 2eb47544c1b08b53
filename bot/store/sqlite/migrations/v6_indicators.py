"""Defines schema 6: the indicators that Slack shows for a time and that are not cleared yet."""

from __future__ import annotations

from typing import Final

from bot.store.sqlite.migrations import Migration

V6: Final = Migration(
    number=6,
    purpose="which messages are marked as waiting, and which threads may show a stale status",
    statements=(
        # `waited` meant that a message was marked once; from this schema on, that it may be marked
        # now. Some marks were left behind: only the latest are checked, because Slack limits calls.
        """
        UPDATE turns SET waited = 0
        WHERE waited = 1 AND state NOT IN ('waiting', 'running') AND id NOT IN (
            SELECT id FROM turns WHERE waited = 1 ORDER BY id DESC LIMIT 100)
        """,
        # 1: its thread may show a status that no reply will clear.
        "ALTER TABLE turns ADD COLUMN status_left INTEGER NOT NULL DEFAULT 0",
        # Partial: they hold the few that are left, and cost other turns nothing.
        "CREATE INDEX turns_marked ON turns (waited, id) WHERE waited = 1",
        "CREATE INDEX turns_status_left ON turns (status_left, id) WHERE status_left = 1",
    ),
)
