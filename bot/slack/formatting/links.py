"""Defuses links in a model's text whose label names another address than their target.

A Markdown link stays if it is verified: its target is a web page or a mail address, and its label
names no address or the same one. Every other link gets a word joiner, so that it is shown as it was
written: the label and the hidden address beside it. A target that could run a script
(`javascript:`, `data:` and everything else that is no page) leads nowhere.

All other text stays unchanged, as in `bot.slack.formatting.sanitize`. Code stays unchanged too: it
holds no links, and users copy it.
"""

from __future__ import annotations

import html
import re
import unicodedata
from typing import Final

from bot.slack.formatting.sanitize import WORD_JOINER

MAX_HELD_CHARS: Final = 400
"""Maximum number of characters that are held back for a link. A link that is not decided by then is
not verified."""

_MAX_LABEL_CHARS: Final = 400
"""Maximum number of characters of a label that are read, counted from its end."""

# `](` begins a target, `]:` a reference definition, `<` a link in Markdown's or in Slack's form.
_LINK_CANDIDATE: Final = re.compile(r"\](?=[(:]|\Z)|<(?=[A-Za-z]|\Z)")
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,40}):")
_WEB_URL: Final = re.compile(r"https?://([^\s/?#()<>|\\]*)(?=([\s/?#()<>|\\])|\Z)", re.IGNORECASE)
_RELATIVE_URL: Final = re.compile(r"[A-Za-z0-9_.%~+-]*[/?#)\s>]")
_PARTIAL_RELATIVE_URL: Final = re.compile(r"[A-Za-z0-9_.%~+-]*")
_SUSPICIOUS_HOST: Final = re.compile(r"[@&%]")
_NO_HOST: Final = "-"
_URL_START: Final = re.compile(r"<|//|www\.|[A-Za-z][A-Za-z0-9+.-]{1,40}:", re.IGNORECASE)
_PARTIAL_URL_START: Final = re.compile(r"/?|[A-Za-z][A-Za-z0-9+.-]{0,40}")
_ANGLE_LINK: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,40}:[^\s<>|]*([\s<>|])")
_PARTIAL_ANGLE_LINK: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,40}(?::[^\s<>|]*)?|")

_NAMED_HOST: Final = re.compile(r"(?:[a-z][a-z0-9+.-]*://|\bwww\.)([^\s/?#\])]*)")
_HOST: Final = re.compile(r"(?:[\w-]{1,63}\.){1,10}([a-z]{2,24})(?::[0-9]+)?(?:/\S*)?")
_PLAIN_LABEL: Final = re.compile(r"[\w\s,'!?()\[\]-]*", re.ASCII)
"""Labels that name no address in any reading."""
_MARKUP: Final = re.compile(r"\\(?=[^\w\s])|[*_~`!\[\]]")

# Top-level domains that are not also endings of file names (`README.md`, `config.py`).
_TOP_LEVEL_DOMAINS: Final = re.compile(
    "ai|app|at|be|bank|biz|br|ca|ch|cloud|cn|com?|de|dev|edu|es|eu|example|fi|fr|gov|in|info|io|it|jp"
    "|kr|me|mil|net|nl|no|nz|online|org|page|pt|ru|se|shop|site|test|tv|tw|ua|uk|us|xyz|za"
)

_LONGEST_LINE: Final = 2_000
"""Maximum number of characters of a line in which spans count."""

_FENCE_OPENING: Final = re.compile(r"(`{3,100})[\w+#.-]{0,40}[ \t]*")
_FENCE_CLOSING: Final = re.compile(r" {0,3}(`{3,})[ \t]*")
_FENCE_PREFIX: Final = re.compile(r"(?:[-*+>\s]|\d{1,20}[.)])*")
"""What may come before a fence: indents, and the marks of lists and quotes."""
_SPAN_TOKENS: Final = re.compile(r"[^\\`]+|\\|`+")
_BACKTICKS: Final = re.compile(r"`+")


