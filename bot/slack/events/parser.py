"""What Slack's events say, turned into the facts that the rest of Threadpilot understands.

Pure: a payload goes in, one frozen fact comes out. Whatever JSON arrives, it is never an
exception: what is not for the bot, or makes no sense, is `Ignored` with its reason. Shapes of
events: docs.slack.dev/reference/events.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeGuard

from bot.domain.messages import TS, Message, ThreadKey, Trigger, storable
from bot.slack.formatting.mrkdwn import (
    LONGEST,
    addresses_somebody,
    by_id,
    mentions,
    readable,
    without_mention,
)
from bot.slack.identity import Identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """A person changed the words of a message; `text` is what it says now."""

    team: str
    channel: str
    ts: str
    user: str
    text: str
    root_ts: str = ""
    """The thread that the message stands in or began; empty when it has none yet."""
    mentions_us: bool = False
    """Whether the edit made it a mention: a channel message that did not mention us before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """A person's message is gone; `user` is who had written it."""

    team: str
    channel: str
    ts: str
    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """Somebody pressed Stop; `at` is the press's own Slack timestamp."""

    thread: ThreadKey
    user: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeOpened:
    """Somebody opened the bot's page; `tab` is "home" or "messages", `channel` their direct one."""

    user: str
    tab: str
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """Nothing for the bot; `reason` is for the log."""

    reason: str
    notable: bool = False
    """Whether an operator would want to see it; what people say to each other is not."""


Fact = Message | Edited | Deleted | Stopped | HomeOpened | Ignored

MALFORMED = Ignored(reason="malformed", notable=True)
_OURS = Ignored(reason="our own")
ELSEWHERE = Ignored(reason="of a workspace that is not ours", notable=True)
_BOT = Ignored(reason="a bot's", notable=True)

_ID = re.compile(r"[A-Z0-9]{2,40}", re.ASCII).fullmatch
_EVENT_ID = re.compile(r"[!-~]{1,200}", re.ASCII).fullmatch
_TS = TS.fullmatch
_TOO_LONG: Final = 50_000
"""More characters than MAX_MESSAGE_CHARS may be."""
_LONGEST_ORDER: Final = 8_000
"""Characters of markup; of what is read of it, half as many are an order at most."""

Json = Mapping[str, object]


def read_event(payload: object, us: Identity) -> Fact:
    """The fact in the payload of an `event_callback`, however it is made. Never raises."""
    if not _is_object(payload) or not _is_object(event := payload.get("event")):
        return MALFORMED
    team = _installing_team(payload)
    if team is None:
        return MALFORMED
    if team != us.team:
        return ELSEWHERE
    match event.get("type"):
        case "app_mention" | "message":
            return _about_a_message(payload, event, team, us)
        case "agent_session_stopped":
            return _stopped(event, team)
        case "app_home_opened":
            return _home_opened(event)
        case str(other):
            return Ignored(reason=f"event type {other[:60]!r}")
        case _:
            return MALFORMED


def _about_a_message(payload: Json, event: Json, team: str, us: Identity) -> Fact:
    match event.get("subtype"):
        case "message_changed":
            return _changed(event, team, us)
        case "message_deleted":
            return _deleted(event, event.get("deleted_ts"), event.get("previous_message"), team, us)
        case _:
            nobody = _not_a_person(event, us)
            if nobody is _BOT:
                return _said_by_a_bot(payload, event, team, us)
            return nobody or _written(payload, event, team, us)


def _written(payload: Json, event: Json, team: str, us: Identity) -> Fact:
    """A new message of a person."""
    channel, ts = _id(event.get("channel")), _ts(event.get("ts"))
    user, text = _id(event.get("user")), _markup(event)
    event_id = _event_id(payload.get("event_id"))
    if not (channel and ts and user and event_id) or text is None:
        return MALFORMED
    root = _ts(event.get("thread_ts") or ts)
    if root is None:
        return MALFORMED
    direct = _is_direct(event, channel)
    trigger = _trigger(event, text, us, direct=direct, in_thread=root != ts)
    if trigger is None:
        return Ignored(reason="a channel message without a mention")
    user_team = _team_of_author(payload, event, team)
    return Message(
        event_id=event_id,
        thread=ThreadKey(team=team, channel=channel, root_ts=root),
        ts=ts,
        user=user,
        user_team=user_team,
        text=_words(text, us),
        ordered=_ordered(text, us),
        trigger=trigger,
        external=user_team != team,
        direct=direct,
    )


def _said_by_a_bot(payload: Json, event: Json, team: str, us: Identity) -> Fact:
    """Another bot's message: a question where it mentions us and is one of those that we answer;
    else it is to be known of a thread that there is one, no more."""
    channel, ts = _id(event.get("channel")), _ts(event.get("ts"))
    event_id = _event_id(payload.get("event_id"))
    ids = [found for name in ("bot_id", "user") if (found := _id(event.get(name)))]
    text = _markup(event)
    asks = next((found for found in ids if found in us.answers), None)
    if not (asks and text is not None and mentions(text, us.user)):
        asks = None
    if asks is None and not event.get("thread_ts"):
        return _BOT
    root = _ts(event.get("thread_ts") or ts)
    if not (channel and ts and root and event_id and ids) or text is None:
        return MALFORMED
    return Message(
        event_id=event_id,
        thread=ThreadKey(team=team, channel=channel, root_ts=root),
        ts=ts,
        user=asks or ids[0],
        user_team=team,
        text=_words(text, us) if asks else "",
        trigger=Trigger.BOT_MENTION if asks else Trigger.BOT,
    )


