"""How numbers, times and long texts are formatted."""

from __future__ import annotations

import pytest

from bot.commands.formatting import (
    Pages,
    format_age,
    format_count,
    format_size,
    format_time,
    one_line,
    page_buttons,
    parse_page,
    pluralize,
    strip_markdown,
)
from bot.commands.user_names import UserNames
from bot.domain.text import truncate
from bot.domain.users import User
from bot.errors import SlackError
from tests.unit.commands.command_fixtures import ALICE, BOB, FakeUserDirectory


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-5, "just now"),
        (0, "just now"),
        (59, "just now"),
        (60, "1 min ago"),
        (3_599, "59 min ago"),
        (3_600, "1 h ago"),
        (86_399, "23 h ago"),
        (3 * 86_400, "3 d ago"),
        (40 * 86_400, "1 mo ago"),
        (800 * 86_400, "2 y ago"),
    ],
)
def test_an_age_is_shown_in_its_largest_unit(seconds: float, expected: str) -> None:
    assert format_age(seconds) == expected


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (0, "0 B"),
        (1_023, "1023 B"),
        (1_536, "1.5 KB"),
        (12 * 1_024, "12 KB"),
        (5 * 1_024**2, "5.0 MB"),
        (3_000 * 1_024**3, "3,000 GB"),
    ],
)
def test_a_size_is_shown_in_its_largest_unit(octets: int, expected: str) -> None:
    assert format_size(octets) == expected


def test_numbers_are_grouped_and_one_thing_is_singular() -> None:
    assert format_count(1_234_567) == "1,234,567"
    assert (pluralize(0, "turn"), pluralize(1, "turn"), pluralize(2_000, "turn")) == (
        "0 turns",
        "1 turn",
        "2,000 turns",
    )


def test_a_time_is_shown_with_its_zone() -> None:
    assert format_time(1_790_000_000) == "21 Sep 2026, 14:13 UTC"


def test_a_long_text_is_clipped_with_a_mark() -> None:
    assert truncate("12345", 5) == "12345"
    assert truncate("1234 56", 6) == "1234…"
    assert len(truncate("x" * 1_000, 10)) == 10


def test_what_turns_or_hides_is_taken_out_of_a_line() -> None:
    """Names that differ only by invisible characters look the same. Joiners of emoji and letters
    stay."""
    assert one_line("ad\u200bmin\ufeff\u2060\u00ad \u202etxt.exe\u2066") == "admin txt.exe"
    assert one_line("👩\u200d💻 می\u200cخواهم") == "👩\u200d💻 می\u200cخواهم"


def test_one_line_has_no_breaks_control_characters_or_turned_writing() -> None:
    assert one_line(" a\n\tb\x00\x1b[31m\u2028c\u202etxt.exe\u2069 ") == "a b [31m ctxt.exe"


@pytest.mark.parametrize(
    ("words", "page"),
    [
        ("2", 2),
        ("page 2", 2),
        ("Page 17", 17),
        ("", None),
        ("two", None),
        ("-1", None),
        ("²", None),
    ],
)
def test_a_page_is_asked_for_by_its_number(words: str, page: int | None) -> None:
    assert parse_page(words) == page


def test_pages_have_neighbours_only_where_there_are_some() -> None:
    pages = Pages(total=17, per_page=8)
    assert (pages.last, pages.nearest(0), pages.nearest(99), pages.offset(3)) == (3, 1, 3, 16)

    def words_at(page: int) -> list[str]:
        return [button.args for button in page_buttons("sessions", pages, page, ("‹", "›"), str)]

    assert (words_at(1), words_at(2), words_at(3)) == (["2"], ["1", "3"], ["2"])
    assert Pages(total=0, per_page=8).last == 1


def test_the_page_number_is_shown_only_where_there_is_more_than_one_page() -> None:
    how = "Page {page} of {last}"
    assert Pages(total=9, per_page=8).label(2, how) == "Page 2 of 2"
    assert Pages(total=8, per_page=8).label(1, how) == ""


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("With **two words** and `code`.", "With two words and `code`."),
        ("## A heading\ntext", "A heading\ntext"),
        ("```python\nf(**options)\n```", "\nf(**options)\n"),
        ("2 ** 3 ** 4, __init__", "2 ** 3 ** 4, __init__"),
    ],
)
def test_an_excerpt_of_markdown_is_shown_without_its_marks(markdown: str, expected: str) -> None:
    assert strip_markdown(markdown) == expected


class _Away(SlackError):
    transient = True


class _SlackIsAway(FakeUserDirectory):
    """Slack is down; look-ups are counted."""

    def __init__(self) -> None:
        super().__init__()
        self.lookups = 0

    async def get_user(self, user_id: str) -> User:
        self.lookups += 1
        raise _Away("unreachable", user_id)


async def test_users_appear_by_their_names_on_one_line() -> None:
    people = FakeUserDirectory()
    people.known[BOB] = User(id=BOB, team="T", name="Bob\n# " + "x" * 500)
    names = await UserNames(people).names_of([ALICE, BOB, "U0GONE", BOB])
    assert (names[ALICE], names["U0GONE"]) == ("Alice", "U0GONE")
    assert names[BOB].startswith("Bob # xxx")
    assert len(names[BOB]) == 80


async def test_while_slack_is_down_it_is_not_asked_for_each_name() -> None:
    people = _SlackIsAway()
    names = await UserNames(people).names_of([f"U{number}" for number in range(50)])
    assert names == {user: user for user in names}
    assert (len(names), people.lookups) == (50, 1)
