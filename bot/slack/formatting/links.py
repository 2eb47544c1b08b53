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

from bot.slack.formatting.code import CodeReader
from bot.slack.formatting.sanitize import WORD_JOINER

LONGEST_HELD: Final = 400
"""So many characters of a link are waited for; one that is not decided by then is none."""

_LABEL: Final = 400
"""So much of the words of a link is looked at, from its end."""

# `](` begins an address, `]:` one for links that refer to it, `<` one of Markdown's or of Slack's.
_CANDIDATE: Final = re.compile(r"\](?=[(:]|\Z)|<(?=[A-Za-z]|\Z)")
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,40}):")
_PAGE: Final = re.compile(r"https?://([^\s/?#()<>|\\]*)(?=([\s/?#()<>|\\])|\Z)", re.IGNORECASE)
_RELATIVE: Final = re.compile(r"[A-Za-z0-9_.%~+-]*[/?#)\s>]")
_RELATIVE_BEGUN: Final = re.compile(r"[A-Za-z0-9_.%~+-]*")
_ODD_HOST: Final = re.compile(r"[@&%]")
_NOWHERE: Final = "-"
_ADDRESS_BEGINS: Final = re.compile(r"<|//|www\.|[A-Za-z][A-Za-z0-9+.-]{1,40}:", re.IGNORECASE)
_ADDRESS_BEGUN: Final = re.compile(r"/?|[A-Za-z][A-Za-z0-9+.-]{0,40}")
_TOKEN: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,40}:[^\s<>|]*([\s<>|])")
_TOKEN_BEGUN: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,40}(?::[^\s<>|]*)?|")

_NAMED: Final = re.compile(r"(?:[a-z][a-z0-9+.-]*://|\bwww\.)([^\s/?#\])]*)")
_HOST: Final = re.compile(r"(?:[\w-]{1,63}\.){1,10}([a-z]{2,24})(?::[0-9]+)?(?:/\S*)?")
_PLAIN: Final = re.compile(r"[\w\s,'!?()\[\]-]*", re.ASCII)
"""Words that name no address, whatever is made of them."""
_MARKS: Final = re.compile(r"\\(?=[^\w\s])|[*_~`!\[\]]")

# Ends of host names that are more than the ends of file names (`README.md`, `setup.py`).
_ENDINGS: Final = re.compile(
    "ai|app|at|be|bank|biz|br|ca|ch|cloud|cn|com?|de|dev|edu|es|eu|example|fi|fr|gov|in|info|io|it|jp"
    "|kr|me|mil|net|nl|no|nz|online|org|page|pt|ru|se|shop|site|test|tv|tw|ua|uk|us|xyz|za"
)


class LinkGuard:
    """Makes dishonest links inert piece by piece, however the text is cut into pieces.

    What may yet become such a link is held back, at most `LONGEST_HELD` characters of it and what
    begins it, until that is decided.
    """

    def __init__(self) -> None:
        self._tail = ""
        self._before = ""
        self._code = CodeReader()

    def feed(self, text: str) -> str:
        """What of the text up to here is decided and has not been given out."""
        return self._give(self._tail + text, final=False)

    def end(self) -> str:
        """The rest; after this comes nothing more."""
        return self._give(self._tail, final=True)

    def _give(self, pending: str, *, final: bool) -> str:
        given: list[str] = []
        position, upto, read = 0, len(pending), 0
        for found in _CANDIDATE.finditer(pending):
            at = found.end()
            self._code.read(pending[read : found.start()])
            read = found.start()
            honest = self._honest(pending, at, final=final)
            if honest is None:
                upto = found.start()
                break
            if not honest:
                given += (pending[position:at], WORD_JOINER)
                position = at
        given.append(pending[position:upto])
        self._code.read(pending[read:upto])
        self._tail = pending[upto:]
        self._before = (self._before + pending[:upto])[-_LABEL:]
        return "".join(given)

    def _honest(self, pending: str, at: int, *, final: bool) -> bool | None:
        """Whether what stands before `at` may go on as it does; None while that is not known."""
        rest = pending[at : at + LONGEST_HELD]
        in_code = self._code.in_code(rest, final=final or len(rest) == LONGEST_HELD)
        if in_code or in_code is None:
            return in_code
        honest = self._judged(pending, at, rest, final=False)
        if honest is None and len(rest) == LONGEST_HELD:
            return False
        return self._judged(pending, at, rest, final=True) if honest is None and final else honest

    def _judged(self, pending: str, at: int, rest: str, *, final: bool) -> bool | None:
        if pending[at - 1] == "<":
            return _honest_token(rest, final=final)
        if not rest:
            return True if final else None
        if rest[0] == ":":
            return _defines_nothing(rest[1:], final=final)
        host = _leads_to(rest[1:], final=final)
        if not host:
            return None if host is None else False
        label = (self._before + pending[max(0, at - 1 - _LABEL) : at - 1])[-_LABEL:]
        return not _names_another(label, host)


def _honest_token(rest: str, *, final: bool) -> bool | None:
    """Of `<address>`, which shows what it is, and of Slack's `<address|words>`, which does not."""
    token = _TOKEN.match(rest)
    if token is not None:
        return token[1] != "|"
    return None if _TOKEN_BEGUN.fullmatch(rest) and not final else True


def _defines_nothing(rest: str, *, final: bool) -> bool | None:
    """Of `]:`, whether no address follows that links elsewhere in the text would lead to."""
    address = rest.lstrip()
    if _ADDRESS_BEGINS.match(address):
        return False
    return None if _ADDRESS_BEGUN.fullmatch(address) and not final else True


def _leads_to(rest: str, *, final: bool) -> str | None:
    """The host that the address after a `](` leads to, or `_NOWHERE` for none that words could
    name; "" for what no link may lead to, None while that is not known."""
    address = rest.lstrip().removeprefix("<")
    undecided = "" if final else None
    if not address:
        return undecided
    scheme = _SCHEME.match(address)
    if scheme is None:
        if address.startswith("//") or (address == "/" and not final):
            return undecided if address == "/" else ""
        if _RELATIVE.match(address):
            return _NOWHERE
        return undecided if _RELATIVE_BEGUN.fullmatch(address) else ""
    if scheme[1].casefold() == "mailto":
        return _NOWHERE
    page = _PAGE.match(address)
    if page is None:
        begun = "https://".startswith(address.casefold()) or address.casefold() == "http:/"
        return undecided if begun else ""
    if page[2] is None and not final:
        return None
    host = page[1].casefold()
    return "" if _ODD_HOST.search(host) else host


def _names_another(label: str, host: str) -> bool:
    """Whether the words of a link, which end `label`, name an address that is not at this host."""
    if _PLAIN.fullmatch(label):
        return False
    words = _words_of(label)
    named = [found[1] for found in _NAMED.finditer(words)]
    whole = _HOST.fullmatch(words.strip())
    if whole is not None and _ENDINGS.fullmatch(whole[1]):
        named.append(re.split(r"[/:]", words.strip())[0])
    return any(_plain_host(name) != _plain_host(host) for name in named)


def _plain_host(host: str) -> str:
    return host.partition(":")[0].removeprefix("www.").rstrip(".,;!")


def _words_of(before: str) -> str:
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
    shown = unicodedata.normalize("NFKC", html.unescape(_MARKS.sub("", before[begin:])))
    seen = "".join(c for c in shown if unicodedata.category(c) != "Cf")
    return seen.casefold()
