"""Fixture with one workspace in which killed bots are replaced, and the checks at the end."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bot.commands.texts import branch as branch_texts
from bot.domain.turns import TurnState
from bot.store.sqlite.data_dir import DATABASE_NAME
from bot.turns import processor
from slack_emulator.server import running_emulator
from tests.chaos.crashing_bot import CrashingBot, CrashPoint
from tests.emulator_client import Json, Refusal, shown_text
from tests.scenarios.conftest import (
    MANIFEST,
    ScenarioClient,
    app_config_of,
    environment,
    question_of,
    reply_actions_in,
)
from tests.scripted_model import Answer, ModelRequest, ScriptedModel

SETTLE_SECONDS: Final = 45.0
REDELIVERED_AFTER: Final = 61.0
"""Seconds until Slack redelivers an unacknowledged event (`slack_emulator.delivery.retries`)."""
COMMAND_SECONDS: Final = 4.0
"""Seconds after which Slack drops a command: it must be acknowledged within 3 s."""

HALF: Final = 25
"""Number of chunks that make about half of an answer."""
SOME_CHARS: Final = 150
"""Number of characters that are certainly in `HALF` chunks."""

_NOTICE_TEXTS: Final = (
    "the bot was ended at one step and another one went on from what was on record"
)
_LONG = "long"


def answer_to(question: str) -> str:
    """The model's answer to a question, always the same: 60 words, or 2,000 for a long one."""
    count = 2_000 if _LONG in question else 60
    body = " ".join(
        f"{word}-{number}"
        for number, word in zip(range(count), itertools.cycle(_NOTICE_TEXTS.split()))
    )
    return f"You asked: {question}. {body} The end of {question}."


def _answer(request: ModelRequest) -> str:
    return answer_to(question_of(request.prompt))


