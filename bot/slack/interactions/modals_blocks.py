"""What the bot's modals and posted questions look like: Block Kit, built from words.

Whatever comes from people is escaped or plain text here, and clipped to Slack's limits
(docs.slack.dev/reference/block-kit: section 3,000 characters, modal's note 3,000).
"""

from __future__ import annotations

from typing import Final

from bot.slack import manifest, texts
from bot.slack.cards.render import Block
from bot.slack.formatting.mrkdwn import escaped
from bot.slack.interactions.payloads import Place

MAX_QUESTION: Final = 3_000
"""The most that a modal's input takes; the slash command takes the same."""

_SECTION: Final = 3_000
_EXCERPT: Final = 120


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


def question_message(asker: str, question: str, about: str = "") -> str:
    """The message by which a question stands in the channel: the question itself cannot ping.

    `asker` is a user id; `about` is the message that the question is about, if it is.
    """
    asked = "\n".join(f"> {line}" for line in escaped(question).splitlines())
    if not about:
        return texts.ASKED.format(asker=f"<@{asker}>", question=asked)
    first = " ".join(about.split())
    excerpt = escaped(first if len(first) <= _EXCERPT else first[:_EXCERPT] + "…")
    return texts.ASKED_ABOUT.format(asker=f"<@{asker}>", excerpt=excerpt, question=asked)


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
