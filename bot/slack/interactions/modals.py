"""Buttons, modals and the message shortcut: what happens when people use them.

Each method gives the sentence that the person is told, empty when what they see is enough.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from bot.errors import SlackError
from bot.slack import manifest, texts
from bot.slack.api.blocks import Block, actions_block, context_block, plain_text, section_block
from bot.slack.api.calls import CallContext
from bot.slack.api.client import SlackClient
from bot.slack.api.rate_limiter import Priority
from bot.slack.formatting.mrkdwn import escape
from bot.slack.interactions.ask import MAX_QUESTION_CHARS, Question, QuestionService
from bot.slack.interactions.payloads import (
    ButtonPress,
    ModalSubmission,
    QuestionTarget,
    ShortcutPayload,
)

log = logging.getLogger(__name__)

_MAX_WAIT_SECONDS = 1.0
"""Slack takes a trigger for 3 s."""

_EXPIRED_TRIGGER_ERRORS = frozenset(
    {"expired_trigger_id", "exchanged_trigger_id", "invalid_trigger_id"}
)


class Modals:
    """What buttons, modals and shortcuts do."""

    def __init__(self, client: SlackClient, question_service: QuestionService) -> None:
        self._client = client
        self._question_service = question_service

    async def on_button(self, button_press: ButtonPress) -> str:
        """A button was pressed: ours, or one from an earlier time."""
        closed = await self._question_service.denial_for(button_press.actor, button_press.channel)
        if closed:
            return closed
        if button_press.action_id != manifest.ASK_BUTTON or not button_press.channel:
            return texts.OLD_BUTTON
        return await self._open_modal(
            button_press.trigger_id, question_modal(QuestionTarget(channel=button_press.channel))
        )

    async def on_shortcut(self, shortcut: ShortcutPayload) -> str:
        """The shortcut was chosen on a message: ask what to do with it."""
        closed = await self._question_service.denial_for(shortcut.actor, shortcut.target.channel)
        if closed:
            return closed
        if not shortcut.target.quoted:
            return texts.ABOUT_EMPTY
        return await self._open_modal(shortcut.trigger_id, about_modal(shortcut.target))

    async def on_submission(
        self, submission: ModalSubmission, notify_later: Callable[[str], Awaitable[None]]
    ) -> str:
        """A modal was sent off: ask its question."""
        question = Question(
            key=submission.view_id,
            actor=submission.actor,
            target=submission.target,
            text=submission.question,
        )
        return await self._question_service.submit(question, notify_later)

    async def _open_modal(self, trigger_id: str, view: Block) -> str:
        try:
            await self._client.call(
                self._client.web.views_open,
                CallContext(priority=Priority.HIGH),
                max_wait=_MAX_WAIT_SECONDS,
                trigger_id=trigger_id,
                view=view,
            )
        except SlackError as error:
            log.warning("a modal could not be opened: %s", error)
            return texts.TOO_SLOW if error.code in _EXPIRED_TRIGGER_ERRORS else error.user_message
        return ""


_MAX_SECTION_CHARS: Final = 3_000


def ask_button() -> Block:
    """The button under the help that opens the modal."""
    button: Block = {
        "type": "button",
        "action_id": manifest.ASK_BUTTON,
        "text": plain_text(texts.ASK_BUTTON),
        "style": "primary",
    }
    return actions_block([button]) | {"block_id": manifest.HELP_ACTIONS_BLOCK}


def question_modal(target: QuestionTarget) -> Block:
    """The modal in which a question for a channel is written."""
    return _modal(
        manifest.ASK_MODAL,
        texts.MODAL_TITLE,
        target,
        [_question_input(texts.QUESTION_LABEL, texts.QUESTION_HINT)],
    )


def about_modal(target: QuestionTarget) -> Block:
    """The modal that asks what to do with a message; the message goes with it."""
    note = f"{texts.ABOUT_QUOTED}\n{_blockquote(target.quoted, 1_500)}"
    blocks = [
        section_block(note, verbatim=False),
        _question_input(texts.ABOUT_LABEL, texts.ABOUT_HINT),
    ]
    if target.clipped:
        clipped = texts.ABOUT_CLIPPED.format(limit=len(target.quoted))
        blocks.insert(1, context_block(clipped, verbatim=False))
    return _modal(manifest.ABOUT_MODAL, texts.ABOUT_TITLE, target, blocks)


def _question_input(label: str, hint: str) -> Block:
    return {
        "type": "input",
        "block_id": manifest.QUESTION_BLOCK,
        "label": plain_text(label),
        "hint": plain_text(hint),
        "element": {
            "type": "plain_text_input",
            "action_id": manifest.QUESTION_INPUT,
            "multiline": True,
            "min_length": 1,
            "max_length": MAX_QUESTION_CHARS,
            "focus_on_load": True,
        },
    }


def _modal(callback_id: str, title: str, target: QuestionTarget, blocks: list[Block]) -> Block:
    return {
        "type": "modal",
        "callback_id": callback_id,
        "title": plain_text(title),
        "submit": plain_text(texts.MODAL_SEND),
        "close": plain_text(texts.MODAL_CANCEL),
        "private_metadata": target.to_metadata(),
        "blocks": blocks,
    }


def _blockquote(text: str, limit: int) -> str:
    shown = text if len(text) <= limit else text[:limit] + "…"
    quoted = "\n".join(f"> {line}" for line in escape(shown).splitlines())
    return (
        quoted
        if len(quoted) <= _MAX_SECTION_CHARS - 100
        else quoted[: _MAX_SECTION_CHARS - 100] + "…"
    )
