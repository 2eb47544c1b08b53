"""Typed text reaches the app as Slack's client would send it."""

from __future__ import annotations

import pytest

from slack_emulator.state.text import encode_typed_text, has_mention

IDS = {"threadpilot": "U0PILOT", "bob": "UBOB"}


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("@threadpilot hello", "<@U0PILOT> hello"),
        ("@ThreadPilot: hello", "<@U0PILOT>: hello"),
        ("ask @bob.", "ask <@UBOB>."),
        ("@nobody here", "@nobody here"),
        ("mail bob@threadpilot.example", "mail bob@threadpilot.example"),
        ("<@UBOB> and <#C0DEV|dev>", "<@UBOB> and <#C0DEV|dev>"),
        ("<https://example.com|here>", "<https://example.com|here>"),
        ("a < b && b > c", "a &lt; b &amp;&amp; b &gt; c"),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("<javascript:alert(1)|x>", "&lt;javascript:alert(1)|x&gt;"),
        ("<!channel>", "&lt;!channel&gt;"),
        ("@channel look", "<!channel> look"),
        ("&lt;", "&amp;lt;"),
        ("", ""),
    ],
)
def test_typed_text_is_sent_as_slacks_client_sends_it(typed: str, sent: str) -> None:
    assert encode_typed_text(typed, IDS) == sent


def test_a_mention_may_carry_a_label() -> None:
    assert has_mention("hi <@U0PILOT|threadpilot>", "U0PILOT")
    assert not has_mention("hi <@U0PILOTS>", "U0PILOT")
    assert not has_mention("hi &lt;@U0PILOT&gt;", "U0PILOT")