def _trigger(
    event: Json, text: str, us: Identity, *, direct: bool, in_thread: bool
) -> Trigger | None:
    if direct:
        return Trigger.DIRECT
    if event.get("type") == "app_mention" or mentions(text, us.user):
        return Trigger.MENTION
    if not in_thread:
        return None
    return Trigger.ASIDE if addresses_somebody(text) else Trigger.FOLLOW_UP


def _changed(event: Json, team: str, us: Identity) -> Fact:
    """An edit; Slack also says so of unfurled links and of our own streams as they grow."""
    now, before = event.get("message"), event.get("previous_message")
    if not _is_object(now):
        return MALFORMED
    if now.get("subtype") == "tombstone":  # what is left of a deleted message that has replies
        return _deleted(event, now.get("ts"), before, team, us)
    if nobody := _not_a_person(now, us):
        return nobody
    channel, ts, user = _id(event.get("channel")), _ts(now.get("ts")), _id(now.get("user"))
    text = _markup(now)
    if not (channel and ts and user) or text is None:
        return MALFORMED
    said = _markup(before) if _is_object(before) else None
    if said == text:
        return Ignored(reason="a change that leaves the words as they were")
    return Edited(
        team=team,
        channel=channel,
        ts=ts,
        user=user,
        text=_words(text, us),
        root_ts=_ts(now.get("thread_ts")) or "",
        mentions_us=(
            not _is_direct(event, channel)
            and mentions(text, us.user)
            and _is_object(before)
            and not mentions(said or "", us.user)
        ),
    )


def _deleted(event: Json, ts: object, before: object, team: str, us: Identity) -> Fact:
    if not _is_object(before):
        return MALFORMED
    if nobody := _not_a_person(before, us):
        return nobody
    channel, deleted, user = _id(event.get("channel")), _ts(ts), _id(before.get("user"))
    if not (channel and deleted and user):
        return MALFORMED
    return Deleted(team=team, channel=channel, ts=deleted, user=user)


def _stopped(event: Json, team: str) -> Fact:
    channel, root = _id(event.get("channel")), _ts(event.get("thread_ts"))
    user, at = _id(event.get("user")), _ts(event.get("event_ts"))
    if not (channel and root and user and at):
        return MALFORMED
    return Stopped(thread=ThreadKey(team=team, channel=channel, root_ts=root), user=user, at=at)


def _home_opened(event: Json) -> Fact:
    user, channel, tab = _id(event.get("user")), _id(event.get("channel")), event.get("tab")
    if not (user and channel and tab in ("home", "messages")):
        return MALFORMED
    return HomeOpened(user=user, tab=str(tab), channel=channel)


def _not_a_person(message: Json, us: Identity) -> Ignored | None:
    """Why the message is not a person's, or None. Our own posts carry our bot id and no subtype."""
    if message.get("user") in (us.user, us.bot) or message.get("bot_id") == us.bot:
        return _OURS
    if message.get("bot_id") or message.get("bot_profile") or message.get("user") == "USLACKBOT":
        return _BOT
    match message.get("subtype"):
        case None | "file_share" | "thread_broadcast" | "me_message":
            return None
        case "bot_message":
            return _BOT
        case str(other):
            return Ignored(reason=f"message subtype {other[:60]!r}")
        case _:
            return MALFORMED


def _markup(message: Json) -> str | None:
    """What a message says, so much of it as is read and a character more; None for what is no
    text."""
    text = message.get("text") or ""
    return text[: LONGEST + 1] if isinstance(text, str) else None


def _words(text: str, us: Identity) -> str:
    """The words of a message; of one that is longer than any of Slack's, more characters than
    anybody takes, as they stand."""
    if len(text) > LONGEST:
        return storable(text[:_TOO_LONG])
    return readable(without_mention(text, us.user, us.name))


def _ordered(text: str, us: Identity) -> str:
    """The words with people and channels by their ids; "" where the text names none by a name, or
    is longer than any order."""
    named = by_id(text) if len(text) <= _LONGEST_ORDER else text
    return _words(named, us) if named != text else ""


def _is_direct(event: Json, channel: str) -> bool:
    """`app_mention` carries no channel type; the ids of direct messages begin with D."""
    kind = event.get("channel_type")
    return kind == "im" if isinstance(kind, str) else channel.startswith("D")


def _installing_team(payload: Json) -> str | None:
    """The workspace the bot is installed in; in a shared channel `team_id` may be the other one."""
    given = payload.get("authorizations")
    if isinstance(given, list) and given and _is_object(first := given[0]):
        team = _id(first.get("team_id"))
        if team is not None:
            return team
    return _id(payload.get("team_id"))


def _team_of_author(payload: Json, event: Json, team: str) -> str:
    """The author's own workspace. In an Enterprise organization the organization's id may stand
    in its place, which says no more than that the author is at home."""
    for name in ("user_team", "source_team", "team"):
        found = _id(event.get(name))
        if found is not None:
            return team if found == payload.get("enterprise_id") else found
    return team


def _is_object(value: object) -> TypeGuard[Json]:
    return isinstance(value, dict)


def _id(value: object) -> str | None:
    return value if isinstance(value, str) and _ID(value) else None


def _ts(value: object) -> str | None:
    return value if isinstance(value, str) and _TS(value) else None


def _event_id(value: object) -> str | None:
    return value if isinstance(value, str) and _EVENT_ID(value) else None
