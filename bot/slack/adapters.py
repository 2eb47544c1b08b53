"""What the story asks of Slack beside replies, made in one go: people, listening, the board."""

from __future__ import annotations

from dataclasses import dataclass

from slack_sdk.web.async_client import AsyncWebClient

from bot.ports import Clock
from bot.slack.board import SlackBoard
from bot.slack.calls import Calls
from bot.slack.client import Client
from bot.slack.events import Identity
from bot.slack.listening import SlackListening
from bot.slack.people import SlackPeople


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapters:
    """The ports of `bot.ports.slack`, without `Workspace`."""

    people: SlackPeople
    listening: SlackListening
    board: SlackBoard


def adapters(web: AsyncWebClient, us: Identity, clock: Clock) -> Adapters:
    """They share the client, which repeats nothing on its own (`bot.slack.calls.make_client`)."""
    calls = Calls(clock)
    people = SlackPeople(web, calls, us, clock)
    return Adapters(
        people=people,
        listening=SlackListening(Client(web, calls), us, people),
        board=SlackBoard(web, calls),
    )
