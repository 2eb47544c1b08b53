"""Builds the Block Kit objects that cards and modals consist of."""

from __future__ import annotations

from collections.abc import Sequence

Block = dict[str, object]
"""A block, or an object or element within one."""


def section_block(text: str, *, verbatim: bool = True) -> Block:
    """A section with mrkdwn text."""
    return {"type": "section", "text": mrkdwn(text, verbatim=verbatim)}


def actions_block(elements: Sequence[Block]) -> Block:
    """A row of buttons and menus."""
    return {"type": "actions", "elements": list(elements)}


def context_block(text: str, *, verbatim: bool = True) -> Block:
    """Small print with mrkdwn text."""
    return {"type": "context", "elements": [mrkdwn(text, verbatim=verbatim)]}


def plain_text(text: str) -> Block:
    """Text that shows as it is."""
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str, *, verbatim: bool = True) -> Block:
    """Text with Slack's markup. If `verbatim`, Slack links no address and no name in it."""
    text_object: Block = {"type": "mrkdwn", "text": text}
    return text_object | {"verbatim": True} if verbatim else text_object
