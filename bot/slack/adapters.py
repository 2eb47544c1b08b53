"""What the story asks of Slack beside replies, made in one go: people, listening, the board."""

from __future__ import annotations

from dataclasses import dataclass

from bot.ports import Clock
from bot.slack.api.client import Client
from bot.slack.cards.publisher import SlackBoard
from bot.slack.events.parser import Identity
from bot.slack.thread_history import SlackListening
from bot.slack.users import SlackPeople


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapters:
    """The ports of `bot.ports.slack`, without `Workspace`."""

    people: SlackPeople
    listening: SlackListening
    board: SlackBoard


def adapters(client: Client, us: Identity, clock: Clock) -> Adapters:
    """They share the client, and with it what Slack takes of its calls."""
    people = SlackPeople(client, us, clock)
    return Adapters(
        people=people,
        listening=SlackListening(client, us, people),
        board=SlackBoard(client),
    )
