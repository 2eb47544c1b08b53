"""What happens in one round of chaos: a list of steps that follows from a seed, and nothing else.

The same seed is the same script, word for word; how it meets the bot is up to the machine. Every
question carries a marker that no other has, and says how long its answer is to be, so that what the
model answers (`told`) follows from the question alone and can be compared letter by letter.
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
"""In the place of a channel: the direct messages between the bot and whoever writes."""

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
"""Slack's methods that have a bad day; `apps.connections.open` is the socket's affair."""
WRITING: Final = ("chat.startStream", "chat.appendStream", "chat.stopStream", "chat.postMessage")
"""At which of its calls the bot is killed: Slack has done it, and the bot does not learn so."""


def question(thread: int, number: int, lines: int, version: int = 0) -> str:
    """What is asked: in which thread, which message of the round, for how long an answer."""
    return f"Tell me about t{thread:02}m{number:03}v{version} in {lines} lines"


def expected_answer(text: str) -> str:
    """What the model says to a question, whole; empty where it is not one of ours."""
    found = _QUESTION.search(text)
    if found is None:
        return ""
    marker, lines = found[1], int(found[2])
    return "\n".join(f"{marker} line {line} of {lines}." for line in range(1, lines + 1))


class Trouble(StrEnum):
    """What the model does with a question before it answers it properly."""

    NONE = ""
    SLOW = "slowly"
    """It takes its time between the pieces."""
    ERROR = "after an HTTP 500"
    LIMIT = "after an HTTP 429"
    CUT = "after its connection was cut half-way"
    GARBAGE = "after half an answer that ended in garbage"
    REFUSED = "never: it answers 400"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that happens, and how long it is until the next one."""

    pause: float = 0.0
    """Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Say(Step):
    """Somebody writes a message that the bot has to answer."""

    number: int
    thread: int
    person: str
    place: str
    """A channel, or `DIRECT`."""
    lines: int
    begins: bool
    """Whether it begins the thread."""
    mentions: bool
    """Whether it calls the bot by name; what does not is a follow-up."""
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
    """The author of a message changes it: another version of the question."""

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
    """Somebody gives a command in a thread: asks how it stands, or has its session begin anew."""

    of: Say
    command_name: str

    def __str__(self) -> str:
        return f"{self.of.person} writes !{self.command_name} in thread {self.of.thread}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryStep(Step):
    """Two people want another answer in a thread, at once; or its owner wants it twice."""

    of: Say
    users: tuple[str, str]

    def __str__(self) -> str:
        return f"{' and '.join(self.users)} write !retry in thread {self.of.thread}, at once"


@dataclass(frozen=True, slots=True, kw_only=True)
class AbsenceStep(Step):
    """The bot is ended; what is written meanwhile Slack does not bring, and reading it fails a few
    times once the bot is back. Its clock may be wrong then, until the next start."""

    say: Say
    unread: int
    """How often each of Slack's reading methods fails."""
    ahead: float
    """Seconds by which the bot's clock is ahead."""

    def __str__(self) -> str:
        wrong = f", its clock {self.ahead:.0f} s ahead" if self.ahead else ""
        return f"the bot is away, reading fails {self.unread} times then{wrong}; {self.say}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop(Step):
    """Somebody presses Stop in a thread, if it is there."""

    of: Say

    def __str__(self) -> str:
        return f"{self.of.person} presses Stop in thread {self.of.thread}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault(Step):
    """Slack has a bad day: a method of the Web API, its socket, or its events."""

    method: str
    kind: str
    times: int
    seconds: float = 1.0

    def __str__(self) -> str:
        return f"Slack: {self.method} {self.kind}, {self.times} times"


@dataclass(frozen=True, slots=True, kw_only=True)
class KillBot(Step):
    """`kill -9` of the bot; it is started again."""

    at: str = ""
    """The moment at which Slack has done this call of the bot's; empty: at once."""

    def __str__(self) -> str:
        return f"kill -9 of the bot at {self.at}" if self.at else "kill -9 of the bot"


@dataclass(frozen=True, slots=True, kw_only=True)
class KillRuntime(Step):
    """`kill -9` of the Copilot runtime."""

    def __str__(self) -> str:
        return "kill -9 of the runtime"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminate(Step):
    """SIGTERM to the bot, which has to end by itself; it is started again."""

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
        """How many steps of a kind there are; what is written while the bot is away counts."""
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
    """Whether several people write in it; then all of them mention the bot."""
    messages: list[Say] = field(default_factory=list)


class _Writer:
    """Makes up a script."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311  # a script, no secret
        self._threads: list[_Thread] = []
        self._messages: list[Say] = []

    def steps(self, count: int) -> list[Step]:
        """Messages first, so that there is something to lose; then all of it mixed."""
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
        """One of the last few: what may still wait, or run."""
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
    """The round of a seed: so many steps. Three of four hear Slack by Socket Mode, one by HTTP."""
    return Script(
        seed=seed, mode="http" if seed % 4 == 3 else "socket", steps=_Writer(seed).steps(steps)
    )
