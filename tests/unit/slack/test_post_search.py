"""The bot finds its own posts by their metadata, and takes no other message for one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bot.slack.api.client import PageItem
from bot.slack.api.post_search import find_post, has_metadata


def posted(ts: str, bot_id: str = "B1", **payload: object) -> PageItem:
    return {
        "ts": ts,
        "bot_id": bot_id,
        "metadata": {"event_type": "card", "event_payload": payload},
    }


async def listed(*messages: PageItem) -> AsyncIterator[PageItem]:
    for message in messages:
        yield message


async def test_the_first_post_with_the_metadata_is_found() -> None:
    thread = [{"ts": "1"}, posted("2", order="x"), posted("3", order="y", part=1), posted("4")]
    assert await find_post(listed(*thread), "card", {"order": "y"}) == "3"
    assert await find_post(listed(*thread), "card", {"order": "z"}) == ""
    assert await find_post(listed(*thread), "question", {"order": "y"}) == ""


async def test_the_post_of_another_bot_does_not_count() -> None:
    thread = [posted("1", "B2", order="x"), posted("2", "B1", order="x")]
    assert await find_post(listed(*thread), "card", {"order": "x"}, bot_id="B1") == "2"
    assert await find_post(listed(*thread[:1]), "card", {"order": "x"}, bot_id="B1") == ""


@pytest.mark.parametrize(
    "metadata",
    [None, "card", {}, {"event_type": "card"}, {"event_type": "card", "event_payload": ["order"]}],
)
def test_malformed_metadata_does_not_match(metadata: object) -> None:
    assert not has_metadata({"metadata": metadata}, "card", {"order": "x"})


def test_a_payload_with_values_of_any_kind_is_compared() -> None:
    message = posted("1", order={"nested": []}, turn=7)
    assert has_metadata(message, "card", {"turn": 7})
    assert not has_metadata(message, "card", {"order": "x"})
