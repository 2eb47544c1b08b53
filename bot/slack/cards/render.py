"""Renders cards as Block Kit.

All text in a card may come from users. It is escaped and truncated to Slack's limits
(docs.slack.dev/reference/block-kit). These are 150 characters for a header, 3,000 for a section,
2,000 for a context, 75 for a button or an option. A message has at most 50 blocks and a view 100.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from bot.domain.cards import Button, Card, CardItem, ReplyActions, Select
from bot.domain.messages import ThreadKey
from bot.domain.text import truncate
from bot.slack import texts
from bot.slack.api.blocks import (
    Block,
    actions_block,
    context_block,
    plain_text,
    section_block,
)
from bot.slack.cards.button_values import (
    COMMAND_ACTION_PREFIX,
    MAX_BUTTON_VALUE_CHARS,
    MAX_OPTION_VALUE_CHARS,
    build_button_value,
)
from bot.slack.formatting.mrkdwn import escape
from bot.slack.formatting.sanitize import escaped_chunks, sanitize, truncate_escaped

MAX_VIEW_BLOCKS: Final = 100
FALLBACK_CHARS: Final = 3_000
"""Maximum number of characters of the text beside the blocks; `chat.update` refuses more than
4,000."""

_HEADER_CHARS, _SECTION_CHARS, _CONTEXT_CHARS, _LABEL_CHARS = 150, 3_000, 2_000, 75
_ITEM_CHARS: Final = 1_300
_CONFIRM_TITLE_CHARS, _CONFIRM_CHARS, _CONFIRM_LABEL_CHARS = 100, 300, 30
_MAX_SECTIONS: Final = 5
"""Maximum number of sections for a card's own text in a message; on the Home tab it is one."""
_MAX_ITEMS: Final = 10
_MAX_BUTTONS: Final = 20
_MAX_OPTIONS: Final = 100
_MAX_MENU_OPTIONS: Final = 5
_MAX_ITEM_BUTTONS: Final = 5
_MAX_ACTION_BUTTONS: Final = 8
"""Maximum number of buttons under a reply: six of its own, and those of its menu that need a
confirmation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedCard:
    """A card in Slack's form. `text` is for notifications and for clients without blocks."""

    text: str
    blocks: list[Block]


def render_card(
    card: Card,
    *,
    thread: ThreadKey | None = None,
    command_name: str = "",
    links: Mapping[ThreadKey, str] | None = None,
) -> RenderedCard:
    """Render a card for a message in `thread` that answers `command_name`.

    `links` are the permalinks of the threads that the card links to. A thread without one is not
    linked.
    """
    renderer = _Renderer(thread=thread, command_name=command_name, links=links or {})
    return RenderedCard(text=fallback_text(card), blocks=renderer.render_card(card))


def render_home(
    cards: Sequence[Card], links: Mapping[ThreadKey, str], pinned: Sequence[Card] = ()
) -> list[Block]:
    """Render the cards of a view, with dividers between them.

    If they exceed a view's limit, each card but the pinned ones shows fewer of its items.
    """
    blocks: list[Block] = []
    for max_items in range(_MAX_ITEMS, -1, -1):
        renderer = _Renderer(links=links, small_details=False, max_sections=1)
        blocks = []
        for number, card in enumerate((*pinned, *cards)):
            if blocks:
                blocks.append({"type": "divider"})
            card_items = _MAX_ITEMS if number < len(pinned) else max_items
            blocks += renderer.render_card(replace(card, items=card.items[:card_items]))
        if len(blocks) <= MAX_VIEW_BLOCKS:
            return blocks
    return blocks[:MAX_VIEW_BLOCKS]


def render_actions(actions: ReplyActions, thread: ThreadKey) -> list[Block]:
    """Render what is shown under a reply in `thread`.

    Slack confirms a single button or a whole menu. So an action that needs a confirmation becomes a
    button, even if it is in `menu`.
    """
    renderer = _Renderer(thread=thread)
    confirmed = tuple(button for button in actions.menu if button.confirm)
    menu = [button for button in actions.menu if not button.confirm]
    elements = renderer.render_buttons((*actions.buttons, *confirmed), _MAX_ACTION_BUTTONS)
    if menu and (overflow := renderer.render_menu(menu[:_MAX_MENU_OPTIONS])):
        elements.append(overflow)
    blocks: list[Block] = [actions_block(elements)] if elements else []
    return [*blocks, *renderer.render_small_print(actions.small_print)]


def linked_threads(cards: Sequence[Card]) -> frozenset[ThreadKey]:
    """All threads that the cards link to."""
    found = {card.link for card in cards}
    found |= {item.link for card in cards for item in card.items[:_MAX_ITEMS]}
    return frozenset(thread for thread in found if thread is not None)


def fallback_text(card: Card) -> str:
    """The card as escaped text; never empty."""
    return (
        truncate_escaped(card.text, FALLBACK_CHARS)
        or truncate_escaped(card.title, FALLBACK_CHARS)
        or texts.APP_NAME
    )


