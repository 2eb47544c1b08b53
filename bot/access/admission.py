"""Who is answered at all: no guests, outsiders or blocked people, only people and channels on the
lists where there are lists, nobody without turns left, and no bots that talk to the bot for ever.
"""

from __future__ import annotations

import logging
import re
import unicodedata

from bot.access import texts
from bot.access.policy import AccessPolicy
from bot.access.quotas import BLOCKED, QuotaPolicy
from bot.access.texts import NO_QUESTION, ONLY_EMOJI, TOO_LONG
from bot.domain.messages import MAX_CONSECUTIVE_BOT_TURNS, Message, Trigger
from bot.domain.users import UserKind
from bot.errors import NotAllowed, SlackError
from bot.ports import ThreadStore

log = logging.getLogger(__name__)


class AdmissionCheck:
    """`bot.turns.processor.Gate` and `bot.slack.interactions.question_outbox.Gate`."""

    def __init__(self, access: AccessPolicy, quotas: QuotaPolicy, store: ThreadStore) -> None:
        self._access = access
        self._quotas = quotas
        self._store = store

    async def refusal_for(self, message: Message) -> str:
        """The sentence why the author of a message is not answered; empty when they are. Who
        cannot be looked up is not answered. Raises `StoreError`.

        Whether they see the place is not asked: by its event, or before it was posted for them,
        they did when it was written.
        """
        if message.trigger is Trigger.BOT_MENTION:
            return await self._refusal_for_bot(message)
        external, channel = message.external, message.thread.channel
        try:
            person = await self._access.get_user(message.user)
            out = await self._access.denial(person, channel, external=external)
        except SlackError as error:
            log.warning("who asks could not be looked up: %s", error)
            return texts.EXTERNAL_USER if external else texts.UNKNOWN_USER
        if out is not None:
            return texts.DENIAL_TEXTS[out]
        return await self._quotas.quota_refusal(message.user)

    async def denial_for(self, user_id: str, channel: str, *, external: bool) -> str:
        """The sentence why nothing is asked in a channel for somebody just now; empty when it is.
        `external`: whether Slack says that they are of another workspace. Raises `SlackError`
        while it cannot be found out, `StoreError`."""
        person = await self._access.fetch_user(user_id)
        out = await self._access.channel_denial(person, channel, external=external)
        if out is not None:
            return texts.DENIAL_TEXTS[out]
        return await self._quotas.quota_refusal(user_id)

    async def authorize_stop(self, user: str, message: Message) -> None:
        """See to it that somebody may stop the answer to a message: whoever asked it, at once, and
        every member who sees its place; guests and people of other workspaces only what they have
        asked themselves. Raises `NotAllowed`, `StoreError`."""
        if user == message.user:
            return
        try:
            person = await self._access.fetch_user(user)
            out = await self._access.channel_denial(person, message.thread.channel)
        except SlackError as error:
            log.warning("who stops an answer could not be looked up: %s", error)
            raise NotAllowed(texts.STOP_UNSURE) from error
        if out is not None:
            raise NotAllowed(texts.DENIAL_TEXTS[out])
        if person.kind is not UserKind.MEMBER:
            raise NotAllowed(texts.STOP_YOUR_OWN)
        if (await self._quotas.quota_of(user)).blocked:
            raise NotAllowed(BLOCKED)

    async def _refusal_for_bot(self, message: Message) -> str:
        out = self._access.bot_denial(message.user, message.thread.channel)
        if out is not None:
            return texts.DENIAL_TEXTS[out]
        if await self._store.count_consecutive_bot_turns(message) >= MAX_CONSECUTIVE_BOT_TURNS:
            return texts.BOT_LOOP
        return await self._quotas.quota_refusal(message.user)


def invalid_message_text(message: Message, *, max_chars: int) -> str:
    """The sentence for a message that is not answered; empty when it is."""
    if not message.text:
        return NO_QUESTION
    if len(message.text) > max_chars:
        return TOO_LONG.format(length=len(message.text), limit=max_chars)
    if is_only_emoji(message.text):
        return ONLY_EMOJI
    return ""


_EMOJI_NAME = re.compile(r":[a-z0-9_+'-]+(?:::skin-tone-[2-6])?:", re.IGNORECASE)


_SKIN_TONES = frozenset("\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff")


_MODIFIER_CATEGORIES = ("Cf", "Mn", "Me")
"""What stands beside a symbol and is none by itself."""


def is_only_emoji(text: str) -> bool:
    """Whether there is nothing but emoji, as `:names:` or as characters, in a message."""
    rest, names = _EMOJI_NAME.subn("", text)
    drawn = [character for character in rest if not character.isspace()]
    kinds = [("So" if c in _SKIN_TONES else unicodedata.category(c)) for c in drawn]
    return bool(names or "So" in kinds) and all(
        kind in ("So", *_MODIFIER_CATEGORIES) for kind in kinds
    )
