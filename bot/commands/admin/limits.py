"""The order `admin limits`: who is blocked, and how many turns a day people may have."""

from __future__ import annotations

import re
from typing import Final

from bot.access.quotas import MOST_A_DAY, Limit, Limits
from bot.commands.dispatcher import Asked
from bot.commands.formatting import Pages, clipped, many, one_line, page_in, pager
from bot.commands.texts import admin as admin_texts
from bot.commands.user_names import Names
from bot.domain.cards import Card, Line, Outcome, Press, told
from bot.domain.preferences import YES, Choice, Scope, Topic
from bot.ports import Clock, Store
from bot.sessions.cleanup_filter import PERSON

VERB: Final = "admin"
PAGE_SIZE: Final = 8
_LONGEST_WORD: Final = 40
_QUOTA: Final = re.compile(r"([0-9]{1,6})(?: turns?)?(?: a day)?", re.ASCII | re.IGNORECASE)


class LimitOrders:
    """Shows and sets limits."""

    def __init__(self, store: Store, names: Names, limits: Limits, clock: Clock) -> None:
        self._store = store
        self._names = names
        self._limits = limits
        self._clock = clock

    async def limits(self, asked: Asked) -> Outcome:
        wished = page_in(asked.words) if asked.words else 1
        if wished is not None:
            return await self._listed(wished)
        given, _, what = asked.words.partition(" ")
        found = PERSON.fullmatch(given)
        if found is None:
            shown = clipped(one_line(given).replace("`", "'"), _LONGEST_WORD)
            return told(admin_texts.NO_SUCH_PERSON.format(given=shown))
        return await self._set(asked.person.user, found[1], what.strip().casefold())

    async def _set(self, by: str, user: str, what: str) -> Outcome:
        if what == "block":
            return await self._block(by, user)
        if what == "unblock":
            return await self._unblock(by, user)
        if what == "default":
            await self._audit(by, user, what)
            await self._store.unchoose(Scope.PERSON, user, Topic.QUOTA)
            return await self._quota_told(user)
        found = _QUOTA.fullmatch(what)
        number = 0 if what == "unlimited" else int(found[1]) if found else -1
        if what != "unlimited" and not 0 < number <= MOST_A_DAY:
            return told(admin_texts.LIMITS_HOW)
        await self._audit(by, user, what)
        await self._choose(by, user, Topic.QUOTA, str(number))
        return await self._quota_told(user)

    async def _block(self, by: str, user: str) -> Outcome:
        if user == by:
            return told(admin_texts.NOT_YOURSELF)
        await self._audit(by, user, "block")
        await self._choose(by, user, Topic.BLOCKED, YES)
        return told(admin_texts.BLOCKED_NOW.format(name=await self._names.name(user)))

    async def _unblock(self, by: str, user: str) -> Outcome:
        was = (await self._limits.of(user)).blocked
        if was:
            await self._audit(by, user, "unblock")
            await self._store.unchoose(Scope.PERSON, user, Topic.BLOCKED)
        sentence = admin_texts.UNBLOCKED if was else admin_texts.WAS_NOT_BLOCKED
        return told(sentence.format(name=await self._names.name(user)))

    async def _audit(self, by: str, user: str, what: str) -> None:
        """First: what is done must be on record."""
        await self._store.audit(by, "admin limits", user, what)

    async def _quota_told(self, user: str) -> Outcome:
        limit = await self._limits.of(user)
        name = await self._names.name(user)
        return told(admin_texts.QUOTA_NOW.format(name=name, limit=limit_said(limit.per_day)))

    async def _choose(self, by: str, user: str, topic: Topic, value: str) -> None:
        await self._store.choose(
            Choice(
                scope=Scope.PERSON,
                holder=user,
                topic=topic,
                value=value,
                by=by,
                at=self._clock.now(),
            )
        )

    async def _listed(self, wished: int) -> Outcome:
        choices = [
            *await self._store.choices_of(Topic.BLOCKED),
            *await self._store.choices_of(Topic.QUOTA),
        ]
        users = sorted({each.holder for each in choices if each.scope is Scope.PERSON})
        pages = Pages(total=len(users), per_page=PAGE_SIZE)
        page = pages.nearest(wished)
        shown = users[pages.offset(page) :][:PAGE_SIZE]
        names = await self._names.of(shown)
        lines = [_line(user, names[user], self._limits.among(choices, user)) for user in shown]
        everybody = admin_texts.EVERYBODY.format(limit=limit_said(self._limits.per_day))
        return Outcome(
            card=Card(
                title=admin_texts.LIMITS_TITLE,
                text=everybody if users else f"{everybody} {admin_texts.NOBODY_ELSE}",
                lines=tuple(lines),
                presses=pager(
                    VERB,
                    pages,
                    page,
                    (admin_texts.NEWER, admin_texts.OLDER),
                    lambda n: f"limits {n}",
                ),
                small=admin_texts.LIMITS_HOW,
            )
        )


def limit_said(per_day: int) -> str:
    """How many turns, in words."""
    return (
        admin_texts.A_DAY.format(turns=many(per_day, "turn")) if per_day else admin_texts.NO_LIMIT
    )


def block_press(user: str, name: str, *, blocked: bool) -> Press:
    """The button that blocks somebody, or takes that back."""
    if blocked:
        return Press(label=admin_texts.UNBLOCK, verb=VERB, words=f"limits {user} unblock")
    return Press(
        label=admin_texts.BLOCK,
        verb=VERB,
        words=f"limits {user} block",
        style="danger",
        confirm=admin_texts.BLOCK_CONFIRM.format(name=name),
    )


def _line(user: str, name: str, limit: Limit) -> Line:
    details = [admin_texts.IS_BLOCKED] if limit.blocked else []
    presses = [block_press(user, name, blocked=True)] if limit.blocked else []
    if limit.own:
        details.append(limit_said(limit.per_day))
        presses.append(Press(label=admin_texts.DEFAULT, verb=VERB, words=f"limits {user} default"))
    return Line(text=f"{name} ({user})", detail=" · ".join(details), presses=tuple(presses))