@dataclass(slots=True, kw_only=True)
class _Renderer:
    """Renders the parts of one message or view, in which each action needs its own id."""

    thread: ThreadKey | None = None
    command_name: str = ""
    links: Mapping[ThreadKey, str] = field(default_factory=dict)
    small_details: bool = True
    """Whether an item's detail is small print in a block of its own. Otherwise it is the item's
    second line."""
    max_sections: int = _MAX_SECTIONS
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def render_card(self, card: Card) -> list[Block]:
        blocks: list[Block] = []
        if card.title.strip():
            title = truncate(sanitize(" ".join(card.title.split())), _HEADER_CHARS)
            blocks.append({"type": "header", "text": plain_text(title)})
        blocks += [
            section_block(chunk)
            for chunk in escaped_chunks(card.text, _SECTION_CHARS, self.max_sections)
        ]
        if card.link is not None and (url := self.links.get(card.link)):
            blocks.append(section_block(_link(texts.OPEN_THREAD, url)))
        for item in card.items[:_MAX_ITEMS]:
            blocks += self._render_item(item)
        if buttons := self.render_buttons(card.buttons, _MAX_BUTTONS):
            blocks.append(actions_block(buttons))
        return [*blocks, *self.render_small_print(card.small_print)]

    def render_small_print(self, text: str) -> list[Block]:
        """A context block with small print; no block for an empty text."""
        if not text.strip():
            return []
        return [context_block(truncate_escaped(text, _CONTEXT_CHARS))]

    def render_buttons(self, buttons: Sequence[Button], max_buttons: int) -> list[Block]:
        found = (self._render_button(spec) for spec in buttons)
        return [button for button in found if button is not None][:max_buttons]

    def render_menu(self, buttons: Sequence[Button]) -> Block | None:
        """An overflow menu, or None if it has no options.

        The whole menu has one action id; the option's value says which command it is.
        """
        options = [
            self._render_option(button.label, button.command_name, button.args, button.turn)
            for button in buttons
        ]
        valid = [option for option in options if option is not None]
        if not valid:
            return None
        return {"type": "overflow", "action_id": self._next_action_id("menu"), "options": valid}

    def _render_item(self, item: CardItem) -> list[Block]:
        text = truncate_escaped(item.text, _ITEM_CHARS)
        url = self.links.get(item.link) if item.link is not None else None
        if url and text:
            text = _link(item.text, url)
        detail = truncate_escaped(
            item.detail, _ITEM_CHARS if not self.small_details else _CONTEXT_CHARS
        )
        if detail and (not self.small_details or not text):
            text, detail = f"{text}\n{detail}".strip(), ""
        blocks: list[Block] = []
        accessory = self._render_select(item.select) if item.select is not None else None
        buttons = self.render_buttons(item.buttons, _MAX_ITEM_BUTTONS)
        if text and accessory is None and len(buttons) == 1:
            accessory = buttons.pop()
        if text or accessory is not None:
            section = section_block(text or escape(texts.SELECT_PLACEHOLDER))
            if accessory is not None:
                section["accessory"] = accessory
            blocks.append(section)
        if detail:
            blocks.append(context_block(detail))
        if buttons:
            blocks.append(actions_block(buttons))
        return blocks

    def _render_button(self, spec: Button) -> Block | None:
        label = _label(spec.label)
        value = self._encode_value(spec.command_name, spec.args, spec.turn, MAX_BUTTON_VALUE_CHARS)
        if not (label and value):
            return None
        button: Block = {
            "type": "button",
            "action_id": self._next_action_id(spec.command_name),
            "text": plain_text(label),
            "value": value,
        }
        if spec.style:
            button["style"] = spec.style
        if spec.confirm.strip():
            button["confirm"] = _confirmation(spec.confirm, label, spec.style)
        return button

    def _render_select(self, spec: Select) -> Block | None:
        options: dict[str, Block] = {}
        initial: Block | None = None
        for label, value in spec.options[:_MAX_OPTIONS]:
            args = f"{spec.args} {value}".strip()
            option = self._render_option(label, spec.command_name, args, None)
            if option is None or value in options:
                continue
            options[value] = option
            if value == spec.selected:
                initial = option
        if not options:
            return None
        select: Block = {
            "type": "static_select",
            "action_id": self._next_action_id(spec.command_name),
            "placeholder": plain_text(_label(spec.label) or texts.SELECT_PLACEHOLDER),
            "options": list(options.values()),
        }
        if initial is not None:
            select["initial_option"] = initial
        return select

    def _render_option(
        self, text: str, command_name: str, args: str, turn: int | None
    ) -> Block | None:
        label, value = (
            _label(text),
            self._encode_value(command_name, args, turn, MAX_OPTION_VALUE_CHARS),
        )
        return {"text": plain_text(label), "value": value} if label and value else None

    def _encode_value(self, command_name: str, args: str, turn: int | None, max_chars: int) -> str:
        command = build_button_value(
            command_name, args, thread=self.thread, turn=turn, card_command=self.command_name
        )
        return command.encode(max_chars)

    def _next_action_id(self, name: str) -> str:
        return f"{COMMAND_ACTION_PREFIX}{name}:{next(self._numbers)}"


def _confirmation(question: str, label: str, style: str) -> Block:
    dialog: Block = {
        "title": plain_text(
            truncate(texts.CONFIRM_TITLE.format(action=label), _CONFIRM_TITLE_CHARS)
        ),
        "text": plain_text(truncate(sanitize(question.strip()), _CONFIRM_CHARS)),
        "confirm": plain_text(truncate(label, _CONFIRM_LABEL_CHARS)),
        "deny": plain_text(texts.CONFIRM_DENY),
    }
    return dialog | {"style": "danger"} if style == "danger" else dialog


def _link(text: str, url: str) -> str:
    label = truncate_escaped(re.sub(r"[|\s]+", " ", text), _ITEM_CHARS)
    return f"<{url}|{label}>"


def _label(text: str) -> str:
    return truncate(sanitize(" ".join(text.split())), _LABEL_CHARS)
