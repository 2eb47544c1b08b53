"""Parses the payloads of slash commands, buttons, shortcuts and modals.

Pure, like `bot.slack.events.parser`: a payload gives one frozen value, or None if it is malformed.
Shapes: docs.slack.dev/reference/interaction-payloads and /interactivity.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeGuard

from bot.domain.commands import Command, CommandSource
from bot.domain.messages import TS_PATTERN, ThreadKey, strip_unstorable
from bot.slack import manifest
from bot.slack.cards.button_values import COMMAND_ACTION_PREFIX, ButtonValue, parse_button_value
from bot.slack.formatting.mrkdwn import (
    MAX_MARKUP_CHARS,
    mrkdwn_to_text,
    replace_mentions,
    strip_mention,
    strip_mention_labels,
)
from bot.slack.identity import BotIdentity

Json = Mapping[str, object]

MAX_QUOTED_CHARS: Final = 2_000
"""Maximum number of characters of a quoted message in a modal."""

_MAX_METADATA_CHARS: Final = 3_000  # Slack's limit for a view's private_metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """The acting user and that user's own workspace."""

    user: str
    team: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionTarget:
    """Where a question is posted; kept in the modal while the user writes.

    `root_ts` is the thread to answer in, or empty for a new thread. `quoted` is the message that
    the question is about, and `author` its author; `clipped` is True if it was longer.
    """

    channel: str
    root_ts: str = ""
    quoted: str = ""
    author: str = ""
    clipped: bool = False

    def to_metadata(self) -> str:
        """The target as `private_metadata` of a modal, at most 3,000 characters."""
        quoted, clipped = self.quoted[:MAX_QUOTED_CHARS], self.clipped
        while len(metadata := self._to_json(quoted, clipped)) > _MAX_METADATA_CHARS:
            quoted, clipped = quoted[: len(quoted) * 3 // 4], True
        return metadata

    def _to_json(self, quoted: str, clipped: bool) -> str:
        parts = [self.channel, self.root_ts, quoted, self.author, clipped]
        return json.dumps(parts, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_metadata(cls, metadata: object) -> QuestionTarget | None:
        """The target in a modal's `private_metadata`, or None if it is malformed."""
        if not isinstance(metadata, str) or len(metadata) > _MAX_METADATA_CHARS:
            return None
        try:
            parts: object = json.loads(metadata)
        except (ValueError, RecursionError):
            return None
        match parts:
            case [str(channel), str(root), str(quoted), str(author), bool(clipped)] if (
                _CHANNEL.fullmatch(channel) and (not root or TS_PATTERN.fullmatch(root))
            ):
                return cls(
                    channel=channel, root_ts=root, quoted=quoted, author=author, clipped=clipped
                )
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlashCommandPayload:
    """A user sent the slash command. (The payload does not name the user's own workspace.)"""

    user: str
    channel: str
    text: str
    command_text: str
    """The same with users and channels by their ids, for commands."""
    trigger_id: str
    response_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ButtonPress:
    """A user pressed a button; `channel` is empty on the Home tab and in modals."""

    actor: Actor
    action_id: str
    channel: str
    trigger_id: str
    response_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandPress:
    """A user pressed a button, or selected an entry, that gives a command."""

    command: Command
    response_url: str
    """An empty string on the Home tab."""
    root_ts: str
    """The thread of the message with the button, or an empty string."""
    replaces_message: bool
    """True if the result replaces the message, which only that user sees."""
    dedup_key: tuple[str, ...]
    """The key that both clicks of a double click share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortcutPayload:
    """A user selected the shortcut on a message."""

    actor: Actor
    target: QuestionTarget
    trigger_id: str
    response_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModalSubmission:
    """A user submitted a modal; `view_id` is Slack's id of it, the same for a double click."""

    actor: Actor
    view_id: str
    target: QuestionTarget
    question: str


_CHANNEL = re.compile(r"[A-Z0-9]{2,40}", re.ASCII)


def installing_team(body: Json) -> str:
    """The workspace in which the used app is installed, or an empty string if none is named.

    Users of other workspaces use the app in shared channels, so their own workspace does not count.
    Slack names the app's workspace as `team`. For a modal, `team` is that of the user, and the
    app's is in the view (github.com/slackapi/bolt-js/issues/1614; java-slack-sdk/issues/1041).
    """
    view, user = _as_object(body.get("view")), _as_object(body.get("user"))
    return (
        _text(view, "app_installed_team_id")
        or _text(_as_object(body.get("team")), "id")
        or _text(body, "team_id")
        or _text(user, "team_id")  # where the app is installed for a whole organization
    )


def parse_slash_command(body: Json, identity: BotIdentity) -> SlashCommandPayload | None:
    user, trigger = _text(body, "user_id"), _text(body, "trigger_id")
    channel = _text(body, "channel_id")
    if not (user and trigger and _CHANNEL.fullmatch(channel)):
        return None
    text = strip_mention(_text(body, "text")[:MAX_MARKUP_CHARS], identity.user, identity.name)
    return SlashCommandPayload(
        user=user,
        channel=channel,
        text=mrkdwn_to_text(text),
        command_text=mrkdwn_to_text(strip_mention_labels(text)),
        trigger_id=trigger,
        response_url=_text(body, "response_url"),
    )


def parse_button_press(body: Json) -> ButtonPress | None:
    actor, actions = _parse_actor(body), body.get("actions")
    if actor is None or not isinstance(actions, list) or not actions:
        return None
    action, container = _as_object(actions[0]), _as_object(body.get("container"))
    channel = _text(_as_object(body.get("channel")), "id") or _text(container, "channel_id")
    return ButtonPress(
        actor=actor,
        action_id=_text(action, "action_id"),
        channel=channel,
        trigger_id=_text(body, "trigger_id"),
        response_url=_text(body, "response_url"),
    )


def is_command_press(press: ButtonPress) -> bool:
    """True for a button, menu or list of the bot's own cards."""
    return press.action_id.startswith(COMMAND_ACTION_PREFIX)


def parse_command_press(body: Json, identity: BotIdentity) -> CommandPress | None:
    """The command of a press, or None if it is malformed or out of date."""
    actor, actions, trigger = _parse_actor(body), body.get("actions"), _text(body, "trigger_id")
    if actor is None or not isinstance(actions, list) or not actions or not trigger:
        return None
    action, container = _as_object(actions[0]), _as_object(body.get("container"))
    button_value = parse_button_value(
        _text(_as_object(action.get("selected_option")) or action, "value")
    )
    if button_value is None:
        return None
    on_home_tab = container.get("type") == "view"
    channel = _text(_as_object(body.get("channel")), "id") or _text(container, "channel_id")
    if not on_home_tab and not _CHANNEL.fullmatch(channel):
        return None
    ephemeral = container.get("is_ephemeral") is True
    root = _text(container, "thread_ts") or _text(_as_object(body.get("message")), "thread_ts")
    ts = _text(container, "message_ts")
    command = Command(
        key=trigger,
        name=button_value.command_name,
        args=button_value.args,
        user=actor.user,
        source=CommandSource.HOME_TAB if on_home_tab else CommandSource.BUTTON,
        team=identity.team,
        channel="" if on_home_tab else channel,
        thread=_thread_of(button_value, identity, channel, root or ("" if ephemeral else ts)),
        turn=button_value.turn,
    )
    source_id = _text(container, "view_id") if on_home_tab else ts
    return CommandPress(
        command=command,
        response_url=_text(body, "response_url"),
        root_ts=root if TS_PATTERN.fullmatch(root) else "",
        replaces_message=button_value.replaces_message and ephemeral,
        # The command name as well: the entries of a menu share one action id.
        dedup_key=(
            actor.user,
            channel,
            source_id,
            _text(action, "action_id"),
            button_value.command_name,
            button_value.args,
        ),
    )


def _thread_of(
    button_value: ButtonValue, identity: BotIdentity, channel: str, root: str
) -> ThreadKey | None:
    """The thread that the button names, else that of its message, or None."""
    if button_value.root_ts:
        return ThreadKey(
            team=identity.team, channel=button_value.channel, root_ts=button_value.root_ts
        )
    if channel and TS_PATTERN.fullmatch(root):
        return ThreadKey(team=identity.team, channel=channel, root_ts=root)
    return None


def parse_shortcut(body: Json, identity: BotIdentity) -> ShortcutPayload | None:
    actor, message = _parse_actor(body), _as_object(body.get("message"))
    channel = _text(_as_object(body.get("channel")), "id")
    ts = _text(message, "ts") or _text(body, "message_ts")
    root = _text(message, "thread_ts") or ts
    if actor is None or not (_CHANNEL.fullmatch(channel) and TS_PATTERN.fullmatch(root)):
        return None
    text = mrkdwn_to_text(
        replace_mentions(_text(message, "text")[:MAX_MARKUP_CHARS], identity.user, identity.name)
    )
    target = QuestionTarget(
        channel=channel,
        root_ts=root,
        quoted=text[:MAX_QUOTED_CHARS],
        author=_text(message, "user"),
        clipped=len(text) > MAX_QUOTED_CHARS,
    )
    return ShortcutPayload(
        actor=actor,
        target=QuestionTarget.from_metadata(target.to_metadata()) or target,
        trigger_id=_text(body, "trigger_id"),
        response_url=_text(body, "response_url"),
    )


def parse_submission(body: Json) -> ModalSubmission | None:
    actor, view = _parse_actor(body), _as_object(body.get("view"))
    target, view_id = QuestionTarget.from_metadata(view.get("private_metadata")), _text(view, "id")
    if actor is None or target is None or not view_id:
        return None
    values = _as_object(_as_object(view.get("state")).get("values"))
    text_input = _as_object(
        _as_object(values.get(manifest.QUESTION_BLOCK)).get(manifest.QUESTION_INPUT)
    )
    question = strip_unstorable(_text(text_input, "value")).strip()
    return ModalSubmission(actor=actor, view_id=view_id, target=target, question=question)


def _parse_actor(body: Json) -> Actor | None:
    """The acting user, or None. `user.team_id` is the user's workspace, `team` the current one."""
    user = _as_object(body.get("user"))
    team = _text(user, "team_id") or _text(_as_object(body.get("team")), "id")
    user_id = _text(user, "id")
    return Actor(user=user_id, team=team) if user_id and team else None


def _as_object(value: object) -> Json:
    return value if _is_object(value) else {}


def _is_object(value: object) -> TypeGuard[Json]:
    return isinstance(value, dict)


def _text(body: Json, name: str) -> str:
    value = body.get(name)
    return value if isinstance(value, str) else ""
