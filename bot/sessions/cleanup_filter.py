"""Parses cleanup filters such as `--older-than 30d --channel C… --user U… --model m`.

The same flags are typed in Slack, sent by the buttons of a cleanup, and given in a shell.
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
"""Maximum age in seconds: a hundred years. More is a typing error."""
_MAX_KEPT: Final = 10_000_000
"""Maximum number of sessions to keep."""
_DURATION: Final = re.compile(r"([0-9]{1,7})([hdw])", re.ASCII | re.IGNORECASE)
_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,6})?", re.ASCII)
_COUNT: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_CHANNEL: Final = re.compile(r"(?:<#|#)?([CDG][A-Z0-9]{2,30})(?:\|[^<>]*)?>?", re.ASCII)
USER_PATTERN: Final = re.compile(r"(?:<@|@)?([UW][A-Z0-9]{2,30})(?:\|[^<>]*)?>?", re.ASCII)
"""Matches a user id as users type it and as Slack sends it."""
_DASHES: Final = re.compile(r"(?<!\S)[–—](?=[a-z])")
"""Matches the dash that phones put in place of two hyphens."""
_MAX_NAME_CHARS: Final = 200
"""Maximum length of a model name, in characters."""
_MAX_ARGS_CHARS: Final = 4_000
"""Maximum length of the flags, in characters."""

NOT_UNDERSTOOD: Final = "`{word}` isn't a cleanup flag. Use one of {flags}."
NO_VALUE: Final = "`{flag}` needs a value, for example `{example}`."
TWICE: Final = "`{flag}` is there twice. Use it once."
BAD_DURATION: Final = (
    "`{given}` isn't an age. Use hours, days or weeks: `12h`, `30d` or `2w`, up to 100 years."
)
BAD_MOMENT: Final = "`{given}` isn't a time in the past. Use `--older-than 30d` instead."
BAD_COUNT: Final = "`{given}` isn't a valid number. Use a whole number from 1 up."
BAD_CHANNEL: Final = (
    "I can't find the channel `{given}`. Use its ID: it's at the end of the channel's details."
)
BAD_USER: Final = (
    "I can't find the user `{given}`. Use their member ID: it's in the menu of their profile."
)
OR_HERE: Final = " Or use `here` for this channel."
OR_ME: Final = " Or mention them, or use `me`."
BAD_MODEL: Final = "`{given}` is too long for a model name."
TOO_LONG: Final = "That is too long. Use fewer flags."
UNBALANCED: Final = "A quotation mark is missing."
ALL_AND_MORE: Final = "`{flag}` can't be combined with other flags. Use it alone, or leave it out."

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
    """The flags of a cleanup are invalid; `user_message` says why."""

    def __init__(self, user_message: str) -> None:
        self.user_message = user_message
        # The user's text stays out of the log.
        super().__init__("the flags of a cleanup are invalid")


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanupFilter:
    """The sessions that a cleanup deletes."""

    session_filter: SessionFilter
    all_sessions: bool = False
    """True if all sessions match, by an explicit flag."""
    orphans_only: bool = False
    """True if only orphans match."""

    @property
    def is_specified(self) -> bool:
        """True if there was any flag: a cleanup without flags deletes nothing."""
        return self.all_sessions or self.orphans_only or self.session_filter != SessionFilter()


def parse_filter(
    args: str | list[str], *, now: float, current_channel: str = "", current_user: str = ""
) -> CleanupFilter:
    """The filter for these flags, with `here` as `current_channel` and `me` as `current_user`.

    `now` is in seconds since the epoch. Raises `FilterSyntaxError`.
    """
    given = dict(_parse_flags(args))
    exclusive = [flag for flag in EXCLUSIVE_FLAGS if flag in given]
    # `--unused-since` of a button combines with all flags: it is the time of the preview.
    if exclusive and set(given) - {exclusive[0], "--unused-since"}:
        raise FilterSyntaxError(ALL_AND_MORE.format(flag=exclusive[0]))
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
    """The flags for a filter, valid at any later time: sessions used after `as_of` never match."""
    wanted = cleanup_filter.session_filter
    since = as_of if wanted.unused_since is None else wanted.unused_since
    flags = [f"--unused-since {since:.6f}"]
    if wanted.channel:
        flags.append(f"--channel {wanted.channel}")
    if wanted.owner:
        flags.append(f"--user {wanted.owner}")
    if wanted.model:
        flags.append(f"--model {shlex.quote(wanted.model)}")
    if wanted.keep_newest:
        flags.append(f"--keep {wanted.keep_newest}")
    if cleanup_filter.all_sessions:
        flags.append("--all")
    if cleanup_filter.orphans_only:
        flags.append("--orphans")
    return " ".join(flags)


def _parse_flags(args: str | list[str]) -> Iterator[tuple[str, str]]:
    """Each flag with its value, or an empty string for flags without one."""
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
    """The earlier time of the two flags; None without them."""
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
    match = _DURATION.fullmatch(given)
    seconds = int(match[1]) * _UNITS[match[2].lower()] if match else 0
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
    match = _CHANNEL.fullmatch(given)
    if given and match is None:
        raise FilterSyntaxError(
            BAD_CHANNEL.format(given=_for_display(given)) + (OR_HERE if current_channel else "")
        )
    return match[1] if match else ""


def _user_id(given: str, current_user: str) -> str:
    if given.casefold() == "me" and current_user:
        return current_user
    match = USER_PATTERN.fullmatch(given)
    if given and match is None:
        raise FilterSyntaxError(
            BAD_USER.format(given=_for_display(given)) + (OR_ME if current_user else "")
        )
    return match[1] if match else ""


def _model(given: str) -> str:
    if len(given) > _MAX_NAME_CHARS:
        raise FilterSyntaxError(BAD_MODEL.format(given=_for_display(given)))
    return given


def _for_display(given: str) -> str:
    """The typed text, clipped and without backticks, for a code span."""
    return given.replace("`", "'")[:40]
