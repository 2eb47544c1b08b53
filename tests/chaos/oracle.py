"""Checks the state after a round of chaos.

Every check yields a sentence per problem; a round is good when there are none.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from bot.commands.texts.sessions import RESET_DONE
from bot.domain.messages import ts_position
from bot.domain.turns import TurnState
from bot.slack.replies.messages import REPLY_EVENT_TYPE
from tests.chaos.database_reader import ExecutedCommand, Row
from tests.chaos.generator import MARKER, Say, expected_answer
from tests.emulator_client import PEOPLE, Json, shown_text
from tests.scenarios.conftest import question_of
from tests.scripted_model import ModelRequest, prompt_of

Place = tuple[str, str]
"""A channel and the `ts` of a message or of a thread's first message."""

_RESET: Final = RESET_DONE.partition("{")[0]
OPEN: Final = (TurnState.WAITING, TurnState.RUNNING)


@dataclass(slots=True)
class WrittenMessage:
    """A message of a user, with the author's own edits and deletion."""

    say: Say
    channel: str
    ts: str
    root_ts: str
    versions: set[str] = field(default_factory=set)
    deleted: bool = False

    @property
    def name(self) -> str:
        return f"message {self.say.number} of thread {self.say.thread}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """Everything that can be checked at the end."""

    written: Sequence[WrittenMessage]
    turns: Mapping[Place, Row]
    """Each turn by its message."""
    threads: Mapping[Place, Sequence[Json]]
    """All messages of each thread, with their metadata, oldest first."""
    ephemeral_messages: Mapping[str, Sequence[str]]
    """The ephemeral messages of each user."""
    requests: Sequence[ModelRequest]
    resets: Sequence[ExecutedCommand] = ()
    """The `reset` commands; none if the bot's clock was wrong, because it gives their order."""
    processing: Sequence[Place] = ()
    """The threads under which Slack still shows that the bot works."""


def problems(seen: Observations) -> Iterator[str]:
    """All problems of a round."""
    replies = _replies(seen)
    for written in seen.written:
        turn = seen.turns.get((written.channel, written.ts))
        if turn is None:
            yield f"{written.name} was lost: it is not on record"
        elif turn.state in OPEN:
            yield f"{written.name} is left {turn.state}"
        else:
            shown = replies.get(turn.id, [])
            yield from (
                f"{written.name} ({turn.state}) {why}"
                for why in _outcome(written, turn, shown, seen)
            )
    yield from _threads(seen)
    yield from _order(seen, replies)
    yield from _histories(seen)
    yield from _memories(seen)
    yield from _forgotten(seen)
    yield from _resets(seen)
    for place in seen.processing:
        yield f"thread {place} still shows that the bot works"


def _replies(seen: Observations) -> dict[int, list[Json]]:
    """The messages of each turn's reply by turn id, oldest first."""
    found: defaultdict[int, list[Json]] = defaultdict(list)
    for messages in seen.threads.values():
        for message in messages:
            if (turn := _turn_of(message)) is not None:
                found[turn].append(message)
    return found


def _turn_of(message: Json) -> int | None:
    metadata = message.get("metadata") or {}
    if metadata.get("event_type") != REPLY_EVENT_TYPE:
        return None
    turn = metadata["event_payload"].get("turn")
    return turn if isinstance(turn, int) else None


def _outcome(
    written: WrittenMessage, turn: Row, reply: list[Json], seen: Observations
) -> Iterator[str]:
    """Check the one outcome of a message: what its thread or its author is shown."""
    if turn.text not in written.versions:
        yield f"was taken as {turn.text!r}"
        return
    texts = [shown_text(message) for message in reply]
    if len({message["metadata"]["event_payload"]["part"] for message in reply}) != len(reply):
        yield f"has a part of its reply twice: {texts}"
    whole, answer = expected_answer(turn.text), turn.answer
    match turn.state:
        case TurnState.DONE:
            if not same(texts, whole):
                yield f"shows {_short(texts)} and the model said {whole[:80]!r}…"
        case TurnState.WITHDRAWN:
            if not written.deleted:
                yield "was withdrawn but not deleted"
            if texts:
                yield f"is withdrawn and yet shows {_short(texts)}"
        case _ if not texts:
            if not _ephemeral_problems(turn, seen):
                yield "shows nothing, and its author got no message"
        case _:
            if not whole.startswith(answer):
                yield f"has an answer on record that the model never gave: {answer[:80]!r}"
            if not turn.note or not same(texts, f"{answer}\n\n_{turn.note}_"):
                yield f"shows {_short(texts)} and on record is {answer[-80:]!r}, {turn.note!r}"


def same(texts: Sequence[str], wanted: str) -> bool:
    """True if the texts are the answer, letter by letter; breaks between its parts are ignored."""
    if len(texts) == 1:
        return texts[0].strip() == wanted.strip()
    return "".join("".join(texts).split()) == "".join(wanted.split())


def _short(texts: Sequence[str]) -> str:
    return str([text if len(text) < 160 else f"{text[:70]}…{text[-70:]}" for text in texts])


