"""Cleanup flags become a filter, and invalid ones get a message."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.sessions import SessionFilter
from bot.sessions.cleanup_filter import FilterSyntaxError, format_filter, parse_filter

NOW = 1_790_000_000.0
DAY = 86_400.0


@pytest.mark.parametrize(
    ("args", "wanted"),
    [
        ("", SessionFilter()),
        ("--older-than 30d", SessionFilter(unused_since=NOW - 30 * DAY)),
        ("--older-than=12h", SessionFilter(unused_since=NOW - DAY / 2)),
        ("—older-than 2W", SessionFilter(unused_since=NOW - 14 * DAY)),
        ("--OLDER-THAN 1d", SessionFilter(unused_since=NOW - DAY)),
        ("--channel C0DEV", SessionFilter(channel="C0DEV")),
        ("--channel #C0DEV", SessionFilter(channel="C0DEV")),
        ("--channel <#C0DEV|dev>", SessionFilter(channel="C0DEV")),
        ("--channel <#C0DEV|>", SessionFilter(channel="C0DEV")),
        ("--channel here", SessionFilter(channel="C0HERE")),
        ("--user <@U0BOB>", SessionFilter(owner="U0BOB")),
        ("--user <@U0BOB|bob>", SessionFilter(owner="U0BOB")),
        ("--user @U0BOB", SessionFilter(owner="U0BOB")),
        ("--user me", SessionFilter(owner="U0ME")),
        ("--model 'some model'", SessionFilter(model="some model")),
        ("--keep 5", SessionFilter(keep_newest=5)),
        (
            "--keep 5 --user U0BOB --older-than 1w",
            SessionFilter(owner="U0BOB", keep_newest=5, unused_since=NOW - 7 * DAY),
        ),
        (
            "--older-than 1d --unused-since 1700000000.5",
            SessionFilter(unused_since=1_700_000_000.5),
        ),
    ],
)
def test_flags_become_a_filter(args: str, wanted: SessionFilter) -> None:
    parsed = parse_filter(args, now=NOW, current_channel="C0HERE", current_user="U0ME")
    assert parsed.session_filter == wanted
    assert parsed.is_specified == bool(args)


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ("30d", "`30d` isn't a cleanup flag"),
        ("--old 30d", "`--old` isn't a cleanup flag"),
        ("--older-than", "needs a value"),
        ("--older-than --all", "needs a value"),
        ("--older-than=", "needs a value"),
        ("--older-than 30", "an age"),
        ("--older-than -3d", "an age"),
        ("--older-than 0d", "an age"),
        ("--older-than 3y", "an age"),
        ("--older-than 1.5d", "an age"),
        ("--older-than ٣d", "an age"),
        ("--older-than 9999999w", "an age"),
        ("--older-than 99999999999999999999d", "an age"),
        ("--unused-since 1800000000", "a time in the past"),
        ("--unused-since yesterday", "a time in the past"),
        ("--channel general", "find the channel"),
        ("--model " + "é" * 4_000, "too long"),
        ("--channel #general", "use `here`"),
        ("--user bob", "use `me`"),
        ("--user C0DEV", "the user `C0DEV`"),
        ("--keep 0", "a valid number"),
        ("--keep -1", "a valid number"),
        ("--keep many", "a valid number"),
        ("--keep 99999999999", "a valid number"),
        ("--model " + "m" * 201, "too long"),
        ("--keep 1 --keep 2", "there twice"),
        ("--all --keep 2", "combined with other flags"),
        ("--all=yes", "a cleanup flag"),
        ("--all --orphans", "combined with other flags"),
        ("--model 'gpt", "quotation mark"),
    ],
)
def test_invalid_flags_get_a_message(args: str, sentence: str) -> None:
    with pytest.raises(FilterSyntaxError) as error:
        parse_filter(args, now=NOW, current_channel="C0HERE", current_user="U0ME")
    assert sentence in error.value.user_message
    assert len(error.value.user_message) < 400


@pytest.mark.parametrize(
    "args",
    ["--all", "--orphans", "--older-than 30d", "--user U1B --channel C1C --keep 3 --model 'a b'"],
)
def test_formatted_flags_match_the_same_sessions_later_and_none_used_since(args: str) -> None:
    parsed = parse_filter(args, now=NOW)
    again = parse_filter(format_filter(parsed, as_of=NOW), now=NOW + 40 * DAY)
    since = parsed.session_filter.unused_since
    assert again.session_filter.unused_since == (NOW if since is None else since)
    assert again.session_filter.owner == parsed.session_filter.owner
    assert again.session_filter.channel == parsed.session_filter.channel
    assert again.session_filter.model == parsed.session_filter.model
    assert again.session_filter.keep_newest == parsed.session_filter.keep_newest
    assert (again.all_sessions, again.orphans_only) == (parsed.all_sessions, parsed.orphans_only)
    assert again.is_specified


@given(st.text(max_size=200))
def test_any_text_is_a_filter_or_gets_a_message(args: str) -> None:
    with suppress(FilterSyntaxError):
        assert parse_filter(args, now=NOW).is_specified == bool(args.strip())
