"""Who is answered at all: no guests, outsiders or blocked people, only people and channels on the
lists where there are lists, nobody without turns left, and no bots that talk to the bot for ever.
"""

from __future__ import annotations

import logging
import re
import unicodedata

from bot.access import texts
from bot.access.policy import Access
from bot.access.quotas import BLOCKED, Limits
from bot.access.texts import NO_QUESTION, ONLY_EMOJI, TOO_LONG
from bot.domain.messages import BOTS_IN_A_ROW, Message, Trigger
from bot.domain.users import Kind
from bot.errors import NotAllowed, SlackError
from bot.ports import ThreadStore

log = logging.getLogger(__name__)


class Gate:
    """`bot.turns.processor.Gate` and `bot.slack.interactions.question_outbox.Gate`."""

    def __init__(self, access: Access, limits: Limits, store: ThreadStore) -> None:
        self._access = access
        self._limits = limits
        self._store = store

    async def refusal(self, message: Message) -> str:
        """The sentence why the author of a message is not answered; empty when they are. Who
        cannot be looked up is not answered. Raises `StoreError`.

        Whether they see the place is not asked: by its event, or before it was posted for them,
        they did when it was written.
        """
        if message.trigger is Trigger.BOT_MENTION:
            return await self._closed_to_bot(message)
        external, channel = message.external, message.thread.channel
        try:
            person = await self._access.person(message.user)
            out = await self._access.kept_out(person, channel, external=external)
        except SlackError as error:
            log.warning("who asks could not be looked up: %s", error)
            return texts.OUTSIDER if external else texts.UNKNOWN
        if out is not None:
            return texts.KEPT_OUT[out]
        return await self._limits.refusal(message.user)

    async def closed_to(self, user: str, channel: str, *, external: bool) -> str:
        """The sentence why nothing is asked in a channel for somebody just now; empty when it is.
        `external`: whether Slack says that they are of another workspace. Raises `SlackError`
        while it cannot be found out, `StoreError`."""
        person = await self._access.person_now(user)
        out = await self._access.shut_out(person, channel, external=external)
        if out is not None:
            return texts.KEPT_OUT[out]
        return await self._limits.refusal(user)

    async def let_stop(self, user: str, asked: Message) -> None:
        """See to it that somebody may stop the answer to a message: whoever asked it, at once, and
        every member who sees its place; guests and people of other workspaces only what they have
        asked themselves. Raises `NotAllowed`, `StoreError`."""
        if user == asked.user:
            return
        try:
            person = await self._access.person_now(user)
            out = await self._access.shut_out(person, asked.thread.channel)
        except SlackError as error:
            log.warning("who stops an answer could not be looked up: %s", error)
            raise NotAllowed(texts.STOP_UNSURE) from error
        if out is not None:
            raise NotAllowed(texts.KEPT_OUT[out])
        if person.kind is not Kind.MEMBER:
            raise NotAllowed(texts.STOP_YOUR_OWN)
        if (await self._limits.of(user)).blocked:
            raise NotAllowed(BLOCKED)

    async def _closed_to_bot(self, message: Message) -> str:
        out = self._access.bot_kept_out(message.user, message.thread.channel)
        if out is not None:
            return texts.KEPT_OUT[out]
        if await self._store.bots_before(message) >= BOTS_IN_A_ROW:
            return texts.BOTS_TALK
        return await self._limits.refusal(message.user)


def refusal(message: Message, *, max_chars: int) -> str:
    """The sentence for a message that is not answered; empty when it is."""
    if not message.text:
        return NO_QUESTION
    if len(message.text) > max_chars:
        return TOO_LONG.format(length=len(message.text), limit=max_chars)
    if only_emoji(message.text):
        return ONLY_EMOJI
    return ""


_EMOJI_NAME = re.compile(r":[a-z0-9_+'-]+(?:::skin-tone-[2-6])?:", re.IGNORECASE)


_SKIN_TONES = frozenset("\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff")


_JOINING = ("Cf", "Mn", "Me")
"""What stands beside a symbol and is none by itself."""


def only_emoji(text: str) -> bool:
    """Whether there is nothing but emoji, as `:names:` or as characters, in a message."""
    rest, names = _EMOJI_NAME.subn("", text)
    drawn = [character for character in rest if not character.isspace()]
    kinds = [("So" if c in _SKIN_TONES else unicodedata.category(c)) for c in drawn]
    return bool(names or "So" in kinds) and all(kind in ("So", *_JOINING) for kind in kinds)
