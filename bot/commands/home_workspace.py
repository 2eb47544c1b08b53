"""What the Home tab shows to those in charge: how much runs, waits and is kept, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bot.commands.formatting import count, size
from bot.commands.texts import models as model_texts
from bot.domain import SessionFilter, Totals
from bot.domain.cards import Card, Press
from bot.ports import Agent, Store

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
        model_texts.TURNS_RUNNING.format(count=count(doing.running)),
        model_texts.TURNS_WAITING.format(
            count=counted if waiting < MOST_WAITING else model_texts.MANY.format(count=counted)
        ),
        model_texts.SESSIONS_LIVE.format(live=count(doing.live), places=count(doing.places)),
        model_texts.RUNTIME_MEMORY.format(size=size(memory))
        if memory
        else model_texts.RUNTIME_RESTS,
        _stored(totals),
    ]
    if doing.paused:
        lines.append(model_texts.PAUSED)
    return Card(
        title=model_texts.WORKSPACE_TITLE,
        text="\n".join(lines),
        presses=_presses(paused=doing.paused),
    )


def _stored(totals: Totals) -> str:
    """How many sessions there are, and how much space they take once that was looked at."""
    told = model_texts.SESSIONS_STORED.format(count=count(totals.count))
    return model_texts.AND_SIZE.format(told=told, size=size(totals.size)) if totals.size else told


def _presses(*, paused: bool) -> tuple[Press, ...]:
    said = [
        (model_texts.ADMIN_SESSIONS, "sessions"),
        (model_texts.ADMIN_USAGE, "usage"),
        (model_texts.ADMIN_USERS, "users"),
        (model_texts.ADMIN_CLEANUP, "cleanup"),
        (model_texts.ADMIN_AUDIT, "audit"),
    ]
    if paused:
        last = Press(label=model_texts.ADMIN_RESUME, verb="admin", words="resume", style="primary")
    else:
        last = Press(
            label=model_texts.ADMIN_PAUSE,
            verb="admin",
            words="pause",
            confirm=model_texts.ADMIN_PAUSE_CONFIRM,
        )
    return (*(Press(label=label, verb="admin", words=order) for label, order in said), last)
