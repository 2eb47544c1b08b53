"""Builds the Home tab: an introduction, the user's sessions, usage, settings and scores.

Admins also get a card about the workspace. Every part is one page of a list or a sum, so that it is
as fast with 10,000 sessions as with ten.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bot.access import texts as access_texts
from bot.access.policy import AccessPolicy, visible_channels
from bot.commands.formatting import (
    display_title,
    format_age,
    format_count,
    format_size,
    one_line,
    pluralize,
)
from bot.commands.models import DEFAULT, MAX_OPTIONS, selectable
from bot.commands.registry import VERBOSITIES
from bot.commands.session_state import model_of
from bot.commands.sessions import own_sessions, session_buttons
from bot.commands.texts import models as model_texts
from bot.commands.texts import sessions as session_texts
from bot.domain.cards import Button, Card, CardItem, Select
from bot.domain.preferences import PreferenceKind, Scope
from bot.domain.sessions import SessionFilter, SessionPage, SessionRecord, SessionTotals
from bot.domain.text import truncate
from bot.domain.usage import UsageGrouping
from bot.domain.users import AdminStatus, User
from bot.errors import StoreError
from bot.ports import Agent, Clock, Store, UserDirectory
from bot.sessions.model_selection import ModelSelector

MAX_SESSIONS: Final = 5
"""Maximum number of sessions shown."""
MAX_RUNNING: Final = 5
"""Maximum number of running turns shown."""
RECENT_SESSIONS: Final = 25
"""Number of the user's newest sessions whose channels are considered."""
MAX_CHANNELS: Final = 5
"""Maximum number of channels; each one costs a visibility check in Slack."""
MAX_SCORES: Final = 3
"""Maximum number of models in the scores of a channel."""
_MAX_EXCERPT_CHARS: Final = 80
_DAY_SECONDS: Final = 86_400.0


