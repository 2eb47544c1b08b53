"""Schema 6: what is shown in Slack for a time only, and is not taken back yet."""

from __future__ import annotations

from typing import Final

from bot.store.sqlite.migrations import Migration

V6: Final = Migration(
    number=6,
    purpose="which messages are marked as waiting, and which threads may show work, though none is",
    statements=(
        # `waited` said before that a message had ever been marked; from now on that it may be.
        # Some marks were left behind: of the latest it is found out, for Slack takes few calls.
        """
        UPDATE turns SET waited = 0
        WHERE waited = 1 AND state NOT IN ('waiting', 'running') AND id NOT IN (
            SELECT id FROM turns WHERE waited = 1 ORDER BY id DESC LIMIT 100)
        """,
        # 1: its thread may show that the bot works, and no reply of it takes that back any more.
        "ALTER TABLE turns ADD COLUMN status_left INTEGER NOT NULL DEFAULT 0",
        # Partial: they hold the few that are left only, and cost other turns nothing.
        "CREATE INDEX turns_marked ON turns (waited, id) WHERE waited = 1",
        "CREATE INDEX turns_status_left ON turns (status_left, id) WHERE status_left = 1",
    ),
)
