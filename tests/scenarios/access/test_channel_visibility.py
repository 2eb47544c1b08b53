"""A user who cannot see a place asks nothing there and changes nothing of it, by any payload.

Modals, buttons, menus, shortcuts, commands and the Home tab return values from the time when they
were shown. A hostile client may send any values. All payloads here are forged, and delivered as
Slack delivers them.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from bot.access import texts as access_texts
from bot.commands import texts
from bot.commands.registry import COMMANDS
from bot.domain.commands import CommandSource
from bot.domain.users import AccessRole
from bot.slack import manifest
from bot.slack.cards.button_values import COMMAND_ACTION_PREFIX, MAX_BUTTON_VALUE_CHARS, ButtonValue
from bot.slack.interactions.payloads import QuestionTarget
from bot.store.sqlite.data_dir import DATABASE_NAME
from slack_emulator.delivery.receipt import PayloadKind
from slack_emulator.server import RunningEmulator
from slack_emulator.state.entities import OUTSIDE_TEAM_ID, TEAM_ID
from tests.emulator_client import BOT_USER, GENERAL, PEOPLE, SECRET, Json
from tests.scenarios.conftest import Bots, ScenarioClient, text_of
from tests.scripted_model import Answer, ScriptedModel

QUESTION = "where is the treasure?"
NOT_SEEN = frozenset({access_texts.NOT_VISIBLE, texts.NO_SUCH_SESSION})
GUEST = frozenset({access_texts.DENIAL_TEXTS[AccessRole.GUEST]})
EXTERNAL = frozenset({access_texts.DENIAL_TEXTS[AccessRole.EXTERNAL]})

ARGUMENTS = {
    "model": "scripted-2",
    "title": "Mine now",
    "compare": "scripted-1 what is it?",
    "ask": "what is it?",
    "vote": "A",
    "keep": "A",
    "stop": "queue",
    "set": "model scripted-2",
    "admin": "pause",
}
"""Arguments that would change something, by command name."""


@dataclass
class Forger:
    """Sends the payloads that a hostile client could make from a modal or a button."""

    emulator: RunningEmulator
    slack: ScenarioClient
    person: str
    channel: str
    root_ts: str
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    async def modal(self, callback_id: str, root_ts: str) -> str:
        """A modal that claims to be opened in the place; returns the text under its input."""
        view = {
            "id": f"V0FORGED{next(self.numbers)}",
            "type": "modal",
            "callback_id": callback_id,
            "private_metadata": QuestionTarget(
                channel=self.channel, root_ts=root_ts, quoted="x"
            ).to_metadata(),
            "state": {
                "values": {manifest.QUESTION_BLOCK: {manifest.QUESTION_INPUT: {"value": QUESTION}}}
            },
        }
        answer = await self._send("view_submission", view=view)
        assert isinstance(answer, dict), answer
        return str(answer["errors"][manifest.QUESTION_BLOCK])

    async def shortcut(self) -> str:
        """The shortcut on a message of the place."""
        message = {"type": "message", "ts": self.root_ts, "text": "notes", "user": "UBOB"}
        return await self._ephemeral_after(
            self._send(
                "message_action",
                callback_id=manifest.ASK_ABOUT_MESSAGE,
                channel={"id": self.channel},
                message=message,
                message_ts=self.root_ts,
                response_url=self._answer_url(),
            )
        )

    async def ask_button(self) -> str:
        """The button of a help card that claims to be in the place."""
        action = {"action_id": manifest.ASK_BUTTON, "block_id": "b", "type": "button"}
        return await self._ephemeral_after(self._press(action, self.channel))

    async def button(self, command_name: str, args: str, *, there: bool, menu: bool) -> str:
        """A button, or an entry of a menu, that names the thread, or that is in the place
        itself."""
        value = self._value(command_name, args, named=not there)
        chosen = {"selected_option": {"value": value}} if menu else {"value": value}
        action = {
            "action_id": f"{COMMAND_ACTION_PREFIX}{next(self.numbers)}",
            "block_id": "b",
            **chosen,
        }
        return await self._ephemeral_after(self._press(action, self.channel if there else GENERAL))

    async def command(self, text: str) -> str:
        """The slash command, as if it had been sent in the place."""
        payload: Json = {
            "team_id": TEAM_ID,
            "channel_id": self.channel,
            "user_id": PEOPLE[self.person],
            "command": manifest.SLASH_COMMAND,
            "text": text,
            "response_url": self._answer_url(),
            "trigger_id": self._trigger(),
        }
        receipt = await self.emulator.slack.delivery.send_interaction(PayloadKind.COMMAND, payload)
        assert isinstance(receipt.body, dict), receipt
        return str(receipt.body["text"])

    async def at_home(self, command_name: str, args: str) -> str:
        """A button of the Home tab that names the thread; returns the first line of the tab
        afterwards."""
        before = len(await self.slack.calls("views.publish"))
        value = self._value(command_name, args, named=True)
        view = f"V0HOME{next(self.numbers)}"
        await self._send(
            "block_actions",
            container={"type": "view", "view_id": view},
            view={"id": view, "type": "home"},
            actions=[{"action_id": f"{COMMAND_ACTION_PREFIX}x", "block_id": "b", "value": value}],
        )

        async def published() -> str | None:
            calls = await self.slack.calls("views.publish")
            return text_of(calls[-1]["arguments"]["view"]) if len(calls) > before else None

        shown = await self.slack.wait_for(published, 20.0, "the Home tab is shown anew")
        return shown.partition("\n")[0]

    def _value(self, command_name: str, args: str, *, named: bool) -> str:
        carried = ButtonValue(command_name=command_name, args=args)
        if named:
            carried = replace(carried, channel=self.channel, root_ts=self.root_ts)
        return carried.encode(MAX_BUTTON_VALUE_CHARS)

    async def _press(self, action: Json, channel: str) -> object:
        container = {
            "type": "message",
            "message_ts": self.root_ts,
            "thread_ts": self.root_ts,
            "channel_id": channel,
            "is_ephemeral": False,
        }
        return await self._send(
            "block_actions",
            container=container,
            channel={"id": channel},
            response_url=self._answer_url(),
            actions=[action],
        )

    async def _ephemeral_after(self, sending: Awaitable[object]) -> str:
        before = len(await self.slack.ephemeral(self.person))
        await sending
        return await self.slack.wait_for_ephemeral(self.person, before + 1)

    async def _send(self, kind: str, **more: object) -> object:
        team = OUTSIDE_TEAM_ID if self.person == "eve" else TEAM_ID
        payload = {
            "type": kind,
            "team": {"id": TEAM_ID},
            "user": {"id": PEOPLE[self.person], "team_id": team},
            "trigger_id": self._trigger(),
            **more,
        }
        receipt = await self.emulator.slack.delivery.send_interaction(
            PayloadKind.INTERACTIVE, payload
        )
        assert receipt.ok, receipt
        return receipt.body

    def _trigger(self) -> str:
        return self.emulator.slack.triggers.create_trigger(PEOPLE[self.person])

    def _answer_url(self) -> str:
        path = self.emulator.slack.triggers.create_response_path(PEOPLE[self.person], GENERAL)
        return self.emulator.url + path


async def question_sources(forger: Forger) -> dict[str, str]:
    """Every way to ask a question, with the text that the user got."""
    return {
        "a form": await forger.modal(manifest.ASK_MODAL, ""),
        "a form in the thread": await forger.modal(manifest.ASK_MODAL, forger.root_ts),
        "a form about a message": await forger.modal(manifest.ABOUT_MODAL, forger.root_ts),
        "the shortcut": await forger.shortcut(),
        "the ask button": await forger.ask_button(),
        "the command": await forger.command(QUESTION),
    }


async def command_sources(forger: Forger) -> dict[str, str]:
    """Every way to run a command on the place, with the text that the user got."""
    results = {}
    for name, spec in COMMANDS.items():
        for args in dict.fromkeys((ARGUMENTS.get(name, ""), "s1")):
            if CommandSource.BUTTON in spec.sources:
                for there, menu in ((True, False), (False, False), (False, True)):
                    way = f"{name} {args}, {there=} {menu=}"
                    results[way] = await forger.button(name, args, there=there, menu=menu)
            if CommandSource.HOME_TAB in spec.sources:
                results[f"{name} {args} at home"] = await forger.at_home(name, args)
    for text in ("help", "status s1", "history s1", "model scripted-2", "usage by channel"):
        results[f"/copilot {text}"] = await forger.command(text)
    return results


def records(bots: Bots) -> list[str]:
    """All rows of the database, except for received events and commands."""
    kept = []
    with closing(sqlite3.connect(Path(bots.env["DATA_DIR"]) / DATABASE_NAME)) as database:
        for line in database.iterdump():
            table = line.removeprefix('INSERT INTO "').partition('"')[0]
            if line.startswith("INSERT") and table not in ("orders", "events", "hearing"):
                kept.append(line)
    return kept


async def leave_out(slack: ScenarioClient, person: str) -> None:
    await slack.call(person, "conversations.leave", channel=SECRET)


async def kick(slack: ScenarioClient, person: str) -> None:
    await slack.call("bob", "conversations.kick", channel=SECRET, user=PEOPLE[person])


async def nothing(slack: ScenarioClient, person: str) -> None: ...


PERSONS = {
    "a user who never saw it": ("carol", leave_out, {}, NOT_SEEN),
    "a user who was removed": ("carol", kick, {}, NOT_SEEN),
    "a guest": ("gus", nothing, {}, GUEST),
    "a guest who is let in": ("gus", nothing, {"ALLOW_GUESTS": "yes"}, NOT_SEEN),
    "an external user": ("eve", nothing, {}, EXTERNAL),
    "an allowed external user": (
        "eve",
        nothing,
        {"ALLOW_EXTERNAL": "yes"},
        NOT_SEEN,
    ),
}


async def without_limits(bots: Bots, slack: ScenarioClient) -> None:
    """These tests send more in a second than Slack's limits allow in a minute."""
    await slack.app(limits=False)
    bots.env["SLACK_LIMITS"] = "1000"


