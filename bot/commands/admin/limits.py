"""Executes `admin limits`: blocks users, and sets how many turns a day they may have."""

from __future__ import annotations

import re
from typing import Final

from bot.access.quotas import MAX_TURNS_PER_DAY, Quota, QuotaPolicy
from bot.commands.dispatcher import CommandContext
from bot.commands.formatting import Pages, one_line, page_buttons, parse_page, pluralize
from bot.commands.texts import admin as admin_texts
from bot.commands.user_names import UserNames
from bot.domain.cards import Button, Card, CardItem, CommandResult, text_result
from bot.domain.preferences import ENABLED, Preference, PreferenceKind, Scope
from bot.domain.text import truncate
from bot.ports import Clock, Store
from bot.sessions.cleanup_filter import USER_PATTERN

COMMAND_NAME: Final = "admin"
PAGE_SIZE: Final = 8
"""Number of users on a page."""
_MAX_WORD_CHARS: Final = 40
_QUOTA: Final = re.compile(r"([0-9]{1,6})(?: turns?)?(?: a day)?", re.ASCII | re.IGNORECASE)


class LimitCommands:
    """Handles `admin limits`."""

    def __init__(self, store: Store, names: UserNames, quotas: QuotaPolicy, clock: Clock) -> None:
        self._store = store
        self._names = names
        self._quotas = quotas
        self._clock = clock

    async def limits(self, ctx: CommandContext) -> CommandResult:
        requested_page = parse_page(ctx.args) if ctx.args else 1
        if requested_page is not None:
            return await self._list_page(requested_page)
        given, _, action = ctx.args.partition(" ")
        match = USER_PATTERN.fullmatch(given)
        if match is None:
            shown = truncate(one_line(given).replace("`", "'"), _MAX_WORD_CHARS)
            return text_result(admin_texts.NO_SUCH_USER.format(given=shown))
        return await self._apply(ctx.user.id, match[1], action.strip().casefold())

    async def _apply(self, actor: str, user: str, action: str) -> CommandResult:
        if action == "block":
            return await self._block(actor, user)
        if action == "unblock":
            return await self._unblock(actor, user)
        if action == "default":
            await self._audit(actor, user, action)
            await self._store.clear_preference(Scope.USER, user, PreferenceKind.QUOTA)
            return await self._quota_result(user)
        match = _QUOTA.fullmatch(action)
        number = 0 if action == "unlimited" else int(match[1]) if match else -1
        if action != "unlimited" and not 0 < number <= MAX_TURNS_PER_DAY:
            return text_result(admin_texts.LIMITS_HOW)
        await self._audit(actor, user, action)
        await self._save_preference(actor, user, PreferenceKind.QUOTA, str(number))
        return await self._quota_result(user)

    async def _block(self, actor: str, user: str) -> CommandResult:
        if user == actor:
            return text_result(admin_texts.NOT_YOURSELF)
        await self._audit(actor, user, "block")
        await self._save_preference(actor, user, PreferenceKind.BLOCKED, ENABLED)
        return text_result(admin_texts.BLOCKED_NOW.format(name=await self._names.name_of(user)))

    async def _unblock(self, actor: str, user: str) -> CommandResult:
        was_blocked = (await self._quotas.quota_of(user)).blocked
        if was_blocked:
            await self._audit(actor, user, "unblock")
            await self._store.clear_preference(Scope.USER, user, PreferenceKind.BLOCKED)
        template = admin_texts.UNBLOCKED if was_blocked else admin_texts.WAS_NOT_BLOCKED
        return text_result(template.format(name=await self._names.name_of(user)))

    async def _audit(self, actor: str, user: str, action: str) -> None:
        """Record the change, before it is made."""
        await self._store.add_audit_entry(actor, "admin limits", user, action)

    async def _quota_result(self, user: str) -> CommandResult:
        quota = await self._quotas.quota_of(user)
        name = await self._names.name_of(user)
        return text_result(
            admin_texts.QUOTA_NOW.format(name=name, limit=format_quota(quota.per_day))
        )

    async def _save_preference(
        self, actor: str, user: str, kind: PreferenceKind, value: str
    ) -> None:
        await self._store.set_preference(
            Preference(
                scope=Scope.USER,
                scope_id=user,
                kind=kind,
                value=value,
                set_by=actor,
                set_at=self._clock.now(),
            )
        )

    async def _list_page(self, requested_page: int) -> CommandResult:
        preferences = [
            *await self._store.preferences_of_kind(PreferenceKind.BLOCKED),
            *await self._store.preferences_of_kind(PreferenceKind.QUOTA),
        ]
        users = sorted(
            {preference.scope_id for preference in preferences if preference.scope is Scope.USER}
        )
        pages = Pages(total=len(users), per_page=PAGE_SIZE)
        page = pages.nearest(requested_page)
        shown = users[pages.offset(page) :][:PAGE_SIZE]
        names = await self._names.names_of(shown)
        items = [
            _quota_item(user, names[user], self._quotas.quota_from(preferences, user))
            for user in shown
        ]
        default_text = admin_texts.DEFAULT_QUOTA.format(limit=format_quota(self._quotas.per_day))
        return CommandResult(
            card=Card(
                title=admin_texts.LIMITS_TITLE,
                text=default_text if users else f"{default_text} {admin_texts.NO_OTHER_QUOTAS}",
                items=tuple(items),
                buttons=page_buttons(
                    COMMAND_NAME,
                    pages,
                    page,
                    (admin_texts.NEWER, admin_texts.OLDER),
                    lambda n: f"limits {n}",
                ),
                small_print=admin_texts.LIMITS_HOW,
            )
        )


def format_quota(per_day: int) -> str:
    """A quota as text."""
    return (
        admin_texts.A_DAY.format(turns=pluralize(per_day, "turn"))
        if per_day
        else admin_texts.NO_LIMIT
    )


def block_button(user: str, name: str, *, blocked: bool) -> Button:
    """The button that blocks or unblocks a user."""
    if blocked:
        return Button(
            label=admin_texts.UNBLOCK, command_name=COMMAND_NAME, args=f"limits {user} unblock"
        )
    return Button(
        label=admin_texts.BLOCK,
        command_name=COMMAND_NAME,
        args=f"limits {user} block",
        style="danger",
        confirm=admin_texts.BLOCK_CONFIRM.format(name=name),
    )


def _quota_item(user: str, name: str, quota: Quota) -> CardItem:
    details = [admin_texts.IS_BLOCKED] if quota.blocked else []
    buttons = [block_button(user, name, blocked=True)] if quota.blocked else []
    if quota.is_custom:
        details.append(format_quota(quota.per_day))
        buttons.append(
            Button(
                label=admin_texts.USE_DEFAULT,
                command_name=COMMAND_NAME,
                args=f"limits {user} default",
            )
        )
    return CardItem(text=f"{name} ({user})", detail=" · ".join(details), buttons=tuple(buttons))
