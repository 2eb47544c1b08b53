"""The bot's own secrets are taken out of texts, whole or in pieces, and nothing else is."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.copilot.event_stream import redacted
from bot.domain.agent_events import AgentEvent, AnswerStopped, TextAdded, TextSettled, TextTakenBack
from bot.errors import AgentError, AgentFault
from bot.redaction import MOST_BETWEEN, TAKEN_OUT, Flow, Redaction

TOKEN, LONGER = "xoxb-1-canary", "xoxb-1-canary-and-more"
REDACTION = Redaction([TOKEN, LONGER, "abababab", "short"])

SECRETS = (TOKEN, LONGER, "abababab")
BETWEEN = (" ", "\n", "`", "\u200b", "\u00ad", "\u2060", " \u200b", "**", "\t")

shreds = st.sampled_from((*SECRETS, "xoxb-", "1-can", "ary", "ab", "a", "-", *BETWEEN))
texts = st.lists(st.one_of(shreds, st.text(max_size=3)), max_size=12).map("".join)


@st.composite
def chunked(draw: st.DrawFn) -> list[str]:
    text = draw(texts)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=12)))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def test_a_secret_is_taken_out_whole_and_words_stay() -> None:
    assert REDACTION(f"a {LONGER}, {TOKEN}! short") == f"a {TAKEN_OUT}, {TAKEN_OUT}! short"


FAR_APART = re.compile(r"[ \n\t`*\u200b\u00ad\u2060]{9}")


def letters_of(text: str) -> str:
    """What is left without what readers pass over."""
    return re.sub("[ \n\t`*\u200b\u00ad\u2060]", "", text)


@pytest.mark.parametrize("between", BETWEEN)
def test_a_secret_is_taken_out_whatever_is_passed_over_between_its_letters(between: str) -> None:
    for secret in SECRETS:
        assert REDACTION(f"it is {between.join(secret)}.") == f"it is {TAKEN_OUT}."
    every_third = between.join(TOKEN[at : at + 3] for at in range(0, len(TOKEN), 3))
    assert REDACTION(f"it is {every_third}.") == f"it is {TAKEN_OUT}."


@pytest.mark.parametrize("secret", ["key________________of_mine", "_under_score_d_", "a b c d e f"])
def test_a_secret_of_such_characters_is_found_as_it_is(secret: str) -> None:
    own = Redaction([secret])
    assert secret not in own(f"it is {secret}.")
    flow = Flow(own)
    assert secret not in "".join([*map(flow.feed, f"it is {secret}."), flow.end()])


def test_letters_that_stand_far_apart_are_no_secret() -> None:
    apart = (" " * (MOST_BETWEEN + 1)).join(TOKEN)
    assert REDACTION(apart) == apart
    flow = Flow(REDACTION)
    assert "".join([*map(flow.feed, apart), flow.end()]) == apart


@given(pieces=chunked())
def test_no_cut_lets_a_secret_through(pieces: list[str]) -> None:
    flow = Flow(REDACTION)
    out = "".join([*map(flow.feed, pieces), flow.end()])
    whole = "".join(pieces)
    assert REDACTION(out) == out
    if not FAR_APART.search(whole):
        assert not any(secret in letters_of(out) for secret in (TOKEN, "abababab"))
    if REDACTION(whole) == whole:
        assert out == whole


@given(pieces=chunked())
def test_only_the_beginning_of_a_secret_is_held_back(pieces: list[str]) -> None:
    flow = Flow(REDACTION)
    given_out = "".join(map(flow.feed, pieces))
    rest = flow.end()
    assert not rest or any(secret.startswith(letters_of(rest)) for secret in SECRETS)
    assert len(rest) < len(LONGER) * (1 + MOST_BETWEEN)
    assert REDACTION(given_out) == given_out


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