async def a_private_thread(slack: ScenarioClient, model: ScriptedModel) -> str:
    """Bob's thread in the private channel, whose session has a history."""
    model.when("treasure", Answer("It is under the oak."))
    await slack.call("bob", "conversations.invite", channel=SECRET, users=BOT_USER)
    return await slack.start_thread("bob", "the treasure is under the oak", channel=SECRET)


@pytest.mark.parametrize("who", PERSONS)
@pytest.mark.parametrize("ways", [question_sources, command_sources])
async def test_a_user_who_cannot_see_a_place_asks_and_changes_nothing_there(
    bots: Bots,
    slack: ScenarioClient,
    emulator: RunningEmulator,
    model: ScriptedModel,
    who: str,
    ways: Callable[[Forger], Awaitable[dict[str, str]]],
) -> None:
    person, go, settings, sentences = PERSONS[who]
    await without_limits(bots, slack)
    bots.env.update(settings)
    bot = await bots.start()
    root = await a_private_thread(slack, model)
    await slack.until_idle(bot)
    await go(slack, person)
    kept, requests = records(bots), len(model.requests)
    history = await slack.history(SECRET, "bob")
    thread = await slack.replies(SECRET, root, "bob")

    results = await ways(Forger(emulator, slack, person, SECRET, root))

    assert {way: sentence for way, sentence in results.items() if sentence not in sentences} == {}
    assert await slack.calls("views.open") == []
    assert len(model.requests) == requests
    assert records(bots) == kept
    assert await slack.history(SECRET, "bob") == history
    assert await slack.replies(SECRET, root, "bob") == thread


