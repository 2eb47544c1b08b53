"""Each fault of a call, at each method that the bot calls: one outcome each.

One bot uses all its methods with one kind of fault. For each method there is an action that calls
it. The fault happens, users see what they should, and the bot then answers as always.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from bot.slack.api.rate_limiter import RATE_LIMITS
from tests.emulator_client import BOT_USER, GENERAL, SECRET
from tests.fakes import QuickClock
from tests.scenarios.conftest import Bots, ScenarioClient, text_of
from tests.scripted_model import Answer, ScriptedModel

KINDS = ["429", "500", "drop_before", "drop_after", "slow", "garbage"]
MAYBE_DONE = {"500", "drop_after", "drop_before", "garbage"}
"""After these it is unknown whether the call was done. Ephemeral messages cannot be read back, so
one may be shown twice, rather than not at all."""

WORDS = ["One ", "two ", "three ", "four ", "five."]
WHOLE = "".join(WORDS)
SHORT = "A short one."


@dataclass
class CallFailureScenario:
    """A bot in its workspace, and the fault that is set."""

    slack: ScenarioClient
    model: ScriptedModel
    method: str
    kind: str

    async def trouble(self) -> None:
        """From now on the method fails, once."""
        seconds = {"429": 2.0, "slow": 0.2}.get(self.kind, 0.0)
        await self.slack.fault(self.method, self.kind, retry_after=seconds)

    async def failed_calls(self) -> bool:
        """True if the fault has happened."""
        return not await self.slack.faults()

    async def wait_until_failed(self) -> None:
        await self.slack.wait_for(self.failed_calls, 20.0, f"{self.method} met {self.kind}")

    async def answered(self, ts: str, *answers: str, channel: str = GENERAL) -> None:
        """The thread shows these answers, whole and once, and no other message of the bot."""

        async def shown() -> bool:
            messages = await self.slack.bot_messages(channel, ts)
            live = [m for m in messages if m.get("streaming", {}).get("state") == "streaming"]
            texts = await self.slack.bot_texts(channel, ts)
            return not live and sorted(texts) == sorted(answers)

        await self.slack.wait_for(shown, 30.0, f"{self.method} {self.kind}: {answers} are shown")

    async def one_asks(self, text: str = "count") -> None:
        """A question of one user: the answer is streamed."""
        await self.trouble()
        ts = await self.slack.say("alice", GENERAL, f"@threadpilot {text}")
        await self.wait_until_failed()
        await self.answered(ts, WHOLE)

    async def several_ask(self) -> None:
        """A question in a thread of several users: the thread is read, and the answer is edited."""
        ts = await self.slack.say("bob", GENERAL, "lunch?")
        await self.trouble()
        await self.slack.say("alice", GENERAL, "@threadpilot count", thread_ts=ts)
        await self.wait_until_failed()
        await self.answered(ts, WHOLE)

    async def attempt_is_cleared(self) -> None:
        """A long answer is cut and a short one follows: a surplus message is deleted."""
        long = Answer(chunks=["word " * 700] * 10, fault="cut", times=1)
        self.model.when("break off", long)
        ts = await self.slack.say("alice", GENERAL, "@threadpilot break off")

        async def two() -> bool:
            return len(await self.slack.bot_messages(GENERAL, ts)) == 2

        await self.trouble()
        await self.slack.wait_for(two, 20.0, "the long try fills two messages")
        await self.wait_until_failed()
        await self.answered(ts, SHORT)

    async def one_waits(self) -> None:
        """A message is queued behind another: it is marked, and the mark is removed."""
        holds = self.model.holds
        self.model.when("hold", Answer(chunks=["held ", "up"], hold_after=1, times=1))
        ts = await self.slack.say("alice", GENERAL, "@threadpilot hold")
        await self.model.reached(holds + 1)
        await self.trouble()
        waiting = await self.slack.say("alice", GENERAL, "count", thread_ts=ts)
        if self.method == "reactions.add":
            await self.wait_until_failed()
        else:
            await self.slack.wait_until_reaction_set(GENERAL, waiting)
        self.model.release()
        await self.wait_until_failed()
        await self.answered(ts, "held up", WHOLE)
        await self.slack.wait_until_reaction_cleared(GENERAL, waiting)

    async def ephemeral_is_posted(self, text: str) -> None:
        """A command in a thread whose result is ephemeral."""
        ts = await self.slack.ask_in_new_thread("alice", "count")
        before = len(await self.slack.ephemeral("alice"))
        await self.trouble()
        await self.slack.say("alice", GENERAL, text, thread_ts=ts)
        await self.wait_until_failed()
        await self.slack.wait_for_ephemeral("alice", before + 1)
        messages = (await self.slack.ephemeral("alice"))[before:]
        assert all(text_of(each) for each in messages)
        assert len(messages) <= (2 if self.kind in MAYBE_DONE else 1)
        await self.answered(ts, WHOLE)

    async def command_is_run(self, person: str, text: str) -> None:
        """A command, repeated until Slack is called: the values that it shows are cached for a
        while."""

        async def done() -> bool:
            await self.slack.wait_for_ephemeral(person, await self._run_command(person, text) + 1)
            return await self.failed_calls()

        await self.trouble()
        await self.slack.wait_for(done, 30.0, f"{self.method} met {self.kind}")

    async def _run_command(self, person: str, text: str) -> int:
        before = len(await self.slack.ephemeral(person))
        await self.slack.command(person, GENERAL, "/copilot", text)
        return before

    async def one_exports(self) -> None:
        """A file of a session, for one user: at most one, and a sentence about it."""
        ts = await self.slack.ask_in_new_thread("alice", "count")
        files = len(await self.slack.files_of("alice"))
        before = len(await self.slack.ephemeral("alice"))
        await self.trouble()
        await self.slack.say("alice", GENERAL, "!export", thread_ts=ts)
        await self.wait_until_failed()
        await self.slack.wait_for_ephemeral("alice", before + 1)
        more = len(await self.slack.files_of("alice")) - files
        assert more == 1 if self.kind in ("429", "slow") else more <= 1

    async def one_titles(self) -> None:
        """A thread gets a title: all members see it, once."""
        ts = await self.slack.ask_in_new_thread("alice", "count")
        await self.trouble()
        await self.slack.say("alice", GENERAL, "!title A fine day", thread_ts=ts)
        await self.wait_until_failed()
        await self.slack.until_shown(GENERAL, ts, "A fine day")
        assert len(await self.slack.bot_messages(GENERAL, ts)) == 2

    async def one_chooses_a_shortcut(self) -> None:
        """The shortcut's modal opens, or the user gets the reason."""
        ts = await self.slack.say("carol", GENERAL, "Bonjour")
        opened = len(await self.slack.calls("views.open"))
        before = len(await self.slack.ephemeral("alice"))
        await self.trouble()
        await self.slack.shortcut("alice", "ask_about_message", GENERAL, ts)
        await self.wait_until_failed()

        async def seen() -> bool:
            calls = (await self.slack.calls("views.open"))[opened:]
            done = any((call["answer"] or {}).get("ok") for call in calls)
            return done or len(await self.slack.ephemeral("alice")) > before

        await self.slack.wait_for(seen, 20.0, "a modal or a sentence")

    async def one_opens(self, tab: str) -> None:
        """A page of the bot is opened."""
        await self.trouble()
        await self.slack.home("alice", tab)
        await self.wait_until_failed()

    async def one_asks_where_there_are_no_sessions(self) -> None:
        """Work is shown as text. (From here on the bot shows it in no other way.)"""
        await self.slack.app(agent_sessions=False)
        await self.one_asks()

    async def one_asks_in_a_private_channel(self) -> None:
        """The members of a private channel decide whether a user may see it."""
        members = await self.slack.call("alice", "conversations.members", channel=SECRET)
        if BOT_USER not in members["members"]:
            await self.slack.call("alice", "conversations.invite", channel=SECRET, users=BOT_USER)
        ts = await self.slack.ask_in_new_thread("alice", "count", channel=SECRET)
        before = len(await self.slack.ephemeral("alice"))
        await self.trouble()
        await self.slack.say("alice", SECRET, "!status", thread_ts=ts)
        await self.wait_until_failed()
        await self.slack.wait_for_ephemeral("alice", before + 1)
        await self.answered(ts, WHOLE, channel=SECRET)


