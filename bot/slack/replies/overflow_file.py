"""Uploads an answer that is too long for a thread as a file beside its beginning.

A file carries no metadata. It is found again by its name, which holds the turn, so that it is not
uploaded twice.
"""

from __future__ import annotations

import logging

from bot.domain.turns import Turn
from bot.slack import texts
from bot.slack.api.calls import CallContext, SlackCallError
from bot.slack.api.client import SlackClient
from bot.slack.api.files import FileUpload, upload_file
from bot.slack.api.post_search import search_start
from bot.slack.api.rate_limiter import Priority
from bot.slack.identity import BotIdentity

log = logging.getLogger(__name__)


class OverflowFile:
    """The file with the full answer of one turn."""

    def __init__(
        self, turn: Turn, client: SlackClient, identity: BotIdentity, *, resumed: bool
    ) -> None:
        """`resumed`: an earlier run of the turn may have uploaded the file."""
        self._turn = turn
        self._client = client
        self._identity = identity
        self._may_be_shared = resumed
        self._notice = ""

    @property
    def name(self) -> str:
        """The name of the file."""
        return f"answer-{self._turn.id}.md"

    async def share(self, text: str) -> str:
        """Upload `text` into the thread as a file, once.

        Returns the sentence for users: where the file is, or that Slack refused it. Raises
        `SlackCallError` after a transient error.
        """
        if not self._notice:
            self._notice = await self._upload(text)
        return self._notice

    async def _upload(self, text: str) -> str:
        thread = self._turn.message.thread
        notice = texts.FULL_ANSWER_IN_FILE.format(name=self.name)
        if self._may_be_shared and await self._is_shared():
            return notice
        self._may_be_shared = False
        try:
            await upload_file(
                self._client,
                CallContext(priority=Priority.HIGH, thread=f"{thread.channel}/{thread.root_ts}"),
                FileUpload(
                    name=self.name, content=text, channel=thread.channel, root_ts=thread.root_ts
                ),
            )
        except SlackCallError as error:
            self._may_be_shared = error.maybe_done
            if error.transient:
                raise
            log.warning("answer file not uploaded: reason=%s", error)
            return texts.FULL_ANSWER_UNAVAILABLE
        return notice

    async def _is_shared(self) -> bool:
        question = self._turn.message
        async for message in self._client.replies(question.thread, oldest=search_start(question)):
            files = message.get("files")
            for file in files if isinstance(files, list) else ():
                ours = isinstance(file, dict) and file.get("user") == self._identity.user
                if ours and file.get("name") == self.name:
                    return True
        return False
