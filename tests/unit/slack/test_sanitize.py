"""A model's text cannot ping a user, and stays unchanged in every other respect."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.slack.formatting.sanitize import WORD_JOINER, MentionEscaper, escape_mentions, sanitize
from tests.unit.chunk_strategies import in_chunks

LIVE = re.compile(
    r"<\\?!(?:channel|here|everyone|group)(?![A-Za-z0-9_])"
    r"|<\\?!(?:subteam|date)\^"
    r"|<\\?[@#][UWBCDG][A-Z0-9>|]"
    r"|(?<![^\W_])@(?:channel|here|everyone)(?!_?[^\W_])",
    re.IGNORECASE,
)
"""The same rule in another form than in the code: ids are upper case, all else in any case."""


def live(text: str) -> list[str]:
    found = (match.group() for match in LIVE.finditer(text))
    return [token for token in found if token[-2:] == token[-2:].upper() or "@" not in token[:3]]


shreds = st.sampled_from(
    (
        *("<", "!", "@", "#", "\\", "channel", "here", "HERE", "everyone", "group", "subteam", "^"),
        *("|", "date", "U0", "W1", "B2", "C3", "U", "C", ">", "_", "a", " ", "\n", ".", "é", "ſ"),
    )
)
texts = st.lists(st.one_of(shreds, st.text(max_size=4)), max_size=30).map("".join)


@pytest.mark.parametrize(
    ("token", "inert"),
    [
        ("<!channel>", "<\u2060!channel>"),
        ("<!HERE|here>", "<\u2060!HERE|here>"),
        ("<!everyone>", "<\u2060!everyone>"),
        ("<!group>", "<\u2060!group>"),
        ("<!subteam^S012|team>", "<\u2060!subteam^S012|team>"),
        ("<!date^1|{date}|x>", "<\u2060!date^1|{date}|x>"),
        ("<@U0ALICE>", "<\u2060@U0ALICE>"),
        ("<@W012>", "<\u2060@W012>"),
        ("<@B012|bot>", "<\u2060@B012|bot>"),
        ("<#C0GENERAL|general>", "<\u2060#C0GENERAL|general>"),
        ("@channel", "@\u2060channel"),
        ("hey @Here, you", "hey @\u2060Here, you"),
        ("_@everyone_", "_@\u2060everyone_"),
        ("@@here", "@@\u2060here"),
        (r"<\!channel>", "<\u2060\\!channel>"),
        ("<<!here>>", "<<\u2060!here>>"),
    ],
)
def test_a_token_that_slack_would_follow_is_made_inert(token: str, inert: str) -> None:
    assert escape_mentions(token) == inert


@pytest.mark.parametrize(
    "code",
    [
        "<!DOCTYPE html>\n<!-- here -->",
        "if a < b and c > d: pass",
        "@decorator\ndef here(): ...",
        "@channel_handler",
        "mail me@here.com or me@channel.example",
        "std::vector<int> v; x <!y; <#if list> <@macro/>",
        "@hereabouts <!channels>",
        "https://example.com/?a=<b>",
    ],
)
def test_ordinary_code_stays_byte_for_byte(code: str) -> None:
    assert escape_mentions(code) == code


@given(pieces=in_chunks(texts))
def test_no_chunking_lets_a_ping_through_and_nothing_else_changes(pieces: list[str]) -> None:
    text = "".join(pieces)
    escaper = MentionEscaper()
    out = "".join([*(escaper.feed(piece) for piece in pieces), escaper.flush()])
    assert out == escape_mentions(text)
    assert live(out) == []
    assert out.count(WORD_JOINER) >= text.count(WORD_JOINER)
    if WORD_JOINER not in text:
        assert out.replace(WORD_JOINER, "") == text


@given(pieces=in_chunks(texts))
def test_only_a_short_undecided_tail_is_held_back(pieces: list[str]) -> None:
    escaper = MentionEscaper()
    taken = given_out = 0
    for piece in pieces:
        taken += len(piece)
        given_out += len(escaper.feed(piece))
        assert taken - given_out <= 11


def test_a_tail_that_became_nothing_comes_at_the_end() -> None:
    escaper = MentionEscaper()
    assert escaper.feed("write to <!chan") == "write to "
    assert escaper.flush() == "<!chan"


def test_characters_that_no_message_can_hold_are_replaced_one_by_one() -> None:
    assert sanitize("a\0b\x1b[1m\ud800c\td\n") == "a\ufffdb\ufffd[1m\ufffdc\td\n"


@pytest.mark.parametrize("turning", list("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"))
def test_characters_that_change_the_reading_order_are_replaced(turning: str) -> None:
    """Code could show one thing and do another; right-to-left scripts need none of these
    characters."""
    assert sanitize(f"if admin{turning}: \u05e9\u200f") == "if admin\ufffd: \u05e9\u200f"
