"""The structural rules of Block Kit, as far as Slack refuses what breaks them.

Limits: docs.slack.dev/reference/block-kit/blocks (read 2026-11). What a block looks like is the
page's matter; what may be sent is decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from slack_emulator.state.entities import Json, Refused

MAX_MESSAGE_BLOCKS: Final = 50
MAX_VIEW_BLOCKS: Final = 100
MARKDOWN_CHARS: Final = 12_000

_ID_CHARS: Final = 255


class _Wrong(Exception):
    """Why blocks are refused."""


def checked(blocks: Sequence[Json], most: int = MAX_MESSAGE_BLOCKS) -> tuple[Json, ...]:
    """The blocks with ids where they lack them. Refused with `invalid_blocks`."""
    if len(blocks) > most:
        raise _refused(f"no more than {most} items allowed [json-pointer:/blocks]")
    seen: set[str] = set()
    whole: list[Json] = []
    for place, block in enumerate(blocks):
        try:
            block_id = _checked_id(block, place, seen, in_view=most == MAX_VIEW_BLOCKS)
        except _Wrong as wrong:
            raise _refused(f"{wrong} [json-pointer:/blocks/{place}]") from None
        seen.add(block_id)
        whole.append(block | {"block_id": block_id})
    written = sum(len(str(b.get("text", ""))) for b in blocks if b.get("type") == "markdown")
    if written > MARKDOWN_CHARS:
        raise _refused("markdown blocks are too long together [json-pointer:/blocks]")
    return tuple(whole)


def _checked_id(block: Json, place: int, seen: set[str], *, in_view: bool) -> str:
    """A sound block's id, made up if it has none."""
    _check_block(block, in_view)
    block_id = _text_of(block, "block_id", 0, _ID_CHARS) or _id_for(place, seen)
    if block_id in seen:
        raise _Wrong(f"block_id {block_id} already exists")
    return block_id


def _refused(why: str) -> Refused:
    return Refused("invalid_blocks", response_metadata={"messages": [f"[ERROR] {why}"]})


def _id_for(place: int, seen: set[str]) -> str:
    made = f"b{place}"
    while made in seen:
        made += "x"
    return made


def _check_block(block: Json, in_view: bool) -> None:
    kind = block.get("type")
    if not isinstance(kind, str) or kind not in _CHECKS:
        raise _Wrong(f"unsupported type: {kind}")
    if kind == "input" and not in_view and "element" not in block:
        raise _Wrong("missing element")
    _CHECKS[kind](block)


def _section(block: Json) -> None:
    fields = block.get("fields")
    if "text" not in block and not fields:
        raise _Wrong("missing text or fields")
    if "text" in block:
        _text_object(block["text"], 3_000)
    if fields is not None:
        if not isinstance(fields, list) or not 1 <= len(fields) <= 10:
            raise _Wrong("fields must have 1 to 10 items")
        for one in fields:
            _text_object(one, 2_000)
    if "accessory" in block:
        _element(block["accessory"])


def _header(block: Json) -> None:
    _text_object(block.get("text"), 150, plain=True)


def _actions(block: Json) -> None:
    for element in _elements(block, 25):
        _element(element)


def _context(block: Json) -> None:
    for element in _elements(block, 10):
        if element.get("type") == "image":
            _image(element)
        else:
            _text_object(element, 2_000)


def _context_actions(block: Json) -> None:
    for element in _elements(block, 5):
        if element.get("type") not in ("feedback_buttons", "icon_button"):
            raise _Wrong("unsupported element")


def _input(block: Json) -> None:
    _text_object(block.get("label"), 2_000, plain=True)
    if "hint" in block:
        _text_object(block["hint"], 2_000, plain=True)
    _element(block.get("element"))


def _image(block: Json) -> None:
    if not isinstance(block.get("alt_text"), str):
        raise _Wrong("missing alt_text")
    if not block.get("image_url") and not block.get("slack_file"):
        raise _Wrong("missing image_url or slack_file")


def _markdown(block: Json) -> None:
    _text_of(block, "text", 1, MARKDOWN_CHARS)


def _table(block: Json) -> None:
    rows = block.get("rows")
    if not isinstance(rows, list) or not 1 <= len(rows) <= 100:
        raise _Wrong("rows must have 1 to 100 items")
    if not all(isinstance(row, list) and 1 <= len(row) <= 20 for row in rows):
        raise _Wrong("a row must have 1 to 20 cells")


def _rich_text(block: Json) -> None:
    if not isinstance(block.get("elements"), list):
        raise _Wrong("missing elements")


