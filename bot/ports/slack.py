"""What the story asks of Slack: replies to turns, people, what was said, and somewhere to show.

Implementations raise `SlackError` only; cancellation passes through everything untouched.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from bot.domain.cards import Card, ReplyActions
from bot.domain.messages import Message, ThreadKey
from bot.domain.turns import ReplyPart, Turn
from bot.domain.users import User, UserKind


class Reply(Protocol):
    """A turn's answer as the thread sees it, in one or more messages. One writer: the turn.

    `append` and `replace` return at once: the text goes out at Slack's pace; `finish` waits for
    Slack for 120 s at most. Trouble with Slack on the way changes how the text is delivered, never
    the text.
    """

    @property
    def status_uncleared(self) -> bool:
        """Once it has been left: whether its thread may show still that the bot works, for Slack
        would not have it taken back in time; then `Workspace.clear_status` has to."""
        ...

    def append(self, text: str) -> None:
        """The model said more."""
        ...

    def replace(self, text: str) -> None:
        """The whole answer up to here is `text`, whatever was appended before."""
        ...

    async def finish(self, text: str, note: str = "", actions: ReplyActions | None = None) -> None:
        """Show the whole answer `text`, then `note` (a sentence of the bot's own, set apart),
        then `foot`, and close. When it returns, the thread shows exactly that; of a text that is
        too long for a thread it shows the beginning, and has all of it in a file.

        Raises `SlackError`: with `passing` True when Slack could not be had in that time, and then
        some, all or none of the answer stands in the thread; another `reply_to` of the same turn,
        with the parts kept, may finish it, and nothing then stands there twice. With `passing`
        False Slack would not have it by any way of delivery.
        """
        ...


class Workspace(Protocol):
    """What the story asks of Slack."""

    def open_reply(
        self, turn: Turn, participants: frozenset[str], previous_parts: Sequence[ReplyPart] = ()
    ) -> AbstractAsyncContextManager[Reply]:
        """A reply in the turn's thread, delivered to fit those who take part.

        While it is open the thread shows that the bot works (native status with Stop button).
        `earlier` are the parts that a turn cut short had put out: they are taken over, edited and
        closed, so that nothing stands in the thread twice. The same holds for what an unfinished
        reply of this turn put out unnoted. Leaving closes whatever is open and takes the status
        back (`Reply.status_uncleared` says whether that worked out); bounded to 30 s, and never
        raises for Slack's sake.
        """
        ...

    async def clear_status(self, thread: ThreadKey) -> bool:
        """Show no longer that the bot works in a thread. True when that is certain, or can never
        be done; False where it is not to be done yet: a reply of the thread is open, which does it
        itself, or Slack may still be given what was asked of it before. Waits for nothing but the
        call. Raises `SlackError`: with `passing` it may be tried again."""
        ...

    async def fetch_participants(self, thread: ThreadKey) -> frozenset[str]:
        """Those who have written in the thread (persons only), from Slack; bounded to the first
        1,000 messages, for Slack tells the oldest first, and to 10 s."""
        ...

    async def add_waiting_reaction(self, message: Message) -> bool:
        """Show on the message that it waits. Never raises for Slack's sake. False when it surely
        is not shown."""
        ...

    async def remove_waiting_reaction(self, message: Message) -> bool:
        """Take that back. True when it surely is not there any more; False where that is not
        certain yet: what was asked of Slack before may still be done. Waits for nothing but the
        call. Raises `SlackError`: with `passing` it may be tried again."""
        ...

    async def post_notice(self, message: Message, text: str) -> bool:
        """Tell the author alone, where the message stands. Never raises for Slack's sake. False
        when they surely were not told because of trouble that may pass: it may be tried again."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadMessage:
    """One message of a thread, as it stands there now."""

    ts: str
    user: str
    """A user id, or the bot's own id (`B…`) of another bot."""
    name: str
    kind: UserKind
    text: str
    """Readable text, not clipped."""
    is_own: bool = False
    """Whether this bot wrote it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadExcerpt:
    """What was said in a stretch of a thread."""

    root: ThreadMessage | None
    """The message that began the thread, when it belongs to the stretch."""
    newest: Sequence[ThreadMessage]
    """The newest messages of the stretch, oldest first, without the root."""
    omitted_count: int
    """How many older ones there are (at least)."""


class ThreadHistory(Protocol):
    """What was said in a thread."""

    async def fetch_excerpt(
        self, thread: ThreadKey, *, after: str, before: str, max_messages: int
    ) -> ThreadExcerpt:
        """What was said after `after` ("" for from the beginning) and before `before`, both `ts`:
        the newest `most` messages and the root. With the names of those who said it.
        Raises `SlackError`; bounded to 10 s."""
        ...


class UserDirectory(Protocol):
    """Who somebody is, and what they can see."""

    async def get_user(self, user_id: str) -> User:
        """Who that is. Raises `SlackError`. Remembered for ten minutes at most."""
        ...

    async def fetch_user(self, user_id: str) -> User:
        """The same asked anew, by one call. Where Slack is in trouble what is remembered counts,
        and says that it is. Raises `SlackError`."""
        ...

    async def can_see(self, user_id: str, channel: str) -> bool:
        """Whether somebody can read a channel just now: they are in it, or it is public and they
        are a full member of the workspace. Asked anew each time; False for a channel that the bot
        itself cannot see. Raises `SlackError`."""
        ...

    async def bot_can_see(self, channel: str) -> bool:
        """Whether the bot itself can see a channel just now. Raises `SlackError`."""
        ...

    async def is_in_group(self, user_id: str, group: str) -> bool:
        """Whether somebody is in a user group (`S…`). Raises `SlackError`. That they are not is
        remembered for a minute at most; that they are is asked anew each time."""
        ...


class CardPublisher(Protocol):
    """Somewhere to show cards. Everything in a card is shown as inert text."""

    async def post(self, thread: ThreadKey, card: Card) -> str:
        """Post a card into a thread for everybody in it; its `ts`. Raises `SlackError`."""
        ...

    async def post_to_channel(self, channel: str, card: Card) -> str:
        """Post a card that begins a thread in a channel; its `ts`. Raises `SlackError`."""
        ...

    async def update(self, channel: str, ts: str, card: Card) -> None:
        """Change a card that was posted. Raises `SlackError`."""
        ...

    async def post_ephemeral(self, user: str, channel: str, root_ts: str, card: Card) -> None:
        """Show a card to one person alone; in a thread where `root_ts` names one. Never raises for
        Slack's sake."""
        ...

    async def open_dm(self, user: str) -> str:
        """The channel of the direct messages with somebody. Raises `SlackError`."""
        ...

    async def upload(self, user: str, name: str, content: str, comment: str) -> None:
        """Give a text file to one person, in the direct messages with them. Raises `SlackError`."""
        ...

    async def set_title(self, thread: ThreadKey, title: str) -> None:
        """Give a thread's agent session a title in Slack. Never raises for Slack's sake."""
        ...
