"""Reads which sessions a cleanup is about: `--older-than 30d --channel C… --user U… --model m`.

The same words are typed in Slack, carried by the buttons of a cleanup, and given in a shell.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bot.domain.sessions import SessionFilter
from bot.errors import BotError

_DAY: Final = 86_400
_UNITS: Final = {"h": 3_600, "d": _DAY, "w": 7 * _DAY}
_LONGEST: Final = 36_500 * _DAY
"""Seconds: a hundred years. More is a slip of the finger."""
_MOST_KEPT: Final = 10_000_000
_DURATION: Final = re.compile(r"([0-9]{1,7})([hdw])", re.ASCII | re.IGNORECASE)
_MOMENT: Final = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,6})?", re.ASCII)
_KEPT: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_CHANNEL: Final = re.compile(r"(?:<#|#)?([CDG][A-Z0-9]{2,30})(?:\|[^<>]*)?>?", re.ASCII)
PERSON: Final = re.compile(r"(?:<@|@)?([UW][A-Z0-9]{2,30})(?:\|[^<>]*)?>?", re.ASCII)
"""Somebody by their id, as people type it and as Slack sends it."""
_DASHES: Final = re.compile(r"(?<!\S)[–—](?=[a-z])")
"""What phones make of two hyphens."""
_LONGEST_NAME: Final = 200
_LONGEST_WORDS: Final = 4_000

NOT_UNDERSTOOD: Final = "I don't know what `{word}` means for a cleanup. I know: {flags}."
NO_VALUE: Final = "`{flag}` needs something after it, for example `{example}`."
TWICE: Final = "`{flag}` is there twice. Please say it once."
BAD_DURATION: Final = (
    "`{given}` is no length of time that I know. Say hours, days or weeks: `12h`, `30d`, `2w`, "
    "up to a hundred years."
)
BAD_MOMENT: Final = "`{given}` is no time that has been. Use `--older-than 30d` instead."
BAD_COUNT: Final = "`{given}` is no number that I can keep. Give a whole number from 1 upwards."
BAD_CHANNEL: Final = (
    "I can't tell which channel `{given}` is. Give the channel's ID: it stands at the end of the "
    "channel's details."
)
BAD_PERSON: Final = (
    "I can't tell who `{given}` is. Give their member ID: it is in the menu of their profile."
)
OR_HERE: Final = " Or say `here` for this channel."
OR_ME: Final = " Or mention them, or say `me`."
BAD_MODEL: Final = "`{given}` is too long for the name of a model."
TOO_LONG: Final = "That is too long. Please say in a few words which sessions are meant."
UNBALANCED: Final = "There is a quotation mark without its partner."
ALL_AND_MORE: Final = "`{flag}` goes with nothing else. Leave it out, or leave out the rest."

EXAMPLES: Final = {
    "--older-than": "--older-than 30d",
    "--unused-since": "--unused-since 1790000000",
    "--channel": "--channel here",
    "--user": "--user me",
    "--model": "--model gpt-5",
    "--keep": "--keep 100",
}
ALONE: Final = ("--all", "--orphans")
FLAGS: Final = (*EXAMPLES, *ALONE)


class NotUnderstood(BotError):
    """The words of a cleanup do not say which sessions are meant; the sentence says why."""

    def __init__(self, sentence: str) -> None:
        self.sentence = sentence
        # What people wrote stays out of the log.
        super().__init__("the words of a cleanup were not understood")


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowing:
    """Which sessions a cleanup is about."""

    wanted: SessionFilter
    everything: bool = False
    """Whether all sessions are meant, and that was said."""
    orphans: bool = False
    """Whether only what has lost its other half is meant."""

    @property
    def said(self) -> bool:
        """Whether anything was said at all: nothing goes for the asking."""
        return self.everything or self.orphans or self.wanted != SessionFilter()


def narrowing(words: str | list[str], *, now: float, here: str = "", me: str = "") -> Narrowing:
    """What the words mean; `here` and `me` are the channel and the person that these stand for.

    Raises `NotUnderstood`.
    """
    given = dict(_pairs(words))
    alone = [flag for flag in ALONE if flag in given]
    # A button's `--unused-since` goes with anything: it only says as of when the rest was meant.
    if alone and set(given) - {alone[0], "--unused-since"}:
        raise NotUnderstood(ALL_AND_MORE.format(flag=alone[0]))
    return Narrowing(
        wanted=SessionFilter(
            owner=_person(given.get("--user", ""), me),
            channel=_channel(given.get("--channel", ""), here),
            model=_model(given.get("--model", "")),
            unused_since=_unused_since(given, now),
            keep_newest=_kept(given.get("--keep", "")),
        ),
        everything="--all" in given,
        orphans="--orphans" in given,
    )


def as_words(meant: Narrowing, *, at: float) -> str:
    """The words that mean the same at any later time: what was used after `at` is never meant."""
    wanted = meant.wanted
    since = at if wanted.unused_since is None else wanted.unused_since
    words = [f"--unused-since {since:.6f}"]
    if wanted.channel:
        words.append(f"--channel {wanted.channel}")
    if wanted.owner:
        words.append(f"--user {wanted.owner}")
    if wanted.model:
        words.append(f"--model {shlex.quote(wanted.model)}")
    if wanted.keep_newest:
        words.append(f"--keep {wanted.keep_newest}")
    if meant.everything:
        words.append("--all")
    if meant.orphans:
        words.append("--orphans")
    return " ".join(words)


def _pairs(words: str | list[str]) -> Iterator[tuple[str, str]]:
    """Each flag with its value, "" for those that have none."""
    parts = iter(_split(words) if isinstance(words, str) else words)
    seen = set[str]()
    for part in parts:
        flag, equals, value = part.partition("=")
        flag = flag.casefold()
        if flag not in FLAGS or (equals and flag in ALONE):
            raise NotUnderstood(
                NOT_UNDERSTOOD.format(word=_shown(part), flags=", ".join(f"`{f}`" for f in FLAGS))
            )
        if flag in seen:
            raise NotUnderstood(TWICE.format(flag=flag))
        seen.add(flag)
        if flag in EXAMPLES and not equals:
            value = next(parts, "")
        if flag in EXAMPLES and (not value or value.startswith("--")):
            raise NotUnderstood(NO_VALUE.format(flag=flag, example=EXAMPLES[flag]))
        yield flag, value


def _split(words: str) -> list[str]:
    if len(words) > _LONGEST_WORDS:
        raise NotUnderstood(TOO_LONG)
    try:
        return shlex.split(_DASHES.sub("--", words))
    except ValueError:
        raise NotUnderstood(UNBALANCED) from None


def _unused_since(given: dict[str, str], now: float) -> float | None:
    """The earlier of the two ways to say it."""
    moments = []
    if "--older-than" in given:
        moments.append(now - _duration(given["--older-than"]))
    if "--unused-since" in given:
        text = given["--unused-since"]
        if not _MOMENT.fullmatch(text) or float(text) > now:
            raise NotUnderstood(BAD_MOMENT.format(given=_shown(text)))
        moments.append(float(text))
    return min(moments, default=None)


def _duration(given: str) -> int:
    found = _DURATION.fullmatch(given)
    seconds = int(found[1]) * _UNITS[found[2].lower()] if found else 0
    if not 0 < seconds <= _LONGEST:
        raise NotUnderstood(BAD_DURATION.format(given=_shown(given)))
    return seconds


def _kept(given: str) -> int:
    if not given:
        return 0
    if not _KEPT.fullmatch(given) or not 0 < int(given) <= _MOST_KEPT:
        raise NotUnderstood(BAD_COUNT.format(given=_shown(given)))
    return int(given)


def _channel(given: str, here: str) -> str:
    if given.casefold() == "here" and here:
        return here
    found = _CHANNEL.fullmatch(given)
    if given and found is None:
        raise NotUnderstood(BAD_CHANNEL.format(given=_shown(given)) + (OR_HERE if here else ""))
    return found[1] if found else ""


def _person(given: str, me: str) -> str:
    if given.casefold() == "me" and me:
        return me
    found = PERSON.fullmatch(given)
    if given and found is None:
        raise NotUnderstood(BAD_PERSON.format(given=_shown(given)) + (OR_ME if me else ""))
    return found[1] if found else ""


def _model(given: str) -> str:
    if len(given) > _LONGEST_NAME:
        raise NotUnderstood(BAD_MODEL.format(given=_shown(given)))
    return given


def _shown(given: str) -> str:
    """What was typed, short and without what would end the frame that it is shown in."""
    return given.replace("`", "'")[:40]
