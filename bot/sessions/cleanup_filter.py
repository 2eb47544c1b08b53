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
_MAX_AGE_SECONDS: Final = 36_500 * _DAY
"""Seconds: a hundred years. More is a slip of the finger."""
_MAX_KEPT: Final = 10_000_000
_DURATION: Final = re.compile(r"([0-9]{1,7})([hdw])", re.ASCII | re.IGNORECASE)
_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,6})?", re.ASCII)
_COUNT: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_CHANNEL: Final = re.compile(r"(?:<#|#)?([CDG][A-Z0-9]{2,30})(?:\|[^<>]*)?>?", re.ASCII)
USER_PATTERN: Final = re.compile(r"(?:<@|@)?([UW][A-Z0-9]{2,30})(?:\|[^<>]*)?>?", re.ASCII)
"""Somebody by their id, as people type it and as Slack sends it."""
_DASHES: Final = re.compile(r"(?<!\S)[–—](?=[a-z])")
"""What phones make of two hyphens."""
_MAX_NAME_CHARS: Final = 200
_MAX_ARGS_CHARS: Final = 4_000

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
BAD_USER: Final = (
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
EXCLUSIVE_FLAGS: Final = ("--all", "--orphans")
FLAGS: Final = (*EXAMPLES, *EXCLUSIVE_FLAGS)


class FilterSyntaxError(BotError):
    """The words of a cleanup do not say which sessions are meant; the sentence says why."""

    def __init__(self, user_message: str) -> None:
        self.user_message = user_message
        # What people wrote stays out of the log.
        super().__init__("the words of a cleanup were not understood")


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanupFilter:
    """Which sessions a cleanup is about."""

    session_filter: SessionFilter
    all_sessions: bool = False
    """Whether all sessions are meant, and that was said."""
    orphans_only: bool = False
    """Whether only what has lost its other half is meant."""

    @property
    def is_specified(self) -> bool:
        """Whether anything was said at all: nothing goes for the asking."""
        return self.all_sessions or self.orphans_only or self.session_filter != SessionFilter()


def parse_filter(
    args: str | list[str], *, now: float, current_channel: str = "", current_user: str = ""
) -> CleanupFilter:
    """What the words mean; `here` and `me` are the channel and the person that these stand for.

    Raises `FilterSyntaxError`.
    """
    given = dict(_parse_flags(args))
    alone = [flag for flag in EXCLUSIVE_FLAGS if flag in given]
    # A button's `--unused-since` goes with anything: it only says as of when the rest was meant.
    if alone and set(given) - {alone[0], "--unused-since"}:
        raise FilterSyntaxError(ALL_AND_MORE.format(flag=alone[0]))
    return CleanupFilter(
        session_filter=SessionFilter(
            owner=_user_id(given.get("--user", ""), current_user),
            channel=_channel_id(given.get("--channel", ""), current_channel),
            model=_model(given.get("--model", "")),
            unused_since=_unused_since(given, now),
            keep_newest=_keep_count(given.get("--keep", "")),
        ),
        all_sessions="--all" in given,
        orphans_only="--orphans" in given,
    )


def format_filter(cleanup_filter: CleanupFilter, *, as_of: float) -> str:
    """The words that mean the same at any later time: what was used after `at` is never meant."""
    wanted = cleanup_filter.session_filter
    since = as_of if wanted.unused_since is None else wanted.unused_since
    words = [f"--unused-since {since:.6f}"]
    if wanted.channel:
        words.append(f"--channel {wanted.channel}")
    if wanted.owner:
        words.append(f"--user {wanted.owner}")
    if wanted.model:
        words.append(f"--model {shlex.quote(wanted.model)}")
    if wanted.keep_newest:
        words.append(f"--keep {wanted.keep_newest}")
    if cleanup_filter.all_sessions:
        words.append("--all")
    if cleanup_filter.orphans_only:
        words.append("--orphans")
    return " ".join(words)


def _parse_flags(args: str | list[str]) -> Iterator[tuple[str, str]]:
    """Each flag with its value, "" for those that have none."""
    parts = iter(_split_args(args) if isinstance(args, str) else args)
    seen = set[str]()
    for part in parts:
        flag, equals, value = part.partition("=")
        flag = flag.casefold()
        if flag not in FLAGS or (equals and flag in EXCLUSIVE_FLAGS):
            raise FilterSyntaxError(
                NOT_UNDERSTOOD.format(
                    word=_for_display(part), flags=", ".join(f"`{f}`" for f in FLAGS)
                )
            )
        if flag in seen:
            raise FilterSyntaxError(TWICE.format(flag=flag))
        seen.add(flag)
        if flag in EXAMPLES and not equals:
            value = next(parts, "")
        if flag in EXAMPLES and (not value or value.startswith("--")):
            raise FilterSyntaxError(NO_VALUE.format(flag=flag, example=EXAMPLES[flag]))
        yield flag, value


def _split_args(args: str) -> list[str]:
    if len(args) > _MAX_ARGS_CHARS:
        raise FilterSyntaxError(TOO_LONG)
    try:
        return shlex.split(_DASHES.sub("--", args))
    except ValueError:
        raise FilterSyntaxError(UNBALANCED) from None


def _unused_since(given: dict[str, str], now: float) -> float | None:
    """The earlier of the two ways to say it."""
    moments = []
    if "--older-than" in given:
        moments.append(now - _duration(given["--older-than"]))
    if "--unused-since" in given:
        text = given["--unused-since"]
        if not _TIMESTAMP.fullmatch(text) or float(text) > now:
            raise FilterSyntaxError(BAD_MOMENT.format(given=_for_display(text)))
        moments.append(float(text))
    return min(moments, default=None)


def _duration(given: str) -> int:
    found = _DURATION.fullmatch(given)
    seconds = int(found[1]) * _UNITS[found[2].lower()] if found else 0
    if not 0 < seconds <= _MAX_AGE_SECONDS:
        raise FilterSyntaxError(BAD_DURATION.format(given=_for_display(given)))
    return seconds


def _keep_count(given: str) -> int:
    if not given:
        return 0
    if not _COUNT.fullmatch(given) or not 0 < int(given) <= _MAX_KEPT:
        raise FilterSyntaxError(BAD_COUNT.format(given=_for_display(given)))
    return int(given)


def _channel_id(given: str, current_channel: str) -> str:
    if given.casefold() == "here" and current_channel:
        return current_channel
    found = _CHANNEL.fullmatch(given)
    if given and found is None:
        raise FilterSyntaxError(
            BAD_CHANNEL.format(given=_for_display(given)) + (OR_HERE if current_channel else "")
        )
    return found[1] if found else ""


def _user_id(given: str, current_user: str) -> str:
    if given.casefold() == "me" and current_user:
        return current_user
    found = USER_PATTERN.fullmatch(given)
    if given and found is None:
        raise FilterSyntaxError(
            BAD_USER.format(given=_for_display(given)) + (OR_ME if current_user else "")
        )
    return found[1] if found else ""


def _model(given: str) -> str:
    if len(given) > _MAX_NAME_CHARS:
        raise FilterSyntaxError(BAD_MODEL.format(given=_for_display(given)))
    return given


def _for_display(given: str) -> str:
    """What was typed, short and without what would end the frame that it is shown in."""
    return given.replace("`", "'")[:40]
