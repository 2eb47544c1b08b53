"""Parses Slack's event payloads into the domain's values.

Pure: one payload gives one frozen value. No JSON causes an exception: an event that is malformed
or not for the bot is an `IgnoredEvent` with its reason. Shapes of events:
docs.slack.dev/reference/events.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeGuard

from bot.domain.messages import TS_PATTERN, Message, ThreadKey, Trigger, strip_unstorable
from bot.slack.formatting.mrkdwn import (
    MAX_MARKUP_CHARS,
    mentions_user,
    mrkdwn_to_text,
    starts_with_mention,
    strip_mention,
    strip_mention_labels,
)
from bot.slack.identity import BotIdentity


@dataclass(frozen=True, slots=True, kw_only=True)
class EditedEvent:
    """A user edited a message; `text` is its new text."""

    team: str
    channel: str
    ts: str
    user: str
    text: str
    root_ts: str = ""
    """The thread that the message is in or started, or an empty string."""
    adds_mention: bool = False
    """True if the edit adds the first mention of the bot to a channel message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedEvent:
    """A user's message was deleted; `user` is its author."""

    team: str
    channel: str
    ts: str
    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppedEvent:
    """A user pressed Stop; `event_ts` is the Slack timestamp of the press."""

    thread: ThreadKey
    user: str
    event_ts: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeOpenedEvent:
    """A user opened the app; `tab` is "home" or "messages", `channel` the direct messages."""

    user: str
    tab: str
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IgnoredEvent:
    """An event that the bot ignores; `reason` is for the log."""

    reason: str
    notable: bool = False
    """True if it is logged for operators; a conversation between users is not."""


ParsedEvent = Message | EditedEvent | DeletedEvent | StoppedEvent | HomeOpenedEvent | IgnoredEvent

MALFORMED = IgnoredEvent(reason="malformed", notable=True)
_OWN_MESSAGE = IgnoredEvent(reason="own message")
OTHER_WORKSPACE = IgnoredEvent(reason="another workspace", notable=True)
_BOT_MESSAGE = IgnoredEvent(reason="message of a bot", notable=True)

_ID = re.compile(r"[A-Z0-9]{2,40}", re.ASCII).fullmatch
_EVENT_ID = re.compile(r"[!-~]{1,200}", re.ASCII).fullmatch
_TS = TS_PATTERN.fullmatch
_MAX_KEPT_CHARS: Final = 50_000
"""Maximum number of characters kept of a text; more than MAX_MESSAGE_CHARS may be."""
_MAX_COMMAND_CHARS: Final = 8_000
"""Maximum number of characters of markup in a command; its plain text has at most half as many."""

Json = Mapping[str, object]


def parse_event(payload: object, identity: BotIdentity) -> ParsedEvent:
    """The value of an `event_callback` payload of any shape. Never raises."""
    if not _is_object(payload) or not _is_object(event := payload.get("event")):
        return MALFORMED
    team = _installing_team(payload)
    if team is None:
        return MALFORMED
    if team != identity.team:
        return OTHER_WORKSPACE
    match event.get("type"):
        case "app_mention" | "message":
            return _parse_message_event(payload, event, team, identity)
        case "agent_session_stopped":
            return _parse_stopped(event, team)
        case "app_home_opened":
            return _parse_home_opened(event)
        case str(other):
            return IgnoredEvent(reason=f"event type {other[:60]!r}")
        case _:
            return MALFORMED


def _parse_message_event(
    payload: Json, event: Json, team: str, identity: BotIdentity
) -> ParsedEvent:
    match event.get("subtype"):
        case "message_changed":
            return _parse_changed(event, team, identity)
        case "message_deleted":
            return _parse_deleted(
                event, event.get("deleted_ts"), event.get("previous_message"), team, identity
            )
        case _:
            ignored = _ignored_author(event, identity)
            if ignored is _BOT_MESSAGE:
                return _parse_bot_message(payload, event, team, identity)
            return ignored or _parse_new_message(payload, event, team, identity)


