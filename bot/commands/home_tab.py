"""What the Home tab shows: the bot, the person's sessions, usage, settings and scores, and to those
in charge the workspace.

Everything is a page of a list or a sum, so that it is as quick with 10,000 sessions as with ten.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bot.access import texts as access_texts
from bot.access.policy import Access, seen_of
from bot.commands.formatting import age, clipped, count, many, one_line, size, titled
from bot.commands.models import DEFAULT, MOST_OPTIONS, listable
from bot.commands.registry import VERBOSITIES
from bot.commands.session_state import model_of
from bot.commands.sessions import mine, presses_for
from bot.commands.texts import models as model_texts
from bot.commands.texts import sessions as session_texts
from bot.domain.cards import Card, Choose, Line, Press
from bot.domain.preferences import Scope, Topic
from bot.domain.sessions import SessionFilter, SessionPage, SessionRecord, Totals
from bot.domain.usage import UsageBy
from bot.domain.users import Charge, Person
from bot.errors import StoreError
from bot.ports import Agent, Clock, People, Store
from bot.sessions.model_selection import Choosing

MOST_SESSIONS: Final = 5
MOST_RUNNING: Final = 5
RECENT: Final = 25
"""Among so many of somebody's sessions their channels are looked for."""
MOST_CHANNELS: Final = 5
"""Slack is asked for each whether the person sees it."""
MOST_SCORES: Final = 3
_EXCERPT: Final = 80
_DAY: Final = 86_400.0


