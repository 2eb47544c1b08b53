"""A link in a model's text leads where its label says, and all other text stays unchanged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.slack.formatting.links import MAX_HELD_CHARS, LinkSanitizer
from bot.slack.formatting.sanitize import WORD_JOINER
from bot.slack.replies.text import ReplyText
from tests.unit.chunk_strategies import in_chunks


def sanitized_links(text: str, *pieces: str) -> str:
    sanitizer = LinkSanitizer()
    return "".join([*map(sanitizer.feed, (text, *pieces)), sanitizer.flush()])


@pytest.mark.parametrize(
    "link",
    [
        "[Python's docs](https://docs.python.org/3/)",
        "[docs.python.org](https://docs.python.org/3/)",
        "[https://docs.python.org](https://docs.python.org/3/)",
        "[www.python.org](https://python.org)",
        "[Python.org](https://www.python.org/downloads)",
        '[`pathlib`](https://docs.python.org/3/library/pathlib.html#x "a title")',
        "[README.md](https://github.com/x/y/blob/main/README.md)",
        "[Node.js](https://nodejs.org)",
        "[write to us](mailto:help@example.com)",
        "[below](#install)",
        "[the guide](docs/guide.md)",
        "[the guide](./guide.md) and [more](../x/y.md)",
        "![a picture](https://example.com/a.png)",
        "[wiki](<https://example.com/a b>)",
        "[port](https://example.com:8080/x)",
        "<https://example.com/a?b=c>",
        "see [1] and (https://example.com) or [x] (y)",
        "values[i](x) = [f](a) + table[key](https)",
        "def f(x: list[int]) -> dict[str, int]: ...",
        "match = {[a]: 1, [b]: two}",
        "vector<int> v; a < b; <div class=x> <a href='https://example.com'>",
    ],
)
def test_a_verified_link_stays_byte_for_byte(link: str) -> None:
    assert sanitized_links(link) == link


@pytest.mark.parametrize(
    ("link", "inert"),
    [
        ("[https://bank.example](https://evil.example)", "]|("),
        ("[bank.com](https://evil.example/bank.com)", "]|("),
        ("[bank.example](https://bank.example.evil.example)", "]|("),
        ("[go to https://bank.example now](https://evil.example)", "]|("),
        ("[www.bank.example/login](http://evil.example)", "]|("),
        ("[**https://bank.example**](https://evil.example)", "]|("),
        ("[`https://bank.example`](https://evil.example)", "]|("),
        (r"[https\://bank.example](https://evil.example)", "]|("),
        ("[https:&#47;&#47;bank.example](https://evil.example)", "]|("),
        ("[https://b\u200bank.example](https://evil.example)", "]|("),
        ("[ｈｔｔｐｓ：／／bank.example](https://evil.example)", "]|("),
        ("[https://bаnk.example](https://evil.example)", "]|("),
        ("[see [https://bank.example] here](https://evil.example)", "]|("),
        ("[x](https://bank.example@evil.example/)", "]|("),
        ("[x](javascript:alert(1))", "]|("),
        ("[x](JavaScript:alert(1))", "]|("),
        ("[x]( javascript:alert(1))", "]|("),
        ("[x](<javascript:alert(1)>)", "]|("),
        ("[x](java&#115;cript:alert(1))", "]|("),
        ("[x](java\\script:alert(1))", "]|("),
        ("[x](\u200bjavascript:alert(1))", "]|("),
        ("[x](data:text/html;base64,PHNjcmlwdD4=)", "]|("),
        ("[x](vbscript:x)", "]|("),
        ("[x](file:///etc/passwd)", "]|("),
        ("[x](slack://open)", "]|("),
        ("[x](//evil.example)", "]|("),
        ("[x](https:evil.example)", "]|("),
        ("[x](https://)", "]|("),
        ("[https://bank.example](mailto:x@evil.example)", "]|("),
        ("![https://bank.example](https://evil.example/a.png)", "]|("),
        ("[1]: https://evil.example", "]|:"),
        ("> [bank]: <https://evil.example>", "]|:"),
        ("[bank]:\n  https://evil.example", "]|:"),
        ("[bank]: //evil.example", "]|:"),
        ("[bank]: javascript:x", "]|:"),
        ("<https://evil.example|https://bank.example>", "<|h"),
        ("<mailto:x@evil.example|bank>", "<|m"),
    ],
)  # fmt: skip
def test_a_deceptive_link_or_one_to_no_page_is_defused(link: str, inert: str) -> None:
    """It is shown as it was written, with its target visible."""
    shown = sanitized_links(link)
    assert inert.replace("|", WORD_JOINER) in shown
    assert shown.replace(WORD_JOINER, "") == link.replace(WORD_JOINER, "")


_CODE = "handlers[name](f'{x}') and std[a]::b and [x](javascript:1)"


@pytest.mark.parametrize(
    "text",
    [
        f"```python\n{_CODE}\n```\n",
        f"```\n{_CODE}",
        f"````md\n{_CODE}\n````\n",
        f"call `{_CODE}` there",
        f"`a` and ``{_CODE} ` `` there",
    ],
)
def test_code_stays_byte_for_byte_so_that_users_can_copy_it(text: str) -> None:
    assert sanitized_links(text) == text


@pytest.mark.parametrize(
    "before",
    [
        "`",
        "```",
        "```a`b\n",
        "    ```\n",
        "- so:\n   ```\n",
        "~~~\n\n```\n~~~\n\n",
        "```\ncode\n```\n",
        "```\ncode\n````\n",
        "````\n```\n````\n",
        "`a\nb` ",
        "`a` ",
        "``a` ",
        "\\`",
        "<https://example.com/`>",
    ],
)
def test_what_only_looks_like_code_lets_no_link_through(before: str) -> None:
    after = " \\`c" if before == "`a` " else " `c`" if "`a\n" in before else ""
    link = "[x](javascript:1)"
    assert f"{before}{link}{after}" not in sanitized_links(f"{before}{link}{after}")
    assert "]" + WORD_JOINER + "(" in sanitized_links(f"{before}{link}{after}")


def test_a_scheme_that_comes_in_pieces_is_waited_for() -> None:
    for text in ("[x](javascript:alert(1))", "[x](//evil.example)", "[x](https://a@b.example)"):
        assert WORD_JOINER in sanitized_links("", *text)


def test_a_link_that_never_ends_is_none_and_holds_nothing_up() -> None:
    sanitizer = LinkSanitizer()
    given = sanitizer.feed("[x](https://" + "a" * 2 * MAX_HELD_CHARS)
    assert given.startswith(f"[x]{WORD_JOINER}(https://aaa")
    assert len(given) > MAX_HELD_CHARS


fragments = st.sampled_from(
    (
        *("[", "]", "](", "]:", "(", ")", "<", ">", "|", "\\", "//", ":", "https://", "http:"),
        *("javascript:", "data:", "mailto:", "bank.example", "evil.example", "www.", "@", "a", " "),
        *("\n", "`", "*", "[https://bank.example](https://evil.example)", "[x](https://y.example)"),
    )
)
texts = st.lists(st.one_of(fragments, st.text(max_size=4)), max_size=30).map("".join)


@given(pieces=in_chunks(texts))
def test_however_a_stream_cuts_a_link_it_is_judged_alike_and_nothing_else_changes(
    pieces: list[str],
) -> None:
    text = "".join(pieces)
    out = sanitized_links("", *pieces)
    assert out == sanitized_links(text)
    if WORD_JOINER not in text:
        assert out.replace(WORD_JOINER, "") == text


@given(pieces=in_chunks(texts))
def test_only_what_may_become_a_link_is_held_back(pieces: list[str]) -> None:
    sanitizer = LinkSanitizer()
    taken = given_out = 0
    for piece in pieces:
        taken += len(piece)
        given_out += len(sanitizer.feed(piece))
        assert taken - given_out <= MAX_HELD_CHARS + 2


@pytest.mark.parametrize("hostile", ["[a](", "](", "<a", "[", "]:", "<https:", "[a](https://", "]"])
def test_very_many_beginnings_are_read_to_the_end(hostile: str) -> None:
    """A sanitizer that looked back at the whole text for each of them would not finish in time."""
    text = hostile * (200_000 // len(hostile))
    assert sanitized_links(text).replace(WORD_JOINER, "") == text


def test_a_reply_shows_no_disguised_link_however_it_grows() -> None:
    """Token by token, across parts, and at the end."""
    text = "See [https://bank.example](https://evil.example) and @channel."
    whole = ReplyText()
    whole.complete(text, "")
    grown = ReplyText()
    for character in text:
        grown.append_text(character)
        assert not any("](" in part.text for part in grown.parts)
    grown.complete(text, "")
    assert [part.text for part in grown.parts] == [part.text for part in whole.parts]
    assert "]\u2060(https://evil" in whole.parts[0].text
    assert "@\u2060channel" in whole.parts[0].text
