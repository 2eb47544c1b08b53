"""The workspace stays bounded, and its messages keep their order."""

from __future__ import annotations

import asyncio

from slack_emulator.state.clock import EmulatorClock, Timers
from slack_emulator.state.entities import Ephemeral, Message
from slack_emulator.state.workspace import MAX_EPHEMERALS, MAX_MESSAGES, Workspace
from tests.emulator_client import GENERAL
from tests.fakes import ManualClock


def test_message_ts_grow_even_if_the_clock_does_not() -> None:
    workspace = Workspace(EmulatorClock(ManualClock()))
    stamps = [workspace.next_ts() for _ in range(1_000)]
    assert stamps == sorted(set(stamps))
    assert all(len(stamp.partition(".")[2]) == 6 for stamp in stamps)


def test_the_oldest_messages_are_forgotten() -> None:
    workspace = Workspace(EmulatorClock(ManualClock()))
    posted = [
        workspace.post_message(
            Message(channel=GENERAL, ts=workspace.next_ts(), user="UALICE", text=str(number))
        )
        for number in range(MAX_MESSAGES + 2)
    ]
    assert [message.ts for message in workspace.messages(GENERAL)] == [m.ts for m in posted[2:]]


def test_the_oldest_ephemeral_messages_are_forgotten() -> None:
    workspace = Workspace(EmulatorClock(ManualClock()))
    for number in range(MAX_EPHEMERALS + 1):
        workspace.post_ephemeral(
            Ephemeral(channel=GENERAL, ts=workspace.next_ts(), user="UBOB", text=str(number))
        )
    assert len(workspace.ephemerals["UBOB"]) == MAX_EPHEMERALS
    assert workspace.ephemerals["UBOB"][0].text == "1"


async def test_a_cancelled_timer_does_not_fire() -> None:
    base = ManualClock()
    later = Timers(EmulatorClock(base))
    happened: list[str] = []
    later.call_later(1, lambda: happened.append("soon"))
    later.call_later(10, lambda: happened.append("never"))
    await base.advance(2)
    async with asyncio.timeout(30):
        await later.cancel_all()
    await base.advance(20)
    assert happened == ["soon"]
