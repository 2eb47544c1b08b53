"""Tests that messages of the runtime are read whole from its pipe, in pieces of any size."""

from __future__ import annotations

import io
import json
import os
from contextlib import suppress
from itertools import pairwise
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.copilot import sdk_compat


def messages_from(pipe: io.FileIO) -> sdk_compat._MessageReader:
    """The reader of a runtime that writes into the other end."""
    process = SimpleNamespace(stdout=pipe)
    return sdk_compat._MessageReader(SimpleNamespace(process=process))  # type: ignore[arg-type]  # noqa: SLF001


def written(content: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n%s" % (len(content), content)


@given(
    texts=st.lists(st.text(max_size=40), min_size=1, max_size=6),
    cuts=st.lists(st.integers(0, 400), max_size=6),
    lost=st.integers(0, 60),
)
def test_messages_are_whole_however_they_come(texts: list[str], cuts: list[int], lost: int) -> None:
    """Several at once, or one in pieces; and an end within one is no message."""
    stream = b"".join(written(json.dumps({"text": text}).encode()) for text in texts)
    kept = stream[: len(stream) - lost]
    read, write = os.pipe()
    with io.FileIO(read) as pipe:
        messages, found = messages_from(pipe), []
        edges = [0, *sorted(min(cut, len(kept)) for cut in cuts), len(kept)]
        for start, stop in pairwise(edges):
            os.write(write, kept[start:stop])
        os.close(write)
        with suppress(EOFError):
            while (message := messages()) is not None:
                found.append(message["text"])
    assert found == texts[: len(found)]
    assert (found == texts) == (lost == 0)


def test_a_message_without_a_length_ends_the_reading() -> None:
    """As with the SDK's own reader: the start of the next message is unknown."""
    read, write = os.pipe()
    with io.FileIO(read) as pipe:
        os.write(write, b"Content-Type: text/plain\r\n\r\n{}")
        os.close(write)
        with pytest.raises(ValueError, match="no Content-Length"):
            messages_from(pipe)()
