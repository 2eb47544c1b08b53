"""Validates Block Kit by the structural rules that Slack enforces.

Limits: docs.slack.dev/reference/block-kit/blocks (read 2026-11). The page decides how a block
looks. This module decides which blocks an app may send.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from slack_emulator.state.entities import ApiError, Json

MAX_MESSAGE_BLOCKS: Final = 50
MAX_VIEW_BLOCKS: Final = 100
MAX_MARKDOWN_CHARS: Final = 12_000

_MAX_ID_CHARS: Final = 255


class _InvalidBlock(Exception):
    """The reason why blocks are refused."""


def validate_blocks(
    blocks: Sequence[Json], max_blocks: int = MAX_MESSAGE_BLOCKS
) -> tuple[Json, ...]:
    """The blocks, each with an id. Raises ApiError (`invalid_blocks`)."""
    if len(blocks) > max_blocks:
        raise _invalid_blocks_error(
            f"no more than {max_blocks} items allowed [json-pointer:/blocks]"
        )
    seen: set[str] = set()
    whole: list[Json] = []
    for place, block in enumerate(blocks):
        try:
            block_id = _validate_block(block, place, seen, in_view=max_blocks == MAX_VIEW_BLOCKS)
        except _InvalidBlock as error:
            raise _invalid_blocks_error(f"{error} [json-pointer:/blocks/{place}]") from None
        seen.add(block_id)
        whole.append(block | {"block_id": block_id})
    written = sum(len(str(b.get("text", ""))) for b in blocks if b.get("type") == "markdown")
    if written > MAX_MARKDOWN_CHARS:
        raise _invalid_blocks_error("markdown blocks are too long together [json-pointer:/blocks]")
    return tuple(whole)


def _validate_block(block: Json, index: int, seen: set[str], *, in_view: bool) -> str:
    """The id of a valid block, generated if it has none."""
    _check_block(block, in_view)
    block_id = _checked_text(block, "block_id", 0, _MAX_ID_CHARS) or _generate_id(index, seen)
    if block_id in seen:
        raise _InvalidBlock(f"block_id {block_id} already exists")
    return block_id


def _invalid_blocks_error(reason: str) -> ApiError:
    return ApiError("invalid_blocks", response_metadata={"messages": [f"[ERROR] {reason}"]})


def _generate_id(index: int, seen: set[str]) -> str:
    made = f"b{index}"
    while made in seen:
        made += "x"
    return made


def _check_block(block: Json, in_view: bool) -> None:
    kind = block.get("type")
    if not isinstance(kind, str) or kind not in _BLOCK_CHECKS:
        raise _InvalidBlock(f"unsupported type: {kind}")
    if kind == "input" and not in_view and "element" not in block:
        raise _InvalidBlock("missing element")
    _BLOCK_CHECKS[kind](block)


def _check_section(block: Json) -> None:
    fields = block.get("fields")
    if "text" not in block and not fields:
        raise _InvalidBlock("missing text or fields")
    if "text" in block:
        _check_text_object(block["text"], 3_000)
    if fields is not None:
        if not isinstance(fields, list) or not 1 <= len(fields) <= 10:
            raise _InvalidBlock("fields must have 1 to 10 items")
        for one in fields:
            _check_text_object(one, 2_000)
    if "accessory" in block:
        _check_element(block["accessory"])


def _check_header(block: Json) -> None:
    _check_text_object(block.get("text"), 150, plain=True)


def _check_actions(block: Json) -> None:
    for element in _checked_elements(block, 25):
        _check_element(element)


def _check_context(block: Json) -> None:
    for element in _checked_elements(block, 10):
        if element.get("type") == "image":
            _check_image(element)
        else:
            _check_text_object(element, 2_000)


def _check_context_actions(block: Json) -> None:
    for element in _checked_elements(block, 5):
        if element.get("type") not in ("feedback_buttons", "icon_button"):
            raise _InvalidBlock("unsupported element")


def _check_input(block: Json) -> None:
    _check_text_object(block.get("label"), 2_000, plain=True)
    if "hint" in block:
        _check_text_object(block["hint"], 2_000, plain=True)
    _check_element(block.get("element"))


def _check_image(block: Json) -> None:
    if not isinstance(block.get("alt_text"), str):
        raise _InvalidBlock("missing alt_text")
    if not block.get("image_url") and not block.get("slack_file"):
        raise _InvalidBlock("missing image_url or slack_file")


def _check_markdown(block: Json) -> None:
    _checked_text(block, "text", 1, MAX_MARKDOWN_CHARS)


def _check_table(block: Json) -> None:
    rows = block.get("rows")
    if not isinstance(rows, list) or not 1 <= len(rows) <= 100:
        raise _InvalidBlock("rows must have 1 to 100 items")
    if not all(isinstance(row, list) and 1 <= len(row) <= 20 for row in rows):
        raise _InvalidBlock("a row must have 1 to 20 cells")


def _check_rich_text(block: Json) -> None:
    if not isinstance(block.get("elements"), list):
        raise _InvalidBlock("missing elements")


def _check_not_empty(block: Json) -> None:
    """Accept Slack's newer blocks: their content is not checked."""
    if len(block) < 2:
        raise _InvalidBlock("missing fields")