def talk(model: ScriptedModel, *, hold_after: int | None = None, quick: bool = False) -> None:
    """Set how the model answers from now on: some sixty chunks over about a second, or at once if
    `quick`. With `hold_after` it stops after so many chunks."""
    model.default = Answer(_answer, chunk_delay=0.0 if quick else 0.02, hold_after=hold_after)
    model.release()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question that a user posted."""

    person: str
    channel: str
    root: str
    ts: str
    text: str


@dataclass(frozen=True, slots=True)
class _SlashQuestion:
    """A question that a user sent by slash command."""

    person: str
    channel: str
    text: str
    acknowledged: bool = field(kw_only=True)
    """True if the bot acknowledged the command; else Slack showed an error to the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One turn in the database."""

    id: int
    channel: str
    ts: str
    state: TurnState
    retry_of: int
    """The turn that this one retries; 0 for none."""


class CrashFixture:
    """One workspace, one data folder and the bots that run there one after another."""

    def __init__(
        self, slack: ScenarioClient, model: ScriptedModel, env: dict[str, str], folder: Path
    ) -> None:
        self.slack = slack
        self.model = model
        self.env = env
        self.questions: list[Question] = []
        self._slash_questions: list[_SlashQuestion] = []
        self._folder = folder
        self._bots: list[CrashingBot] = []

    async def start(self, death: CrashPoint | None = None, *, watched: bool = True) -> CrashingBot:
        """Start a bot and wait until it is connected to Slack. A bot that is `watched` from its
        start may die before that."""
        bot = CrashingBot(self.env, self._folder / f"bot-{len(self._bots)}", death)
        self._bots.append(bot)
        if watched:
            bot.watch()
        await bot.start()
        return bot

    @property
    def last(self) -> CrashingBot:
        """The bot that was started last."""
        return self._bots[-1]

    async def close(self) -> None:
        for bot in self._bots:
            await bot.kill()

    # Actions of users

    async def ask(
        self, person: str, channel: str, text: str, root: str = "", *, mention: bool = True
    ) -> Question:
        """Post a question, in a new thread or in an existing one."""
        message = f"@threadpilot {text}" if mention else text
        ts = await self.slack.say(person, channel, message, thread_ts=root or None)
        question = Question(person=person, channel=channel, root=root or ts, ts=ts, text=text)
        self.questions.append(question)
        return question

    async def command(self, bot: CrashingBot, person: str, channel: str, text: str) -> None:
        """Send a question by slash command; a dying bot may leave it without an answer."""
        command = asyncio.create_task(self.slack.command(person, channel, "/copilot", text))
        await self.until(lambda: command.done() or not bot.alive, "the command is acknowledged")
        if not command.done():
            await self.slack.advance(COMMAND_SECONDS)
        acknowledged = False
        with suppress(Refusal):
            await command
            acknowledged = True
        self._slash_questions.append(
            _SlashQuestion(person, channel, text, acknowledged=acknowledged)
        )
        await self.until(lambda: self._open_questions == 0 or not bot.alive, "it is posted")
        if bot.alive:
            await self.collect_slash_questions()

    async def collect_slash_questions(self) -> None:
        """Add the questions sent by command, which the bot posts once to their channels.

        Raises `AssertionError` if an acknowledged question is missing.
        """
        if not self._slash_questions:
            return
        await self.until(lambda: self._open_questions == 0, "no command is half done")
        for slash in self._slash_questions:
            posts = await self.slack.history(slash.channel)
            posted = [m for m in posts if m.get("bot_id") and slash.text in m["text"]]
            assert len(posted) == 1 or not (posted or slash.acknowledged), (slash, posted)
            for message in posted:
                question = Question(
                    person=slash.person,
                    channel=slash.channel,
                    root=message["ts"],
                    ts=message["ts"],
                    text=slash.text,
                )
                if question not in self.questions:
                    self.questions.append(question)

    @property
    def _open_questions(self) -> int:
        ((count,),) = self._query("SELECT count(*) FROM open_questions")
        return int(count)

    async def until(
        self, what: Callable[[], bool], why: str, seconds: float = SETTLE_SECONDS
    ) -> None:
        """Wait until `what` returns True."""

        async def look() -> bool:
            return what()

        await self.slack.wait_for(look, seconds, why)

    async def until_half_shown_or_dead(self, bot: CrashingBot, question: Question) -> None:
        """Wait until the model holds and the thread shows a good part of its answer, or the bot is
        dead."""
        part = answer_to(question.text)[:SOME_CHARS]

        async def look() -> bool:
            return not bot.alive or (
                await self.slack.shows(question.channel, question.root, part)
                and self.model.holds > 0
            )

        await self.slack.wait_for(look, SETTLE_SECONDS, f"the thread shows {part!r}")

    async def wait_until_done_or_dead(self, bot: CrashingBot) -> None:
        """Wait until every question has its outcome, or the bot is dead."""
        await self.until(lambda: not bot.alive or self.settled, "the bot settles all, or dies")

    # Contents of the database

    @property
    def rows(self) -> list[Row]:
        """All turns on record, oldest first."""
        return [
            Row(id=id_, channel=channel, ts=ts, state=TurnState(state), retry_of=retry_of or 0)
            for id_, channel, ts, state, retry_of in self._query(
                """
                SELECT n.id, h.channel, n.ts, n.state, json_extract(n.wish, '$.again')
                FROM turns n JOIN threads h ON h.id = n.thread ORDER BY n.id
                """
            )
        ]

    @property
    def received_messages(self) -> int:
        """Number of messages on record, including those that users write to each other."""
        ((count,),) = self._query("SELECT count(*) FROM events")
        return int(count)

    def row_of(self, question: Question) -> Row | None:
        """The turn of a question, or None if it is not on record."""
        place = (question.channel, question.ts)
        fitting = [row for row in self.rows if (row.channel, row.ts) == place]
        return fitting[0] if fitting else None

    def state_of(self, question: Question) -> TurnState | None:
        """The state of a question's turn, or None if it is not on record."""
        row = self.row_of(question)
        return None if row is None else row.state

    @property
    def settled(self) -> bool:
        """True if every question is on record and every turn has ended."""
        rows = self.rows
        there = {(row.channel, row.ts) for row in rows}
        return all(row.state.final for row in rows) and all(
            (each.channel, each.ts) in there for each in self.questions
        )

    def _query(self, statement: str) -> list[sqlite3.Row]:
        file = Path(self.env["DATA_DIR"]) / DATABASE_NAME
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=10)) as database:
            return database.execute(statement).fetchall()

    # Checks at the end

    async def wait_and_retry(self) -> None:
        """Start another bot and check that it settles every message.

        Raises `AssertionError` if it does not.
        """
        talk(self.model, quick=True)
        bot = await self.start()
        assert bot.alive, bot.stderr
        await self.collect_slash_questions()
        # Slack redelivers what was not acknowledged, and acknowledged events too: each counts once.
        await self.slack.advance(REDELIVERED_AFTER)
        await self.until(lambda: self.settled, "every question is settled")
        await self._retry_lost()
        for channel, root in {
            (question.channel, question.root): None for question in self.questions
        }:
            last = await self.ask("alice", channel, f"and last {len(self.questions)}", root)
            await self.until(lambda: self.settled, "the thread's next message is settled")
            assert self.state_of(last) is TurnState.DONE
        await self.check()
        assert bot.alive, bot.stderr

    async def _retry_lost(self) -> None:
        """Press Retry under every reply that was lost."""
        for row in [row for row in self.rows if row.state is TurnState.LOST]:
            [question] = [a for a in self.questions if (a.channel, a.ts) == (row.channel, row.ts)]
            [message] = await self._messages_of(question, row.id)
            await self._press_button(question, message, "retry")
            await self.until(
                lambda lost=row.id: any(each.retry_of == lost for each in self.rows),  # type: ignore[misc]
                "the lost turn is retried",
            )
            await self.until(lambda: self.settled, "the retry is answered")

    async def _press_button(self, question: Question, message: Json, command_name: str) -> None:
        """Press a button, and confirm if the bot asks whether later answers may be forgotten."""
        before = len(await self.slack.ephemeral(question.person))
        [button] = [each for each in reply_actions_in(message) if each.command_name == command_name]
        await self.slack.press_reply_action(question.person, question.channel, button)
        notice = await self.slack.wait_for_ephemeral(question.person, before + 1)
        card = (await self.slack.ephemeral(question.person))[before]
        sure = [each for each in reply_actions_in(card) if each.label == branch_texts.RETRY_ANYWAY]
        if sure:
            await self.slack.press_reply_action(question.person, question.channel, sure[0])
        else:
            assert branch_texts.RETRY in notice

    async def check(self) -> None:
        """Check that every message has one outcome and that Slack shows the model's answer.

        Raises `AssertionError`.
        """
        ((well,),) = self._query("PRAGMA integrity_check")
        assert well == "ok"
        rows = self.rows
        retries = {row.retry_of: row for row in rows if row.retry_of}
        shown: Counter[str] = Counter()
        for question in self.questions:
            row = self.row_of(question)
            assert row is not None
            if row.state is TurnState.LOST:
                [notice] = await self._texts_of(question, row.id)
                assert processor.LOST in notice
                assert _flat(answer_to(question.text))[:20] not in notice
                shown[question.root] += 1
                row = retries[row.id]
            assert row.state is TurnState.DONE, (question, row)
            texts = await self._texts_of(question, row.id)
            assert _flat(" ".join(texts)) == _flat(answer_to(question.text))
            if _LONG not in question.text:
                assert len(texts) == 1
            shown[question.root] += len(texts)
            # Reactions are removed in the background; a turn does not wait for it.
            await self.slack.wait_until_reaction_cleared(question.channel, question.ts)
        assert len(rows) == len({(row.channel, row.ts) for row in rows})
        assert len(rows) == len(self.questions) + len(retries)
        for channel, root in {
            (question.channel, question.root): None for question in self.questions
        }:
            posts = await self.slack.bot_messages(channel, root)
            assert len(posts) == shown[root], [shown_text(message) for message in posts]
            assert [m for m in posts if m.get("streaming", {}).get("state") == "streaming"] == []
        for request in self.model.requests:
            times_sent = Counter(map(question_of, request.prompts))
            assert [question for question, times in times_sent.items() if times > 1] == []

    async def _texts_of(self, question: Question, turn: int) -> list[str]:
        return [shown_text(message) for message in await self._messages_of(question, turn)]

    async def _messages_of(self, question: Question, turn: int) -> Sequence[Json]:
        """The messages of a turn's reply, found by their metadata, oldest first."""
        page = await self.slack.as_app(
            "conversations.replies",
            channel=question.channel,
            ts=question.root,
            include_all_metadata=True,
            limit=1_000,
        )
        return [
            message
            for message in page["messages"]
            if message.get("metadata", {}).get("event_payload", {}).get("turn") == turn
        ]


def _flat(text: str) -> str:
    return " ".join(text.split())


@asynccontextmanager
async def crash_fixture(model: ScriptedModel, folder: Path) -> AsyncIterator[CrashFixture]:
    """A fixture with its own workspace and data folder."""
    async with running_emulator() as emulator, ScenarioClient(emulator.url) as slack:
        await slack.app(**app_config_of(MANIFEST))
        fixture = CrashFixture(slack, model, environment(emulator, model, folder / "data"), folder)
        try:
            yield fixture
        finally:
            await fixture.close()