def _parse_new_message(payload: Json, event: Json, team: str, identity: BotIdentity) -> ParsedEvent:
    """A new message of a user."""
    channel, ts = _id(event.get("channel")), _ts(event.get("ts"))
    user, text = _id(event.get("user")), _markup(event)
    event_id = _event_id(payload.get("event_id"))
    if not (channel and ts and user and event_id) or text is None:
        return MALFORMED
    root = _ts(event.get("thread_ts") or ts)
    if root is None:
        return MALFORMED
    direct = _is_direct(event, channel)
    trigger = _trigger_of(event, text, identity, direct=direct, in_thread=root != ts)
    if trigger is None:
        return IgnoredEvent(reason="channel message without a mention")
    user_team = _team_of_author(payload, event, team)
    return Message(
        event_id=event_id,
        thread=ThreadKey(team=team, channel=channel, root_ts=root),
        ts=ts,
        user=user,
        user_team=user_team,
        text=_message_text(text, identity),
        command_text=_command_text(text, identity),
        trigger=trigger,
        external=user_team != team,
        direct=direct,
    )


def _parse_bot_message(payload: Json, event: Json, team: str, identity: BotIdentity) -> ParsedEvent:
    """Another bot's message. It is a question if it mentions this bot and its author is one of
    `answered_bots`. Otherwise only its presence in the thread is recorded."""
    channel, ts = _id(event.get("channel")), _ts(event.get("ts"))
    event_id = _event_id(payload.get("event_id"))
    ids = [found for name in ("bot_id", "user") if (found := _id(event.get(name)))]
    text = _markup(event)
    answered_bot = next((found for found in ids if found in identity.answered_bots), None)
    if not (answered_bot and text is not None and mentions_user(text, identity.user)):
        answered_bot = None
    if answered_bot is None and not event.get("thread_ts"):
        return _BOT_MESSAGE
    root = _ts(event.get("thread_ts") or ts)
    if not (channel and ts and root and event_id and ids) or text is None:
        return MALFORMED
    return Message(
        event_id=event_id,
        thread=ThreadKey(team=team, channel=channel, root_ts=root),
        ts=ts,
        user=answered_bot or ids[0],
        user_team=team,
        text=_message_text(text, identity) if answered_bot else "",
        trigger=Trigger.BOT_MENTION if answered_bot else Trigger.BOT,
    )


def _trigger_of(
    event: Json, text: str, identity: BotIdentity, *, direct: bool, in_thread: bool
) -> Trigger | None:
    if direct:
        return Trigger.DIRECT
    if event.get("type") == "app_mention" or mentions_user(text, identity.user):
        return Trigger.MENTION
    if not in_thread:
        return None
    return Trigger.OVERHEARD if starts_with_mention(text) else Trigger.FOLLOW_UP


def _parse_changed(event: Json, team: str, identity: BotIdentity) -> ParsedEvent:
    """An edit. Slack also sends this event for unfurled links and for the bot's own streams."""
    now, before = event.get("message"), event.get("previous_message")
    if not _is_object(now):
        return MALFORMED
    if now.get("subtype") == "tombstone":  # what is left of a deleted message that has replies
        return _parse_deleted(event, now.get("ts"), before, team, identity)
    if ignored := _ignored_author(now, identity):
        return ignored
    channel, ts, user = _id(event.get("channel")), _ts(now.get("ts")), _id(now.get("user"))
    text = _markup(now)
    if not (channel and ts and user) or text is None:
        return MALFORMED
    old_text = _markup(before) if _is_object(before) else None
    if old_text == text:
        return IgnoredEvent(reason="change without a new text")
    return EditedEvent(
        team=team,
        channel=channel,
        ts=ts,
        user=user,
        text=_message_text(text, identity),
        root_ts=_ts(now.get("thread_ts")) or "",
        adds_mention=(
            not _is_direct(event, channel)
            and mentions_user(text, identity.user)
            and _is_object(before)
            and not mentions_user(old_text or "", identity.user)
        ),
    )


