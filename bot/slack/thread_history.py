"""What was said in a thread: `bot.ports.Listening` in Slack."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from bot.domain.messages import TS, ThreadKey
from bot.domain.users import Kind
from bot.errors import SlackError
from bot.ports import Earlier, People, Said
from bot.slack.api.calls import CallError
from bot.slack.api.client import Client, order
from bot.slack.formatting.mrkdwn import LONGEST, readable, with_name
from bot.slack.identity import Identity

log = logging.getLogger(__name__)

_SECONDS: Final = 9.0
_NAME_SECONDS: Final = 3.0
"""For the names of all who spoke, together; whoever is not known by then goes by their id. Slack
is read in the time that is left of the 10 s of `bot.ports`."""
_READ_SECONDS: Final = _SECONDS - _NAME_SECONDS

_SAYS_SOMETHING: Final = frozenset(
    {"", "file_share", "thread_broadcast", "me_message", "bot_message"}
)


class SlackListening:
    """Reads threads."""

    def __init__(self, client: Client, us: Identity, people: People) -> None:
        self._client = client
        self._us = us
        self._people = people

    async def earlier(self, thread: ThreadKey, *, after: str, before: str, most: int) -> Earlier:
        """`Listening.earlier`. Slack tells the oldest first: of a stretch of more than 1,000
        messages these are the newest of its first 1,000."""
        root: Said | None = None
        newest: deque[Said] = deque(maxlen=max(0, most))
        count = 0
        try:
            async with asyncio.timeout(_READ_SECONDS):
                async for message in self._client.replies(
                    thread, oldest=after or None, latest=before
                ):
                    said = self._said(message)
                    if said is None or not _between(said.ts, after, before):
                        continue
                    if said.ts == thread.root_ts:
                        root = said
                    else:
                        newest.append(said)
                        count += 1
        except TimeoutError as error:
            raise CallError("timeout", f"none within {_READ_SECONDS:.0f} s") from error
        kept = [*([root] if root else []), *newest]
        known = await self._named({said.user for said in kept if said.kind is not Kind.BOT})
        named = [_with_name(said, known) for said in kept]
        return Earlier(
            root=named[0] if root else None,
            newest=named[1:] if root else named,
            left_out=count - len(newest),
        )

    def _said(self, message: Mapping[str, object]) -> Said | None:
        """A message as it stands, with ids for names; None for what is nobody's words."""
        ts, subtype = message.get("ts"), message.get("subtype", "")
        if not (isinstance(ts, str) and TS.fullmatch(ts)) or subtype not in _SAYS_SOMETHING:
            return None
        user, bot = _text(message, "user"), _text(message, "bot_id")
        text = readable(with_name(said_text(message)[:LONGEST], self._us.user, self._us.name))
        if user == self._us.user or (bot and bot == self._us.bot):
            return Said(
                ts=ts, user=self._us.user, name=self._us.name, kind=Kind.BOT, text=text, ours=True
            )
        if bot or subtype == "bot_message":
            return Said(ts=ts, user=bot or user, name=_bot_name(message), kind=Kind.BOT, text=text)
        if not user:
            return None
        at_home = (_text(message, "user_team") or _text(message, "team")) in ("", self._us.team)
        kind = Kind.MEMBER if at_home else Kind.EXTERNAL
        return Said(ts=ts, user=user, name=user, kind=kind, text=text)

    async def _named(self, users: Iterable[str]) -> Mapping[str, tuple[str, Kind]]:
        """Names and kinds of those whom Slack tells of in time."""
        known: dict[str, tuple[str, Kind]] = {}

        async def look_up(user: str) -> None:
            try:
                person = await self._people.person(user)
            except SlackError as error:
                log.info("somebody's name is not known: %s", error)
            else:
                known[user] = (person.name, person.kind)

        try:
            async with asyncio.timeout(_NAME_SECONDS):
                await asyncio.gather(*(look_up(user) for user in users))
        except TimeoutError:
            log.info("not everybody's name could be looked up in time")
        return known


def said_text(message: Mapping[str, object]) -> str:
    """What a message says: its Markdown where it is written in blocks, for its plain text may then
    be cut short; else its text."""
    blocks = message.get("blocks")
    written = [
        str(block.get("text", ""))
        for block in (blocks if isinstance(blocks, list) else ())
        if isinstance(block, dict) and block.get("type") == "markdown"
    ]
    return "\n".join(written) if any(written) else _text(message, "text")


def _between(ts: str, after: str, before: str) -> bool:
    return (not after or order(ts) > order(after)) and order(ts) < order(before)


def _with_name(said: Said, known: Mapping[str, tuple[str, Kind]]) -> Said:
    if said.kind is Kind.BOT or said.user not in known:
        return said
    name, kind = known[said.user]
    return replace(said, name=name, kind=kind)


def _bot_name(message: Mapping[str, object]) -> str:
    profile = message.get("bot_profile")
    named = _text(profile, "name") if isinstance(profile, dict) else ""
    return _text(message, "username") or named or _text(message, "bot_id") or "bot"


def _text(body: Mapping[str, object], name: str) -> str:
    value = body.get(name)
    return value if isinstance(value, str) else ""
