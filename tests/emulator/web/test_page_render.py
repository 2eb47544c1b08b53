"""The page shows any text as text: render.js in a real browser, against hostile input.

Every rendering is put into a live document, checked node by node, and given time to run what it
should not have.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import pytest
from selenium.webdriver import Chrome

from slack_emulator.server import running_emulator
from tests.browser import chromium, console_errors
from tests.emulator.web.page_fixtures import run_in_thread

MARKDOWN: Final = "renderMarkdown"
MRKDWN: Final = "renderMrkdwn"

TAGS: Final = frozenset(
    {"DIV", "P", "SPAN", "BR", "A", "CODE", "PRE", "STRONG", "EM", "S", "BLOCKQUOTE", "HR"}
    | {"UL", "OL", "LI", "H1", "H2", "H3", "H4", "H5", "H6", "BUTTON", "SVG", "PATH"}
    | {"TABLE", "THEAD", "TBODY", "TR", "TH", "TD"}
)
ATTRIBUTES: Final = frozenset(
    {"class", "href", "target", "rel", "title", "start", "type", "tabindex", "role", "aria-label"}
    | {"aria-hidden", "focusable", "viewBox", "d", "data-user", "data-channel"}
)

RENDER: Final = """
const [kind, texts, done] = arguments;
const NAMES = {
  user: (id) => ({ U0BOB: { name: 'bob', me: false }, U0ME: { name: 'me', me: true } })[id] ?? null,
  channel: (id) => ({ C0DEV: 'dev' })[id] ?? null,
};
function depthOf(node) {
  let deepest = 0;
  const walk = document.createTreeWalker(node, NodeFilter.SHOW_ELEMENT);
  while (walk.nextNode()) {
    let depth = 0;
    for (let up = walk.currentNode; up !== node; up = up.parentNode) depth += 1;
    deepest = Math.max(deepest, depth);
    if (deepest > 500) break;
  }
  return deepest;
}
import('/page/render.js').then((module) => done(texts.map((text) => {
  const began = performance.now();
  const shown = module[kind](text, NAMES);
  const milliseconds = performance.now() - began;
  document.body.replaceChildren(shown);
  const elements = [...shown.querySelectorAll('*')];
  return {
    milliseconds,
    html: text.length > 5000 ? '' : shown.innerHTML,
    text: text.length > 5000 ? '' : shown.textContent,
    tags: [...new Set(elements.map((one) => one.tagName.toUpperCase()))],
    attributes: [...new Set(elements.flatMap((one) => one.getAttributeNames()))],
    links: elements.filter((one) => one.href).map((one) => [one.getAttribute('href'), one.rel]),
    depth: depthOf(shown),
    hacked: window.hacked ?? null,
  };
}))).catch((error) => done(String(error && error.stack || error)));
"""


@dataclass(frozen=True)
class Shown:
    """The rendering of a text in the page."""

    milliseconds: float
    html: str
    text: str
    tags: list[str]
    attributes: list[str]
    links: list[list[str]]
    depth: int
    hacked: object


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    """A document at the page's own address, with the page's policy and none of its scripts."""
    with run_in_thread(running_emulator) as emulator, chromium() as driver:
        driver.get(f"{emulator.url}/page/base.css")
        yield driver
        assert console_errors(driver) == []


def render(browser: Chrome, kind: str, texts: Sequence[str]) -> list[Shown]:
    answer = browser.execute_async_script(RENDER, kind, list(texts))
    assert isinstance(answer, list), answer
    return [Shown(**one) for one in answer]


def show(browser: Chrome, kind: str, text: str) -> Shown:
    return render(browser, kind, [text])[0]


def assert_harmless(shown: Shown, text: str) -> None:
    assert set(shown.tags) <= TAGS, text
    assert set(shown.attributes) <= ATTRIBUTES, text
    for address, rel in shown.links:
        assert address.lower().startswith(("http://", "https://", "mailto:")), text
        assert rel == "noopener noreferrer", text
    assert shown.hacked is None, text


HOSTILE: Final = [
    "<script>window.hacked = 1</script>",
    "</script><script>window.hacked = 1</script>",
    "<img src=x onerror=window.hacked=1>",
    "<svg/onload=window.hacked=1>",
    "<svg><script>window.hacked=1</script></svg>",
    "<iframe srcdoc='<script>parent.hacked=1</script>'></iframe>",
    "<a href='javascript:window.hacked=1'>x</a>",
    "<div style='position:fixed;inset:0'>over everything</div>",
    "<style>*{display:none}</style>",
    "<base href='https://evil.example/'>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<form action='https://evil.example'><button>x</button></form>",
    "&lt;script&gt;window.hacked=1&lt;/script&gt;",
    "&amp;lt;script&amp;gt;",
    "[x](javascript:window.hacked=1)",
    "[x](JaVaScRiPt:window.hacked=1)",
    "[x](java\tscript:window.hacked=1)",
    "[x](&#106;avascript:window.hacked=1)",
    "[x](\x01javascript:window.hacked=1)",
    "[x](data:text/html,<script>window.hacked=1</script>)",
    "[x](vbscript:x)",
    "[x](file:///etc/passwd)",
    "[x](//evil.example)",
    "[x](/api/chat.delete)",
    '[x](https://a.example/" onmouseover="window.hacked=1)',
    "![x](https://a.example/x.png)",
    '![x" onerror="window.hacked=1](https://a.example/x.png)',
    "<javascript:window.hacked=1|click>",
    '<https://a.example/"onclick=window.hacked=1|click>',
    "<https://a.example|<script>window.hacked=1</script>>",
    "<https://a.example|[x](javascript:1)>",
    '<mailto:a@b.example?subject="><script>|mail>',
    "<@U0BOB|<img src=x onerror=window.hacked=1>>",
    '<@U0BOB" onclick="window.hacked=1>',
    "<#C0DEV|<b>x</b>>",
    "<!subteam^S1|<script>window.hacked=1</script>>",
    "<!date^1^{date}^javascript:window.hacked=1|<script>x</script>>",
    "```<script>window.hacked=1</script>```",
    "```html\n<script>window.hacked=1</script>\n```",
    '```"onclick=window.hacked=1\nx\n```',
    "````\n```\n<script>window.hacked=1</script>\n```\n````",
    "```\n```\n```\n<img src=x onerror=window.hacked=1>",
    "`<script>window.hacked=1</script>`",
    "`` ` <img src=x onerror=window.hacked=1> ` ``",
    "| a | b |\n|---|---|\n| <script>window.hacked=1</script> | [x](javascript:1) |",
    "> <script>window.hacked=1</script>",
    "- <img src=x onerror=window.hacked=1>\n  - <script>window.hacked=1</script>",
    "# <svg onload=window.hacked=1>",
    ":<script>window.hacked=1</script>:",
    ":constructor: :__proto__: :toString:",
    "**<script>**window.hacked=1**</script>**",
    "*_~*_~*_~<b>x</b>~_*~_*",
    "\\<script>window.hacked=1\\</script>",
    "\u202e<script>window.hacked=1</script>",
    "a\x00b<scr\x00ipt>window.hacked=1</script>",
    "https://a.example/<script>window.hacked=1</script>",
    "https://a.example/?q='onclick='window.hacked=1",
    "https://user:pass@a.example/ http:// https://[ mailto: HTTPS://A.EXAMPLE",
    "{{constructor.constructor('window.hacked=1')()}} ${window.hacked=1}",
]


@pytest.mark.parametrize("kind", [MARKDOWN, MRKDWN])
def test_hostile_text_becomes_harmless_nodes(browser: Chrome, kind: str) -> None:
    for text, shown in zip(HOSTILE, render(browser, kind, HOSTILE), strict=True):
        assert_harmless(shown, text)
    assert browser.execute_script("return window.hacked ?? null") is None


def test_markup_is_shown_as_it_was_written(browser: Chrome) -> None:
    text = "<b>bold?</b> <script>alert(1)</script>"
    assert show(browser, MARKDOWN, text).text == text
    assert show(browser, MRKDWN, text).text == text


PIECES: Final = (
    "*", "**", "_", "__", "~", "~~", "`", "```", "````", "\n", "\n\n", " ", "    ", "> ", "- ",
    "1. ", "# ", "|", "|---|", "[", "](", ")", "!", "<", ">", "&lt;", "&", "@here", "<!channel>",
    "<@U0BOB>", "<@U0NOBODY|x>", "<#C0DEV>", "https://a.example", "javascript:", "<script>",
    "</script>", "onerror=", '"', "'", ":tada:", ":", "\\", "word", "é", "💥", "\u202e", "\x00",
)  # fmt: skip


@pytest.mark.parametrize("kind", [MARKDOWN, MRKDWN])
def test_no_mixture_of_the_dialects_pieces_is_harmful(browser: Chrome, kind: str) -> None:
    chance = random.Random(20260)  # noqa: S311 - the same mixtures in every run
    texts = ["".join(chance.choices(PIECES, k=chance.randint(1, 40))) for _ in range(2_000)]
    for text, shown in zip(texts, render(browser, kind, texts), strict=True):
        assert_harmless(shown, text)
        assert shown.depth < 80, text


HUGE: Final = {
    "stars": "*a " * 13_000,
    "closing stars": "a* " * 13_000,
    "mixed emphasis": "*a _b ~c " * 4_500,
    "nothing but stars": "*" * 40_000,
    "underscores": "_" * 20_000 + "a" + "_" * 20_000,
    "brackets": "[" * 40_000,
    "half links": "[a](" * 10_000,
    "images": "![" * 20_000,
    "backticks": "".join("`" * (n % 90 + 1) + " " for n in range(900)),
    "angles": "<" * 40_000,
    "half mentions": "<@U" * 13_000,
    "ampersands": "&" * 40_000,
    "quotes in quotes": "> " * 20_000,
    "lists in lists": "\n".join("  " * n + "- x" for n in range(280)),
    "a flat list": "- x\n" * 10_000,
    "blank lines in a list": "- x" + "\n" * 39_000 + "  y",
    "pipes": "|" * 40_000,
    "a wide table": "|a" * 900 + "|\n" + "|-" * 900 + "|\n" + ("|b" * 900 + "|\n") * 20,
    "a table rule": "a|b\n" + "|-" * 20_000,
    "dashes": "- " * 20_000,
    "hashes": "# " * 20_000,
    "spaces in a fence": "```" + " " * 39_000 + "`",
    "spaces in code": "`" + " x" * 19_000 + "`",
    "colons": ":a" * 20_000,
    "addresses": "https://a.example/" + "." * 39_000 + "x",
    "backslashes": "\\" * 40_000,
    "open fences": "```\n" * 10_000,
    "one long word": "x" * 40_000,
    "one long line of words": "word " * 8_000,
    "line breaks": "a\n" * 20_000,
}


@pytest.mark.parametrize("kind", [MARKDOWN, MRKDWN])
def test_huge_text_is_shown_in_a_moment_and_never_nests_deep(browser: Chrome, kind: str) -> None:
    for name, text in HUGE.items():
        shown = show(browser, kind, text)
        assert shown.milliseconds < 3_000, f"{name} took {shown.milliseconds:.0f} ms"
        assert shown.depth < 80, name
        assert_harmless(shown, name)


PLAIN: Final = [
    ("**bold**, *it*, ~~gone~~", "<p><strong>bold</strong>, <em>it</em>, <s>gone</s></p>"),
    ("***both***", "<p><em><strong>both</strong></em></p>"),
    ("**a *b* c**", "<p><strong>a <em>b</em> c</strong></p>"),
    ("snake_case_name and 2*3*4", "<p>snake_case_name and 2<em>3</em>4</p>"),
    ("2 * 3 * 4", "<p>2 * 3 * 4</p>"),
    ("**open", "<p>**open</p>"),
    ("a\nb", "<p>a<br>b</p>"),
    ("a\n\nb", "<p>a</p><p>b</p>"),
    ("# One\n### Three ###", "<h1>One</h1><h3>Three</h3>"),
    ("#hashtag", "<p>#hashtag</p>"),
    ("---", "<hr>"),
    ("> a\n> b", "<blockquote><p>a<br>b</p></blockquote>"),
    ("- a\n- b", "<ul><li>a</li><li>b</li></ul>"),
    ("- a\n  - b\n    - c", "<ul><li>a<ul><li>b<ul><li>c</li></ul></li></ul></li></ul>"),
    ("- a\n  - b\n- c", "<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul>"),
    ("1. a\n   - b\n2. c", "<ol><li>a<ul><li>b</li></ul></li><li>c</li></ol>"),
    ("1. a\n  - b", "<ol><li>a<ul><li>b</li></ul></li></ol>"),
    ("3. a", '<ol start="3"><li>a</li></ol>'),
    ("- a\n\n- b", "<ul><li>a</li><li>b</li></ul>"),
    ("text\n- a", "<p>text</p><ul><li>a</li></ul>"),
    ("`a  b`", "<p><code>a  b</code></p>"),
    ("`` a`b ``", "<p><code>a`b</code></p>"),
    ("`&lt;`", "<p><code>&amp;lt;</code></p>"),
    ("&lt;b&gt; &amp; &copy;", "<p>&lt;b&gt; &amp; &amp;copy;</p>"),
    (r"\*no\* \_no\_", "<p>*no* _no_</p>"),
    (":no_such_thing:", "<p>:no_such_thing:</p>"),
    ("[x](javascript:1)", "<p>[x](javascript:1)</p>"),
    ("10:30:45", "<p>10:30:45</p>"),
]  # fmt: skip


def test_markdown_is_rendered_as_expected(browser: Chrome) -> None:
    shown = render(browser, MARKDOWN, [text for text, _ in PLAIN])
    assert [one.html for one in shown] == [html for _, html in PLAIN]


SLACKS: Final = [
    ("*bold* _it_ ~gone~", "<p><strong>bold</strong> <em>it</em> <s>gone</s></p>"),
    ("**not bold**", "<p>**not bold**</p>"),
    ("snake_case_name", "<p>snake_case_name</p>"),
    ("*not\nbold*", "<p>*not<br>bold*</p>"),
    ("&lt;b&gt; &amp;amp;", "<p>&lt;b&gt; &amp;amp;</p>"),
    ("`&lt;b&gt;`", "<p><code>&lt;b&gt;</code></p>"),
    ("&gt; a\n> b\nc", "<blockquote>a<br>b</blockquote><p>c</p>"),
    ("&gt;&gt;&gt; a\nb", "<blockquote>a<br>b</blockquote>"),
    ("# no heading", "<p># no heading</p>"),
    ("three ``` ticks", "<p>three ``` ticks</p>"),
]  # fmt: skip


def test_slacks_own_dialect_is_read_as_slack_does(browser: Chrome) -> None:
    shown = render(browser, MRKDWN, [text for text, _ in SLACKS])
    assert [one.html for one in shown] == [html for _, html in SLACKS]


@pytest.mark.parametrize("kind", [MARKDOWN, MRKDWN])
def test_known_emoji_are_shown_and_named(browser: Chrome, kind: str) -> None:
    shown = show(browser, kind, ":tada: done")
    assert shown.text in ("🎉 done", ":tada: done"), "a machine without such a font shows names"
    assert 'role="img" aria-label="tada"' in shown.html


def test_code_is_shown_as_it_is_with_its_language(browser: Chrome) -> None:
    shown = show(browser, MARKDOWN, "```python\nif a < b:\n    **x**\n```\nafter")
    assert 'class="code-language">python</span>' in shown.html
    assert "<code>if a &lt; b:\n    **x**</code>" in shown.html
    assert shown.html.endswith("<p>after</p>")


def test_a_fence_that_is_still_open_runs_to_the_end(browser: Chrome) -> None:
    shown = show(browser, MARKDOWN, "```\none\n\n**two**")
    assert "<code>one\n\n**two**</code>" in shown.html


def test_a_longer_fence_holds_a_shorter_one(browser: Chrome) -> None:
    shown = show(browser, MARKDOWN, "````md\n```\ninner\n```\n````\nafter")
    assert "<code>```\ninner\n```</code>" in shown.html
    assert shown.html.endswith("<p>after</p>")


def test_a_table_has_its_alignment(browser: Chrome) -> None:
    shown = show(browser, MARKDOWN, "| a | b |\n|:--|--:|\n| 1 | `x` \\| y |")
    assert '<th class="align-left">a</th><th class="align-right">b</th>' in shown.html
    assert '<td class="align-right"><code>x</code> | y</td>' in shown.html


@pytest.mark.parametrize(
    ("kind", "text", "address"),
    [
        (MARKDOWN, "[the docs](https://docs.example/a_(b))", "https://docs.example/a_(b)"),
        (MARKDOWN, "see https://a.example/x_y_z.", "https://a.example/x_y_z"),
        (MARKDOWN, "(https://a.example/x)", "https://a.example/x"),
        (MARKDOWN, "<https://a.example?a=1&b=2>", "https://a.example?a=1&b=2"),
        (MARKDOWN, "![a picture](https://a.example/x.png)", "https://a.example/x.png"),
        (MRKDWN, "<https://a.example?a=1&amp;b=2|the label>", "https://a.example?a=1&b=2"),
        (MRKDWN, "<mailto:a@b.example|write>", "mailto:a@b.example"),
        (MRKDWN, "https://a.example?a=1&amp;b=2", "https://a.example?a=1&b=2"),
    ],
)
def test_links_lead_where_they_say(browser: Chrome, kind: str, text: str, address: str) -> None:
    shown = show(browser, kind, text)
    assert shown.links == [[address, "noopener noreferrer"]]


@pytest.mark.parametrize("kind", [MARKDOWN, MRKDWN])
def test_mentions_are_chips_with_names(browser: Chrome, kind: str) -> None:
    shown = show(browser, kind, "<@U0BOB> <@U0ME> <@U0NOBODY> <#C0DEV> <#C0OTHER|other>")
    assert shown.text == "@bob @me @U0NOBODY #dev #other"
    assert shown.html.count("chip-me") == 1


@pytest.mark.parametrize("kind", [MARKDOWN, MRKDWN])
@pytest.mark.parametrize(
    "text",
    [
        "<!channel>",
        "<!here>",
        "<!everyone>",
        "<!here|here>",
        "<!subteam^S1>",
        "@here",
        "a @channel b",
    ],
)
def test_what_would_ping_everyone_is_loud(browser: Chrome, kind: str, text: str) -> None:
    shown = show(browser, kind, text)
    assert 'class="chip chip-ping"' in shown.html
    assert "pings everyone" in shown.text


@pytest.mark.parametrize("kind", [MARKDOWN, MRKDWN])
def test_a_ping_in_code_is_loud_too_since_slack_may_well_send_it(
    browser: Chrome, kind: str
) -> None:
    for text in ("`<!channel>`", "```\n<!channel>\n```"):
        assert "chip-ping" in show(browser, kind, text).html


@pytest.mark.parametrize("kind", [MARKDOWN, MRKDWN])
@pytest.mark.parametrize(
    "text",
    ["<\u2060!channel>", "@\u2060here", "me@here.example", "@hereby", "`@here`", "&lt;!here&gt;"],
)
def test_what_cannot_ping_is_quiet(browser: Chrome, kind: str, text: str) -> None:
    shown = show(browser, kind, text)
    assert "chip" not in shown.html
