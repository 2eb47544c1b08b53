"""Buttons, modals and the message shortcut: what happens when people use them.

Each method gives the sentence that the person is told, empty when what they see is enough.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from bot.errors import SlackError
from bot.slack import manifest, texts
from bot.slack.api.calls import Cause
from bot.slack.api.client import Client
from bot.slack.api.rate_limiter import Urgency
from bot.slack.cards.render import Block
from bot.slack.interactions.ask import Asking, Question
from bot.slack.interactions.modals_blocks import about_modal, question_modal
from bot.slack.interactions.payloads import Chosen, Place, Pressed, Sent

log = logging.getLogger(__name__)

_PATIENCE = 1.0
"""Slack takes a trigger for 3 s."""

_OVER = frozenset({"expired_trigger_id", "exchanged_trigger_id", "invalid_trigger_id"})


class Actions:
    """What buttons, modals and shortcuts do."""

    def __init__(self, client: Client, asking: Asking) -> None:
        self._client = client
        self._asking = asking

    async def press(self, pressed: Pressed) -> str:
        """A button was pressed: ours, or one from an earlier time."""
        closed = await self._asking.closed_to(pressed.person, pressed.channel)
        if closed:
            return closed
        if pressed.action != manifest.ASK_BUTTON or not pressed.channel:
            return texts.OLD_BUTTON
        return await self._open(pressed.trigger, question_modal(Place(channel=pressed.channel)))

    async def choose(self, chosen: Chosen) -> str:
        """The shortcut was chosen on a message: ask what to do with it."""
        closed = await self._asking.closed_to(chosen.person, chosen.place.channel)
        if closed:
            return closed
        if not chosen.place.quoted:
            return texts.ABOUT_EMPTY
        return await self._open(chosen.trigger, about_modal(chosen.place))

    async def send(self, sent: Sent, late: Callable[[str], Awaitable[None]]) -> str:
        """A modal was sent off: ask its question."""
        question = Question(key=sent.view, person=sent.person, place=sent.place, text=sent.question)
        return await self._asking.ask(question, late)

    async def _open(self, trigger: str, view: Block) -> str:
        try:
            await self._client.calls(
                self._client.web.views_open,
                Cause(urgency=Urgency.FIRST),
                patience=_PATIENCE,
                trigger_id=trigger,
                view=view,
            )
        except SlackError as error:
            log.warning("a modal could not be opened: %s", error)
            return texts.TOO_SLOW if error.code in _OVER else error.sentence
        return ""
