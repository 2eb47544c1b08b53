"""Defines what the core needs from Slack: replies, user data, thread history and cards.

Implementations raise `SlackError` only. Cancellation propagates unchanged.
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
    """A turn's answer as the thread sees it, in one or more messages. Its only writer is the turn.

    `append` and `replace` return at once; the text goes out as fast as Slack allows. `finish` waits
    for Slack for at most 120 s. An error of Slack changes how the text is delivered, never the
    text.
    """

    @property
    def may_show_status(self) -> bool:
        """True if the reply is closed and its thread may still show that the bot works, because
        Slack did not clear the status in time. `Workspace.clear_status` then has to do it."""
        ...

    def append(self, text: str) -> None:
        """Add what the model wrote next."""
        ...

    def replace(self, text: str) -> None:
        """Replace the whole answer up to here by `text`."""
        ...

    async def finish(self, text: str, note: str = "", actions: ReplyActions | None = None) -> None:
        """Show the whole answer and close the reply.

        The thread then shows `text`, `note` (a sentence of the bot's own, set apart) and `actions`.
        If the text is too long for a thread, it shows the beginning, and a file holds all of it.

        Raises `SlackError`. If `transient` is true, Slack was not available in time, and the thread
        shows some, all or none of the answer. A later `open_reply` of the same turn, with the saved
        parts, can finish it and posts nothing twice. If `transient` is false, Slack refused the
        answer in every form of delivery.
        """
        ...


class Workspace(Protocol):
    """What the core needs from Slack to answer a turn."""

    def open_reply(
        self, turn: Turn, participants: frozenset[str], previous_parts: Sequence[ReplyPart] = ()
    ) -> AbstractAsyncContextManager[Reply]:
        """Open a reply in the turn's thread, with the delivery that suits its participants.

        While the reply is open, the thread shows that the bot works (native status with a Stop
        button). `previous_parts` are the messages that an interrupted run of the turn posted. The
        reply adopts, edits and closes them, so that nothing is posted twice. It does the same with
        messages of this turn that were posted but not saved.

        Leaving the context closes what is still open and clears the status (see
        `Reply.may_show_status`). This takes at most 30 s and raises no `SlackError`.
        """
        ...

    async def clear_status(self, thread: ThreadKey) -> bool:
        """Clear the status that says that the bot works in a thread.

        Returns True if the status is certainly gone, or can never be cleared. Returns False if it
        is too early: a reply of the thread is open and clears the status itself, or Slack may still
        carry out an earlier call. Waits only for the call itself. Raises `SlackError`; if it is
        `transient`, the caller may try again.
        """
        ...

    async def fetch_participants(self, thread: ThreadKey) -> frozenset[str]:
        """The ids of the users, without bots, who have written in the thread.

        Read from Slack in at most 10 s, from the first 1,000 messages: Slack returns the oldest
        first.
        """
        ...

    async def add_waiting_reaction(self, message: Message) -> bool:
        """Mark a message as queued. Raises no `SlackError`. Returns False only if the mark is
        certainly not shown."""
        ...

    async def remove_waiting_reaction(self, message: Message) -> bool:
        """Remove the mark of a queued message.

        Returns True if the mark is certainly gone. Returns False if Slack may still carry out an
        earlier call. Waits only for the call itself. Raises `SlackError`; if it is `transient`, the
        caller may try again.
        """
        ...

    async def post_notice(self, message: Message, text: str) -> bool:
        """Show a text to the message's author only, in the same place. Raises no `SlackError`.

        Returns False if the author certainly did not see it because of a transient error: the
        caller may try again.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadMessage:
    """One message of a thread, in its present form."""

    ts: str
    user: str
    """A user id, or the bot's own id (`B…`) of another bot."""
    name: str
    kind: UserKind
    text: str
    """Plain text, not truncated."""
    is_own: bool = False
    """True if this bot wrote it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadExcerpt:
    """The messages of a part of a thread."""

    root: ThreadMessage | None
    """The message that began the thread, or None if it is not in this part."""
    newest: Sequence[ThreadMessage]
    """The newest messages of this part, oldest first, without the root."""
    omitted_count: int
    """Number of older messages that were left out, at least."""


class ThreadHistory(Protocol):
    """Reads the messages of a thread."""

    async def fetch_excerpt(
        self, thread: ThreadKey, *, after: str, before: str, max_messages: int
    ) -> ThreadExcerpt:
        """The root and the newest `max_messages` messages between `after` and `before`, with the
        names of their authors.

        Both limits are a `ts`; an empty `after` means from the beginning. Takes at most 10 s.
        Raises `SlackError`.
        """
        ...


class UserDirectory(Protocol):
    """Looks up users and what they can see."""

    async def get_user(self, user_id: str) -> User:
        """The user, cached for at most ten minutes. Raises `SlackError`."""
        ...

    async def fetch_user(self, user_id: str) -> User:
        """The user, by a new call to Slack. If Slack is not available, the cached user, marked as
        such. Raises `SlackError`."""
        ...

    async def can_see(self, user_id: str, channel: str) -> bool:
        """True if a user can read a channel at this moment: as its member, or as a full member of
        the workspace if it is public.

        Always asks Slack. Returns False for a channel that the bot itself cannot see. Raises
        `SlackError`.
        """
        ...

    async def bot_can_see(self, channel: str) -> bool:
        """True if the bot itself can see a channel at this moment. Raises `SlackError`."""
        ...

    async def is_in_group(self, user_id: str, group: str) -> bool:
        """True if a user is in a user group (`S…`). Raises `SlackError`.

        A negative answer is cached for at most a minute; a positive one is always checked again.
        """
        ...


class CardPublisher(Protocol):
    """Posts cards. Every text in a card is shown as plain text."""

    async def post(self, thread: ThreadKey, card: Card) -> str:
        """Post a card into a thread for all its members. Returns its `ts`. Raises `SlackError`."""
        ...

    async def post_to_channel(self, channel: str, card: Card) -> str:
        """Post a card that begins a thread in a channel. Returns its `ts`. Raises `SlackError`."""
        ...

    async def update(self, channel: str, ts: str, card: Card) -> None:
        """Update a posted card. Raises `SlackError`."""
        ...

    async def post_ephemeral(self, user: str, channel: str, root_ts: str, card: Card) -> None:
        """Show a card to one user only; in a thread if `root_ts` is given. Raises no
        `SlackError`."""
        ...

    async def open_dm(self, user: str) -> str:
        """The id of the bot's direct message channel with a user. Raises `SlackError`."""
        ...

    async def upload(self, user: str, name: str, content: str, comment: str) -> None:
        """Send a text file to a user by direct message. Raises `SlackError`."""
        ...

    async def set_title(self, thread: ThreadKey, title: str) -> None:
        """Set the title of a thread's agent session in Slack. Raises no `SlackError`."""
        ...