@pytest.mark.parametrize("ways", [question_sources, command_sources])
async def test_a_user_asks_and_changes_nothing_in_direct_messages_of_another_user(
    bots: Bots,
    slack: ScenarioClient,
    emulator: RunningEmulator,
    model: ScriptedModel,
    ways: Callable[[Forger], Awaitable[dict[str, str]]],
) -> None:
    await without_limits(bots, slack)
    bot = await bots.start()
    direct = await slack.dm("bob")
    root = await slack.say("bob", direct, "my treasure is under the oak")
    await slack.wait_until_answered(direct, root, person="bob")
    await slack.until_idle(bot)
    kept, requests = records(bots), len(model.requests)
    history = await slack.history(direct, "bob")

    results = await ways(Forger(emulator, slack, "carol", direct, root))

    assert {way: sentence for way, sentence in results.items() if sentence not in NOT_SEEN} == {}
    assert await slack.calls("views.open") == []
    assert len(model.requests) == requests
    assert records(bots) == kept
    assert await slack.history(direct, "bob") == history


async def test_a_modal_that_was_open_when_its_user_was_removed_asks_nothing(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    """The modal about a message and the one for a question; nothing is forged."""
    await bots.start()
    root = await a_private_thread(slack, model)
    await slack.shortcut("carol", manifest.ASK_ABOUT_MESSAGE, SECRET, root)
    modal = await slack.modal()
    await kick(slack, "carol")
    values = {manifest.QUESTION_BLOCK: {manifest.QUESTION_INPUT: QUESTION}}
    answer = await slack.submit("carol", modal["id"], values)
    assert answer["errors"] == {manifest.QUESTION_BLOCK: access_texts.NOT_VISIBLE}
    assert len(model.requests) == 1
    await slack.call("bob", "conversations.invite", channel=SECRET, users="UCAROL")
    await slack.submit("carol", modal["id"], values)
    await slack.wait_for(lambda: second_request(model), why="back in the channel it is asked")


async def second_request(model: ScriptedModel) -> bool:
    return len(model.requests) > 1


async def test_commands_work_in_channels_without_the_bot_and_questions_are_refused(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    """A place that the bot cannot see is not a place that it could hide from users."""
    await bots.start()
    for text in ("help", "sessions", "model"):
        shown = text_of(await slack.card_for("bob", SECRET, text))
        assert access_texts.NOT_VISIBLE not in shown
    assert "/invite" in text_of(await slack.card_for("bob", SECRET, "what is Python?"))
    assert model.requests == []
