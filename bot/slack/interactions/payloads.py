"""What people press, choose, send and command in Slack, turned into facts.

Pure, like `bot.slack.events.parser`: a payload goes in, one frozen fact comes out, or None for what
makes no sense. Shapes: docs.slack.dev/reference/interaction-payloads and /interactivity.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeGuard

from bot.domain.commands import Form, Order
from bot.domain.messages import TS, ThreadKey, storable
from bot.slack import manifest
from bot.slack.cards.button_values import ACTION, Carried, read_value
from bot.slack.formatting.mrkdwn import LONGEST, by_id, readable, with_name, without_mention
from bot.slack.identity import Identity

Json = Mapping[str, object]

QUOTED_CHARS: Final = 2_000
"""How much of a message a modal carries along."""

_NOTE_CHARS: Final = 3_000  # Slack's limit for a view's private_metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who did it, and of which workspace they are."""

    user: str
    team: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a question is to be put; kept in the modal while the person writes.

    `root_ts` is the thread to answer in, empty for a thread of its own. `quoted` is the message
    that the question is about, `author` who wrote it; `clipped` when it was longer.
    """

    channel: str
    root_ts: str = ""
    quoted: str = ""
    author: str = ""
    clipped: bool = False

    def note(self) -> str:
        """The place as the text that a modal carries, at most 3,000 characters."""
        quoted, clipped = self.quoted[:QUOTED_CHARS], self.clipped
        while len(note := self._as_json(quoted, clipped)) > _NOTE_CHARS:
            quoted, clipped = quoted[: len(quoted) * 3 // 4], True
        return note

    def _as_json(self, quoted: str, clipped: bool) -> str:
        parts = [self.channel, self.root_ts, quoted, self.author, clipped]
        return json.dumps(parts, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_note(cls, note: object) -> Place | None:
        """The place of a modal that comes back, or None when it is not of this kind."""
        if not isinstance(note, str) or len(note) > _NOTE_CHARS:
            return None
        try:
            parts: object = json.loads(note)
        except (ValueError, RecursionError):
            return None
        match parts:
            case [str(channel), str(root), str(quoted), str(author), bool(clipped)] if (
                _CHANNEL.fullmatch(channel) and (not root or TS.fullmatch(root))
            ):
                return cls(
                    channel=channel, root_ts=root, quoted=quoted, author=author, clipped=clipped
                )
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Commanded:
    """Somebody used the slash command. (Slack tells where they did, not where they belong.)"""

    user: str
    channel: str
    text: str
    ordered: str
    """The same with people and channels by their ids: what orders go by."""
    trigger: str
    answer_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressed:
    """Somebody pressed a button; `channel` is empty on the Home tab and in modals."""

    person: Person
    action: str
    channel: str
    trigger: str
    answer_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PressedOrder:
    """Somebody pressed or chose something of ours that orders."""

    order: Order
    answer_url: str
    """"" on the Home tab."""
    root_ts: str
    """The thread in which the pressed message stands; "" where it stands in none."""
    replaces: bool
    """Whether what comes of it takes the place of the message, which that person alone sees."""
    same: tuple[str, ...]
    """What a second click of a double click has in common with the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Somebody chose a shortcut on a message."""

    person: Person
    place: Place
    trigger: str
    answer_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """Somebody sent off a modal; `view` is Slack's id of the modal, the same for a double click."""

    person: Person
    view: str
    place: Place
    question: str


_CHANNEL = re.compile(r"[A-Z0-9]{2,40}", re.ASCII)


def installing_team(body: Json) -> str:
    """The workspace in which the app was operated that is installed there; "" where none is named.

    People of other workspaces operate it in shared channels, so it is not theirs that counts: Slack
    names the app's as `team`, but for a modal that of who sends it, and the app's in the view
    (github.com/slackapi/bolt-js/issues/1614; java-slack-sdk/issues/1041).
    """
    view, user = _inside(body.get("view")), _inside(body.get("user"))
    return (
        _text(view, "app_installed_team_id")
        or _text(_inside(body.get("team")), "id")
        or _text(body, "team_id")
        or _text(user, "team_id")  # where the app is installed for a whole organization
    )


def read_command(body: Json, us: Identity) -> Commanded | None:
    user, trigger = _text(body, "user_id"), _text(body, "trigger_id")
    channel = _text(body, "channel_id")
    if not (user and trigger and _CHANNEL.fullmatch(channel)):
        return None
    text = without_mention(_text(body, "text")[:LONGEST], us.user, us.name)
    return Commanded(
        user=user,
        channel=channel,
        text=readable(text),
        ordered=readable(by_id(text)),
        trigger=trigger,
        answer_url=_text(body, "response_url"),
    )


