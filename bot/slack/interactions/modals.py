"""Buttons, modals and the message shortcut: what happens when people use them.

Each method gives the sentence that the person is told, empty when what they see is enough.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from bot.errors import SlackError
from bot.slack import manifest, texts
from bot.slack.api.calls import Cause
from bot.slack.api.client import Block, Client
from bot.slack.api.rate_limiter import Urgency
from bot.slack.formatting.mrkdwn import escaped
from bot.slack.interactions.ask import MAX_QUESTION, Asking, Question
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


_SECTION: Final = 3_000


def ask_button() -> Block:
    """The button under the help that opens the modal."""
    button: Block = {
        "type": "button",
        "action_id": manifest.ASK_BUTTON,
        "text": _plain(texts.ASK_BUTTON),
        "style": "primary",
    }
    return {"type": "actions", "block_id": manifest.HELP_ACTIONS, "elements": [button]}


def question_modal(place: Place) -> Block:
    """The modal in which a question for a channel is written."""
    return _modal(
        manifest.ASK_MODAL,
        texts.MODAL_TITLE,
        place,
        [_question(texts.QUESTION_LABEL, texts.QUESTION_HINT)],
    )


def about_modal(place: Place) -> Block:
    """The modal that asks what to do with a message; the message goes with it."""
    note = f"{texts.ABOUT_QUOTED}\n{_quoted(place.quoted, 1_500)}"
    blocks = [_section(note), _question(texts.ABOUT_LABEL, texts.ABOUT_HINT)]
    if place.clipped:
        clipped = texts.ABOUT_CLIPPED.format(limit=len(place.quoted))
        blocks.insert(1, {"type": "context", "elements": [_mrkdwn(clipped)]})
    return _modal(manifest.ABOUT_MODAL, texts.ABOUT_TITLE, place, blocks)


def _question(label: str, hint: str) -> Block:
    return {
        "type": "input",
        "block_id": manifest.QUESTION_BLOCK,
        "label": _plain(label),
        "hint": _plain(hint),
        "element": {
            "type": "plain_text_input",
            "action_id": manifest.QUESTION_INPUT,
            "multiline": True,
            "min_length": 1,
            "max_length": MAX_QUESTION,
            "focus_on_load": True,
        },
    }


def _modal(callback_id: str, title: str, place: Place, blocks: list[Block]) -> Block:
    return {
        "type": "modal",
        "callback_id": callback_id,
        "title": _plain(title),
        "submit": _plain(texts.MODAL_SEND),
        "close": _plain(texts.MODAL_CANCEL),
        "private_metadata": place.note(),
        "blocks": blocks,
    }


def _quoted(text: str, limit: int) -> str:
    shown = text if len(text) <= limit else text[:limit] + "…"
    quoted = "\n".join(f"> {line}" for line in escaped(shown).splitlines())
    return quoted if len(quoted) <= _SECTION - 100 else quoted[: _SECTION - 100] + "…"


def _section(text: str) -> Block:
    return {"type": "section", "text": _mrkdwn(text[:_SECTION])}


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text}


def _mrkdwn(text: str) -> Block:
    return {"type": "mrkdwn", "text": text}
