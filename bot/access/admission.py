"""Decides who is answered at all.

Refused are guests, users of other workspaces, blocked users and users without turns left. Where
there are lists of users or channels, everything outside of them is refused. Bots that keep
answering each other are stopped.
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
    """Checks whether the author of a message may be answered."""

    def __init__(self, access: AccessPolicy, quotas: QuotaPolicy, store: ThreadStore) -> None:
        self._access = access
        self._quotas = quotas
        self._store = store

    async def denial_for_message(self, message: Message) -> str:
        """The refusal text for the author of a message, or an empty string.

        An author who cannot be looked up is refused. Whether the author sees the channel is not
        checked: the event, or the check before the post, shows that they did when it was written.
        Raises `StoreError`.
        """
        if message.trigger is Trigger.BOT_MENTION:
            return await self._refusal_for_bot(message)
        external, channel = message.external, message.thread.channel
        try:
            user = await self._access.get_user(message.user)
            denial = await self._access.denial(user, channel, external=external)
        except SlackError as error:
            log.warning("author look-up failed: user=%s error=%s", message.user, error)
            return texts.EXTERNAL_USER if external else texts.UNKNOWN_USER
        if denial is not None:
            return texts.DENIAL_TEXTS[denial]
        return await self._quotas.quota_refusal(message.user)

    async def denial_for(self, user_id: str, channel: str, *, external: bool) -> str:
        """The refusal text for a user who wants to ask in a channel, or an empty string.

        `external` is True if Slack says that the user belongs to another workspace. Raises
        `SlackError` if the user cannot be looked up, and `StoreError`.
        """
        user = await self._access.fetch_user(user_id)
        denial = await self._access.channel_denial(user, channel, external=external)
        if denial is not None:
            return texts.DENIAL_TEXTS[denial]
        return await self._quotas.quota_refusal(user_id)

    async def authorize_stop(self, user: str, message: Message) -> None:
        """Check that a user may stop the answer to a message.

        The author may, without a look-up, and so may every member who sees the channel. Guests and
        users of other workspaces may only stop answers to their own messages. Raises `NotAllowed`
        and `StoreError`.
        """
        if user == message.user:
            return
        try:
            actor = await self._access.fetch_user(user)
            denial = await self._access.channel_denial(actor, message.thread.channel)
        except SlackError as error:
            log.warning("look-up for a stop failed: user=%s error=%s", user, error)
            raise NotAllowed(texts.STOP_UNSURE) from error
        if denial is not None:
            raise NotAllowed(texts.DENIAL_TEXTS[denial])
        if actor.kind is not UserKind.MEMBER:
            raise NotAllowed(texts.STOP_YOUR_OWN)
        if (await self._quotas.quota_of(user)).blocked:
            raise NotAllowed(BLOCKED)

    async def _refusal_for_bot(self, message: Message) -> str:
        denial = self._access.bot_denial(message.user, message.thread.channel)
        if denial is not None:
            return texts.DENIAL_TEXTS[denial]
        if await self._store.count_consecutive_bot_turns(message) >= MAX_CONSECUTIVE_BOT_TURNS:
            return texts.BOT_LOOP
        return await self._quotas.quota_refusal(message.user)


def invalid_message_text(message: Message, *, max_chars: int) -> str:
    """The refusal text for a message that cannot be a question, or an empty string."""
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
"""Unicode categories of characters that only modify a symbol."""


def is_only_emoji(text: str) -> bool:
    """True if a message has only emoji, as `:names:` or as characters."""
    rest, names = _EMOJI_NAME.subn("", text)
    characters = [character for character in rest if not character.isspace()]
    kinds = [("So" if c in _SKIN_TONES else unicodedata.category(c)) for c in characters]
    return bool(names or "So" in kinds) and all(
        kind in ("So", *_MODIFIER_CATEGORIES) for kind in kinds
    )
