"""An app may be installed in several workspaces, and a channel shared between several.

Interactions are accepted for the workspace in which the bot is installed, and for no other."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bot.slack import manifest
from bot.slack import texts as slack_texts
from bot.slack.receiver import EventReceiver
from bot.tasks import BackgroundTasks
from tests.integration.slack.interactions.command_runner import Recorder
from tests.integration.slack.receiver import IDENTITY, RecordingReceiver, event_receiver_for
from tests.integration.slack.test_payload_fuzz import BUTTON_PRESS, COMMAND, SHORTCUT, SUBMISSION

OTHER = "T0OTHER"
VIEW: dict[str, Any] = SUBMISSION["view"] | {"callback_id": manifest.ASK_MODAL}


@asynccontextmanager
async def operated() -> AsyncIterator[tuple[EventReceiver, Recorder]]:
    """A receiver, and the dispatcher that gets its commands."""
    background, dispatcher = BackgroundTasks(), Recorder()
    yield event_receiver_for(RecordingReceiver(), background, dispatcher=dispatcher), dispatcher
    await background.close()


def ours(payload: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A payload of a workspace in which the bot is installed."""
    body = copy.deepcopy(payload) | {"team": {"id": IDENTITY.team}, "team_id": IDENTITY.team}
    body |= {"user": {"id": "UALICE", "team_id": IDENTITY.team}} if "user" in payload else {}
    return body | more


@pytest.mark.parametrize(
    "body",
    [
        ours(COMMAND, team=None, team_id=OTHER),
        ours(BUTTON_PRESS, team={"id": OTHER}),
        ours(BUTTON_PRESS, team={"id": OTHER}, user={"id": "UEVE", "team_id": IDENTITY.team}),
        # For an app installed in a whole organization Slack names only the user's team.
        ours(BUTTON_PRESS, team=None, team_id=None, user={"id": "UEVE", "team_id": OTHER}),
    ],
)
async def test_a_command_in_another_workspace_does_not_run(
    body: dict[str, Any],
) -> None:
    async with operated() as (intake, dispatcher):
        answer = await intake.receive(body)
    assert (answer.status, answer.body) == (200, "")
    assert dispatcher.recorded == []


@pytest.mark.parametrize(
    "body",
    [
        ours(SUBMISSION, view=VIEW | {"app_installed_team_id": OTHER}),
        ours(SUBMISSION, view=VIEW, team={"id": OTHER}),
        ours(SHORTCUT, team={"id": OTHER}),
    ],
)
async def test_nothing_is_asked_for_another_workspace(body: dict[str, Any]) -> None:
    async with operated() as (intake, _):
        answer = await intake.receive(body)
    assert (answer.status, answer.body) == (200, "")


async def test_a_command_in_this_workspace_runs() -> None:
    async with operated() as (intake, dispatcher):
        await intake.receive(ours(COMMAND, trigger_id="1"))
        await intake.receive(ours(BUTTON_PRESS, trigger_id="2"))
        await dispatcher.wait_until(lambda dispatcher: len(dispatcher.recorded) == 2)


async def test_users_of_other_workspaces_operate_the_bot_in_a_shared_channel() -> None:
    """The access rules decide about such a user, who is notified."""
    eve = {"id": "UEVE", "team_id": OTHER}
    async with operated() as (intake, dispatcher):
        await intake.receive(ours(BUTTON_PRESS, user=eve))
        await dispatcher.wait_until(
            lambda dispatcher: [recorded.user for recorded in dispatcher.recorded] == ["UEVE"]
        )
        # For a modal, `team` is the workspace of its user.
        view = VIEW | {"app_installed_team_id": IDENTITY.team, "private_metadata": ""}
        answer = await intake.receive(ours(SUBMISSION, view=view, user=eve, team={"id": OTHER}))
    assert slack_texts.WENT_WRONG in answer.body