Action = Callable[[CallFailureScenario], Awaitable[None]]

ACTIONS: dict[str, Action] = {
    "users.info": CallFailureScenario.one_asks,
    "usergroups.users.list": lambda stage: stage.command_is_run("bob", "admin usage"),
    "chat.startStream": CallFailureScenario.one_asks,
    "chat.appendStream": CallFailureScenario.one_asks,
    "chat.stopStream": CallFailureScenario.one_asks,
    "chat.postMessage": CallFailureScenario.several_ask,
    "chat.update": CallFailureScenario.several_ask,
    "conversations.replies": CallFailureScenario.several_ask,
    "chat.delete": CallFailureScenario.attempt_is_cleared,
    "reactions.add": CallFailureScenario.one_waits,
    "reactions.remove": CallFailureScenario.one_waits,
    "chat.postEphemeral": lambda stage: stage.ephemeral_is_posted("!status"),
    "chat.getPermalink": lambda stage: stage.ephemeral_is_posted("!sessions"),
    "conversations.info": lambda stage: stage.ephemeral_is_posted("!status"),
    "conversations.members": CallFailureScenario.one_asks_in_a_private_channel,
    "conversations.open": CallFailureScenario.one_exports,
    "files.getUploadURLExternal": CallFailureScenario.one_exports,
    "files.completeUploadExternal": CallFailureScenario.one_exports,
    "agents.sessions.rename": CallFailureScenario.one_titles,
    "views.open": CallFailureScenario.one_chooses_a_shortcut,
    "views.publish": lambda stage: stage.one_opens("home"),
    "assistant.threads.setSuggestedPrompts": lambda stage: stage.one_opens("messages"),
    "agents.sessions.setStatus": CallFailureScenario.one_asks,
    "assistant.threads.setStatus": CallFailureScenario.one_asks_where_there_are_no_sessions,
}
"""The action for each method, in the order in which one bot runs them."""


AT_THE_START = {"auth.test"}
"""Called once, before there is a bot: `tests.integration.slack.test_gateway`."""
AFTER_A_GAP = {"conversations.history", "users.conversations"}
"""Called only then: `tests.scenarios.delivery.test_missed_events`."""


def test_every_method_that_the_bot_calls_is_tested() -> None:
    assert set(ACTIONS) == set(RATE_LIMITS) - AT_THE_START - AFTER_A_GAP


@pytest.mark.parametrize("kind", KINDS)
async def test_each_fault_at_each_method_has_one_outcome(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel, kind: str
) -> None:
    bots.env |= {"SILENCE_SECONDS": "3600", "ADMIN_GROUP": "S0PILOTS"}
    model.default = Answer(chunks=WORDS, chunk_delay=0.05)
    model.when("break off", SHORT)
    await bots.start(QuickClock())
    for method, doing in ACTIONS.items():
        await doing(CallFailureScenario(slack=slack, model=model, method=method, kind=kind))
    ts = await slack.ask_in_new_thread("alice", "count")
    assert await slack.bot_texts(GENERAL, ts) == [WHOLE]
