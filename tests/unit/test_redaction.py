"""The bot's own secrets are taken out of texts, whole or in pieces, and nothing else is."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.copilot.redacting import redacted
from bot.errors import AgentError, AgentFault
from bot.model import AgentEvent, AnswerStopped, TextAdded, TextSettled, TextTakenBack
from bot.redaction import TAKEN_OUT, Flow, Redaction

TOKEN, LONGER = "xoxb-1-canary", "xoxb-1-canary-and-more"
REDACTION = Redaction([TOKEN, LONGER, "abababab", "short"])

shreds = st.sampled_from((TOKEN, LONGER, "abababab", "xoxb-", "1-can", "ary", "ab", "a", " ", "-"))
texts = st.lists(st.one_of(shreds, st.text(max_size=3)), max_size=12).map("".join)


@st.composite
def chunked(draw: st.DrawFn) -> list[str]:
    text = draw(texts)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=12)))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def test_a_secret_is_taken_out_whole_and_words_stay() -> None:
    assert REDACTION(f"a {LONGER}, {TOKEN}! short") == f"a {TAKEN_OUT}, {TAKEN_OUT}! short"


@given(pieces=chunked())
def test_no_cut_lets_a_secret_through(pieces: list[str]) -> None:
    flow = Flow(REDACTION)
    out = "".join([*map(flow.feed, pieces), flow.end()])
    assert not any(secret in out for secret in (TOKEN, "abababab"))
    if not any(secret in "".join(pieces) for secret in (TOKEN, "abababab")):
        assert out == "".join(pieces)


@given(pieces=chunked())
def test_only_the_beginning_of_a_secret_is_held_back(pieces: list[str]) -> None:
    flow = Flow(REDACTION)
    given_out = "".join(map(flow.feed, pieces))
    rest = flow.end()
    assert not rest or any(secret.startswith(rest) for secret in (TOKEN, LONGER, "abababab"))
    assert len(rest) < len(LONGER)
    assert not any(secret in given_out for secret in (TOKEN, "abababab"))


async def passed(events: Sequence[AgentEvent | AgentError]) -> list[AgentEvent]:
    async def said() -> AsyncGenerator[AgentEvent, None]:
        for event in events:
            if isinstance(event, AgentError):
                raise event
            yield event

    found: list[AgentEvent] = []
    try:
        async for event in redacted(said(), REDACTION):
            found.append(event)
    except AgentError:
        found.append(AnswerStopped())
    return found


GONE = AgentError(AgentFault.RUNTIME, "gone")


@pytest.mark.parametrize(
    ("events", "shown"),
    [
        (
            [TextAdded(text="it is xoxb-1"), TextAdded(text="-canary."), TextSettled(text=TOKEN)],
            [
                TextAdded(text="it is "),
                TextAdded(text=f"{TAKEN_OUT}."),
                TextSettled(text=TAKEN_OUT),
            ],
        ),
        (
            [TextAdded(text="box"), AnswerStopped()],
            [TextAdded(text="bo"), TextAdded(text="x"), AnswerStopped()],
        ),
        (
            [TextAdded(text="box"), GONE],
            [TextAdded(text="bo"), TextAdded(text="x"), AnswerStopped()],
        ),
        ([TextAdded(text="box")], [TextAdded(text="bo"), TextAdded(text="x")]),
        (
            [TextAdded(text="xoxb"), TextTakenBack(), TextAdded(text="-1-canary")],
            [TextTakenBack(), TextAdded(text="-1-canary")],
        ),
    ],
)
async def test_what_a_session_says_is_passed_on_without_secrets_and_whole(
    events: list[AgentEvent | AgentError], shown: list[AgentEvent]
) -> None:
    assert await passed(events) == shown
