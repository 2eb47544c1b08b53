"""What a model's links lead to: a link cannot say one address and lead to another.

Markdown links keep working while they are honest: words that name no address, or the one that the
link leads to, and a web page or a mail address behind them. Everything else gets a word joiner
where it would become a link, so that it stands there as it was written: the words, and beside them
the address that they would have hidden. What a script would run in (`javascript:`, `data:` and
whatever else is no page) leads nowhere. Nothing else changes, as in
`bot.slack.formatting.sanitize`, and in code nothing does: there are no links in it, and people copy
it.
"""

from __future__ import annotations

import html
import re
import unicodedata
from typing import Final

from bot.slack.formatting.code import CodeSpanTracker
from bot.slack.formatting.sanitize import WORD_JOINER

MAX_HELD_CHARS: Final = 400
"""So many characters of a link are waited for; one that is not decided by then is none."""

_MAX_LABEL_CHARS: Final = 400
"""So much of the words of a link is looked at, from its end."""

# `](` begins an address, `]:` one for links that refer to it, `<` one of Markdown's or of Slack's.
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
"""Words that name no address, whatever is made of them."""
_MARKUP: Final = re.compile(r"\\(?=[^\w\s])|[*_~`!\[\]]")

# Ends of host names that are more than the ends of file names (`README.md`, `config.py`).
_TOP_LEVEL_DOMAINS: Final = re.compile(
    "ai|app|at|be|bank|biz|br|ca|ch|cloud|cn|com?|de|dev|edu|es|eu|example|fi|fr|gov|in|info|io|it|jp"
    "|kr|me|mil|net|nl|no|nz|online|org|page|pt|ru|se|shop|site|test|tv|tw|ua|uk|us|xyz|za"
)


class LinkSanitizer:
    """Makes dishonest links inert piece by piece, however the text is cut into pieces.

    What may yet become such a link is held back, at most `MAX_HELD_CHARS` characters of it and what
    begins it, until that is decided.
    """

    def __init__(self) -> None:
        self._tail = ""
        self._before = ""
        self._code = CodeSpanTracker()

    def feed(self, text: str) -> str:
        """What of the text up to here is decided and has not been given out."""
        return self._process(self._tail + text, final=False)

    def flush(self) -> str:
        """The rest; after this comes nothing more."""
        return self._process(self._tail, final=True)

    def _process(self, pending: str, *, final: bool) -> str:
        given: list[str] = []
        position, upto, read = 0, len(pending), 0
        for found in _LINK_CANDIDATE.finditer(pending):
            at = found.end()
            self._code.advance(pending[read : found.start()])
            read = found.start()
            honest = self._is_verified(pending, at, final=final)
            if honest is None:
                upto = found.start()
                break
            if not honest:
                given += (pending[position:at], WORD_JOINER)
                position = at
        given.append(pending[position:upto])
        self._code.advance(pending[read:upto])
        self._tail = pending[upto:]
        self._before = (self._before + pending[:upto])[-_MAX_LABEL_CHARS:]
        return "".join(given)

    def _is_verified(self, pending: str, at: int, *, final: bool) -> bool | None:
        """Whether what stands before `at` may go on as it does; None while that is not known."""
        rest = pending[at : at + MAX_HELD_CHARS]
        in_code = self._code.is_in_code(rest, final=final or len(rest) == MAX_HELD_CHARS)
        if in_code or in_code is None:
            return in_code
        honest = self._verify_candidate(pending, at, rest, final=False)
        if honest is None and len(rest) == MAX_HELD_CHARS:
            return False
        return (
            self._verify_candidate(pending, at, rest, final=True)
            if honest is None and final
            else honest
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
    """Of `<address>`, which shows what it is, and of Slack's `<address|words>`, which does not."""
    token = _ANGLE_LINK.match(rest)
    if token is not None:
        return token[1] != "|"
    return None if _PARTIAL_ANGLE_LINK.fullmatch(rest) and not final else True


def _is_no_definition(rest: str, *, final: bool) -> bool | None:
    """Of `]:`, whether no address follows that links elsewhere in the text would lead to."""
    address = rest.lstrip()
    if _URL_START.match(address):
        return False
    return None if _PARTIAL_URL_START.fullmatch(address) and not final else True


def _target_host(rest: str, *, final: bool) -> str | None:
    """The host that the address after a `](` leads to, or `_NO_HOST` for none that words could
    name; "" for what no link may lead to, None while that is not known."""
    address = rest.lstrip().removeprefix("<")
    undecided = "" if final else None
    if not address:
        return undecided
    scheme = _SCHEME.match(address)
    if scheme is None:
        if address.startswith("//") or (address == "/" and not final):
            return undecided if address == "/" else ""
        if _RELATIVE_URL.match(address):
            return _NO_HOST
        return undecided if _PARTIAL_RELATIVE_URL.fullmatch(address) else ""
    if scheme[1].casefold() == "mailto":
        return _NO_HOST
    page = _WEB_URL.match(address)
    if page is None:
        begun = "https://".startswith(address.casefold()) or address.casefold() == "http:/"
        return undecided if begun else ""
    if page[2] is None and not final:
        return None
    host = page[1].casefold()
    return "" if _SUSPICIOUS_HOST.search(host) else host


def _names_other_host(label: str, host: str) -> bool:
    """Whether the words of a link, which end `label`, name an address that is not at this host."""
    if _PLAIN_LABEL.fullmatch(label):
        return False
    words = _visible_label(label)
    named = [found[1] for found in _NAMED_HOST.finditer(words)]
    whole = _HOST.fullmatch(words.strip())
    if whole is not None and _TOP_LEVEL_DOMAINS.fullmatch(whole[1]):
        named.append(re.split(r"[/:]", words.strip())[0])
    return any(_normalize_host(name) != _normalize_host(host) for name in named)


def _normalize_host(host: str) -> str:
    return host.partition(":")[0].removeprefix("www.").rstrip(".,;!")


def _visible_label(before: str) -> str:
    """The words of the link that ends here, as people see them: all of `before` where they begin
    further away."""
    depth = 1
    begin = 0
    for at in range(len(before) - 1, -1, -1):
        if before[at] in "[]" and before[at - 1 : at] != "\\":
            depth += 1 if before[at] == "]" else -1
        if not depth:
            begin = at + 1
            break
    shown = unicodedata.normalize("NFKC", html.unescape(_MARKUP.sub("", before[begin:])))
    seen = "".join(c for c in shown if unicodedata.category(c) != "Cf")
    return seen.casefold()
