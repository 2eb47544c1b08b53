"""Cards, drawn: what people are shown in answer to an order, as Block Kit.

Everything in a card is people's text: it is escaped, so that nothing in it is live, and clipped to
Slack's limits (docs.slack.dev/reference/block-kit: header 150, section 3,000, context 2,000, button
and option 75 characters; 50 blocks to a message, 100 to a view).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from bot.domain.cards import Card, Choose, Foot, Line, Press
from bot.domain.messages import ThreadKey
from bot.slack import texts
from bot.slack.api.client import Block
from bot.slack.cards.button_values import ACTION, BUTTON_CHARS, OPTION_CHARS, carried
from bot.slack.formatting.mrkdwn import escaped
from bot.slack.formatting.sanitize import clipped, cut, pieces, showable

MAX_VIEW_BLOCKS: Final = 100
FALLBACK_CHARS: Final = 3_000
"""Of the text beside the blocks; `chat.update` refuses more than 4,000."""

_HEADER, _SECTION, _CONTEXT, _LABEL = 150, 3_000, 2_000, 75
_LINE_TEXT: Final = 1_300
_CONFIRM, _CONFIRM_LABEL = 300, 30
_MOST_SECTIONS: Final = 5
"""Of a card's own text in a message; on the Home tab it is one."""
_MOST_LINES: Final = 10
_MOST_BUTTONS: Final = 20
_MOST_OPTIONS: Final = 100
_MOST_IN_MENU: Final = 5
_LINE_PRESSES: Final = 5
_FOOT_PRESSES: Final = 8
"""Six of its own, and those of its menu that have to be confirmed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A card as Slack takes it: `text` is for notifications and where no blocks are shown."""

    text: str
    blocks: list[Block]


def draw(
    card: Card,
    *,
    thread: ThreadKey | None = None,
    verb: str = "",
    links: Mapping[ThreadKey, str] | None = None,
) -> Drawn:
    """A card for a message: in `thread`, in answer to an order of `verb`.

    `links` are the addresses of the threads that it leads to; what has none is not a link.
    """
    pen = _Pen(thread=thread, verb=verb, links=links or {})
    return Drawn(text=fallback(card), blocks=pen.card(card))


def draw_home(
    cards: Sequence[Card], links: Mapping[ThreadKey, str], on_top: Sequence[Card] = ()
) -> list[Block]:
    """Cards below one another, lines between them, in what a view takes; where that is too little,
    each but those on top shows fewer of its own lines."""
    blocks: list[Block] = []
    for lines in range(_MOST_LINES, -1, -1):
        pen = _Pen(links=links, small_details=False, sections=1)
        blocks = []
        for number, card in enumerate((*on_top, *cards)):
            if blocks:
                blocks.append({"type": "divider"})
            most = _MOST_LINES if number < len(on_top) else lines
            blocks += pen.card(replace(card, lines=card.lines[:most]))
        if len(blocks) <= MAX_VIEW_BLOCKS:
            return blocks
    return blocks[:MAX_VIEW_BLOCKS]


def draw_foot(foot: Foot, thread: ThreadKey) -> list[Block]:
    """What stands under a reply in `thread`.

    Slack asks for confirmation per button or per whole menu, so what has to be confirmed is a
    button, also where the foot has it in its menu.
    """
    pen = _Pen(thread=thread)
    asked = tuple(press for press in foot.menu if press.confirm)
    menu = [press for press in foot.menu if not press.confirm]
    elements = pen.buttons((*foot.presses, *asked), _FOOT_PRESSES)
    if menu and (overflow := pen.menu(menu[:_MOST_IN_MENU])):
        elements.append(overflow)
    blocks: list[Block] = [_actions(elements)] if elements else []
    return [*blocks, *pen.small(foot.small)]


def threads_of(cards: Sequence[Card]) -> frozenset[ThreadKey]:
    """Every thread that the cards lead to."""
    found = {card.link for card in cards}
    found |= {line.link for card in cards for line in card.lines[:_MOST_LINES]}
    return frozenset(thread for thread in found if thread is not None)


def fallback(card: Card) -> str:
    """The card as inert text alone; never empty."""
    return clipped(card.text, FALLBACK_CHARS) or clipped(card.title, FALLBACK_CHARS) or texts.NAME


