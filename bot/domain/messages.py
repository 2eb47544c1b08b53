"""The frozen facts that the parts of Threadpilot hand to one another.

Foreign payloads are turned into these at the doors (`bot.slack`, `bot.copilot`, `bot.store`);
behind the doors nobody sees a raw Slack or SDK payload.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

TS: Final = re.compile(r"([0-9]{1,12})\.([0-9]{6})", re.ASCII)
"""The shape of Slack's `ts`: seconds since the epoch, a dot, six digits that keep the messages of a
channel apart (docs.slack.dev/reference/events/message). Nothing else passes a door."""


def ts_position(ts: str) -> int:
    """Where a message stands among those of its channel, as a number: microseconds.

    Raises `ValueError` for what is no `ts`.
    """
    shape = TS.fullmatch(ts)
    if shape is None:
        raise ValueError(f"not the ts of a Slack message: {ts!r}")
    return int(shape[1]) * 1_000_000 + int(shape[2])


def ts_of(position: int) -> str:
    """The `ts` at a position: `ts_position` the other way."""
    return f"{position // 1_000_000}.{position % 1_000_000:06d}"


def storable(text: str) -> str:
    """`text` without what no database or model takes: NULs go, and half characters (lone
    surrogates, which JSON can carry and UTF-8 cannot) become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadKey:
    """Which Slack thread: the one address that every outgoing call and every session hangs on.

    `root_ts` is Slack's `thread_ts`, or the message's own `ts` where it starts a thread.
    """

    team: str
    channel: str
    root_ts: str

    def session_id(self, generation: int = 0) -> str:
        """The runtime's id of this thread's session; `generation` counts the resets.

        The runtime takes `[A-Za-z0-9_-]{1,250}` only (measured, CLI 1.0.102).
        """
        name = f"slack-{self.team}-{self.channel}-{self.root_ts.replace('.', '-')}"
        return name if generation == 0 else f"{name}-{generation}"

    def __str__(self) -> str:
        return f"{self.team}/{self.channel}/{self.root_ts}"


class Trigger(StrEnum):
    """Why a message may be the bot's business."""

    MENTION = "mention"
    """The bot is mentioned."""
    DIRECT = "direct"
    """Written in a direct message with the bot."""
    FOLLOW_UP = "follow_up"
    """Written without a mention in a thread; the bot's business while the thread is two-party."""
    ASIDE = "aside"
    """Written in a thread to somebody else: never answered, but its author takes part."""
    COMMAND = "command"
    """Asked by a slash command, a shortcut or a modal; the bot posted the thread's root itself."""
    BOT = "bot"
    """Said by another bot in a thread: recorded as heard, and nothing more."""
    BOT_MENTION = "bot_mention"
    """The bot is mentioned by another bot, one of those that are answered."""
    MENU = "menu"
    """Asked by a button under a reply; there is no message of its own, `ts` is the press's."""


BOTS_IN_A_ROW: Final = 3
"""So many messages of other bots in a row are answered in a thread; then a person has to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How a message wants to be answered, where that is not in the usual way."""

    role: str = ""
    """Which of the thread's sessions is asked; "" is the main one."""
    model: str = ""
    """The model for this turn alone."""
    again: int = 0
    """The turn that is to be answered anew: its session forgets it and all that came after it."""
    compare: tuple[str, ...] = ()
    """The models whose answers are to be compared."""
    open: bool = False
    """Whether a comparison shows the models' names at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a person wrote, as the bot understood it at the door."""

    event_id: str
    """Slack's id of the event: the same in every redelivery."""
    thread: ThreadKey
    ts: str
    """Slack's id of the message in its channel, sortable as a number; unique per channel."""
    user: str
    user_team: str
    """The workspace of the person, which in a shared channel is not `thread.team`."""
    text: str
    """Plain readable text: entities unescaped, the bot's own mention taken out, edges stripped."""
    trigger: Trigger
    ordered: str = field(default="", compare=False)
    """The same with people and channels by their ids, where that is known: what orders go by. It is
    not recorded; by then it is known whether the message is one."""
    external: bool = False
    """Whether the person belongs to another workspace (Slack Connect)."""
    direct: bool = False
    """Whether the channel is a direct message with the bot."""
    wish: Wish = Wish()

    @property
    def starts_thread(self) -> bool:
        return self.ts == self.thread.root_ts