class HomeTab:
    """Builds the cards of the Home tab."""

    def __init__(
        self,
        store: Store,
        access: AccessPolicy,
        users: UserDirectory,
        model_selector: ModelSelector,
        agent: Agent,
        clock: Clock,
        *,
        activity: Callable[[], BotActivity],
        slash_command: str,
    ) -> None:
        """`slash_command` has its leading slash."""
        self._store = store
        self._access = access
        self._users = users
        self._model_selector = model_selector
        self._agent = agent
        self._clock = clock
        self._activity = activity
        self._slash_command = slash_command

    async def build_cards(self, user_id: str) -> Sequence[Card]:
        """The cards for one user.

        The introduction comes first for a new user, and last for a user who has sessions. Raises
        `SlackError` if the user cannot be looked up.
        """
        user = await self._access.fetch_user(user_id)
        admin_status = await self._access.admin_status(user)
        denial = await self._access.denial(user, admin_status=admin_status)
        if denial is not None:
            return (Card(text=access_texts.DENIAL_TEXTS[denial]),)
        is_admin = admin_status is AdminStatus.YES
        greeting = _greeting_card(self._slash_command)
        try:
            recent = await self._store.list_sessions(own_sessions(user_id), 0, RECENT_SESSIONS)
            cards = await self._user_cards(user, recent, is_admin=is_admin)
            if is_admin:
                cards.append(await workspace_card(self._store, self._agent, self._activity()))
            elif admin_status is AdminStatus.UNKNOWN:
                cards.append(Card(text=access_texts.ADMIN_UNKNOWN))
        except StoreError as error:
            return (greeting, Card(text=error.user_message))
        return (*cards, greeting) if recent.total else (greeting, *cards)

    async def _user_cards(self, viewer: User, recent: SessionPage, *, is_admin: bool) -> list[Card]:
        """The cards about the user; `recent` are their newest sessions."""
        user = viewer.id
        newest = recent.sessions[:MAX_SESSIONS]
        # Newest first, so that the channels of the sessions shown are among them.
        channels = dict(list(_newest_by_channel(recent.sessions).items())[:MAX_CHANNELS])
        visible = await visible_channels(self._users, user, channels)
        cards = [
            await self._running_card(user),
            self._sessions_card(newest, recent.total, visible, is_admin=is_admin),
            await self._usage_card(user),
            await self._settings_card(user),
            await self._scores_card(
                {name: session for name, session in channels.items() if name in visible}
            ),
        ]
        return [card for card in cards if card is not None]

    async def _running_card(self, user: str) -> Card | None:
        """The user's running turns with links, or None without any."""
        turns = (await self._store.running_turns(user))[:MAX_RUNNING]
        if not turns:
            return None
        items = [
            CardItem(
                text=model_texts.RUNNING_LINE.format(
                    text=truncate(one_line(turn.message.text), _MAX_EXCERPT_CHARS)
                ),
                link=turn.message.thread,
            )
            for turn in turns
        ]
        return Card(text=model_texts.RUNNING, title=model_texts.RUNNING_TITLE, items=tuple(items))

    def _sessions_card(
        self,
        newest: Sequence[SessionRecord],
        total: int,
        visible: frozenset[str],
        *,
        is_admin: bool,
    ) -> Card:
        """The user's newest sessions, with a button to the others."""
        if not newest:
            return Card(title=model_texts.MY_SESSIONS, text=model_texts.NO_SESSIONS)
        items = [
            self._session_item(
                session, visible=session.thread.channel in visible, is_admin=is_admin
            )
            for session in newest
        ]
        return Card(
            title=model_texts.MY_SESSIONS,
            text=model_texts.SESSIONS_SHOWN.format(shown=len(newest), total=format_count(total)),
            items=tuple(items),
            buttons=(Button(label=model_texts.SESSIONS_ALL, command_name="sessions"),),
        )

    def _session_item(self, session: SessionRecord, *, visible: bool, is_admin: bool) -> CardItem:
        facts = [
            session.handle,
            session.role,
            model_of(session),
            pluralize(session.turn_count, "turn"),
            format_age(self._clock.now() - session.last_used_at),
            format_size(session.size) if session.size else "",
            session_texts.CURRENT if session.current else session_texts.INACTIVE,
        ]
        elsewhere = f"{session.handle} {session_texts.ELSEWHERE}"
        return CardItem(
            text=display_title(session) if visible else elsewhere,
            detail=" · ".join(fact for fact in facts if fact),
            link=session.thread if visible else None,
            buttons=session_buttons(session, visible=visible, is_admin=is_admin),
        )

    async def _usage_card(self, user: str) -> Card:
        """The user's usage in recent periods."""
        lines = []
        for period, days in model_texts.PERIODS.values():
            since = self._clock.now() - days * _DAY_SECONDS
            rows = await self._store.sum_usage(UsageGrouping.USER, since, user=user)
            tokens = sum(row.input_tokens + row.output_tokens for row in rows)
            turns = pluralize(sum(row.turns for row in rows), "turn")
            lines.append(
                model_texts.USAGE_LINE.format(
                    period=period, turns=turns, tokens=format_count(tokens)
                )
            )
        return Card(title=model_texts.USAGE_TITLE, text="\n".join(lines))

    async def _settings_card(self, user: str) -> Card:
        """The settings of the user for all their threads."""
        preferences = await self._store.preferences([(Scope.USER, user)])
        chosen = {preference.kind: preference.value for preference in preferences}
        model = chosen.get(PreferenceKind.MODEL, DEFAULT)
        # The chosen model is in the list even if the server does not list it now.
        names = dict.fromkeys([model, *self._model_selector.available_models])
        options = [(name, name) for name in selectable(list(names)) if name != DEFAULT]
        choose_model = Select(
            label=model_texts.MY_MODEL,
            command_name="set",
            args="model",
            options=((model_texts.USUAL_MODEL, DEFAULT), *options[: MAX_OPTIONS - 1]),
            selected=model,
        )
        choose_verbosity = Select(
            label=model_texts.MY_VERBOSITY,
            command_name="set",
            args="verbosity",
            options=tuple((model_texts.VERBOSITY_NAMES[name], name) for name in VERBOSITIES),
            selected=chosen.get(PreferenceKind.VERBOSITY, "normal"),
        )
        return Card(
            title=model_texts.SETTINGS_TITLE,
            text=model_texts.SETTINGS,
            items=(
                CardItem(
                    text=model_texts.MY_MODEL,
                    detail=model_texts.MY_MODEL_DETAIL,
                    select=choose_model,
                ),
                CardItem(text=model_texts.MY_VERBOSITY, select=choose_verbosity),
            ),
        )

    async def _scores_card(self, channels: Mapping[str, SessionRecord]) -> Card | None:
        """The scores of models per channel, each named by a session there; None without scores."""
        items = []
        for channel, session in channels.items():
            scores = await self._store.model_scores([channel], MAX_SCORES)
            lines = [
                model_texts.SCORE.format(
                    place=place,
                    model=score.model,
                    votes=pluralize(score.votes, "vote"),
                    kept=pluralize(score.kept_count, "time"),
                    compared=pluralize(score.comparison_count, "comparison"),
                )
                for place, score in enumerate(scores, start=1)
            ]
            if lines:
                items.append(
                    CardItem(
                        text=_location_label(session), detail="\n".join(lines), link=session.thread
                    )
                )
        if not items:
            return None
        return Card(title=model_texts.SCORES_TITLE, text=model_texts.SCORES, items=tuple(items))


