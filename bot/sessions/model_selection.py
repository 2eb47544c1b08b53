"""Selects the model of a session, its thinking effort, and the rule that both come from.

A more specific preference overrides a more general one: turn, session, role, thread, channel,
owner, workspace, setting, first model of the server.
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
"""Timeout, in seconds, of the first request for the list of models."""
REFRESH_SECONDS: Final = 300.0
"""Interval between two requests for the list, in seconds."""
EMPTY_REFRESH_SECONDS: Final = 30.0
"""Interval while the list is empty, in seconds."""

VERBOSITY_INSTRUCTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "brief": "Keep answers short: a few sentences, no repetition, unless more is asked for.",
        "detailed": "Answer in detail: give reasons, examples and what else matters.",
    }
)
"""The instructions for each verbosity of the owner; none for the normal one."""


class SelectionRule(StrEnum):
    """The rule that a model comes from; the first rule with a model counts."""

    TURN = "turn"
    SESSION = "session"
    ROLE = "role"
    THREAD = "thread"
    CHANNEL = "channel"
    USER = "person"
    WORKSPACE = "workspace"
    SETTING = "setting"
    SERVER = "server"


RULE_TEXTS: Final[Mapping[SelectionRule, str]] = MappingProxyType(
    {
        SelectionRule.TURN: "chosen for this answer",
        SelectionRule.SESSION: "chosen for this session",
        SelectionRule.ROLE: "set by the role",
        SelectionRule.THREAD: "chosen for this thread",
        SelectionRule.CHANNEL: "chosen for this channel",
        SelectionRule.USER: "the session owner's preference",
        SelectionRule.WORKSPACE: "chosen for the workspace",
        SelectionRule.SETTING: "set by your admin",
        SelectionRule.SERVER: "default",
    }
)
"""The rules as phrases for users."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSelection:
    """The configuration to open a session with, and its origin."""

    config: SessionConfig
    rule: SelectionRule
    """The rule that the model comes from."""
    display_model: str
    """The model's name for users, also without a preference; empty if it is unknown."""

    @property
    def rule_text(self) -> str:
        """The rule as a phrase: `chosen for this channel`."""
        return RULE_TEXTS[self.rule]


class ModelSelector:
    """Selects models by preferences and roles."""

    def __init__(
        self,
        store: PreferenceStore,
        agent: Agent,
        roles: Mapping[str, Role],
        *,
        model: str,
        clock: Clock,
    ) -> None:
        """`model` is the setting `MODEL`, or an empty string."""
        self._store = store
        self._agent = agent
        self._roles = roles
        self._model = model
        self._clock = clock
        self._available_models: tuple[str, ...] = ()

    @property
    def available_models(self) -> Sequence[str]:
        """The available models as last fetched, the default one first; empty before that."""
        return self._available_models

    @property
    def model_names(self) -> frozenset[str]:
        """The names of `available_models`."""
        return frozenset(self._available_models)

    @property
    def role_names(self) -> frozenset[str]:
        """The names of the roles."""
        return frozenset(self._roles)

    def find_role(self, name: str) -> Role | None:
        """The role of that name; None if there is none, or no longer."""
        return self._roles.get(name)

    async def select(
        self,
        session: SessionRecord | None,
        thread: ThreadKey | None,
        *,
        turn_model: str = "",
        owner: str = "",
    ) -> ModelSelection:
        """The configuration to open a session with. Raises `StoreError`.

        Without a session it is for a new one of `owner` in `thread`. `turn_model` is a model for
        one turn.
        """
        location = thread if session is None else session.thread
        user = owner if session is None else session.owner
        preferences = await self._store.preferences(_preference_holders(location, user))
        candidates = list(self._candidates(session, turn_model, preferences))
        rule, model, effort = _first_with_model(candidates)
        role = self._role_of(session)
        verbosity = _preference_value(preferences, Scope.USER, PreferenceKind.VERBOSITY)
        texts = (
            role.instructions if role else "",
            VERBOSITY_INSTRUCTIONS.get(verbosity, ""),
        )
        config = SessionConfig(
            model=model,
            effort=effort,
            instructions="\n\n".join(text for text in texts if text),
            tools=role.tools if role else (),
            folder=role.folder if role else "",
        )
        default = self._available_models[0] if self._available_models else ""
        return ModelSelection(config=config, rule=rule, display_model=model or default)

    async def resolve_model(self, name: str) -> str | None:
        """The model of that name as the server spells it, in any case; None if the server has none.
        For an unknown name the list is fetched again."""
        known = _match_model_name(name, self._available_models)
        if known is None:
            await self.refresh_models()
            known = _match_model_name(name, self._available_models)
        return known

    async def refresh_models(self) -> None:
        """Fetch the list of models; the old list stays if this fails. Never raises."""
        try:
            self._available_models = tuple(dict.fromkeys(await self._agent.list_models()))
        except BotError as error:
            log.info("model list not fetched: reason=%s", error)
        except Exception:
            log.exception("model list not fetched")

    @asynccontextmanager
    async def keep_refreshed(self) -> AsyncIterator[None]:
        """Refresh the list of models while inside. Entering takes at most 5 s."""
        with suppress(TimeoutError):
            async with asyncio.timeout(INITIAL_REFRESH_SECONDS):
                await self.refresh_models()
        refreshing = asyncio.create_task(self._refresh_loop())
        try:
            yield
        finally:
            refreshing.cancel()
            await asyncio.wait([refreshing])

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
        """Rule, model and effort of each rule, the most specific rule first."""
        yield SelectionRule.TURN, turn_model, ""
        if session is not None:
            yield SelectionRule.SESSION, session.model, session.effort
        role = self._role_of(session)
        if role is not None:
            yield SelectionRule.ROLE, role.model, role.effort
        for rule, scope in (
            (SelectionRule.THREAD, Scope.THREAD),
            (SelectionRule.CHANNEL, Scope.CHANNEL),
            (SelectionRule.USER, Scope.USER),
            (SelectionRule.WORKSPACE, Scope.WORKSPACE),
        ):
            model = _preference_value(preferences, scope, PreferenceKind.MODEL)
            yield rule, model, _preference_value(preferences, scope, PreferenceKind.EFFORT)
        yield SelectionRule.SETTING, self._model, ""


def _first_with_model(
    candidates: Sequence[tuple[SelectionRule, str, str]],
) -> tuple[SelectionRule, str, str]:
    """The first rule with a model, its model, and the effort.

    An effort counts with the model of its own rule or of a more general one, never with a more
    specific one: not every model supports every effort.
    """
    effort = ""
    for rule, model, rule_effort in candidates:
        effort = effort or rule_effort
        if model:
            return rule, model, effort
    return SelectionRule.SERVER, "", effort


def _preference_holders(thread: ThreadKey | None, user: str) -> list[tuple[Scope, str]]:
    """The scopes whose preferences apply, with the id of each."""
    holders = [(Scope.USER, user)] if user else []
    if thread is not None:
        holders += [
            (Scope.WORKSPACE, thread.team),
            (Scope.CHANNEL, thread.channel),
            (Scope.THREAD, str(thread)),
        ]
    return holders


def _preference_value(preferences: Sequence[Preference], scope: Scope, kind: PreferenceKind) -> str:
    found = (each.value for each in preferences if each.scope is scope and each.kind is kind)
    return next(found, "")


def _match_model_name(name: str, models: Sequence[str]) -> str | None:
    """The spelling of `name` in `models`: exact, else in another case; None without a match."""
    if name in models:
        return name
    matches = (model for model in models if model.casefold() == name.casefold())
    return next(matches, None)