class HomePage:
    """Writes the Home tab."""

    def __init__(
        self,
        store: Store,
        access: Access,
        people: People,
        choosing: Choosing,
        agent: Agent,
        clock: Clock,
        *,
        doing: Callable[[], Doing],
        command: str,
    ) -> None:
        """`command` is the slash command's name, with its slash."""
        self._store = store
        self._access = access
        self._people = people
        self._choosing = choosing
        self._agent = agent
        self._clock = clock
        self._doing = doing
        self._command = command

    async def cards(self, user: str) -> Sequence[Card]:
        """The page of one person. Newcomers are greeted first; whoever has sessions comes for
        these. Raises `SlackError` when it cannot be told who that is."""
        person = await self._access.person_now(user)
        charge = await self._access.charge(person)
        out = await self._access.kept_out(person, charge=charge)
        if out is not None:
            return (Card(text=access_texts.KEPT_OUT[out]),)
        in_charge = charge is Charge.YES
        greeting = _greeting(self._command)
        try:
            recent = await self._store.sessions(mine(user), 0, RECENT)
            cards = await self._own(person, recent, in_charge=in_charge)
            if in_charge:
                cards.append(await workspace_card(self._store, self._agent, self._doing()))
            elif charge is Charge.UNSURE:
                cards.append(Card(text=access_texts.UNSURE))
        except StoreError as error:
            return (greeting, Card(text=error.sentence))
        return (*cards, greeting) if recent.total else (greeting, *cards)

    async def _own(self, person: Person, recent: SessionPage, *, in_charge: bool) -> list[Card]:
        """What is the person's; `recent` are the newest of their sessions."""
        user = person.user
        newest = recent.sessions[:MOST_SESSIONS]
        # The newest sessions' channels come first, so that these are among them.
        channels = dict(list(_first_by_channel(recent.sessions).items())[:MOST_CHANNELS])
        seen = await seen_of(self._people, user, channels)
        cards = [
            await self._running(user),
            self._sessions(newest, recent.total, seen, in_charge=in_charge),
            await self._usage(user),
            await self._settings(user),
            await self._scores({name: of for name, of in channels.items() if name in seen}),
        ]
        return [card for card in cards if card is not None]

    async def _running(self, user: str) -> Card | None:
        """The person's turns that run, with the way there."""
        turns = (await self._store.all_running(user))[:MOST_RUNNING]
        if not turns:
            return None
        lines = [
            Line(
                text=model_texts.RUNNING_LINE.format(
                    text=clipped(one_line(turn.message.text), _EXCERPT)
                ),
                link=turn.message.thread,
            )
            for turn in turns
        ]
        return Card(text=model_texts.RUNNING, title=model_texts.RUNNING_TITLE, lines=tuple(lines))

    def _sessions(
        self,
        newest: Sequence[SessionRecord],
        total: int,
        seen: frozenset[str],
        *,
        in_charge: bool,
    ) -> Card:
        """The person's newest sessions, and the way to the others."""
        if not newest:
            return Card(title=model_texts.MY_SESSIONS, text=model_texts.NO_SESSIONS)
        lines = [
            self._session(session, seen=session.thread.channel in seen, in_charge=in_charge)
            for session in newest
        ]
        return Card(
            title=model_texts.MY_SESSIONS,
            text=model_texts.SESSIONS_SHOWN.format(shown=len(newest), total=count(total)),
            lines=tuple(lines),
            presses=(Press(label=model_texts.SESSIONS_ALL, verb="sessions"),),
        )

    def _session(self, session: SessionRecord, *, seen: bool, in_charge: bool) -> Line:
        facts = [
            session.handle,
            session.role,
            model_of(session),
            many(session.turns, "turn"),
            age(self._clock.now() - session.used),
            size(session.size) if session.size else "",
            session_texts.CURRENT if session.current else session_texts.SET_ASIDE,
        ]
        elsewhere = f"{session.handle} {session_texts.ELSEWHERE}"
        return Line(
            text=titled(session) if seen else elsewhere,
            detail=" · ".join(fact for fact in facts if fact),
            link=session.thread if seen else None,
            presses=presses_for(session, seen=seen, in_charge=in_charge),
        )

    async def _usage(self, user: str) -> Card:
        """What the person used lately."""
        lines = []
        for period, days in model_texts.PERIODS.values():
            since = self._clock.now() - days * _DAY
            rows = await self._store.usage(UsageBy.PERSON, since, user=user)
            tokens = sum(row.input_tokens + row.output_tokens for row in rows)
            turns = many(sum(row.turns for row in rows), "turn")
            lines.append(
                model_texts.USAGE_LINE.format(period=period, turns=turns, tokens=count(tokens))
            )
        return Card(title=model_texts.USAGE_TITLE, text="\n".join(lines))

    async def _settings(self, user: str) -> Card:
        """What the person may choose for all their threads."""
        choices = await self._store.choices([(Scope.PERSON, user)])
        chosen = {choice.topic: choice.value for choice in choices}
        model = chosen.get(Topic.MODEL, DEFAULT)
        # What was chosen is in the list, also when the server does not tell it just now.
        names = dict.fromkeys([model, *self._choosing.offered])
        options = [(name, name) for name in listable(list(names)) if name != DEFAULT]
        choose_model = Choose(
            label=model_texts.MY_MODEL,
            verb="set",
            words="model",
            options=((model_texts.USUAL_MODEL, DEFAULT), *options[: MOST_OPTIONS - 1]),
            chosen=model,
        )
        choose_verbosity = Choose(
            label=model_texts.MY_VERBOSITY,
            verb="set",
            words="verbosity",
            options=tuple((model_texts.VERBOSITY_NAMES[name], name) for name in VERBOSITIES),
            chosen=chosen.get(Topic.VERBOSITY, "normal"),
        )
        return Card(
            title=model_texts.SETTINGS_TITLE,
            text=model_texts.SETTINGS,
            lines=(
                Line(
                    text=model_texts.MY_MODEL,
                    detail=model_texts.MY_MODEL_DETAIL,
                    choose=choose_model,
                ),
                Line(text=model_texts.MY_VERBOSITY, choose=choose_verbosity),
            ),
        )

    async def _scores(self, channels: Mapping[str, SessionRecord]) -> Card | None:
        """How models did in the comparisons of channels, each told by a session there."""
        lines = []
        for channel, session in channels.items():
            scores = await self._store.scores([channel], MOST_SCORES)
            told = [
                model_texts.SCORE.format(
                    place=place,
                    model=score.model,
                    votes=many(score.votes, "vote"),
                    kept=many(score.kept, "time"),
                    compared=many(score.compared, "comparison"),
                )
                for place, score in enumerate(scores, start=1)
            ]
            if told:
                lines.append(
                    Line(text=_whereabouts(session), detail="\n".join(told), link=session.thread)
                )
        if not lines:
            return None
        return Card(title=model_texts.SCORES_TITLE, text=model_texts.SCORES, lines=tuple(lines))


def _greeting(command: str) -> Card:
    return Card(
        title=model_texts.HELLO,
        text=model_texts.WHAT,
        lines=(Line(text=model_texts.HOW.format(command=command)), Line(text=model_texts.MEMORY)),
        presses=(Press(label=model_texts.HELP, verb="help"),),
    )


def _first_by_channel(sessions: Sequence[SessionRecord]) -> dict[str, SessionRecord]:
    """The newest session of each channel, the newest channel first."""
    found: dict[str, SessionRecord] = {}
    for session in sessions:
        found.setdefault(session.thread.channel, session)
    return found


def _whereabouts(session: SessionRecord) -> str:
    if session.thread.channel.startswith("D"):
        return model_texts.IN_DIRECT
    return model_texts.IN_CHANNEL_OF.format(title=titled(session))


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