def _greeting_card(slash_command: str) -> Card:
    return Card(
        title=model_texts.HELLO,
        text=model_texts.WHAT,
        items=(
            CardItem(text=model_texts.HOW.format(command=slash_command)),
            CardItem(text=model_texts.MEMORY),
        ),
        buttons=(Button(label=model_texts.HELP, command_name="help"),),
    )


def _newest_by_channel(sessions: Sequence[SessionRecord]) -> dict[str, SessionRecord]:
    """The newest session of each channel, the newest channel first."""
    found: dict[str, SessionRecord] = {}
    for session in sessions:
        found.setdefault(session.thread.channel, session)
    return found


def _location_label(session: SessionRecord) -> str:
    if session.thread.channel.startswith("D"):
        return model_texts.IN_DIRECT
    return model_texts.IN_CHANNEL_OF.format(title=display_title(session))


MAX_COUNTED: Final = 1_000
"""Maximum number of waiting turns that is shown exactly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BotActivity:
    """What the bot does now."""

    running_turns: int
    """Number of running turns."""
    open_sessions: int
    """Number of open sessions."""
    max_sessions: int
    """Maximum number of open sessions."""
    paused: bool


async def workspace_card(store: Store, agent: Agent, activity: BotActivity) -> Card:
    """The state of the whole bot in a few numbers. Raises `StoreError`."""
    waiting = len(await store.waiting_turns())
    totals = await store.session_totals(SessionFilter())
    memory = await agent.memory_bytes()
    counted = format_count(waiting)
    lines = [
        model_texts.TURNS_RUNNING.format(count=format_count(activity.running_turns)),
        model_texts.TURNS_WAITING.format(
            count=counted if waiting < MAX_COUNTED else model_texts.MANY.format(count=counted)
        ),
        model_texts.SESSIONS_LIVE.format(
            live=format_count(activity.open_sessions), places=format_count(activity.max_sessions)
        ),
        model_texts.RUNTIME_MEMORY.format(size=format_size(memory))
        if memory
        else model_texts.RUNTIME_RESTS,
        _stored_text(totals),
    ]
    if activity.paused:
        lines.append(model_texts.PAUSED)
    return Card(
        title=model_texts.WORKSPACE_TITLE,
        text="\n".join(lines),
        buttons=_admin_buttons(paused=activity.paused),
    )


def _stored_text(totals: SessionTotals) -> str:
    """The number of sessions, and their size on disk if it is known."""
    text = model_texts.SESSIONS_STORED.format(count=format_count(totals.count))
    return (
        model_texts.WITH_SIZE.format(text=text, size=format_size(totals.size))
        if totals.size
        else text
    )


def _admin_buttons(*, paused: bool) -> tuple[Button, ...]:
    subcommands = [
        (model_texts.ADMIN_SESSIONS, "sessions"),
        (model_texts.ADMIN_USAGE, "usage"),
        (model_texts.ADMIN_USERS, "users"),
        (model_texts.ADMIN_CLEANUP, "cleanup"),
        (model_texts.ADMIN_AUDIT, "audit"),
    ]
    if paused:
        last = Button(
            label=model_texts.ADMIN_RESUME, command_name="admin", args="resume", style="primary"
        )
    else:
        last = Button(
            label=model_texts.ADMIN_PAUSE,
            command_name="admin",
            args="pause",
            confirm=model_texts.ADMIN_PAUSE_CONFIRM,
        )
    return (
        *(Button(label=label, command_name="admin", args=name) for label, name in subcommands),
        last,
    )
