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
from bot.domain.preferences import Preference, PreferenceKind, Scope
from bot.domain.sessions import SessionRecord
from bot.errors import BotError
from bot.ports import Agent, Clock, PreferenceStore, SessionConfig
from bot.sessions.roles import Role

log = logging.getLogger(__name__)

INITIAL_REFRESH_SECONDS: Final = 5.0
"""How long the start waits for the first list of models."""
REFRESH_SECONDS: Final = 300.0
"""How often the list is asked for."""
EMPTY_REFRESH_SECONDS: Final = 30.0
"""The same while there is none."""

VERBOSITY_INSTRUCTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "brief": "Keep answers short: a few sentences, no repetition, unless more is asked for.",
        "detailed": "Answer in detail: give reasons, examples and what else matters.",
    }
)
"""What the model is told for the owner's liking; nothing for an ordinary one."""


class SelectionRule(StrEnum):
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


RULE_TEXTS: Final[Mapping[SelectionRule, str]] = MappingProxyType(
    {
        SelectionRule.TURN: "chosen for this answer",
        SelectionRule.SESSION: "chosen for this session",
        SelectionRule.ROLE: "it comes with the role",
        SelectionRule.THREAD: "chosen for this thread",
        SelectionRule.CHANNEL: "chosen for this channel",
        SelectionRule.PERSON: "chosen by the session's owner for all of theirs",
        SelectionRule.WORKSPACE: "chosen for the workspace",
        SelectionRule.SETTING: "chosen by the person who runs me",
        SelectionRule.SERVER: "nobody chose another one",
    }
)
"""The rules as phrases, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSelection:
    """What a session is to be opened with, and why."""

    config: SessionConfig
    rule: SelectionRule
    """Which rule chose the model."""
    display_model: str
    """The model's name for people, also where none is chosen; "" where it is not known."""

    @property
    def rule_text(self) -> str:
        """A phrase: `chosen for this channel`."""
        return RULE_TEXTS[self.rule]


class ModelSelector:
    """Knows the models and the roles, and which ones count."""

    def __init__(
        self,
        store: PreferenceStore,
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
        self._available_models: tuple[str, ...] = ()

    @property
    def available_models(self) -> Sequence[str]:
        """The models that can be chosen, as last learned, the default one first."""
        return self._available_models

    @property
    def model_names(self) -> frozenset[str]:
        """The same, for looking up."""
        return frozenset(self._available_models)

    @property
    def role_names(self) -> frozenset[str]:
        """The names of the roles."""
        return frozenset(self._roles)

    def find_role(self, name: str) -> Role | None:
        """A role by its name; None for one that is not there (any more)."""
        return self._roles.get(name)

    async def select(
        self,
        session: SessionRecord | None,
        thread: ThreadKey | None,
        *,
        turn_model: str = "",
        owner: str = "",
    ) -> ModelSelection:
        """What a session is to be opened with. Raises `StoreError`.

        Without a session it is told for one that `owner` would begin in `thread`. `wish` is a model
        for one turn.
        """
        place = thread if session is None else session.thread
        person = owner if session is None else session.owner
        choices = await self._store.preferences(_preference_holders(place, person))
        levels = list(self._candidates(session, turn_model, choices))
        rule, model, effort = _first_with_model(levels)
        role = self._role_of(session)
        liking = _preference_value(choices, Scope.USER, PreferenceKind.VERBOSITY)
        told = (role.instructions if role else "", VERBOSITY_INSTRUCTIONS.get(liking, ""))
        setup = SessionConfig(
            model=model,
            effort=effort,
            instructions="\n\n".join(text for text in told if text),
            tools=role.tools if role else (),
            folder=role.folder if role else "",
        )
        default = self._available_models[0] if self._available_models else ""
        return ModelSelection(config=setup, rule=rule, display_model=model or default)

    async def resolve_model(self, name: str) -> str | None:
        """A model as the server spells it, whatever the case it is written in; None when the server
        has none of that name. The server is asked anew for a name that is not known."""
        known = _match_model_name(name, self._available_models)
        if known is None:
            await self.refresh_models()
            known = _match_model_name(name, self._available_models)
        return known

    async def refresh_models(self) -> None:
        """Ask for the list of models anew; the old one stays when it cannot be had. Never
        raises."""
        try:
            self._available_models = tuple(dict.fromkeys(await self._agent.list_models()))
        except BotError as error:
            log.info("the list of models cannot be had: %s", error)
        except Exception:
            log.exception("the list of models cannot be had")

    @asynccontextmanager
    async def keep_refreshed(self) -> AsyncIterator[None]:
        """While inside, the list of models is kept fresh. Entering takes 5 s at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(INITIAL_REFRESH_SECONDS):
                await self.refresh_models()
        learning = asyncio.create_task(self._refresh_loop())
        try:
            yield
        finally:
            learning.cancel()
            await asyncio.wait([learning])

    async def _refresh_loop(self) -> None:
        while True:
            await self._clock.sleep(
                REFRESH_SECONDS if self._available_models else EMPTY_REFRESH_SECONDS
            )
            await self.refresh_models()

    def _role_of(self, session: SessionRecord | None) -> Role | None:
        return None if session is None else self._roles.get(session.role)

    def _candidates(
        self, session: SessionRecord | None, turn_model: str, preferences: Sequence[Preference]
    ) -> Iterator[tuple[SelectionRule, str, str]]:
        """Model and effort of each rule, the most special rule first."""
        yield SelectionRule.TURN, turn_model, ""
        if session is not None:
            yield SelectionRule.SESSION, session.model, session.effort
        role = self._role_of(session)
        if role is not None:
            yield SelectionRule.ROLE, role.model, role.effort
        for rule, scope in (
            (SelectionRule.THREAD, Scope.THREAD),
            (SelectionRule.CHANNEL, Scope.CHANNEL),
            (SelectionRule.PERSON, Scope.USER),
            (SelectionRule.WORKSPACE, Scope.WORKSPACE),
        ):
            model = _preference_value(preferences, scope, PreferenceKind.MODEL)
            yield rule, model, _preference_value(preferences, scope, PreferenceKind.EFFORT)
        yield SelectionRule.SETTING, self._model, ""


def _first_with_model(
    candidates: Sequence[tuple[SelectionRule, str, str]],
) -> tuple[SelectionRule, str, str]:
    """The first rule that has a model, the model, and how hard it is to think.

    An effort counts with the model of its own rule or of a more general one, never with a more
    special one: not every model takes every effort.
    """
    effort = ""
    for rule, model, its_effort in candidates:
        effort = effort or its_effort
        if model:
            return rule, model, effort
    return SelectionRule.SERVER, "", effort


def _preference_holders(thread: ThreadKey | None, user: str) -> list[tuple[Scope, str]]:
    """For whom something may have been chosen that counts here."""
    holders = [(Scope.USER, user)] if user else []
    if thread is not None:
        holders += [
            (Scope.WORKSPACE, thread.team),
            (Scope.CHANNEL, thread.channel),
            (Scope.THREAD, str(thread)),
        ]
    return holders


def _preference_value(preferences: Sequence[Preference], scope: Scope, kind: PreferenceKind) -> str:
    found = (
        choice.value for choice in preferences if choice.scope is scope and choice.kind is kind
    )
    return next(found, "")


def _match_model_name(name: str, models: Sequence[str]) -> str | None:
    """`name` as it is spelled among `models`: just so, else in another case."""
    if name in models:
        return name
    alike = (model for model in models if model.casefold() == name.casefold())
    return next(alike, None)