def _ephemeral_problems(turn: Row, seen: Observations) -> bool:
    """True if the author of a message got an ephemeral message."""
    (name,) = (name for name, user in PEOPLE.items() if user == turn.user)
    return bool(seen.ephemeral_messages[name])


def _threads(seen: Observations) -> Iterator[str]:
    """Check that nothing is left open, and that every message is of a turn of this thread."""
    numbers = {(w.channel, w.root_ts): w.say.thread for w in seen.written}
    known = {row.id: (row.channel, row.root_ts) for row in seen.turns.values()}
    for place, messages in seen.threads.items():
        number = numbers[place]
        for message in messages:
            text = shown_text(message)
            if marks := [reaction["name"] for reaction in message.get("reactions", [])]:
                yield f"thread {number} has {marks} left on {text[:80]!r}"
            if message.get("streaming", {}).get("state") == "streaming":
                yield f"thread {number} has a stream that was left open: {text[:80]!r}"
            if strange := {m for m in MARKER.findall(text) if int(m[1:3]) != number}:
                yield f"thread {number} shows {strange}, which is another thread's"
            if not message.get("bot_id"):
                continue
            turn = _turn_of(message)
            if turn is None and text.startswith(_RESET):
                continue
            if turn is None:
                yield f"thread {number} has a message of no turn: {text[:80]!r}"
            elif known.get(turn) != place:
                yield f"thread {number} has a message of turn {turn}, which is not its"


def _order(seen: Observations, replies: Mapping[int, Sequence[Json]]) -> Iterator[str]:
    """Check that messages written and accepted in order are answered in order in each thread."""
    by_thread: defaultdict[Place, list[Row]] = defaultdict(list)
    for row in sorted(seen.turns.values(), key=lambda row: row.id):
        if replies.get(row.id):
            by_thread[row.channel, row.root_ts].append(row)
    for rows in by_thread.values():
        for before, after in pairwise(rows):
            in_order = ts_position(before.ts) < ts_position(after.ts)
            first, second = (ts_position(replies[row.id][0]["ts"]) for row in (before, after))
            if in_order and first > second:
                yield f"{after.text!r} was answered before {before.text!r}"


def _histories(seen: Observations) -> Iterator[str]:
    """Check that no session knows another thread's questions, or the same question twice."""
    for request in seen.requests:
        markers = [
            marker for prompt in request.prompts for marker in MARKER.findall(question_of(prompt))
        ]
        if len({marker[:3] for marker in markers}) > 1:
            yield f"one session was asked what belongs to several threads: {markers}"
        if doubled := [marker for marker, times in Counter(markers).items() if times > 1]:
            yield f"the model was sent the same question twice in one history: {doubled}"


def _memories(seen: Observations) -> Iterator[str]:
    """Check that the answers in a session's history are the model's, letter by letter."""
    states: defaultdict[str, set[str]] = defaultdict(set)
    for row in seen.turns.values():  # a retried question has several
        states[row.text].add(row.state)
    for request in seen.requests:
        for question, known in _known(request):
            whole, ended = expected_answer(question), states[question]
            half = ended - {TurnState.DONE} and whole.startswith(known)
            if whole and ended and known != whole and not half:
                yield f"a session knows {known[-80:]!r} as the answer to {question!r} ({ended})"


def _known(request: ModelRequest) -> Iterator[tuple[str, str]]:
    """The questions of a history, each with its answer."""
    question = ""
    answer: list[str] = []
    for role, text in request.messages:
        if role == "user":
            if question and answer:
                yield question, "".join(answer).strip()
            question, answer = question_of(prompt_of(text)), []
        elif role == "assistant":
            answer.append(text)


def _resets(seen: Observations) -> Iterator[str]:
    """Check that a question after a reset is sent without the history from before it."""
    rows = {row.text: row for row in seen.turns.values()}
    for request in seen.requests:
        own = [rows[text] for text in map(question_of, request.prompts) if text in rows]
        if not own:
            continue
        last = own[-1]
        for reset in seen.resets:
            here = (reset.channel, reset.thread) == (last.channel, last.root_ts)
            if not here or ts_position(last.ts) < ts_position(reset.ts):
                continue
            if last.accepted < reset.given:
                continue  # Slack delivered the reset after the question
            old = [row.text for row in own[:-1] if row.ended and row.ended < float(reset.ts)]
            if old:
                yield f"{last.text!r} was asked after a reset with the memory of {old}"


def _forgotten(seen: Observations) -> Iterator[str]:
    """Check that a session knows all its earlier answers.

    Threads with a retry are left out: a retry removes the later history.
    """
    rows = {row.text: row for row in seen.turns.values()}
    retried = {(row.channel, row.root_ts) for row in seen.turns.values() if row.retry_of}
    for request in seen.requests:
        questions = [question_of(prompt) for prompt in request.prompts]
        last = rows.get(questions[-1]) if questions else None
        if last is None or not last.session or (last.channel, last.root_ts) in retried:
            continue
        for row in rows.values():
            before = row.session == last.session and 0 < row.ended < last.accepted
            if before and row.state == TurnState.DONE and row.text not in questions:
                yield f"{last.text!r} was asked without the memory of {row.text!r}"
