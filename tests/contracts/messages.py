"""Messages for tests: who said what, where, when."""

from __future__ import annotations

from bot.domain.messages import Message, ThreadKey, Trigger

BEGIN = 1_790_000_000


def ts_at(second: float) -> str:
    """The `ts` of a message said so many seconds after the beginning."""
    return f"{BEGIN + second:.6f}"


def make_message(
    second: float,
    *,
    root: float | None = None,
    user: str = "U0ALICE",
    text: str = "What is Python?",
    trigger: Trigger = Trigger.MENTION,
    event_id: str = "",
    channel: str = "C0GENERAL",
    direct: bool = False,
) -> Message:
    """A message said at a second of its own; in the thread that began at second `root`."""
    began = second if root is None else root
    return Message(
        event_id=event_id or f"Ev-{channel}-{second}",
        thread=ThreadKey(team="T0SANDBOX", channel=channel, root_ts=ts_at(began)),
        ts=ts_at(second),
        user=user,
        user_team="T0SANDBOX",
        text=text,
        trigger=trigger,
        direct=direct,
    )
