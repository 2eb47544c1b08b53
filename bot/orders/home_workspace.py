"""What the Home tab shows to those in charge: how much runs, waits and is kept, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bot.cards import Card, Press
from bot.orders import words_choices as say
from bot.orders.told import count, size
from bot.ports import Agent, Store
from bot.records import SessionFilter, Totals

MOST_WAITING: Final = 1_000
"""So many are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doing:
    """What the bot does just now."""

    running: int
    """Turns."""
    live: int
    """Sessions."""
    places: int
    """How many sessions may be live."""
    paused: bool


async def workspace_card(store: Store, agent: Agent, doing: Doing) -> Card:
    """The whole bot in a few numbers. Raises `StoreError`."""
    waiting = len(await store.waiting())
    totals = await store.totals(SessionFilter())
    memory = await agent.memory()
    counted = count(waiting)
    lines = [
        say.TURNS_RUNNING.format(count=count(doing.running)),
        say.TURNS_WAITING.format(
            count=counted if waiting < MOST_WAITING else say.MANY.format(count=counted)
        ),
        say.SESSIONS_LIVE.format(live=count(doing.live), places=count(doing.places)),
        say.RUNTIME_MEMORY.format(size=size(memory)) if memory else say.RUNTIME_RESTS,
        _stored(totals),
    ]
    if doing.paused:
        lines.append(say.PAUSED)
    return Card(
        title=say.WORKSPACE_TITLE,
        text="\n".join(lines),
        presses=_presses(paused=doing.paused),
    )


def _stored(totals: Totals) -> str:
    """How many sessions there are, and how much space they take once that was looked at."""
    told = say.SESSIONS_STORED.format(count=count(totals.count))
    return say.AND_SIZE.format(told=told, size=size(totals.size)) if totals.size else told


def _presses(*, paused: bool) -> tuple[Press, ...]:
    said = [
        (say.ADMIN_SESSIONS, "sessions"),
        (say.ADMIN_USAGE, "usage"),
        (say.ADMIN_USERS, "users"),
        (say.ADMIN_CLEANUP, "cleanup"),
        (say.ADMIN_AUDIT, "audit"),
    ]
    if paused:
        last = Press(label=say.ADMIN_RESUME, verb="admin", words="resume", style="primary")
    else:
        last = Press(
            label=say.ADMIN_PAUSE, verb="admin", words="pause", confirm=say.ADMIN_PAUSE_CONFIRM
        )
    return (*(Press(label=label, verb="admin", words=order) for label, order in said), last)