class LinkSanitizer:
    """Defuses unverified links in text that comes in pieces of any length.

    It holds back text that may become such a link until that is decided: at most `MAX_HELD_CHARS`
    characters and what begins the link.
    """

    def __init__(self) -> None:
        self._tail = ""
        self._before = ""
        self._code = CodeSpanTracker()

    def feed(self, text: str) -> str:
        """Add a piece of text. Returns the text that is decided and was not returned before."""
        return self._process(self._tail + text, final=False)

    def flush(self) -> str:
        """End the text. Returns the rest."""
        return self._process(self._tail, final=True)

    def _process(self, pending: str, *, final: bool) -> str:
        pieces: list[str] = []
        position, decided, read = 0, len(pending), 0
        for found in _LINK_CANDIDATE.finditer(pending):
            at = found.end()
            self._code.advance(pending[read : found.start()])
            read = found.start()
            verified = self._is_verified(pending, at, final=final)
            if verified is None:
                decided = found.start()
                break
            if not verified:
                pieces += (pending[position:at], WORD_JOINER)
                position = at
        pieces.append(pending[position:decided])
        self._code.advance(pending[read:decided])
        self._tail = pending[decided:]
        self._before = (self._before + pending[:decided])[-_MAX_LABEL_CHARS:]
        return "".join(pieces)

    def _is_verified(self, pending: str, at: int, *, final: bool) -> bool | None:
        """True if the link that begins before `at` may stay; None if that is not known yet."""
        rest = pending[at : at + MAX_HELD_CHARS]
        in_code = self._code.is_in_code(rest, final=final or len(rest) == MAX_HELD_CHARS)
        if in_code or in_code is None:
            return in_code
        verified = self._verify_candidate(pending, at, rest, final=False)
        if verified is None and len(rest) == MAX_HELD_CHARS:
            return False
        return (
            self._verify_candidate(pending, at, rest, final=True)
            if verified is None and final
            else verified
        )

    def _verify_candidate(self, pending: str, at: int, rest: str, *, final: bool) -> bool | None:
        if pending[at - 1] == "<":
            return _is_bare_angle_link(rest, final=final)
        if not rest:
            return True if final else None
        if rest[0] == ":":
            return _is_no_definition(rest[1:], final=final)
        host = _target_host(rest[1:], final=final)
        if not host:
            return None if host is None else False
        label = (self._before + pending[max(0, at - 1 - _MAX_LABEL_CHARS) : at - 1])[
            -_MAX_LABEL_CHARS:
        ]
        return not _names_other_host(label, host)


def _is_bare_angle_link(rest: str, *, final: bool) -> bool | None:
    """True for `<address>`, which shows its target; False for Slack's `<address|label>`, which
    hides it."""
    token = _ANGLE_LINK.match(rest)
    if token is not None:
        return token[1] != "|"
    return None if _PARTIAL_ANGLE_LINK.fullmatch(rest) and not final else True


def _is_no_definition(rest: str, *, final: bool) -> bool | None:
    """True if no address follows `]:` that links elsewhere in the text would lead to."""
    target = rest.lstrip()
    if _URL_START.match(target):
        return False
    return None if _PARTIAL_URL_START.fullmatch(target) and not final else True


def _target_host(rest: str, *, final: bool) -> str | None:
    """The host of the address after a `](`, or `_NO_HOST` if no label could name it. An empty
    string for a target that is not allowed; None if that is not known yet."""
    target = rest.lstrip().removeprefix("<")
    undecided = "" if final else None
    if not target:
        return undecided
    scheme = _SCHEME.match(target)
    if scheme is None:
        if target.startswith("//") or (target == "/" and not final):
            return undecided if target == "/" else ""
        if _RELATIVE_URL.match(target):
            return _NO_HOST
        return undecided if _PARTIAL_RELATIVE_URL.fullmatch(target) else ""
    if scheme[1].casefold() == "mailto":
        return _NO_HOST
    match = _WEB_URL.match(target)
    if match is None:
        is_partial = "https://".startswith(target.casefold()) or target.casefold() == "http:/"
        return undecided if is_partial else ""
    if match[2] is None and not final:
        return None
    host = match[1].casefold()
    return "" if _SUSPICIOUS_HOST.search(host) else host


def _names_other_host(label: str, host: str) -> bool:
    """True if the label at the end of `label` names an address on another host."""
    if _PLAIN_LABEL.fullmatch(label):
        return False
    text = _visible_label(label)
    named = [found[1] for found in _NAMED_HOST.finditer(text)]
    whole = _HOST.fullmatch(text.strip())
    if whole is not None and _TOP_LEVEL_DOMAINS.fullmatch(whole[1]):
        named.append(re.split(r"[/:]", text.strip())[0])
    return any(_normalize_host(name) != _normalize_host(host) for name in named)


def _normalize_host(host: str) -> str:
    return host.partition(":")[0].removeprefix("www.").rstrip(".,;!")


def _visible_label(before: str) -> str:
    """The visible text of the label that ends here; all of `before` if the label begins further
    back."""
    depth = 1
    start = 0
    for at in range(len(before) - 1, -1, -1):
        if before[at] in "[]" and before[at - 1 : at] != "\\":
            depth += 1 if before[at] == "]" else -1
        if not depth:
            start = at + 1
            break
    plain = unicodedata.normalize("NFKC", html.unescape(_MARKUP.sub("", before[start:])))
    visible = "".join(c for c in plain if unicodedata.category(c) != "Cf")
    return visible.casefold()


