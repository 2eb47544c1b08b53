"""Fetches the messages of a thread: `bot.ports.ThreadHistory` for Slack."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from bot.domain.messages import TS_PATTERN, ThreadKey
from bot.domain.users import UserKind
from bot.errors import SlackError
from bot.ports import ThreadExcerpt, ThreadMessage, UserDirectory
from bot.slack.api.calls import SlackCallError
from bot.slack.api.client import SlackClient, ts_sort_key
from bot.slack.formatting.mrkdwn import MAX_MARKUP_CHARS, mrkdwn_to_text, replace_mentions
from bot.slack.identity import BotIdentity

log = logging.getLogger(__name__)

_TOTAL_SECONDS: Final = 9.0
_NAME_SECONDS: Final = 3.0
"""Timeout in seconds for the names of all authors together; an author whose name is missing then is
shown by id. The thread is read in the rest of the 10 s of `bot.ports`."""
_READ_SECONDS: Final = _TOTAL_SECONDS - _NAME_SECONDS

_TEXT_SUBTYPES: Final = frozenset(
    {"", "file_share", "thread_broadcast", "me_message", "bot_message"}
)


class SlackThreadHistory:
    """Reads threads."""

    def __init__(self, client: SlackClient, identity: BotIdentity, users: UserDirectory) -> None:
        self._client = client
        self._identity = identity
        self._users = users

    async def fetch_excerpt(
        self, thread: ThreadKey, *, after: str, before: str, max_messages: int
    ) -> ThreadExcerpt:
        """`ThreadHistory.fetch_excerpt`. Slack returns the oldest messages first: of more than
        1,000 messages the excerpt has the newest of the first 1,000."""
        root: ThreadMessage | None = None
        newest: deque[ThreadMessage] = deque(maxlen=max(0, max_messages))
        count = 0
        try:
            async with asyncio.timeout(_READ_SECONDS):
                async for message in self._client.replies(
                    thread, oldest=after or None, latest=before
                ):
                    parsed = self._parse_message(message)
                    if parsed is None or not _is_between(parsed.ts, after, before):
                        continue
                    if parsed.ts == thread.root_ts:
                        root = parsed
                    else:
                        newest.append(parsed)
                        count += 1
        except TimeoutError as error:
            raise SlackCallError("timeout", f"none within {_READ_SECONDS:.0f} s") from error
        messages = [*([root] if root else []), *newest]
        names = await self._fetch_names(
            {parsed.user for parsed in messages if parsed.kind is not UserKind.BOT}
        )
        named = [_with_name(parsed, names) for parsed in messages]
        return ThreadExcerpt(
            root=named[0] if root else None,
            newest=named[1:] if root else named,
            omitted_count=count - len(newest),
        )

    def _parse_message(self, message: Mapping[str, object]) -> ThreadMessage | None:
        """The message with ids in place of names, or None if it has no author or no text."""
        ts, subtype = message.get("ts"), message.get("subtype", "")
        if not (isinstance(ts, str) and TS_PATTERN.fullmatch(ts)) or subtype not in _TEXT_SUBTYPES:
            return None
        user, bot = _text(message, "user"), _text(message, "bot_id")
        text = mrkdwn_to_text(
            replace_mentions(
                message_text(message)[:MAX_MARKUP_CHARS], self._identity.user, self._identity.name
            )
        )
        if user == self._identity.user or (bot and bot == self._identity.bot):
            return ThreadMessage(
                ts=ts,
                user=self._identity.user,
                name=self._identity.name,
                kind=UserKind.BOT,
                text=text,
                is_own=True,
            )
        if bot or subtype == "bot_message":
            return ThreadMessage(
                ts=ts, user=bot or user, name=_bot_name(message), kind=UserKind.BOT, text=text
            )
        if not user:
            return None
        is_internal = (_text(message, "user_team") or _text(message, "team")) in (
            "",
            self._identity.team,
        )
        kind = UserKind.MEMBER if is_internal else UserKind.EXTERNAL
        return ThreadMessage(ts=ts, user=user, name=user, kind=kind, text=text)

    async def _fetch_names(self, users: Iterable[str]) -> Mapping[str, tuple[str, UserKind]]:
        """Names and kinds of the users that were found in time."""
        names: dict[str, tuple[str, UserKind]] = {}

        async def look_up(user: str) -> None:
            try:
                found = await self._users.get_user(user)
            except SlackError as error:
                log.info("user name not found: user=%s reason=%s", user, error)
            else:
                names[user] = (found.name, found.kind)

        try:
            async with asyncio.timeout(_NAME_SECONDS):
                await asyncio.gather(*(look_up(user) for user in users))
        except TimeoutError:
            log.info("user names incomplete: lookup timed out")
        return names


def message_text(message: Mapping[str, object]) -> str:
    """The text of a message: the Markdown of its blocks, as its plain text may then be cut;
    otherwise its plain text."""
    blocks = message.get("blocks")
    markdown = [
        str(block.get("text", ""))
        for block in (blocks if isinstance(blocks, list) else ())
        if isinstance(block, dict) and block.get("type") == "markdown"
    ]
    return "\n".join(markdown) if any(markdown) else _text(message, "text")


def _is_between(ts: str, after: str, before: str) -> bool:
    return (not after or ts_sort_key(ts) > ts_sort_key(after)) and ts_sort_key(ts) < ts_sort_key(
        before
    )


def _with_name(message: ThreadMessage, names: Mapping[str, tuple[str, UserKind]]) -> ThreadMessage:
    if message.kind is UserKind.BOT or message.user not in names:
        return message
    name, kind = names[message.user]
    return replace(message, name=name, kind=kind)


def _bot_name(message: Mapping[str, object]) -> str:
    profile = message.get("bot_profile")
    named = _text(profile, "name") if isinstance(profile, dict) else ""
    return _text(message, "username") or named or _text(message, "bot_id") or "bot"


def _text(body: Mapping[str, object], name: str) -> str:
    value = body.get(name)
    return value if isinstance(value, str) else ""
