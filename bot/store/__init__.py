"""The database: what has been accepted, and how far each turn got."""

from bot.store.sqlite.store import open_store

__all__ = ["open_store"]