def read_press(body: Json) -> Pressed | None:
    person, actions = _person(body), body.get("actions")
    if person is None or not isinstance(actions, list) or not actions:
        return None
    action, container = _inside(actions[0]), _inside(body.get("container"))
    channel = _text(_inside(body.get("channel")), "id") or _text(container, "channel_id")
    return Pressed(
        person=person,
        action=_text(action, "action_id"),
        channel=channel,
        trigger=_text(body, "trigger_id"),
        answer_url=_text(body, "response_url"),
    )


def orders_something(pressed: Pressed) -> bool:
    """Whether what was pressed is one of our cards' buttons, menus and lists."""
    return pressed.action.startswith(ACTION)


def read_order(body: Json, us: Identity) -> PressedOrder | None:
    """The order that a press carries; None where it makes no sense (any more)."""
    person, actions, trigger = _person(body), body.get("actions"), _text(body, "trigger_id")
    if person is None or not isinstance(actions, list) or not actions or not trigger:
        return None
    action, container = _inside(actions[0]), _inside(body.get("container"))
    carried = read_value(_text(_inside(action.get("selected_option")) or action, "value"))
    if carried is None:
        return None
    home = container.get("type") == "view"
    channel = _text(_inside(body.get("channel")), "id") or _text(container, "channel_id")
    if not home and not _CHANNEL.fullmatch(channel):
        return None
    ephemeral = container.get("is_ephemeral") is True
    root = _text(container, "thread_ts") or _text(_inside(body.get("message")), "thread_ts")
    ts = _text(container, "message_ts")
    order = Order(
        key=trigger,
        verb=carried.verb,
        words=carried.words,
        by=person.user,
        form=Form.HOME if home else Form.BUTTON,
        team=us.team,
        channel="" if home else channel,
        thread=_thread_of(carried, us, channel, root or ("" if ephemeral else ts)),
        turn=carried.turn,
    )
    where = _text(container, "view_id") if home else ts
    return PressedOrder(
        order=order,
        answer_url=_text(body, "response_url"),
        root_ts=root if TS.fullmatch(root) else "",
        replaces=carried.replaces and ephemeral,
        # The verb, too: the entries of a menu have one action id.
        same=(person.user, channel, where, _text(action, "action_id"), carried.verb, carried.words),
    )


def _thread_of(carried: Carried, us: Identity, channel: str, root: str) -> ThreadKey | None:
    """The thread that the press names, else the one in which the pressed message stands."""
    if carried.root_ts:
        return ThreadKey(team=us.team, channel=carried.channel, root_ts=carried.root_ts)
    if channel and TS.fullmatch(root):
        return ThreadKey(team=us.team, channel=channel, root_ts=root)
    return None


def read_choice(body: Json, us: Identity) -> Chosen | None:
    person, message = _person(body), _inside(body.get("message"))
    channel = _text(_inside(body.get("channel")), "id")
    ts = _text(message, "ts") or _text(body, "message_ts")
    root = _text(message, "thread_ts") or ts
    if person is None or not (_CHANNEL.fullmatch(channel) and TS.fullmatch(root)):
        return None
    text = readable(with_name(_text(message, "text")[:LONGEST], us.user, us.name))
    place = Place(
        channel=channel,
        root_ts=root,
        quoted=text[:QUOTED_CHARS],
        author=_text(message, "user"),
        clipped=len(text) > QUOTED_CHARS,
    )
    return Chosen(
        person=person,
        place=Place.from_note(place.note()) or place,
        trigger=_text(body, "trigger_id"),
        answer_url=_text(body, "response_url"),
    )


def read_submission(body: Json) -> Sent | None:
    person, view = _person(body), _inside(body.get("view"))
    place, view_id = Place.from_note(view.get("private_metadata")), _text(view, "id")
    if person is None or place is None or not view_id:
        return None
    values = _inside(_inside(view.get("state")).get("values"))
    answer = _inside(_inside(values.get(manifest.QUESTION_BLOCK)).get(manifest.QUESTION_INPUT))
    question = storable(_text(answer, "value")).strip()
    return Sent(person=person, view=view_id, place=place, question=question)


def _person(body: Json) -> Person | None:
    """The acting person. `user.team_id` is their own workspace; `team` the one they act in."""
    user = _inside(body.get("user"))
    team = _text(user, "team_id") or _text(_inside(body.get("team")), "id")
    name = _text(user, "id")
    return Person(user=name, team=team) if name and team else None


def _inside(value: object) -> Json:
    return value if _is_object(value) else {}


def _is_object(value: object) -> TypeGuard[Json]:
    return isinstance(value, dict)


def _text(body: Json, name: str) -> str:
    value = body.get(name)
    return value if isinstance(value, str) else ""
