"""Which model a session runs with, how hard it is to think, and which rule says so.

The more special choice goes before the more general one: this turn, this session, its role, its
thread, its channel, its owner, the workspace, the setting, the server's first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from bot.domain.messages import ThreadKey
from bot.domain.preferences import Choice, Scope, Topic
from bot.domain.sessions import SessionRecord
from bot.errors import BotError
from bot.ports import Agent, ChoiceStore, Clock, Setup
from bot.sessions.roles import Role

log = logging.getLogger(__name__)

START_SECONDS: Final = 5.0
"""How long the start waits for the first list of models."""
LEARN_SECONDS: Final = 300.0
"""How often the list is asked for."""
LEARN_SOON_SECONDS: Final = 30.0
"""The same while there is none."""

VERBOSITY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "brief": "Keep answers short: a few sentences, no repetition, unless more is asked for.",
        "detailed": "Answer in detail: give reasons, examples and what else matters.",
    }
)
"""What the model is told for the owner's liking; nothing for an ordinary one."""


class Rule(StrEnum):
    """Which rule chose a model; the first that has one counts."""

    TURN = "turn"
    SESSION = "session"
    ROLE = "role"
    THREAD = "thread"
    CHANNEL = "channel"
    PERSON = "person"
    WORKSPACE = "workspace"
    SETTING = "setting"
    SERVER = "server"


RULE_SAID: Final[Mapping[Rule, str]] = MappingProxyType(
    {
        Rule.TURN: "chosen for this answer",
        Rule.SESSION: "chosen for this session",
        Rule.ROLE: "it comes with the role",
        Rule.THREAD: "chosen for this thread",
        Rule.CHANNEL: "chosen for this channel",
        Rule.PERSON: "chosen by the session's owner for all of theirs",
        Rule.WORKSPACE: "chosen for the workspace",
        Rule.SETTING: "chosen by the person who runs me",
        Rule.SERVER: "nobody chose another one",
    }
)
"""The rules as phrases, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What a session is to be opened with, and why."""

    setup: Setup
    rule: Rule
    """Which rule chose the model."""
    shown: str
    """The model's name for people, also where none is chosen; "" where it is not known."""

    @property
    def rule_said(self) -> str:
        """A phrase: `chosen for this channel`."""
        return RULE_SAID[self.rule]


class Choosing:
    """Knows the models and the roles, and which ones count."""

    def __init__(
        self,
        store: ChoiceStore,
        agent: Agent,
        roles: Mapping[str, Role],
        *,
        model: str,
        clock: Clock,
    ) -> None:
        """`model` is the setting `MODEL`, "" where there is none."""
        self._store = store
        self._agent = agent
        self._roles = roles
        self._model = model
        self._clock = clock
        self._offered: tuple[str, ...] = ()

    @property
    def offered(self) -> Sequence[str]:
        """The models that can be chosen, as last learned, the default one first."""
        return self._offered

    @property
    def models(self) -> frozenset[str]:
        """The same, for looking up."""
        return frozenset(self._offered)

    @property
    def roles(self) -> frozenset[str]:
        """The names of the roles."""
        return frozenset(self._roles)

    def role(self, name: str) -> Role | None:
        """A role by its name; None for one that is not there (any more)."""
        return self._roles.get(name)

    async def chosen(
        self,
        session: SessionRecord | None,
        thread: ThreadKey | None,
        *,
        wish: str = "",
        owner: str = "",
    ) -> Chosen:
        """What a session is to be opened with. Raises `StoreError`.

        Without a session it is told for one that `owner` would begin in `thread`. `wish` is a model
        for one turn.
        """
        place = thread if session is None else session.thread
        person = owner if session is None else session.owner
        choices = await self._store.choices(_holders(place, person))
        levels = list(self._levels(session, wish, choices))
        rule, model, effort = _first(levels)
        role = self._role_of(session)
        liking = _chosen_in(choices, Scope.PERSON, Topic.VERBOSITY)
        told = (role.instructions if role else "", VERBOSITY.get(liking, ""))
        setup = Setup(
            model=model,
            effort=effort,
            instructions="\n\n".join(text for text in told if text),
            tools=role.tools if role else (),
            folder=role.folder if role else "",
        )
        default = self._offered[0] if self._offered else ""
        return Chosen(setup=setup, rule=rule, shown=model or default)

    async def check_model(self, name: str) -> str | None:
        """A model as the server spells it, whatever the case it is written in; None when the server
        has none of that name. The server is asked anew for a name that is not known."""
        known = _spelled(name, self._offered)
        if known is None:
            await self.learn()
            known = _spelled(name, self._offered)
        return known

    async def learn(self) -> None:
        """Ask for the list of models anew; the old one stays when it cannot be had. Never
        raises."""
        try:
            self._offered = tuple(dict.fromkeys(await self._agent.models()))
        except BotError as error:
            log.info("the list of models cannot be had: %s", error)
        except Exception:
            log.exception("the list of models cannot be had")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """While inside, the list of models is kept fresh. Entering takes 5 s at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(START_SECONDS):
                await self.learn()
        learning = asyncio.create_task(self._keep_learning())
        try:
            yield
        finally:
            learning.cancel()
            await asyncio.wait([learning])

    async def _keep_learning(self) -> None:
        while True:
            await self._clock.sleep(LEARN_SECONDS if self._offered else LEARN_SOON_SECONDS)
            await self.learn()

    def _role_of(self, session: SessionRecord | None) -> Role | None:
        return None if session is None else self._roles.get(session.role)

    def _levels(
        self, session: SessionRecord | None, wish: str, choices: Sequence[Choice]
    ) -> Iterator[tuple[Rule, str, str]]:
        """Model and effort of each rule, the most special rule first."""
        yield Rule.TURN, wish, ""
        if session is not None:
            yield Rule.SESSION, session.model, session.effort
        role = self._role_of(session)
        if role is not None:
            yield Rule.ROLE, role.model, role.effort
        for rule, scope in (
            (Rule.THREAD, Scope.THREAD),
            (Rule.CHANNEL, Scope.CHANNEL),
            (Rule.PERSON, Scope.PERSON),
            (Rule.WORKSPACE, Scope.WORKSPACE),
        ):
            model = _chosen_in(choices, scope, Topic.MODEL)
            yield rule, model, _chosen_in(choices, scope, Topic.EFFORT)
        yield Rule.SETTING, self._model, ""


def _first(levels: Sequence[tuple[Rule, str, str]]) -> tuple[Rule, str, str]:
    """The first rule that has a model, the model, and how hard it is to think.

    An effort counts with the model of its own rule or of a more general one, never with a more
    special one: not every model takes every effort.
    """
    effort = ""
    for rule, model, its_effort in levels:
        effort = effort or its_effort
        if model:
            return rule, model, effort
    return Rule.SERVER, "", effort


def _holders(place: ThreadKey | None, person: str) -> list[tuple[Scope, str]]:
    """For whom something may have been chosen that counts here."""
    holders = [(Scope.PERSON, person)] if person else []
    if place is not None:
        holders += [
            (Scope.WORKSPACE, place.team),
            (Scope.CHANNEL, place.channel),
            (Scope.THREAD, str(place)),
        ]
    return holders


def _chosen_in(choices: Sequence[Choice], scope: Scope, topic: Topic) -> str:
    found = (choice.value for choice in choices if choice.scope is scope and choice.topic is topic)
    return next(found, "")


def _spelled(name: str, models: Sequence[str]) -> str | None:
    """`name` as it is spelled among `models`: just so, else in another case."""
    if name in models:
        return name
    alike = (model for model in models if model.casefold() == name.casefold())
    return next(alike, None)
