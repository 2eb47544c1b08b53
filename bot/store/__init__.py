"""The store of messages, turns and sessions; `open_store` opens the one in SQLite."""

from bot.store.sqlite.store import open_store

__all__ = ["open_store"]