class CodeSpanTracker:
    """Reads a text piece by piece and reports whether its end is in code.

    It reports code only where every reading of the text agrees. Code taken for text only gets a
    word joiner; text taken for code would let a link through.

    So a fence counts only if it is an ordinary one at the margin: in a list, the end of the list
    would end it. A span counts only if it begins and ends on one line that nothing else makes
    ambiguous. (CommonMark 0.31, sections 4.5 and 6.1.)
    """

    def __init__(self) -> None:
        self._fence_marker = ""
        """The marker of the open fence, or an empty string."""
        self._in_fence = False
        """Whether a fence is open if everything that looks like a fence opens or closes one."""
        self._saw_tilde_fence = False
        """Whether there was a line like a fence of the other kind. From then on nothing counts as
        code."""
        self._line = ""
        self._prefix_end = 0
        """Where the marks at the beginning of the line end, as far as they have been read."""
        self._spans = OpenSpans()
        self._span_may_continue = False
        """Whether a span may have begun on an earlier line of the paragraph."""

    def advance(self, text: str) -> None:
        """Add text to the end."""
        first, *lines = text.split("\n")
        self._extend(first)
        for line in lines:
            self._end_line()
            self._line, self._prefix_end, self._spans = "", 0, OpenSpans()
            self._extend(line)

    def is_in_code(self, rest: str, *, final: bool) -> bool | None:
        """True if what comes next, `rest`, begins within code; None if that is not known yet.
        `final` says that nothing after `rest` would change that."""
        if self._saw_tilde_fence:
            return False
        if self._fence_marker:
            return self._in_fence and not self._starts_with_fence("```")
        if (
            self._in_fence
            or self._span_may_continue
            or len(self._line) > _LONGEST_LINE
            or "<" in self._line
        ):
            return False
        open_lengths = self._spans.open_lengths()
        if not open_lengths:
            return False
        line, newline, _ = rest.partition("\n")
        runs = [(found.end(), len(found[0])) for found in _BACKTICKS.finditer(line)]
        if final or newline:
            return not {length for _, length in runs}.isdisjoint(open_lengths)
        # A run at the end may continue, and what comes next decides which span has begun.
        ended = (length for end, length in runs if end < len(line))
        return True if open_lengths[0] in ended else None

    def _extend(self, text: str) -> None:
        added = text[: _LONGEST_LINE + 1 - len(self._line)]
        self._line += added
        self._spans.advance(added)

    def _starts_with_fence(self, fence: str) -> bool:
        """True if the line begins with what some reading takes for a fence."""
        marks = _FENCE_PREFIX.match(self._line, self._prefix_end)
        self._prefix_end = marks.end() if marks else self._prefix_end
        return self._line.startswith(fence, self._prefix_end)

    def _end_line(self) -> None:
        line = self._line.rstrip("\r")
        self._saw_tilde_fence = self._saw_tilde_fence or self._starts_with_fence("~~~")
        if self._starts_with_fence("```"):
            self._in_fence = not self._in_fence
        if self._fence_marker:
            closes = _FENCE_CLOSING.fullmatch(line)
            if closes is not None and len(closes[1]) >= len(self._fence_marker):
                self._fence_marker = ""
        elif opens := _FENCE_OPENING.fullmatch(line):
            self._fence_marker = opens[1]
        if not line.strip():
            self._span_may_continue = False
        elif len(line) > _LONGEST_LINE or self._spans.open_lengths():
            self._span_may_continue = True


class OpenSpans:
    """Tracks the spans that have begun but not ended in a growing line: the first of each length.

    A run of backticks ends the first span with a run of its length, and all spans within it.
    Otherwise it may begin a span. Behind a backslash its first backtick does not count.
    """

    def __init__(self) -> None:
        self._open_lengths: list[int] = []
        self._after_backslash = False
        """Whether a backslash that counts precedes the next character."""
        self._run_length = 0
        """Length of the run at the end, which may continue."""
        self._run_escaped = False
        """Whether a backslash precedes that run."""

    def advance(self, text: str) -> None:
        """Add text to the end of the line."""
        for part in _SPAN_TOKENS.findall(text):
            if part[0] == "`":
                if not self._run_length:
                    self._run_escaped, self._after_backslash = self._after_backslash, False
                self._run_length += len(part)
                continue
            self._end_run()
            self._after_backslash = part == "\\" and not self._after_backslash

    def open_lengths(self) -> list[int]:
        """The lengths of the runs that began the open spans, in order. This ends the run at the
        end."""
        self._end_run()
        return self._open_lengths

    def _end_run(self) -> None:
        ticks, self._run_length = self._run_length, 0
        if not ticks:
            return
        if ticks in self._open_lengths:
            del self._open_lengths[self._open_lengths.index(ticks) :]
            return
        length = ticks - self._run_escaped
        if length and length not in self._open_lengths:  # a run ends the first span of its length
            self._open_lengths.append(length)
