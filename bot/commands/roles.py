"""Executes `role`: lists the roles, or starts the session of one in this thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from bot.commands.dispatcher import CommandContext, CommandGroup, CommandHandler
from bot.commands.formatting import pluralize
from bot.commands.models import MAX_OPTION_CHARS
from bot.commands.registry import PARTICIPANTS
from bot.commands.texts import models as model_texts
from bot.domain.cards import Button, Card, CardItem, CommandResult, text_result
from bot.domain.sessions import SessionRecord
from bot.domain.text import truncate
from bot.ports import Store
from bot.sessions.model_selection import ModelSelector

MAX_ITEMS: Final = 10
"""Maximum number of roles with details; more are listed by name only."""


class RoleCommands(CommandGroup):
    """Handles `role`."""

    def __init__(self, store: Store, model_selector: ModelSelector) -> None:
        self._store = store
        self._model_selector = model_selector

    def handlers(self) -> Mapping[str, CommandHandler]:
        return {"role": self.role}

    async def role(self, ctx: CommandContext) -> CommandResult:
        """List the roles, or start this thread's session of one."""
        name = ctx.args.strip().rstrip(":").casefold()
        if not name:
            return CommandResult(card=await self._roles_card(ctx, model_texts.ROLES))
        if self._model_selector.find_role(name) is None:
            shown = truncate(ctx.args.strip(), MAX_OPTION_CHARS)
            return CommandResult(
                card=await self._roles_card(ctx, model_texts.NO_SUCH_ROLE.format(name=shown))
            )
        if ctx.thread_key is None:
            return text_result(model_texts.ROLE_OF_NO_THREAD.format(role=name))
        if ctx.thread is None:
            return text_result(model_texts.ROLE_UNKNOWN_THREAD.format(role=name))
        existing = await self._store.current_session(ctx.thread_key, name)
        if existing is not None:
            return text_result(_role_text(model_texts.ROLE_THERE, existing), public=True)
        started = await self._store.reset(ctx.thread_key, name, ctx.user.id, mark_seen=False)
        return text_result(_role_text(model_texts.ROLE_BEGUN, started), public=True)

    async def _roles_card(self, ctx: CommandContext, text: str) -> Card:
        """A card of all roles. Roles in use in the thread come first, with their sessions."""
        current: Sequence[SessionRecord] = ()
        if ctx.thread_key is not None:
            current = await self._store.current_sessions(ctx.thread_key)
        sessions = {session.role: session for session in current}
        names = sorted(
            self._model_selector.role_names, key=lambda name: (name not in sessions, name)
        )
        can_start = ctx.thread is not None and bool(PARTICIPANTS & ctx.access_roles)
        shown, more = names[:MAX_ITEMS], names[MAX_ITEMS:]
        if more:
            text = model_texts.ROLES_MORE.format(sentence=text, names=", ".join(more))
        return Card(
            title=model_texts.ROLES_TITLE,
            text=text,
            items=tuple(
                self._role_item(name, sessions.get(name), can_start=can_start) for name in shown
            ),
            small_print=model_texts.ROLES_HINT.format(role=names[0]),
        )

    def _role_item(self, name: str, session: SessionRecord | None, *, can_start: bool) -> CardItem:
        facts = []
        role = self._model_selector.find_role(name)
        if role is not None and role.model:
            facts.append(model_texts.ROLE_MODEL.format(model=role.model))
        if role is not None and role.tools:
            facts.append(model_texts.ROLE_READS)
        if session is not None:
            turns = pluralize(session.turn_count, "turn")
            facts.append(model_texts.ROLE_HERE.format(handle=session.handle, turns=turns))
        elif can_start:
            facts.append(model_texts.ROLE_NOT_HERE)
        start = Button(label=model_texts.ROLE_BEGIN, command_name="role", args=name)
        return CardItem(
            text=name,
            detail=", ".join(facts),
            buttons=(start,) if can_start and session is None else (),
        )


def _role_text(template: str, session: SessionRecord) -> str:
    turns = pluralize(session.turn_count, "turn")
    return template.format(role=session.role, handle=session.handle, turns=turns)
