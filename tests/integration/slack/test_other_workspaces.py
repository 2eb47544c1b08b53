"""An app may be installed in several workspaces, and a channel may be shared between several: what
people operate is heard where the bot is installed, and nowhere else."""

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
    """An intake, and the desk that its orders come to."""
    background, desk = BackgroundTasks(), Recorder()
    yield event_receiver_for(RecordingReceiver(), background, dispatcher=desk), desk
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
        # Installed for a whole organization, Slack names no team but the person's.
        ours(BUTTON_PRESS, team=None, team_id=None, user={"id": "UEVE", "team_id": OTHER}),
    ],
)
async def test_what_is_ordered_in_another_workspace_is_not_carried_out(
    body: dict[str, Any],
) -> None:
    async with operated() as (intake, desk):
        answer = await intake.deliver(body)
    assert (answer.status, answer.body) == (200, "")
    assert desk.taken == []


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
        answer = await intake.deliver(body)
    assert (answer.status, answer.body) == (200, "")


async def test_what_is_ordered_here_is_carried_out() -> None:
    async with operated() as (intake, desk):
        await intake.deliver(ours(COMMAND, trigger_id="1"))
        await intake.deliver(ours(BUTTON_PRESS, trigger_id="2"))
        await desk.wait_until(lambda desk: len(desk.taken) == 2)


async def test_people_of_other_workspaces_operate_the_bot_in_a_shared_channel() -> None:
    """Whether they may is decided by who they are, and told."""
    eve = {"id": "UEVE", "team_id": OTHER}
    async with operated() as (intake, desk):
        await intake.deliver(ours(BUTTON_PRESS, user=eve))
        await desk.wait_until(lambda desk: [order.user for order in desk.taken] == ["UEVE"])
        # Of a modal, `team` is where its sender is.
        view = VIEW | {"app_installed_team_id": IDENTITY.team, "private_metadata": ""}
        answer = await intake.deliver(ours(SUBMISSION, view=view, user=eve, team={"id": OTHER}))
    assert slack_texts.WENT_WRONG in answer.body
