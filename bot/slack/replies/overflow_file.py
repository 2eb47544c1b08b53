"""The whole of an answer that is too long for a thread: a file there, beside its beginning.

A file carries no metadata, so it is found again by its name, which names the turn: it is not
uploaded again while it may stand in the thread.
"""

from __future__ import annotations

import logging

from bot.domain.messages import Trigger
from bot.domain.turns import Turn
from bot.slack import texts
from bot.slack.api.calls import CallError, Cause
from bot.slack.api.client import Client
from bot.slack.api.files import Upload, upload
from bot.slack.api.rate_limiter import Urgency
from bot.slack.identity import Identity

log = logging.getLogger(__name__)


class WholeFile:
    """The file of one turn."""

    def __init__(self, turn: Turn, client: Client, us: Identity, *, resumed: bool) -> None:
        """`resumed`: an earlier run of the turn may have given it."""
        self._turn = turn
        self._client = client
        self._us = us
        self._unsure = resumed
        self._told = ""

    @property
    def name(self) -> str:
        """What the file is called."""
        return f"answer-{self._turn.id}.md"

    async def give(self, text: str) -> str:
        """Put `text` into the thread as a file, once; the sentence that tells people of it, or that
        Slack would not have it. Raises `CallError` where it may be had later."""
        if not self._told:
            self._told = await self._given(text)
        return self._told

    async def _given(self, text: str) -> str:
        thread = self._turn.message.thread
        told = texts.WHOLE_IN_FILE.format(name=self.name)
        if self._unsure and await self._is_there():
            return told
        self._unsure = False
        try:
            await upload(
                self._client,
                Cause(urgency=Urgency.FIRST, thread=f"{thread.channel}/{thread.root_ts}"),
                Upload(
                    name=self.name, content=text, channel=thread.channel, root_ts=thread.root_ts
                ),
            )
        except CallError as error:
            self._unsure = error.maybe_done
            if error.passing:
                raise
            log.warning("a long answer could not be given as a file: %s", error)
            return texts.WHOLE_NOWHERE
        return told

    async def _is_there(self) -> bool:
        asked = self._turn.message
        since = asked.thread.root_ts if asked.trigger is Trigger.MENU else asked.ts
        async for message in self._client.replies(asked.thread, oldest=since):
            files = message.get("files")
            for file in files if isinstance(files, list) else ():
                ours = isinstance(file, dict) and file.get("user") == self._us.user
                if ours and file.get("name") == self.name:
                    return True
        return False