def _check_divider(block: Json) -> None:
    """Accept a divider: it has no content."""
    del block


_UNCHECKED_TYPES: Final = (
    "alert",
    "card",
    "carousel",
    "container",
    "file",
    "plan",
    "task_card",
    "video",
)

_BLOCK_CHECKS: Final[dict[str, Callable[[Json], None]]] = {
    "section": _check_section,
    "header": _check_header,
    "divider": _check_divider,
    "actions": _check_actions,
    "context": _check_context,
    "context_actions": _check_context_actions,
    "input": _check_input,
    "image": _check_image,
    "markdown": _check_markdown,
    "table": _check_table,
    "rich_text": _check_rich_text,
    **dict.fromkeys(_UNCHECKED_TYPES, _check_not_empty),
}

_BUTTON_TYPES: Final = frozenset({"button", "workflow_button"})
_MAX_OPTIONS: Final = {
    "overflow": 5,
    "checkboxes": 10,
    "radio_buttons": 10,
    "static_select": 100,
    "multi_static_select": 100,
}
_ELEMENT_TYPES: Final = (
    _BUTTON_TYPES
    | _MAX_OPTIONS.keys()
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


def _check_element(element: object) -> None:
    if not isinstance(element, dict) or element.get("type") not in _ELEMENT_TYPES:
        raise _InvalidBlock("unsupported element")
    _checked_text(element, "action_id", 0, _MAX_ID_CHARS)
    if element["type"] == "image":
        _check_image(element)
    if element["type"] in _BUTTON_TYPES:
        _check_text_object(element.get("text"), 75, plain=True)
        _checked_text(element, "value", 0, 2_000)
        _checked_text(element, "url", 0, 3_000)
        if element.get("style", "primary") not in ("primary", "danger"):
            raise _InvalidBlock("invalid style")
    if element["type"] in _MAX_OPTIONS and "option_groups" not in element:
        _check_options(element.get("options"), _MAX_OPTIONS[element["type"]])
    if "confirm" in element:
        _check_confirm(element["confirm"])


def _check_options(options: object, max_options: int) -> None:
    if not isinstance(options, list) or not 1 <= len(options) <= max_options:
        raise _InvalidBlock(f"options must have 1 to {max_options} items")
    for option in options:
        if not isinstance(option, dict):
            raise _InvalidBlock("options must be objects")
        _check_text_object(option.get("text"), 75)
        _checked_text(option, "value", 0, 150)


def _check_confirm(confirm: object) -> None:
    if not isinstance(confirm, dict):
        raise _InvalidBlock("confirm must be an object")
    _check_text_object(confirm.get("title"), 100, plain=True)
    _check_text_object(confirm.get("text"), 300)
    _check_text_object(confirm.get("confirm"), 30, plain=True)
    _check_text_object(confirm.get("deny"), 30, plain=True)


def _checked_elements(block: Json, max_elements: int) -> list[Json]:
    elements = block.get("elements")
    if not isinstance(elements, list) or not 1 <= len(elements) <= max_elements:
        raise _InvalidBlock(f"elements must have 1 to {max_elements} items")
    if not all(isinstance(one, dict) for one in elements):
        raise _InvalidBlock("elements must be objects")
    return elements


def _check_text_object(value: object, max_chars: int, *, plain: bool = False) -> None:
    if not isinstance(value, dict):
        raise _InvalidBlock("missing text")
    if value.get("type") not in (("plain_text",) if plain else ("plain_text", "mrkdwn")):
        raise _InvalidBlock("invalid text type")
    _checked_text(value, "text", 1, max_chars)


def _checked_text(container: Json, name: str, min_chars: int, max_chars: int) -> str:
    value = container.get(name, "")
    if not isinstance(value, str):
        raise _InvalidBlock(f"{name} must be a string")
    if len(value) < min_chars:
        raise _InvalidBlock(f"{name} must be more than {min_chars - 1} characters")
    if len(value) > max_chars:
        raise _InvalidBlock(f"{name} must be less than {max_chars + 1} characters")
    return value


def iter_elements(blocks: Sequence[Json]) -> Iterator[tuple[str, Json]]:
    """All interactive elements, each with the id of its block."""
    for block in blocks:
        block_id = str(block.get("block_id", ""))
        single = [block.get("accessory"), block.get("element")]
        many = block.get("elements")
        for element in [*single, *(many if isinstance(many, list) else [])]:
            if isinstance(element, dict) and element.get("type") in _ELEMENT_TYPES:
                yield block_id, element
