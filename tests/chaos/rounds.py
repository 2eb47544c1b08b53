"""Plays one round of chaos: runs a script against a whole bot, ends all faults, checks the result.

Slack is the emulator and the model is scripted; the bot, its runtime and its database are real.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from slack_emulator.call_log import LoggedCall
from slack_emulator.server import RunningEmulator, running_emulator
from tests.chaos import skewed_clock
from tests.chaos.database_reader import DatabaseReader
from tests.chaos.generator import (
    DIRECT,
    AbsenceStep,
    CommandStep,
    Delete,
    Edit,
    Fault,
    KillBot,
    KillRuntime,
    Lock,
    RetryStep,
    Say,
    Script,
    Step,
    Stop,
    Terminate,
    Trouble,
    expected_answer,
)
from tests.chaos.oracle import OPEN, Observations, Place, WrittenMessage, problems
from tests.chaos.skewed_clock import set_ahead
from tests.chaos.supervised_command import SupervisedCommand
from tests.emulator_client import PEOPLE, SIGNING_SECRET, Json, Refusal
from tests.scenarios.conftest import (
    MANIFEST,
    ScenarioClient,
    app_config_of,
    environment,
    free_port,
    question_of,
)
from tests.scripted_model import Answer, ModelRequest, ScriptedModel

MOMENT_SECONDS: Final = 3.0
"""Timeout in seconds of a kill that waits for a call of Slack."""
HEAL_SECONDS: Final = 180.0
"""Timeout in seconds for the bot to settle everything after the last fault."""
RETRIES: Final = (61.0, 301.0)
"""Seconds until Slack's redeliveries: an unacknowledged event comes again after 1 and 5 minutes."""
SETTLE_TIMEOUT_SECONDS: Final = 12.0
"""Timeout in seconds for the result of one redelivery before the next one."""
MEMORY_MB: Final = 300
"""Maximum memory of the bot itself at the end, in MB; it starts at about 90."""
LOOK_SECONDS: Final = 0.1
TIDY_SECONDS: Final = 150.0
"""Timeout in seconds for the bot to remove all reactions and statuses, under Slack's limits."""
MOST_LOST: Final = 1_000
"""Number of events to lose: more than one message causes."""


class Model(ScriptedModel):
    """The model of a round: gives each question its own answer, after its own trouble."""

    def __init__(self) -> None:
        super().__init__()
        self._troubles: dict[str, Answer] = {}
        self.default = Answer(_expected_answer)

    def expect(self, question: str, trouble: Trouble) -> None:
        """Set the trouble of a question that is about to be sent."""
        answer = _TROUBLES.get(trouble)
        if answer is not None:
            self._troubles[question] = answer

    def _choose(self, request: ModelRequest) -> Answer:
        question = question_of(request.prompt)
        answer = self._troubles.get(question, self.default)
        if answer.times is not None:
            del self._troubles[question]
        return answer


def _expected_answer(request: ModelRequest) -> str:
    return expected_answer(question_of(request.prompt))


