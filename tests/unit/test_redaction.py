"""The bot's own secrets are removed from texts, whole or in chunks, and nothing else is."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.copilot.event_stream import redact_events
from bot.domain.agent_events import (
    AgentEvent,
    AnswerStopped,
    TextComplete,
    TextDelta,
    TextRetracted,
)
from bot.errors import AgentError, AgentErrorKind
from bot.redaction import MAX_GAP_CHARS, REPLACEMENT, SecretRedactor, StreamRedactor

TOKEN, LONGER = "xoxb-1-canary", "xoxb-1-canary-and-more"
REDACTION = SecretRedactor([TOKEN, LONGER, "abababab", "short"])

SECRETS = (TOKEN, LONGER, "abababab")
BETWEEN = (" ", "\n", "`", "\u200b", "\u00ad", "\u2060", " \u200b", "**", "\t")

shreds = st.sampled_from((*SECRETS, "xoxb-", "1-can", "ary", "ab", "a", "-", *BETWEEN))
texts = st.lists(st.one_of(shreds, st.text(max_size=3)), max_size=12).map("".join)


@st.composite
def chunked(draw: st.DrawFn) -> list[str]:
    text = draw(texts)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=12)))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def test_a_secret_is_removed_and_words_stay() -> None:
    assert REDACTION(f"a {LONGER}, {TOKEN}! short") == f"a {REPLACEMENT}, {REPLACEMENT}! short"


FAR_APART = re.compile(r"[ \n\t`*\u200b\u00ad\u2060]{9}")


def letters_of(text: str) -> str:
    """The text without ignored characters."""
    return re.sub("[ \n\t`*\u200b\u00ad\u2060]", "", text)


@pytest.mark.parametrize("between", BETWEEN)
def test_a_secret_with_ignored_characters_between_its_letters_is_removed(between: str) -> None:
    for secret in SECRETS:
        assert REDACTION(f"it is {between.join(secret)}.") == f"it is {REPLACEMENT}."
    every_third = between.join(TOKEN[at : at + 3] for at in range(0, len(TOKEN), 3))
    assert REDACTION(f"it is {every_third}.") == f"it is {REPLACEMENT}."


@pytest.mark.parametrize("secret", ["key________________of_mine", "_under_score_d_", "a b c d e f"])
def test_a_secret_of_such_characters_is_found_as_it_is(secret: str) -> None:
    own = SecretRedactor([secret])
    assert secret not in own(f"it is {secret}.")
    flow = StreamRedactor(own)
    assert secret not in "".join([*map(flow.redact_chunk, f"it is {secret}."), flow.redact_rest()])


def test_letters_far_apart_are_no_secret() -> None:
    apart = (" " * (MAX_GAP_CHARS + 1)).join(TOKEN)
    assert REDACTION(apart) == apart
    flow = StreamRedactor(REDACTION)
    assert "".join([*map(flow.redact_chunk, apart), flow.redact_rest()]) == apart


@given(pieces=chunked())
def test_no_chunk_boundary_lets_a_secret_through(pieces: list[str]) -> None:
    flow = StreamRedactor(REDACTION)
    out = "".join([*map(flow.redact_chunk, pieces), flow.redact_rest()])
    whole = "".join(pieces)
    assert REDACTION(out) == out
    if not FAR_APART.search(whole):
        assert not any(secret in letters_of(out) for secret in (TOKEN, "abababab"))
    if REDACTION(whole) == whole:
        assert out == whole


@given(pieces=chunked())
def test_only_the_beginning_of_a_secret_is_held_back(pieces: list[str]) -> None:
    flow = StreamRedactor(REDACTION)
    given_out = "".join(map(flow.redact_chunk, pieces))
    rest = flow.redact_rest()
    assert not rest or any(secret.startswith(letters_of(rest)) for secret in SECRETS)
    assert len(rest) < len(LONGER) * (1 + MAX_GAP_CHARS)
    assert REDACTION(given_out) == given_out


async def passed(events: Sequence[AgentEvent | AgentError]) -> list[AgentEvent]:
    async def stream() -> AsyncGenerator[AgentEvent, None]:
        for event in events:
            if isinstance(event, AgentError):
                raise event
            yield event

    found: list[AgentEvent] = []
    try:
        async for event in redact_events(stream(), REDACTION):
            found.append(event)
    except AgentError:
        found.append(AnswerStopped())
    return found


GONE = AgentError(AgentErrorKind.RUNTIME, "gone")


@pytest.mark.parametrize(
    ("events", "shown"),
    [
        (
            [TextDelta(text="it is xoxb-1"), TextDelta(text="-canary."), TextComplete(text=TOKEN)],
            [
                TextDelta(text="it is "),
                TextDelta(text=f"{REPLACEMENT}."),
                TextComplete(text=REPLACEMENT),
            ],
        ),
        (
            [TextDelta(text="box"), AnswerStopped()],
            [TextDelta(text="bo"), TextDelta(text="x"), AnswerStopped()],
        ),
        (
            [TextDelta(text="box"), GONE],
            [TextDelta(text="bo"), TextDelta(text="x"), AnswerStopped()],
        ),
        ([TextDelta(text="box")], [TextDelta(text="bo"), TextDelta(text="x")]),
        (
            [TextDelta(text="xoxb"), TextRetracted(), TextDelta(text="-1-canary")],
            [TextRetracted(), TextDelta(text="-1-canary")],
        ),
    ],
)
async def test_events_of_a_session_are_complete_and_without_secrets(
    events: list[AgentEvent | AgentError], shown: list[AgentEvent]
) -> None:
    assert await passed(events) == shown
