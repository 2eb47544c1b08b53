"""Generates the script of one round of chaos: a list of steps that depends on the seed only.

The same seed gives the same script, word for word; the timing depends on the machine. Every
question carries a unique marker and the length of its answer. The answer (`expected_answer`) thus
follows from the question alone and can be compared letter by letter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from random import Random
from typing import Final

from tests.emulator_client import DEV, GENERAL

DIRECT: Final = "direct"
"""Place, instead of a channel, of the direct messages between the bot and the author."""

_QUESTION: Final = re.compile(r"Tell me about (t[0-9]{2}m[0-9]{3}v[0-9]) in ([0-9]+) lines")
MARKER: Final = re.compile(r"t[0-9]{2}m[0-9]{3}v[0-9]")

METHODS: Final = (
    "agents.sessions.setStatus",
    "chat.appendStream",
    "chat.postMessage",
    "chat.startStream",
    "chat.stopStream",
    "chat.update",
    "conversations.replies",
    "reactions.add",
    "reactions.remove",
    "users.info",
)
"""Slack's methods that get faults; `apps.connections.open` gets them as faults of the socket."""
WRITING: Final = ("chat.startStream", "chat.appendStream", "chat.stopStream", "chat.postMessage")
"""The calls at which the bot is killed: Slack has done the call, and the bot has no response."""


def question(thread: int, number: int, lines: int, version: int = 0) -> str:
    """The text of a question: its thread, its number in the round, and its answer's length."""
    return f"Tell me about t{thread:02}m{number:03}v{version} in {lines} lines"


def expected_answer(text: str) -> str:
    """The model's whole answer to a question, or an empty string for any other text."""
    found = _QUESTION.search(text)
    if found is None:
        return ""
    marker, lines = found[1], int(found[2])
    return "\n".join(f"{marker} line {line} of {lines}." for line in range(1, lines + 1))


class Trouble(StrEnum):
    """A fault of the model before it answers a question properly."""

    NONE = ""
    SLOW = "slowly"
    """It waits between the chunks."""
    ERROR = "after an HTTP 500"
    LIMIT = "after an HTTP 429"
    CUT = "after its connection was cut half-way"
    GARBAGE = "after half an answer that ended in garbage"
    REFUSED = "never: it answers 400"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a script, and the pause after it."""

    pause: float = 0.0
    """Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Say(Step):
    """A user writes a message that the bot has to answer."""

    number: int
    thread: int
    person: str
    place: str
    """A channel, or `DIRECT`."""
    lines: int
    begins: bool
    """True if it begins the thread."""
    mentions: bool
    """True if it mentions the bot; a message without a mention is a follow-up."""
    trouble: Trouble

    @property
    def text(self) -> str:
        return question(self.thread, self.number, self.lines)

    def __str__(self) -> str:
        where = f"begins thread {self.thread} in {self.place}" if self.begins else "writes"
        how = f", answered {self.trouble}" if self.trouble else ""
        called = "" if self.mentions or self.place == DIRECT else " without a mention"
        return f"{self.person} {where}: {self.text!r}{called}{how}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit(Step):
    """The author of a message edits it into another version of the question."""

    of: Say

    @property
    def text(self) -> str:
        return question(self.of.thread, self.of.number, self.of.lines, version=1)

    def __str__(self) -> str:
        return f"{self.of.person} edits message {self.of.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete(Step):
    """The author of a message deletes it."""

    of: Say

    def __str__(self) -> str:
        return f"{self.of.person} deletes message {self.of.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandStep(Step):
    """A user sends a command in a thread: `status` or `reset`."""

    of: Say
    command_name: str

    def __str__(self) -> str:
        return f"{self.of.person} writes !{self.command_name} in thread {self.of.thread}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryStep(Step):
    """Two users send `retry` in a thread at once, or its owner sends it twice."""

    of: Say
    users: tuple[str, str]

    def __str__(self) -> str:
        return f"{' and '.join(self.users)} write !retry in thread {self.of.thread}, at once"


@dataclass(frozen=True, slots=True, kw_only=True)
class AbsenceStep(Step):
    """The bot is stopped while a message is written, and Slack does not deliver the message.

    After the start the reading methods fail a few times. The bot's clock may be wrong until the
    start after that.
    """

    say: Say
    unread: int
    """Number of failures of each reading method of Slack."""
    ahead: float
    """Seconds by which the bot's clock is ahead."""

    def __str__(self) -> str:
        wrong = f", its clock {self.ahead:.0f} s ahead" if self.ahead else ""
        return f"the bot is away, reading fails {self.unread} times then{wrong}; {self.say}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop(Step):
    """A user presses Stop in a thread, if the button is there."""

    of: Say

    def __str__(self) -> str:
        return f"{self.of.person} presses Stop in thread {self.of.thread}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault(Step):
    """A fault of Slack: in a method of the Web API, its socket, or its events."""

    method: str
    kind: str
    times: int
    seconds: float = 1.0

    def __str__(self) -> str:
        return f"Slack: {self.method} {self.kind}, {self.times} times"


@dataclass(frozen=True, slots=True, kw_only=True)
class KillBot(Step):
    """`kill -9` of the bot, which is then started again."""

    at: str = ""
    """The method after whose next call the bot is killed; empty: at once."""

    def __str__(self) -> str:
        return f"kill -9 of the bot at {self.at}" if self.at else "kill -9 of the bot"