class TurnState(StrEnum):
    """Where a turn stands: waiting → running → one of the others, which are final."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    """The answer is in the thread."""
    STOPPED = "stopped"
    """A person stopped it; what had been shown stays."""
    FAILED = "failed"
    """It could not be answered; the thread has a sentence saying why."""
    LOST = "lost"
    """A restart found it half-way with no answer on record; the thread has a sentence."""
    REFUSED = "refused"
    """Not one to answer (empty, too long, an outsider); the thread has a sentence."""
    WITHDRAWN = "withdrawn"
    """The person deleted the message before its turn came, or it turned out to be for others."""

    @property
    def final(self) -> bool:
        return self not in (TurnState.WAITING, TurnState.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What asking the model for a turn's answer cost."""

    model: str = ""
    """The model that answered; "" where that is not known."""
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0
    context_tokens: int = 0
    """What the last call took of the model's context; 0: unknown, like `context_limit`."""
    context_limit: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a turn ends: what the thread will show in the end, and the state that goes with it."""

    state: TurnState
    answer: str = ""
    """The whole of what the model said."""
    note: str = ""
    """A sentence of the bot's own, set apart from the answer."""
    spent: Spent | None = None
    """What it cost, where the model was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One accepted message on its way to its one visible outcome."""

    id: int
    message: Message
    state: TurnState
    epoch: int
    """Raised by each claim; a write with an older epoch changes nothing."""
    waited: bool = False
    """Whether the message may be marked as waiting."""
    prompted: bool = False
    """Whether its prompt may have been sent under an earlier claim."""
    ending: Ending | None = None
    """How it ends, once that is on record."""
    accepted: float = field(default=0.0, compare=False)
    """When its message was recorded, in seconds since the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """What a claim came to."""

    turn: Turn | None = None
    """The turn that may run, RUNNING; None where none may."""
    waiting: int = 0
    """How many turns wait still, whether they may run or not."""


class Acceptance(StrEnum):
    """What became of a message at the inbox's door."""

    SCHEDULED = "scheduled"
    """It is recorded as a turn."""
    REPEATED = "repeated"
    """It had been recorded before: Slack delivers twice, and redelivers."""
    OVERHEARD = "overheard"
    """It is recorded, but is people talking to people."""
    FULL = "full"
    """It is recorded as refused: too many messages wait already."""
    TAKEN = "taken"
    """It was to have a turn answered anew, and another one does that already."""
    ORDER = "order"
    """It is an order to the bot and not a question for the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The inbox's answer to a message."""

    acceptance: Acceptance
    turn: Turn | None = None
    """Present for SCHEDULED and FULL."""
    ahead: int = 0
    """How many turns of the same thread are open before this one."""
    overtaken: bool = False
    """It made its thread known, and people's later messages there had been heard before it: they
    are to be taken in again. Also of a REPEATED one, while they have not been."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """What the database knows of a thread."""

    key: ThreadKey
    people: frozenset[str]
    """Slack user ids of those who take part, the bot not counted."""
    people_known: bool
    """False while people may have written before the bot was first called into the thread."""


class Delivery(StrEnum):
    """How an answer reaches its audience."""

    STREAM = "stream"
    """A native Slack stream: live, but only for its one recipient."""
    EDITS = "edits"
    """A posted message that is edited at a pace: the same for everybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One Slack message of a reply; long answers have several, counted from 0."""

    number: int
    ts: str
    delivery: Delivery
    closed: bool = False
    """Whether its stream has been stopped (an edited part is always closed)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What `threadpilot doctor` found out about one thing, for the person who runs the bot."""

    ok: bool | None
    """None: cannot be known from here; the sentence says where to look."""
    sentence: str
    """What is well, or what is wrong and how to mend it; no secret in it."""


# What a session says while it answers ----------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TextAdded:
    """The model said more."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTakenBack:
    """The model call failed half-way and is tried again: what it said since the last
    `TextSettled` does not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSettled:
    """One message of the model is complete; `text` is what it said, all of it.

    There may be several to one prompt: one per model call.
    """

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensUsed:
    """One model call's cost. Several to one prompt are to be added up."""

    model: str
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptTaken:
    """The prompt is in the session's history; `event` is its id there. Comes once, before text."""

    event: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextUsed:
    """How full the model's context is by now, in tokens. The last one counts."""

    tokens: int
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerStopped:
    """The answer ended because somebody stopped it. Always the last event when it comes."""


AgentEvent = (
    TextAdded | TextTakenBack | TextSettled | TokensUsed | PromptTaken | ContextUsed | AnswerStopped
)
