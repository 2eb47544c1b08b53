"""The store: accepted messages, turns, sessions, and what belongs to them."""

from bot.store.sqlite.store import open_store

__all__ = ["open_store"]
