"""The bot's ear: opens the door that Slack comes in by, and gives what comes in to the story.

`async with gateway.listening():` begins when Slack is heard and stops the intake first when it
ends, before what was begun is given a little time to finish.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import (
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
)
from dataclasses import dataclass, replace

from bot.commands.parser import Known
from bot.domain.turns import Accepted
from bot.ports import UNWATCHED, Clock, HearingStore, People, Watch
from bot.slack.api.client import Client
from bot.slack.cards.home_tab import Home, HomeCards
from bot.slack.cards.publisher import SlackBoard
from bot.slack.events.backfill import CatchingUp, Json
from bot.slack.events.gaps import Gaps, Overtaken
from bot.slack.identity import Identity, who_are_we
from bot.slack.interactions.ask import Asking
from bot.slack.interactions.command_runner import OrderCounter
from bot.slack.interactions.listeners import Controls
from bot.slack.interactions.modals import Actions
from bot.slack.interactions.question_outbox import Book, Gate, Questions
from bot.slack.interactions.slash_command import Commands
from bot.slack.receiver import Callbacks, Door, Intake
from bot.slack.thread_history import SlackListening
from bot.slack.users import SlackPeople
from bot.startup_retry import entered
from bot.tasks import Background

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PatientDoor:
    """A door that is tried until it opens, unless the trouble is one that does not pass."""

    door: Door
    clock: Clock

    @asynccontextmanager
    async def open(self, intake: Intake, heard: Callable[[bool], None]) -> AsyncIterator[None]:
        """`Door.open`."""
        async with AsyncExitStack() as opened:
            await entered(
                self.clock, "a connection to Slack", opened, lambda: self.door.open(intake, heard)
            )
            yield


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchUp:
    """What it takes to look for what was missed."""

    store: HearingStore
    clock: Clock
    seconds: float
    """How far back; 0: no gap is looked into."""


class SlackGateway:
    """Hears Slack."""

    def __init__(
        self,
        client: Client,
        door: Door,
        callbacks: Callbacks,
        *,
        people: People,
        board: SlackBoard,
        orders: OrderCounter,
        known: Callable[[], Known],
        home: HomeCards,
        gate: Gate,
        book: Book,
        us: Identity | None = None,
        catch_up: CatchUp | None = None,
        watch: Watch = UNWATCHED,
    ) -> None:
        """`client` has the bot's token and Slack's address. `orders` is closed when listening
        ends; `known` tells what orders may name just now, `home` what a Home tab shows,
        `gate` who may ask where; `book` keeps the questions on their way. `us` is who the bot
        is, where that has been asked; without `catch_up` nothing that was said is read again."""
        self._client = client
        self._door = door
        self._callbacks = callbacks
        self._people = people
        self._board = board
        self._orders = orders
        self._known = known
        self._home = home
        self._gate = gate
        self._book = book
        self._us = us
        self._catch_up = catch_up
        self._watch = watch
        self.hearing = False
        """Whether Slack is heard just now."""
        self._gaps: Gaps | None = None

    @property
    def catching_up(self) -> bool:
        """Whether something that was said while nothing was heard is still to be read."""
        return self._gaps is not None and self._gaps.open

    async def identity(self) -> Identity:
        """Who the bot is; asked once. Raises `SlackError`."""
        if self._us is None:
            self._us = await who_are_we(self._client.web)
        return self._us

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Entered when the bot hears Slack. Raises `SlackError` or `SettingsError`."""
        us = await self.identity()
        background = Background()
        callbacks = self._callbacks

        async def missed(body: Json) -> Accepted | None:
            return await intake.missed(body)

        if self._catch_up is not None:
            wanted = self._catch_up
            reading = CatchingUp(self._client, us, wanted.store, wanted.clock, missed)
            self._gaps = _gaps(wanted, reading)
            overtaken = Overtaken(callbacks.on_message, reading.thread, background, self._unread)
            callbacks = replace(callbacks, on_message=overtaken.on_message)
        questions = Questions(self._client, us, callbacks.on_message, self._book, self._gate)
        intake = self._intake(us, background, questions, callbacks)
        try:
            async with self._door.open(intake, self._heard):
                log.info("listening as @%s in workspace %s", us.name, us.team)
                async with (
                    self._gaps.watched() if self._gaps is not None else nullcontext(),
                    questions.taken_up(),
                ):
                    yield
        finally:
            self.hearing = False
            await intake.drain()
            await asyncio.gather(self._orders.close(), background.close())

    def _heard(self, hearing: bool) -> None:
        self.hearing = hearing
        if self._gaps is not None:
            self._gaps.heard(hearing)

    def _unread(self, since: float) -> None:
        if self._gaps is not None:
            self._gaps.unread(since)

    def _intake(
        self, us: Identity, background: Background, questions: Questions, callbacks: Callbacks
    ) -> Intake:
        asking = Asking(us, questions, self._book, background, self._gate)
        home = Home(self._client, self._board.links, self._home)
        controls = Controls(
            self._client,
            us,
            background,
            Commands(us, self._people, asking, self._orders, self._known),
            Actions(self._client, asking),
            self._orders,
            home,
        )
        return Intake(self._client, us, callbacks, background, controls, home, watch=self._watch)


def _gaps(wanted: CatchUp, reading: CatchingUp) -> Gaps | None:
    if wanted.seconds <= 0:
        return None
    return Gaps(wanted.store, wanted.clock, reading.since, most_seconds=wanted.seconds)


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