@dataclass(slots=True, kw_only=True)
class _Pen:
    """Draws the parts of one message or view, in which every action needs an id of its own."""

    thread: ThreadKey | None = None
    verb: str = ""
    links: Mapping[ThreadKey, str] = field(default_factory=dict)
    small_details: bool = True
    """Whether a line's detail is set small in a block of its own; else it is its second line."""
    sections: int = _MOST_SECTIONS
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def card(self, card: Card) -> list[Block]:
        blocks: list[Block] = []
        if card.title.strip():
            title = cut(showable(" ".join(card.title.split())), _HEADER)
            blocks.append({"type": "header", "text": _plain(title)})
        blocks += [_section(piece) for piece in pieces(card.text, _SECTION, self.sections)]
        if card.link is not None and (address := self.links.get(card.link)):
            blocks.append(_section(_linked(texts.OPEN_THREAD, address)))
        for line in card.lines[:_MOST_LINES]:
            blocks += self._line(line)
        if buttons := self.buttons(card.presses, _MOST_BUTTONS):
            blocks.append(_actions(buttons))
        return [*blocks, *self.small(card.small)]

    def small(self, text: str) -> list[Block]:
        """A note in small print; nothing for nothing."""
        if not text.strip():
            return []
        return [{"type": "context", "elements": [_mrkdwn(clipped(text, _CONTEXT))]}]

    def buttons(self, presses: Sequence[Press], most: int) -> list[Block]:
        found = (self._button(press) for press in presses)
        return [button for button in found if button is not None][:most]

    def menu(self, presses: Sequence[Press]) -> Block | None:
        """An overflow menu. (All of it has one action id; which order it is says the option.)"""
        options = [
            self._option(press.label, press.verb, press.words, press.turn) for press in presses
        ]
        whole = [option for option in options if option is not None]
        if not whole:
            return None
        return {"type": "overflow", "action_id": self._id("menu"), "options": whole}

    def _line(self, line: Line) -> list[Block]:
        text = clipped(line.text, _LINE_TEXT)
        address = self.links.get(line.link) if line.link is not None else None
        if address and text:
            text = _linked(line.text, address)
        detail = clipped(line.detail, _LINE_TEXT if not self.small_details else _CONTEXT)
        if detail and (not self.small_details or not text):
            text, detail = f"{text}\n{detail}".strip(), ""
        blocks: list[Block] = []
        beside = self._choice(line.choose) if line.choose is not None else None
        buttons = self.buttons(line.presses, _LINE_PRESSES)
        if text and beside is None and len(buttons) == 1:
            beside = buttons.pop()
        if text or beside is not None:
            section = _section(text or escaped(texts.CHOOSE))
            if beside is not None:
                section["accessory"] = beside
            blocks.append(section)
        if detail:
            blocks.append({"type": "context", "elements": [_mrkdwn(detail)]})
        if buttons:
            blocks.append(_actions(buttons))
        return blocks

    def _button(self, press: Press) -> Block | None:
        label = _label(press.label)
        value = self._value(press.verb, press.words, press.turn, BUTTON_CHARS)
        if not (label and value):
            return None
        button: Block = {
            "type": "button",
            "action_id": self._id(press.verb),
            "text": _plain(label),
            "value": value,
        }
        if press.style:
            button["style"] = press.style
        if press.confirm.strip():
            button["confirm"] = _confirmation(press.confirm, label, press.style)
        return button

    def _choice(self, choose: Choose) -> Block | None:
        options: dict[str, Block] = {}
        chosen: Block | None = None
        for shown, value in choose.options[:_MOST_OPTIONS]:
            said = f"{choose.words} {value}".strip()
            option = self._option(shown, choose.verb, said, None)
            if option is None or value in options:
                continue
            options[value] = option
            if value == choose.chosen:
                chosen = option
        if not options:
            return None
        select: Block = {
            "type": "static_select",
            "action_id": self._id(choose.verb),
            "placeholder": _plain(_label(choose.label) or texts.CHOOSE),
            "options": list(options.values()),
        }
        if chosen is not None:
            select["initial_option"] = chosen
        return select

    def _option(self, shown: str, verb: str, said: str, turn: int | None) -> Block | None:
        label, value = _label(shown), self._value(verb, said, turn, OPTION_CHARS)
        return {"text": _plain(label), "value": value} if label and value else None

    def _value(self, verb: str, said: str, turn: int | None, most: int) -> str:
        order = carried(verb, said, thread=self.thread, turn=turn, card_verb=self.verb)
        return order.value(most)

    def _id(self, name: str) -> str:
        return f"{ACTION}{name}:{next(self._numbers)}"


def _confirmation(question: str, label: str, style: str) -> Block:
    asked: Block = {
        "title": _plain(texts.SURE),
        "text": _plain(cut(showable(question.strip()), _CONFIRM)),
        "confirm": _plain(cut(label, _CONFIRM_LABEL)),
        "deny": _plain(texts.NO),
    }
    return asked | {"style": "danger"} if style == "danger" else asked


def _linked(text: str, address: str) -> str:
    label = clipped(re.sub(r"[|\s]+", " ", text), _LINE_TEXT)
    return f"<{address}|{label}>"


def _label(text: str) -> str:
    return cut(showable(" ".join(text.split())), _LABEL)


def _section(text: str) -> Block:
    return {"type": "section", "text": _mrkdwn(text)}


def _actions(elements: list[Block]) -> Block:
    return {"type": "actions", "elements": elements}


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text}


def _mrkdwn(text: str) -> Block:
    # Verbatim: Slack links no address and no name that is merely written there.
    return {"type": "mrkdwn", "text": text, "verbatim": True}
