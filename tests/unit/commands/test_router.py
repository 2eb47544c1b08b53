"""The message router: which messages are commands, and which are questions for the inbox."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.commands.parser import KnownNames
from bot.commands.registry import COMMANDS
from bot.commands.router import MessageRouter
from bot.domain.turns import AcceptStatus
from tests.contracts.messages import make_message
from tests.unit.commands.command_fixtures import (
    GENERAL,
    TEAM,
    CommandFixture,
    ExecutedCommands,
    command_fixture,
)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[CommandFixture]:
    async with command_fixture(tmp_path) as world:
        yield world


@pytest.fixture
def executed(world: CommandFixture) -> ExecutedCommands:
    executed = ExecutedCommands()
    world.handlers.update(dict.fromkeys(COMMANDS, executed.record))
    return executed


async def test_a_message_that_is_a_command_is_recorded_and_started_and_no_question(
    world: CommandFixture, executed: ExecutedCommands
) -> None:
    message = make_message(1, text="!help")
    assert (await world.router.route_message(message)).status is AcceptStatus.COMMAND
    assert (await world.router.route_message(message)).status is AcceptStatus.DUPLICATE
    again = replace(message, event_id="another event for the same message")
    assert (await world.router.route_message(again)).status is AcceptStatus.DUPLICATE
    (command,) = world.started
    assert world.questions == []
    assert await world.store.turn_by_ts(TEAM, GENERAL, message.ts) is None
    await world.dispatcher.execute(command)
    await world.dispatcher.mark_done(command)
    assert [ctx.command for ctx in executed.contexts] == [command]
    assert not await world.store.unfinished_commands()


async def test_any_other_message_goes_to_the_inbox(world: CommandFixture) -> None:
    message = make_message(1, text="help me with my letter")
    await world.router.route_message(message)
    assert (world.questions, world.started) == ([message], [])


async def test_secrets_are_redacted_before_a_question_reaches_the_inbox(
    world: CommandFixture,
) -> None:
    world.dispatcher.redact = lambda text: text.replace("xoxb-1", "[secret]")
    router = MessageRouter(world.dispatcher, world.enqueue, KnownNames)
    await router.route_message(make_message(1, text="is xoxb-1 my token?"))
    (question,) = world.questions
    assert question.text == "is [secret] my token?"
