"""Stores the workspace's current state: users, channels, messages, statuses, prompts and files.

Every change goes through a method here. Listeners (the app's events, the page's stream) get the
changes in their order. Everything is in memory and bounded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from slack_emulator.state import seed
from slack_emulator.state.changes import (
    Change,
    EphemeralPosted,
    MembershipChanged,
    MessageChanged,
    MessageDeleted,
    MessagePosted,
    PromptsSet,
    ReactionChanged,
    Reset,
    StatusSet,
)
from slack_emulator.state.clock import EmulatorClock
from slack_emulator.state.entities import (
    ApiError,
    Channel,
    Ephemeral,
    File,
    Message,
    SuggestedPrompts,
    ThreadStatus,
    User,
    UserGroup,
)

MAX_MESSAGES: Final = 10_000
"""Maximum number of messages per channel; the oldest are dropped."""
MAX_EPHEMERALS: Final = 500
"""Maximum number of ephemeral messages per user; the oldest are dropped."""
MAX_FILES: Final = 200
MAX_STATUSES: Final = 10_000
STATUS_SECONDS: Final = 120.0
"""Timeout of an assistant status in seconds (docs.slack.dev: assistant.threads.setStatus)."""


class Workspace:
    """The current state of the workspace."""

    def __init__(self, clock: EmulatorClock) -> None:
        self.clock = clock
        self.url = ""
        """The emulator's own address, for links to files and messages."""
        self.users: dict[str, User] = {
            user.id: user for user in (*seed.INITIAL_USERS, seed.OTHER_APP_BOT)
        }
        self._listeners: list[Callable[[Change], None]] = []
        self._last_micros = 0
        self._load_initial_state()

    def _load_initial_state(self) -> None:
        initial = seed.initial_channels(int(self.clock.now()))
        self.channels: dict[str, Channel] = {channel.id: channel for channel in initial}
        self._messages: dict[str, dict[str, Message]] = {}
        self._threads: dict[tuple[str, str], dict[str, None]] = {}
        self.ephemerals: dict[str, list[Ephemeral]] = {}
        self.statuses: dict[tuple[str, str], ThreadStatus] = {}
        self.prompts: dict[tuple[str, str | None], SuggestedPrompts] = {}
        self.files: dict[str, File] = {}

    def add_listener(self, listener: Callable[[Change], None]) -> None:
        """Call `listener` for every change from now on."""
        self._listeners.append(listener)

    def notify(self, change: Change) -> None:
        """Pass a change to all listeners."""
        for listener in self._listeners:
            listener(change)

    def reset(self) -> None:
        """Return to the initial state."""
        self._load_initial_state()
        self.notify(Reset())

    def next_ts(self) -> str:
        """A new message id: Slack's timestamp, unique and increasing."""
        self._last_micros = max(self._last_micros + 1, int(self.clock.now() * 1_000_000))
        return f"{self._last_micros // 1_000_000}.{self._last_micros % 1_000_000:06d}"

    # Users and channels

    def user(self, user_id: str) -> User:
        """The user with this id. Raises ApiError (`user_not_found`)."""
        if (user := self.users.get(user_id)) is None:
            raise ApiError("user_not_found")
        return user

    def user_by_token(self, token: str) -> User | None:
        """The user, or the other app's bot, of this token, or None."""
        acting = (*seed.HUMANS, seed.OTHER_APP_BOT)
        return next((user for user in acting if user.token == token), None)

    def user_ids_by_name(self) -> dict[str, str]:
        """Lower-case names to ids, for `@name` in typed text."""
        return {user.name.lower(): user.id for user in self.users.values()}

    def visible_channel(self, channel_id: str, user_id: str) -> Channel:
        """The channel, if this user may see it. Raises ApiError (`channel_not_found`) otherwise."""
        channel = self.channels.get(channel_id)
        if channel is None:
            raise ApiError("channel_not_found")
        if not self.can_see(user_id, channel):
            raise ApiError("channel_not_found")
        return channel

    def can_see(self, user_id: str, channel: Channel) -> bool:
        """True if the user may know of the channel. Guests know only the channels they are in."""
        if user_id in channel.members:
            return True
        guest = user_id in self.users and self.users[user_id].is_guest
        return not (channel.is_im or channel.is_private or guest)

    def user_group(self, group_id: str) -> UserGroup:
        """The user group with this id. Raises ApiError (`no_such_subteam`)."""
        found = next((group for group in seed.USER_GROUPS if group.id == group_id), None)
        if found is None:
            raise ApiError("no_such_subteam")
        return found

    def channel_id_by_name(self, name: str) -> str:
        """The id of the channel with this name, or an empty string."""
        return next((c.id for c in self.channels.values() if name and c.name == name), "")

    def joined_channel(self, channel_id: str, user_id: str) -> Channel:
        """As `visible_channel`. Raises ApiError (`not_in_channel`) if the user is not a member."""
        channel = self.visible_channel(channel_id, user_id)
        if user_id not in channel.members:
            raise ApiError("not_in_channel")
        return channel

    def channels_of(self, user_id: str) -> list[Channel]:
        """The channels and direct messages of this user."""
        return [channel for channel in self.channels.values() if user_id in channel.members]

    def open_im(self, first_user_id: str, second_user_id: str) -> tuple[Channel, bool]:
        """The direct message of two users, and True if it existed already."""
        members = frozenset((first_user_id, second_user_id))
        for channel in self.channels.values():
            if channel.is_im and channel.members == members:
                return channel, True
        names = sorted(self.user(user_id).name for user_id in members)
        opened = Channel(
            id=f"D0{''.join(names).upper()}",
            name="",
            members=members,
            created=int(self.clock.now()),
            is_im=True,
        )
        self.channels[opened.id] = opened
        for user_id in members:
            self.notify(MembershipChanged(opened, user_id, joined=True))
        return opened, False

    def join(self, channel: Channel, user_id: str, inviter: str | None = None) -> Channel:
        """Add a user to a channel."""
        grown = replace(channel, members=channel.members | {user_id})
        self.channels[channel.id] = grown
        self.notify(MembershipChanged(grown, user_id, joined=True, inviter=inviter))
        return grown

    def leave(self, channel: Channel, user_id: str) -> Channel:
        """Remove a user from a channel."""
        shrunk = replace(channel, members=channel.members - {user_id})
        self.channels[channel.id] = shrunk
        self.notify(MembershipChanged(shrunk, user_id, joined=False))
        return shrunk

    # Messages

    def messages(self, channel_id: str) -> list[Message]:
        """All messages of a channel, replies included, oldest first."""
        return list(self._messages.get(channel_id, {}).values())

    def replies(self, channel_id: str, root_ts: str) -> list[Message]:
        """The replies of a thread without its root, oldest first."""
        messages = self._messages.get(channel_id, {})
        return [
            messages[ts] for ts in self._threads.get((channel_id, root_ts), {}) if ts in messages
        ]

    def find_message(self, channel_id: str, ts: str) -> Message | None:
        return self._messages.get(channel_id, {}).get(ts)

    def message(self, channel_id: str, ts: str) -> Message:
        """The message with this ts. Raises ApiError (`message_not_found`)."""
        if (found := self.find_message(channel_id, ts)) is None:
            raise ApiError("message_not_found")
        return found

    def thread_root(self, channel_id: str, thread_ts: str) -> Message:
        """The root of a thread. Raises ApiError (`thread_not_found`).

        As at Slack, a reply's own ts leads to its root.
        """
        found = self.find_message(channel_id, thread_ts)
        if found is not None and found.thread_ts is not None:
            found = self.find_message(channel_id, found.thread_ts)
        if found is None:
            raise ApiError("thread_not_found")
        return found

    def post_message(self, message: Message) -> Message:
        """Post a message. A message of the app clears the free status text of its thread."""
        messages = self._messages.setdefault(message.channel, {})
        messages[message.ts] = message
        if message.thread_ts:
            self._threads.setdefault((message.channel, message.thread_ts), {})[message.ts] = None
        if len(messages) > MAX_MESSAGES:
            oldest = next(iter(messages))
            del messages[oldest]
            self._threads.pop((message.channel, oldest), None)
        self.notify(MessagePosted(message))
        self._notify_root_changed(message)
        if message.from_app:
            self._clear_status_text(message.channel, message.root_ts)
        return message

    def update_message(self, after: Message, *, silent: bool = False) -> Message:
        """Replace a message by its new version."""
        before = self.message(after.channel, after.ts)
        self._messages[after.channel][after.ts] = after
        self.notify(MessageChanged(before, after, silent=silent))
        return after

    def replace_silently(self, after: Message) -> None:
        """Replace a message without notice to the listeners; the caller notifies them."""
        self._messages[after.channel][after.ts] = after

    def delete_message(self, message: Message) -> None:
        """Delete a message; a root with replies leaves a tombstone."""
        if self.replies(message.channel, message.ts):
            left = Message(
                channel=message.channel,
                ts=message.ts,
                user="USLACKBOT",
                text="This message was deleted.",
                subtype="tombstone",
            )
            self._messages[message.channel][message.ts] = left
            self.notify(MessageDeleted(message, left))
            return
        del self._messages[message.channel][message.ts]
        if message.thread_ts:
            self._threads.get((message.channel, message.thread_ts), {}).pop(message.ts, None)
        self.notify(MessageDeleted(message))
        self._notify_root_changed(message)

    def _notify_root_changed(self, reply: Message) -> None:
        """Notify listeners that the root changed: it shows the number of replies."""
        if reply.thread_ts and (root := self.find_message(reply.channel, reply.thread_ts)):
            self.notify(MessageChanged(root, root, silent=True))

    def set_reaction(self, message: Message, name: str, user_id: str, *, added: bool) -> None:
        """Add or remove one user's reaction."""
        reactions = dict(message.reactions)
        others = [user for user in reactions.get(name, ()) if user != user_id]
        reactions[name] = (*others, user_id) if added else tuple(others)
        if not reactions[name]:
            del reactions[name]
        after = replace(message, reactions=reactions)
        self.replace_silently(after)
        self.notify(ReactionChanged(after, name, user_id, added))

    def post_ephemeral(self, ephemeral: Ephemeral) -> None:
        """Show a message to one user only; the same ts replaces the earlier one."""
        shown = self.ephemerals.setdefault(ephemeral.user, [])
        for place, before in enumerate(shown):
            if before.ts == ephemeral.ts and before.channel == ephemeral.channel:
                if ephemeral.deleted:
                    del shown[place]
                else:
                    shown[place] = ephemeral
                break
        else:
            shown.append(ephemeral)
            del shown[:-MAX_EPHEMERALS]
        self.notify(EphemeralPosted(ephemeral))

    def find_ephemeral(self, user_id: str, channel: str, ts: str) -> Ephemeral | None:
        """The ephemeral message of one user in a channel with this ts, or None."""
        seen = self.ephemerals.get(user_id, [])
        return next((one for one in seen if (one.channel, one.ts) == (channel, ts)), None)

    # Statuses and prompts under a thread

    def thread_status(self, channel: str, thread_ts: str) -> ThreadStatus:
        """The current status of a thread, without free text that has expired."""
        status = self.statuses.get((channel, thread_ts)) or ThreadStatus(
            channel=channel, thread_ts=thread_ts
        )
        if status.expires_at is not None and self.clock.now() >= status.expires_at:
            status = replace(status, status="", loading_messages=(), expires_at=None)
        return status

    def set_thread_status(self, status: ThreadStatus) -> None:
        """Set the status of a thread."""
        before = self.statuses.get((status.channel, status.thread_ts))
        self.statuses[status.channel, status.thread_ts] = status
        if len(self.statuses) > MAX_STATUSES:
            del self.statuses[next(iter(self.statuses))]
        renamed = (
            before is not None
            and before.session_status is not None
            and before.title != status.title
        )
        self.notify(StatusSet(status, before.title if before and renamed else None))

    def notify_if_status_expired(self, channel: str, thread_ts: str) -> None:
        """Notify listeners if the free text has expired and was not set again."""
        kept = self.statuses.get((channel, thread_ts))
        status = self.thread_status(channel, thread_ts)
        if kept is not None and kept != status:
            self.set_thread_status(status)

    def _clear_status_text(self, channel: str, thread_ts: str) -> None:
        status = self.thread_status(channel, thread_ts)
        if status.status:
            self.set_thread_status(replace(status, status="", loading_messages=(), expires_at=None))

    def set_prompts(self, prompts: SuggestedPrompts) -> None:
        """Set the suggested prompts."""
        self.prompts[prompts.channel, prompts.thread_ts] = prompts
        if len(self.prompts) > MAX_STATUSES:
            del self.prompts[next(iter(self.prompts))]
        self.notify(PromptsSet(prompts))

    def store_file(self, file: File) -> None:
        """Store a file; above the bound the oldest is dropped."""
        self.files[file.id] = file
        while len(self.files) > MAX_FILES:
            del self.files[next(iter(self.files))]