_TROUBLES: Final[Mapping[Trouble, Answer]] = {
    Trouble.SLOW: Answer(_expected_answer, chunk_delay=0.05),
    Trouble.ERROR: Answer(fault=500, times=1),
    Trouble.LIMIT: Answer(fault=429, retry_after=1, times=1),
    Trouble.CUT: Answer(_expected_answer, fault="cut", times=1),
    Trouble.GARBAGE: Answer(_expected_answer, fault="garbage", times=1),
    Trouble.REFUSED: Answer(fault=400),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The result of a round."""

    script: Script
    problems: tuple[str, ...]
    outcomes: Mapping[str, int]
    """Number of turns by their final state."""
    kills: int
    faults: int
    seconds: float
    memory_mb: int
    log: Path

    @property
    def messages(self) -> int:
        """Number of messages that the bot had to answer."""
        return self.script.of(Say)

    @property
    def line(self) -> str:
        """A summary on one line."""
        ended = ", ".join(f"{count} {how}" for how, count in sorted(self.outcomes.items()))
        wrong = f"{len(self.problems)} WRONG" if self.problems else "all well"
        return (
            f"seed {self.script.seed}: {self.seconds:.0f} s, {self.messages} messages ({ended}), "
            f"{self.kills} kills, {self.faults} faults, {self.memory_mb} MB: {wrong}"
        )

    def __str__(self) -> str:
        """A report for debugging: the script, the problems, and how to repeat the round."""
        return "\n".join(
            [
                str(self.script),
                *(f"WRONG: {problem}" for problem in self.problems),
                f"the bot's log: {self.log}",
                f"again, alone: CHAOS_SEED={self.script.seed} make chaos",
            ]
        )


async def play(script: Script, folder: Path) -> Result:
    """Play a round. Its files are in `folder`; no process is left when it returns."""
    began = time.monotonic()
    async with AsyncExitStack() as opened:
        emulator = await opened.enter_async_context(running_emulator())
        model = await opened.enter_async_context(Model())
        slack = await opened.enter_async_context(ScenarioClient(emulator.url))
        await slack.app(**app_config_of(MANIFEST))
        env = environment(emulator, model, folder / "data")
        if script.mode == "http":
            port = str(free_port())
            env |= {"SLACK_MODE": "http", "SLACK_SIGNING_SECRET": SIGNING_SECRET, "HTTP_PORT": port}
        bot = SupervisedCommand(env, folder / "bot.log", skewed_clock.main)
        await opened.enter_async_context(bot.kept_running())
        await bot.up()
        if script.mode == "http":
            await slack.app(request_url=f"http://127.0.0.1:{env['HTTP_PORT']}/slack/events")
        runner = _RoundRunner(emulator, slack, model, bot, folder / "data", script)
        found = [*await runner.played(script), *bot.faults]
        return Result(
            script=script,
            problems=tuple(found),
            outcomes=runner.outcomes,
            kills=script.of(KillBot) + script.of(KillRuntime) + script.of(Terminate),
            faults=script.of(Fault) + script.of(Lock),
            seconds=time.monotonic() - began,
            memory_mb=runner.memory_mb,
            log=folder / "bot.log",
        )


class _RoundRunner:
    """Runs one round."""

    def __init__(
        self,
        emulator: RunningEmulator,
        slack: ScenarioClient,
        model: Model,
        bot: SupervisedCommand,
        data: Path,
        script: Script,
    ) -> None:
        self._emulator = emulator
        self._slack = slack
        self._model = model
        self._bot = bot
        self._data = data
        self._records = DatabaseReader(data)
        self._script = script
        self._roots: dict[int, WrittenMessage] = {}
        self._by_number: dict[int, WrittenMessage] = {}
        self._commands: list[Place] = []
        self.outcomes: Counter[str] = Counter()
        self.memory_mb = 0
        self.wrong_clock = False
        """True if the bot's clock was ever wrong."""

    @property
    def written(self) -> list[WrittenMessage]:
        """Every message that the bot has to answer."""
        return list(self._by_number.values())

    async def played(self, script: Script) -> list[str]:
        """Play a script; return the problems at the end, or what stopped the script."""
        try:
            for step in script.steps:
                await self.perform(step)
                await asyncio.sleep(step.pause)  # part of the script: it decides what coincides
            return await self.heal()
        except (AssertionError, TimeoutError) as error:
            return [f"it could not be played to its end: {error!r}"]

    async def perform(self, step: Step) -> None:
        """Perform a step, unless it is impossible by now: an edit after a deletion, or a Stop
        without its button."""
        with suppress(Refusal):
            match step:
                case Say():
                    await self._say(step)
                case Edit(of=say):
                    await self._edit(step, self._by_number[say.number])
                case Delete(of=say):
                    written = self._by_number[say.number]
                    await self._slack.delete(say.person, written.channel, written.ts)
                    written.deleted = True
                case Stop(of=say):
                    root = self._roots[say.thread]
                    await self._slack.stop(say.person, root.channel, root.ts)
                case CommandStep(of=say, command_name=command_name):
                    await self._command(say, say.person, command_name)
                case RetryStep(of=say):
                    await asyncio.gather(
                        *(self._command(say, person, "retry") for person in step.users)
                    )
                case AbsenceStep():
                    await self._away(step)
                case _:
                    await self._trouble(step)

    async def _trouble(self, step: Step) -> None:
        match step:
            case Fault() if step.method != "socket" or self._script.mode == "socket":
                await self._slack.fault(
                    step.method, step.kind, step.times, retry_after=step.seconds
                )
            case KillBot():
                if step.at:
                    await self._moment(step.at)
                self._bot.kill()
            case KillRuntime():
                self._bot.kill_runtime()
            case Terminate():
                await self._bot.stop()
            case Lock():
                with self._records.locked():
                    await asyncio.sleep(step.seconds)  # the lock lasts this long

    async def _moment(self, method: str) -> None:
        """Kill the bot right after its next call of a method, if one comes soon."""
        done = asyncio.Event()

        def note(call: LoggedCall) -> None:
            if call.method == method and not done.is_set():
                self._bot.kill()
                done.set()

        self._emulator.slack.call_log.add_listener(note)
        with suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), MOMENT_SECONDS)
        done.set()

    async def _say(self, say: Say) -> None:
        self._model.expect(say.text, say.trouble)
        root = self._roots.get(say.thread)
        direct = say.place == DIRECT
        channel = await self._slack.dm(say.person) if direct else say.place
        if root is not None and not (say.mentions or direct):
            # Where the bot has not written yet, the author mentions it again.
            begun = await self._slack.bot_messages(channel, root.ts, say.person)
            say = replace(say, mentions=not begun)
        called = "@threadpilot " if say.mentions and not direct else ""
        thread_ts = None if root is None else root.ts
        ts = await self._slack.say(say.person, channel, called + say.text, thread_ts=thread_ts)
        written = WrittenMessage(say, channel, ts, thread_ts or ts, {say.text})
        self._by_number[say.number] = written
        self._roots.setdefault(say.thread, written)

    async def _command(self, say: Say, person: str, command_name: str) -> None:
        """Send a command in a thread."""
        root = self._roots[say.thread]
        text = f"@threadpilot {command_name}" if say.mentions else f"!{command_name}"
        ts = await self._slack.say(person, root.channel, text, thread_ts=root.ts)
        self._commands.append((root.channel, ts))

    async def _away(self, absence: AbsenceStep) -> None:
        """Write a message while the bot is stopped; the bot can only find it by backfill."""
        self._bot.suspend()
        await self._bot.stop()
        faults = self._emulator.slack.faults
        lost = faults.add({"events": "lose", "times": MOST_LOST})
        await self._say(absence.say)
        faults.remove(lost)
        if absence.unread:
            for method in ("conversations.history", "conversations.replies"):
                await self._slack.fault(method, "500", absence.unread)
        if absence.ahead:
            self.wrong_clock = True
            set_ahead(self._data, absence.ahead)
            self._bot.resume()
            await self._bot.up()
            self._bot.suspend()
            await self._bot.stop()
            set_ahead(self._data, 0.0)
        self._bot.resume()

    async def _edit(self, edit: Edit, written: WrittenMessage) -> None:
        called = "@threadpilot " if written.say.mentions else ""
        self._model.expect(edit.text, written.say.trouble)
        person = written.say.person
        await self._slack.edit(person, written.channel, written.ts, called + edit.text)
        written.versions.add(edit.text)

    # The end ------------------------------------------------------------------------------------

    async def heal(self) -> list[str]:
        """End all faults, let the bot settle, stop it, and return the problems."""
        await self._slack.clear_faults()
        await self._bot.up()
        await self._slack.wait_for(
            self._no_connection_half_open, HEAL_SECONDS, "no connection is half-open"
        )
        await self._settled()
        await self._bot.up()
        await self._tidy()
        self.memory_mb = self._bot.memory() >> 20
        await self._bot.stop()
        self.outcomes.update(row.state for row in self._records.turns())
        found = [*self._records.faults(), *problems(await self._seen())]
        if self._records.commands_left():
            found.append("a command was never finished")
        if self._records.holds_left():
            found.append("a thread waits for a finished command")
        if self.memory_mb > MEMORY_MB:
            found.append(f"the bot takes {self.memory_mb} MB in the end")
        return found

    async def _no_connection_half_open(self) -> bool:
        return self._emulator.slack.socket_mode.half_open_count == 0

    async def _settled(self) -> None:
        """Wait until every message has its outcome, and advance Slack's clock for redeliveries.

        After the timeout the checks find what is not settled.
        """
        until, retries = time.monotonic() + HEAL_SECONDS, list(RETRIES)
        patience = 0.0
        while time.monotonic() < until and not self._all_settled():
            if retries and time.monotonic() >= patience:
                await self._slack.advance(retries.pop(0))
                patience = time.monotonic() + SETTLE_TIMEOUT_SECONDS
            await asyncio.sleep(LOOK_SECONDS)

    async def _tidy(self) -> None:
        """Wait until the bot has removed its reactions and statuses.

        After the timeout the checks find what is left.
        """
        until = time.monotonic() + TIDY_SECONDS
        while time.monotonic() < until:
            marked = [
                message
                for root in self._roots.values()
                for message in await self._thread(root.channel, root.ts, root.say.person)
                if message.get("reactions")
            ]
            if not marked and not self._processing():
                return
            await asyncio.sleep(LOOK_SECONDS)

    def _processing(self) -> list[Place]:
        """The threads under which Slack shows that the bot works."""
        workspace = self._emulator.slack.workspace
        places = {(root.channel, root.ts) for root in self._roots.values()}
        return [
            place
            for place in places
            if workspace.thread_status(*place).session_status == "processing"
        ]

    def _all_settled(self) -> bool:
        turns = {(row.channel, row.ts): row.state for row in self._records.turns()}
        mine = [turns.get((written.channel, written.ts)) for written in self.written]
        done = all(state is not None and state not in OPEN for state in mine)
        return (
            done
            and self._records.received_messages() >= {*self._commands}
            and not self._records.commands_left()
        )

    async def _seen(self) -> Observations:
        threads = {(root.channel, root.ts): root.say.person for root in self._roots.values()}
        return Observations(
            written=self.written,
            turns={(row.channel, row.ts): row for row in self._records.turns()},
            threads={place: await self._thread(*place, who) for place, who in threads.items()},
            ephemeral_messages={
                name: [str(one["text"]) for one in await self._slack.ephemeral(name)]
                for name in PEOPLE
            },
            requests=self._model.requests,
            resets=[]
            if self.wrong_clock
            else [
                each for each in self._records.executed_commands() if each.command_name == "reset"
            ],
            processing=self._processing(),
        )

    async def _thread(self, channel: str, ts: str, person: str) -> list[Json]:
        messages: list[Json] = []
        cursor: str | None = None
        while True:
            page = await self._slack.call(
                person,
                "conversations.replies",
                channel=channel,
                ts=ts,
                cursor=cursor,
                include_all_metadata=True,
            )
            messages += page["messages"]
            cursor = page.get("response_metadata", {}).get("next_cursor") or None
            if cursor is None:
                return messages