def _anything(block: Json) -> None:
    """Slack's newer blocks: their insides are not looked at."""
    if len(block) < 2:
        raise _Wrong("missing fields")


def _divider(block: Json) -> None:
    """A line has nothing that could be wrong."""
    del block


_UNSEEN: Final = ("alert", "card", "carousel", "container", "file", "plan", "task_card", "video")

_CHECKS: Final[dict[str, Callable[[Json], None]]] = {
    "section": _section,
    "header": _header,
    "divider": _divider,
    "actions": _actions,
    "context": _context,
    "context_actions": _context_actions,
    "input": _input,
    "image": _image,
    "markdown": _markdown,
    "table": _table,
    "rich_text": _rich_text,
    **dict.fromkeys(_UNSEEN, _anything),
}

_BUTTON_TYPES: Final = frozenset({"button", "workflow_button"})
_MOST_OPTIONS: Final = {
    "overflow": 5,
    "checkboxes": 10,
    "radio_buttons": 10,
    "static_select": 100,
    "multi_static_select": 100,
}
_ELEMENT_TYPES: Final = (
    _BUTTON_TYPES
    | _MOST_OPTIONS.keys()
    | {
        "channels_select",
        "conversations_select",
        "datepicker",
        "datetimepicker",
        "email_text_input",
        "external_select",
        "feedback_buttons",
        "file_input",
        "icon_button",
        "image",
        "multi_channels_select",
        "multi_conversations_select",
        "multi_external_select",
        "multi_users_select",
        "number_input",
        "plain_text_input",
        "rich_text_input",
        "timepicker",
        "url_text_input",
        "users_select",
    }
)


def _element(element: object) -> None:
    if not isinstance(element, dict) or element.get("type") not in _ELEMENT_TYPES:
        raise _Wrong("unsupported element")
    _text_of(element, "action_id", 0, _ID_CHARS)
    if element["type"] == "image":
        _image(element)
    if element["type"] in _BUTTON_TYPES:
        _text_object(element.get("text"), 75, plain=True)
        _text_of(element, "value", 0, 2_000)
        _text_of(element, "url", 0, 3_000)
        if element.get("style", "primary") not in ("primary", "danger"):
            raise _Wrong("invalid style")
    if element["type"] in _MOST_OPTIONS and "option_groups" not in element:
        _options(element.get("options"), _MOST_OPTIONS[element["type"]])
    if "confirm" in element:
        _confirm(element["confirm"])


def _options(options: object, most: int) -> None:
    if not isinstance(options, list) or not 1 <= len(options) <= most:
        raise _Wrong(f"options must have 1 to {most} items")
    for option in options:
        if not isinstance(option, dict):
            raise _Wrong("options must be objects")
        _text_object(option.get("text"), 75)
        _text_of(option, "value", 0, 150)


def _confirm(confirm: object) -> None:
    if not isinstance(confirm, dict):
        raise _Wrong("confirm must be an object")
    _text_object(confirm.get("title"), 100, plain=True)
    _text_object(confirm.get("text"), 300)
    _text_object(confirm.get("confirm"), 30, plain=True)
    _text_object(confirm.get("deny"), 30, plain=True)


def _elements(block: Json, most: int) -> list[Json]:
    elements = block.get("elements")
    if not isinstance(elements, list) or not 1 <= len(elements) <= most:
        raise _Wrong(f"elements must have 1 to {most} items")
    if not all(isinstance(one, dict) for one in elements):
        raise _Wrong("elements must be objects")
    return elements


def _text_object(value: object, most: int, *, plain: bool = False) -> None:
    if not isinstance(value, dict):
        raise _Wrong("missing text")
    if value.get("type") not in (("plain_text",) if plain else ("plain_text", "mrkdwn")):
        raise _Wrong("invalid text type")
    _text_of(value, "text", 1, most)


def _text_of(holder: Json, name: str, least: int, most: int) -> str:
    value = holder.get(name, "")
    if not isinstance(value, str):
        raise _Wrong(f"{name} must be a string")
    if len(value) < least:
        raise _Wrong(f"{name} must be more than {least - 1} characters")
    if len(value) > most:
        raise _Wrong(f"{name} must be less than {most + 1} characters")
    return value


def elements_of(blocks: Sequence[Json]) -> Iterator[tuple[str, Json]]:
    """Every element that a person can use, with its block's id."""
    for block in blocks:
        block_id = str(block.get("block_id", ""))
        single = [block.get("accessory"), block.get("element")]
        many = block.get("elements")
        for element in [*single, *(many if isinstance(many, list) else [])]:
            if isinstance(element, dict) and element.get("type") in _ELEMENT_TYPES:
                yield block_id, element