@dataclass(frozen=True, slots=True, kw_only=True)
class KillRuntime(Step):
    """`kill -9` of the Copilot runtime."""

    def __str__(self) -> str:
        return "kill -9 of the runtime"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminate(Step):
    """SIGTERM to the bot, which must end by itself and is then started again."""

    def __str__(self) -> str:
        return "SIGTERM to the bot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock(Step):
    """The database is locked for a while."""

    seconds: float

    def __str__(self) -> str:
        return f"the database is locked for {self.seconds:.1f} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """One round."""

    seed: int
    mode: str
    """The bot's `SLACK_MODE`."""
    steps: Sequence[Step]

    def of(self, kind: type[Step]) -> int:
        """Number of steps of a kind, including the messages written while the bot is away."""
        steps = (each for step in self.steps for each in (step, getattr(step, "say", None)))
        return sum(isinstance(each, kind) for each in steps)

    def __str__(self) -> str:
        at, lines = 0.0, [f"seed {self.seed}, SLACK_MODE={self.mode}"]
        for step in self.steps:
            lines.append(f"  {at:6.2f} s  {step}")
            at += step.pause
        return "\n".join(lines)


@dataclass(slots=True)
class _Thread:
    number: int
    place: str
    owner: str
    shared: bool
    """True if several users write in it; then all of them mention the bot."""
    messages: list[Say] = field(default_factory=list)


class _Writer:
    """Generates the steps of a script."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311  # a script, no secret
        self._threads: list[_Thread] = []
        self._messages: list[Say] = []

    def steps(self, count: int) -> list[Step]:
        """`count` steps: two messages first, so that a fault has a target, then all kinds mixed."""
        made: list[Step] = [self._say() for _ in range(2)]
        kinds: dict[Callable[[], Step], int] = {
            self._say: 45,
            self._edit: 6,
            self._delete: 3,
            self._stop: 3,
            self._ask_status: 2,
            self._reset: 3,
            self._retry: 3,
            self._away: 2,
            self._call_fault: 16,
            self._event_fault: 6,
            self._socket_fault: 4,
            self._kill_bot: 6,
            KillRuntime: 3,
            Terminate: 3,
            lambda: Lock(seconds=self._random.uniform(0.3, 3.0)): 3,
        }
        while len(made) < count:
            (make,) = self._random.choices(list(kinds), list(kinds.values()))
            made.append(make())
        return [replace(step, pause=self._pause()) for step in made]

    def _pause(self) -> float:
        return round(self._random.choice((0.0, 0.05, 0.2, 0.6, 1.2)) * self._random.random(), 3)

    def _say(self) -> Say:
        chance = self._random
        begins = len(self._threads) < 2 or (len(self._threads) < 7 and chance.random() < 0.35)
        if begins:
            place = chance.choice((GENERAL, GENERAL, DEV, DIRECT))
            owner = chance.choice(("alice", "bob", "carol"))
            shared = place != DIRECT and chance.random() < 0.4
            self._threads.append(_Thread(len(self._threads), place, owner, shared))
            thread = self._threads[-1]
        else:
            thread = chance.choice(self._threads)
        person = chance.choice(("alice", "bob", "carol")) if thread.shared else thread.owner
        say = Say(
            number=len(self._messages),
            thread=thread.number,
            person=thread.owner if begins else person,
            place=thread.place,
            lines=chance.choice((1, 3, 12, 12, 40, 40, 700)),
            begins=begins,
            mentions=thread.place != DIRECT and (begins or thread.shared or chance.random() < 0.3),
            trouble=chance.choice((*[Trouble.NONE] * 5, *[Trouble.SLOW] * 3, *Trouble)),
        )
        thread.messages.append(say)
        self._messages.append(say)
        return say

    def _recent(self) -> Say:
        """One of the last four messages, which may still wait or run."""
        return self._random.choice(self._messages[-4:])

    def _edit(self) -> Edit:
        return Edit(of=self._recent())

    def _delete(self) -> Step:
        later = [say for say in self._messages[-4:] if not say.begins]
        return Delete(of=self._random.choice(later)) if later else self._say()

    def _stop(self) -> Stop:
        return Stop(of=self._recent())

    def _ask_status(self) -> CommandStep:
        return CommandStep(of=self._recent(), command_name="status")

    def _reset(self) -> CommandStep:
        return CommandStep(of=self._begun(), command_name="reset")

    def _retry(self) -> RetryStep:
        of = self._begun()
        shared = self._threads[of.thread].shared
        other = self._random.choice(("alice", "bob", "carol")) if shared else of.person
        return RetryStep(of=of, users=(of.person, other))

    def _begun(self) -> Say:
        """The first message of one of the threads."""
        return self._random.choice(self._threads).messages[0]

    def _away(self) -> AbsenceStep:
        say = self._say()
        return AbsenceStep(
            say=replace(say, mentions=say.place != DIRECT),
            unread=self._random.choice((0, 2, 8)),
            ahead=self._random.choice((0.0, 0.0, 86_400.0)),
        )

    def _call_fault(self) -> Fault:
        kinds = ("429", "500", "drop_before", "drop_after", "slow", "garbage")
        return Fault(
            method=self._random.choice(METHODS),
            kind=self._random.choice(kinds),
            times=self._random.choice((1, 1, 2, 3)),
            seconds=self._random.choice((1.0, 2.0)),
        )

    def _event_fault(self) -> Fault:
        kind = self._random.choice(("duplicate", "reorder", "redeliver"))
        return Fault(method="events", kind=kind, times=self._random.choice((1, 2, 5)))

    def _socket_fault(self) -> Fault:
        kind = self._random.choice(("drop", "refuse", "half-open", "disconnect"))
        return Fault(method="socket", kind=kind, times=1)

    def _kill_bot(self) -> KillBot:
        return KillBot(at=self._random.choice(("", *WRITING)))


def script(seed: int, steps: int = 40) -> Script:
    """The script of a seed. Three of four rounds use Socket Mode and one uses HTTP."""
    return Script(
        seed=seed, mode="http" if seed % 4 == 3 else "socket", steps=_Writer(seed).steps(steps)
    )
