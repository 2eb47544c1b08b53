"""Renders the modals that ask for a question, and the button that opens one."""

from __future__ import annotations

from typing import Final

from bot.slack import manifest, texts
from bot.slack.api.blocks import Block, actions_block, context_block, plain_text, section_block
from bot.slack.formatting.mrkdwn import escape
from bot.slack.interactions.payloads import QuestionTarget
from bot.slack.interactions.question_service import MAX_QUESTION_CHARS

_MAX_SECTION_CHARS: Final = 3_000


def ask_button() -> Block:
    """The button under the help card that opens the question modal."""
    button: Block = {
        "type": "button",
        "action_id": manifest.ASK_BUTTON,
        "text": plain_text(texts.ASK_BUTTON),
        "style": "primary",
    }
    return actions_block([button]) | {"block_id": manifest.HELP_ACTIONS_BLOCK}


def question_modal(target: QuestionTarget) -> Block:
    """The modal for a question to a channel."""
    return _modal(
        manifest.ASK_MODAL,
        texts.MODAL_TITLE,
        target,
        [_question_input(texts.QUESTION_LABEL, texts.QUESTION_HINT)],
    )


def about_modal(target: QuestionTarget) -> Block:
    """The modal for a question about a message, which it quotes."""
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