def _parse_deleted(
    event: Json, ts: object, before: object, team: str, identity: BotIdentity
) -> ParsedEvent:
    if not _is_object(before):
        return MALFORMED
    if ignored := _ignored_author(before, identity):
        return ignored
    channel, deleted, user = _id(event.get("channel")), _ts(ts), _id(before.get("user"))
    if not (channel and deleted and user):
        return MALFORMED
    return DeletedEvent(team=team, channel=channel, ts=deleted, user=user)


def _parse_stopped(event: Json, team: str) -> ParsedEvent:
    channel, root = _id(event.get("channel")), _ts(event.get("thread_ts"))
    user, event_ts = _id(event.get("user")), _ts(event.get("event_ts"))
    if not (channel and root and user and event_ts):
        return MALFORMED
    return StoppedEvent(
        thread=ThreadKey(team=team, channel=channel, root_ts=root), user=user, event_ts=event_ts
    )


def _parse_home_opened(event: Json) -> ParsedEvent:
    user, channel, tab = _id(event.get("user")), _id(event.get("channel")), event.get("tab")
    if not (user and channel and tab in ("home", "messages")):
        return MALFORMED
    return HomeOpenedEvent(user=user, tab=str(tab), channel=channel)


def _ignored_author(message: Json, identity: BotIdentity) -> IgnoredEvent | None:
    """Why the author is ignored, or None for a user. The bot's own posts carry its bot id and no
    subtype."""
    if (
        message.get("user") in (identity.user, identity.bot)
        or message.get("bot_id") == identity.bot
    ):
        return _OWN_MESSAGE
    if message.get("bot_id") or message.get("bot_profile") or message.get("user") == "USLACKBOT":
        return _BOT_MESSAGE
    match message.get("subtype"):
        case None | "file_share" | "thread_broadcast" | "me_message":
            return None
        case "bot_message":
            return _BOT_MESSAGE
        case str(other):
            return IgnoredEvent(reason=f"message subtype {other[:60]!r}")
        case _:
            return MALFORMED


def _markup(message: Json) -> str | None:
    """The markup of a message, cut to one character more than is read, or None if it is not
    text."""
    text = message.get("text") or ""
    return text[: MAX_MARKUP_CHARS + 1] if isinstance(text, str) else None


def _message_text(text: str, identity: BotIdentity) -> str:
    """The plain text of a message. Markup longer than any of Slack's is cut to more characters than
    are accepted, and not parsed."""
    if len(text) > MAX_MARKUP_CHARS:
        return strip_unstorable(text[:_MAX_KEPT_CHARS])
    return mrkdwn_to_text(strip_mention(text, identity.user, identity.name))


def _command_text(text: str, identity: BotIdentity) -> str:
    """The plain text with users and channels by their ids. Empty if the text has no labels or is
    longer than any command."""
    named = strip_mention_labels(text) if len(text) <= _MAX_COMMAND_CHARS else text
    return _message_text(named, identity) if named != text else ""


def _is_direct(event: Json, channel: str) -> bool:
    """True for direct messages. `app_mention` has no channel type; ids of direct messages begin
    with D."""
    kind = event.get("channel_type")
    return kind == "im" if isinstance(kind, str) else channel.startswith("D")


def _installing_team(payload: Json) -> str | None:
    """The workspace in which the bot is installed, or None. In a shared channel `team_id` may be
    the other workspace."""
    authorizations = payload.get("authorizations")
    if (
        isinstance(authorizations, list)
        and authorizations
        and _is_object(first := authorizations[0])
    ):
        team = _id(first.get("team_id"))
        if team is not None:
            return team
    return _id(payload.get("team_id"))


def _team_of_author(payload: Json, event: Json, team: str) -> str:
    """The author's own workspace. In an Enterprise organization the field may hold the id of the
    organization, which only says that the author belongs to it."""
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
