"""Functions that read or write texts take time linear in the length, also for hostile texts.

One event loop serves all users, so that a slow text delays all of them. Each function that handles
texts of users or models gets texts of two lengths, one eight times the other. The longer one may
take a little more than eight times the processor time; a quadratic function takes 64 times.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Final

import pytest

from bot.access.admission import invalid_message_text
from bot.commands.formatting import one_line, strip_markdown
from bot.commands.parser import KnownNames, parse_command, parse_message
from bot.commands.registry import COMMANDS
from bot.commands.transcripts import Transcript, TranscriptFormat
from bot.config import parsers
from bot.domain.cards import Button, Card, CardItem, ReplyActions, Select
from bot.domain.commands import CommandSource
from bot.domain.messages import Message, ThreadKey, Trigger, strip_unstorable
from bot.domain.text import truncate
from bot.domain.users import UserKind
from bot.errors import BotError
from bot.logs import redact_tokens
from bot.ports import ThreadExcerpt, ThreadMessage
from bot.redaction import SecretRedactor, StreamRedactor
from bot.sessions.cleanup_filter import parse_filter
from bot.sessions.roles import split_role_prefix
from bot.slack.cards.button_values import ButtonValue, parse_button_value
from bot.slack.cards.render import render_actions, render_card, render_home
from bot.slack.events.parser import parse_event
from bot.slack.formatting.links import CodeSpanTracker, LinkSanitizer
from bot.slack.formatting.mrkdwn import (
    escape,
    mentions_user,
    mrkdwn_to_text,
    replace_mentions,
    starts_with_mention,
    strip_mention,
    strip_mention_labels,
    unescape,
)
from bot.slack.formatting.sanitize import (
    MentionEscaper,
    escape_mentions,
    escaped_chunks,
    sanitize,
    truncate_escaped,
)
from bot.slack.identity import BotIdentity
from bot.slack.interactions.modals import about_modal
from bot.slack.interactions.payloads import (
    QuestionTarget,
    parse_command_press,
    parse_shortcut,
    parse_slash_command,
    parse_submission,
)
from bot.slack.interactions.question_service import question_message
from bot.slack.replies.splitter import PartText, Splitter, find_open_fence, starts_fence
from bot.slack.replies.text import ReplyText
from bot.slack.thread_history import message_text
from bot.turns.answer_stream import AnswerBuffer
from bot.turns.prompt import format_excerpt
from tests.unit.commands.test_history import SESSION, TURN

SHORT: Final = 1_000
LONG: Final = 8 * SHORT
"""Lengths in characters."""
MOST_TIMES: Final = 24
"""Maximum ratio of the times for texts of 8 and 1 lengths. A quadratic function takes 64 times as
long, and a linear one 8 times: the rest is a margin for a busy machine."""
MOST_SECONDS: Final = 1.0
"""Maximum processor time for the long text, in seconds. It takes at most a tenth of this, and three
tenths while coverage is measured. The ratio misses functions that are quadratic within lines of
bounded length."""
NOTHING: Final = 0.001
"""Minimum time in seconds: a shorter one cannot be measured well, and is harmless."""
TRIES: Final = 4
STEP: Final = 40
"""Size of a chunk, in characters."""

IDENTITY = BotIdentity(team="T0HOME", user="U0PILOT", bot="B0PILOT", name="threadpilot")
THREAD = ThreadKey(team="T0HOME", channel="C0GENERAL", root_ts="1790000000.000100")
SECRETS: Final = ("xoxb-" + "a" * 60, "aaaaaaaab", "<@U0PILOT><@U0PILOT>")
KNOWN = KnownNames(models=frozenset({"gpt-5", "o3", "a" * 40}), roles=frozenset({"review", "aaaa"}))

RUNS: Final = "".join("a" + "`" * length for length in range(1, 44))
# What each text is made of: a beginning, what is repeated, an end.
TEXTS: Final[Mapping[str, tuple[str, str, str]]] = {
    "letters": ("", "a", ""),
    "words": ("", "word ", "."),
    "mentions at the end": ("a", "<@U0PILOT>", ""),
    "mentions with blanks": ("a", "<@U0PILOT> ", ""),
    "mentions at the beginning": ("", "<@U0PILOT>, ", "a"),
    "mentions that do not end": ("", "<@U0PILOT", ""),
    "mentions with names": ("", "<@U0PILOT|", ""),
    "mentions of others": ("", "<@U1|bob> <#C1|dev> <!here> <!subteam^S1|@ops>", ""),
    "links": ("", "<https://a.example|b> ", ""),
    "links that do not end": ("", "<https://a.example|", ""),
    "opening angles": ("", "<", ""),
    "closing angles": ("<", ">", ""),
    "both angles": ("", "<>", ""),
    "entities": ("", "&amp;lt;", ""),
    "ampersands": ("", "&", ""),
    "opening brackets": ("", "[", "](https://a.example)"),
    "closing brackets": ("", "]", ""),
    "addresses": ("", "](", ""),
    "addresses and code": ("", "](a``b ", ""),
    "addresses and code on lines": ("", "](a``b " * 40 + "\n", ""),
    "addresses and code in paragraphs": ("", "](a``b " * 284 + "\n\n", ""),
    "addresses and open code": ("", RUNS + "](x " * 250 + "\n\n", ""),
    "addresses and escaped ticks": ("", "\\``a" * 100 + "](x " * 380 + "\n\n", ""),
    "addresses and runs": ("`", "](``b `", ""),
    "Markdown links": ("", "[b.example](https://a.example/ ", ""),
    "nested links": ("", "[a", "](x)" * 40),
    "definitions": ("", "]: ", ""),
    "addresses with blanks": ("](", " ", ""),
    "schemes": ("", "](ab+c.d-e", ""),
    "domains": ("", "a.", "](https://b.example)"),
    "backslashes": ("", "\\", ""),
    "escaped ticks": ("", "\\`", ""),
    "backticks": ("", "`", ""),
    "pairs of backticks": ("", "`` ", ""),
    "runs of backticks": ("", "`a``b```c````d", ""),
    "open code": ("", "`a ", ""),
    "fences": ("", "```\n", ""),
    "indented fences": ("", "    ```\n", ""),
    "long fences": ("", "`" * 120 + "\n", ""),
    "code in a fence": ("```\n", "](https://a.example) ", ""),
    "digits in a fence": ("```\n" + "1" * 200, "](", ""),
    "fences of tildes": ("", "~~~\n", ""),
    "list marks": ("", "- ", "x"),
    "long list marks": ("", "-   ", "x"),
    "numbers": ("", "1", "x"),
    "numbered": ("", "1. ", "x"),
    "quotes": ("", "> ", "x"),
    "table pipes": ("", "| a ", "|"),
    "table": ("", "|---|---|\n", ""),
    "emphasis": ("", "*a_", ""),
    "stars": ("", "*", ""),
    "strong": ("", "**a", ""),
    "underscores": ("", "_", "x"),
    "headings": ("", "## ", ""),
    "blanks": ("", " ", ""),
    "blanks before a word": ("a", " ", "b"),
    "blanks on lines": ("", " " * 1_999 + "\n", ""),
    "tabs": ("", "\t", "x"),
    "newlines": ("", "\n", ""),
    "newlines before a word": ("a", "\n", "b"),
    "carriage returns": ("", "\r\n", ""),
    "sentences": ("", "a. ", ""),
    "sentence ends": ("", ".", "a"),
    "closing quotes": (".", '"', "a"),
    "colons": ("", ":", ""),
    "emoji names": ("", ":a", ":"),
    "emoji names that do not end": (":", "a", ""),
    "emoji": ("", "\U0001f600", ""),
    "joined emoji": ("", "\U0001f468\u200d", ""),
    "flags": ("", "\U0001f1e6", ""),
    "half characters": ("", "\ud83d", ""),
    "NULs": ("", "\0", ""),
    "combining marks": ("e", "\u0301", ""),
    "turning marks": ("", "\u202e", ""),
    "separators": ("", "\u2028", ""),
    "at signs": ("", "@", ""),
    "groups": ("", "@channel ", ""),
    "groups that do not end": ("", "@chan", ""),
    "commands": ("", "<!channel", ""),
    "tokens": ("", "xoxb-aaaa ", ""),
    "tokens that do not end": ("", "xoxb-", ""),
    "a token": ("xoxb-", "a", ""),
    "flags of a cleanup": ("", "--user U1 ", ""),
    "quotation marks": ("", '"', ""),
    "quoted words": ("", "'a' ", ""),
    "dashes": ("", "–a", ""),
    "commas": ("compare ", "gpt-5,", ""),
    "admin commands": ("!", "admin ", ""),
    "model commands": ("model ", "a", ""),
    "for": ("!model ", "for ", ""),
    "a role": ("review:", " ", "x"),
    "braces": ("", '{"v":', ""),
}


def text_of(name: str, length: int) -> str:
    """The text of that name, about `length` characters long."""
    begin, repeated, end = TEXTS[name]
    return begin + repeated * max(1, (length - len(begin) - len(end)) // len(repeated)) + end


def cut_up(text: str) -> Iterable[str]:
    return (text[at : at + STEP] for at in range(0, len(text), STEP))


# What texts pass through ------------------------------------------------------------------------


def cleanup(text: str) -> None:
    with suppress(BotError):
        parse_filter(text, now=1.0, current_channel="C1", current_user="U1")


def setting(text: str) -> None:
    reads: tuple[Callable[[str], object], ...] = (
        *(parsers.user_ids, parsers.bot_ids, parsers.channel_ids, parsers.group_id, parsers.url),
        *(parsers.secret, parsers.api_url, parsers.integer(0, 9), parsers.seconds(0, 9)),
        *(parsers.choice("a", "b"), parsers.boolean, parsers.token("xoxb-")),
    )
    for read in reads:
        with suppress(ValueError):
            read(text)


def answer(text: str) -> None:
    growing = AnswerBuffer()
    for piece in cut_up(text):
        growing.add(piece)
    assert growing.text
    growing.complete_current(text)


def event(text: str) -> None:
    message = {"type": "message", "channel": "C0GENERAL", "user": "UALICE", "text": text}
    message |= {"ts": "1790000000.000100", "channel_type": "channel"}
    parse_event({"team_id": "T0HOME", "event_id": "Ev1", "event": message}, IDENTITY)


def edit(text: str) -> None:
    inner = {"user": "UALICE", "ts": "1790000000.000100"}
    changed = {
        "type": "message",
        "subtype": "message_changed",
        "channel": "C0GENERAL",
        "message": inner | {"text": text},
        "previous_message": inner | {"text": f"{text} "},
    }
    parse_event({"team_id": "T0HOME", "event_id": "Ev1", "event": changed}, IDENTITY)


def command(text: str) -> None:
    parse_slash_command(
        {"user_id": "UALICE", "trigger_id": "1.2", "channel_id": "C0GENERAL", "text": text},
        IDENTITY,
    )


def shortcut(text: str) -> None:
    message = {"text": text, "ts": "1790000000.000100", "user": "UBOB"}
    user = {"id": "UALICE", "team_id": "T0HOME"}
    parse_shortcut({"user": user, "channel": {"id": "C0GENERAL"}, "message": message}, IDENTITY)


def submission(text: str) -> None:
    values = {"question": {"question_text": {"value": text}}}
    view = {"id": "V1", "private_metadata": text, "state": {"values": values}}
    parse_submission({"user": {"id": "UALICE", "team_id": "T0HOME"}, "view": view})


def button_value(text: str) -> None:
    user = {"id": "UALICE", "team_id": "T0HOME"}
    actions = [{"action_id": "order:1", "value": text}]
    parse_command_press({"user": user, "trigger_id": "1", "actions": actions}, IDENTITY)


def message(text: str) -> Message:
    return Message(
        event_id="Ev1",
        thread=THREAD,
        ts=THREAD.root_ts,
        user="UALICE",
        user_team="T0HOME",
        text=text,
        trigger=Trigger.DIRECT,
    )


def command_text(text: str) -> None:
    parse_message(message(text), KNOWN)
    for form in CommandSource:
        # The longest sentence that is looked at, and what only just fits.
        parse_command(text[:4_000], KNOWN, form, from_slash_command=True)


def permissions(text: str) -> None:
    for spec in COMMANDS.values():
        spec.roles_for(text[:4_000])


def excerpt(text: str) -> None:
    message = ThreadMessage(ts="1.000001", user="U1", name=text, kind=UserKind.MEMBER, text=text)
    format_excerpt(ThreadExcerpt(root=message, newest=[message, message], omitted_count=0))


def transcript(text: str) -> None:
    turn = replace(TURN, text=text, answer=text, model=text)
    session = replace(SESSION, title=text, role=text)
    written = Transcript(session=session, turns=[turn], names={"U1": text})
    for form in TranscriptFormat:
        written.render(form)


def card(text: str) -> None:
    pressed = Button(label=text, command_name="help", args=text[:500], confirm=text)
    chosen = Select(label=text, command_name="model", args="", options=((text, "a"), (text, text)))
    line = CardItem(text=text, detail=text, link=THREAD, buttons=(pressed,), select=chosen)
    whole = Card(text=text, title=text, items=(line,), buttons=(pressed,), small_print=text)
    render_card(whole, thread=THREAD, links={THREAD: "https://a.example"})
    render_home([whole], {})
    render_actions(ReplyActions(buttons=(pressed,), menu=(pressed,), small_print=text), THREAD)


def question(text: str) -> None:
    question_message("UALICE", text, text)
    place = QuestionTarget(channel="C0GENERAL", quoted=text, author="UBOB")
    about_modal(place)


def code(text: str) -> None:
    reader = CodeSpanTracker()
    for piece in cut_up(text):
        reader.advance(piece)
        reader.is_in_code(piece, final=False)
        reader.is_in_code(piece, final=True)


def split(text: str) -> None:
    splitter = Splitter(600)
    for piece in cut_up(text):
        splitter.add_text(piece)
    splitter.complete()


def split_whole(text: str) -> None:
    splitter = Splitter()
    splitter.add_text(text)
    splitter.end_part(10)
    splitter.complete()
    for part in splitter.parts:
        assert part.closed_text is not None


def replied(text: str) -> None:
    reply = ReplyText()
    for piece in cut_up(text):
        reply.append_text(piece)
        assert reply.parts is not None
    reply.complete(text, text[:100])
    reply.shrink_parts()


def fed(make: Callable[[], MentionEscaper | LinkSanitizer]) -> Callable[[str], None]:
    def feed(text: str) -> None:
        one = make()
        for piece in cut_up(text):
            one.feed(piece)
        one.flush()

    return feed


def fed_whole(text: str) -> None:
    guard = LinkSanitizer()
    guard.feed(text)
    guard.flush()


def redacted(text: str) -> None:
    redact = SecretRedactor(SECRETS)
    redact(text)
    flow = StreamRedactor(redact)
    for piece in cut_up(text):
        flow.redact_chunk(piece)
    flow.redact_rest()


READERS: Final[Mapping[str, Callable[[str], object]]] = {
    "storable": strip_unstorable,
    "readable": mrkdwn_to_text,
    "unescaped": unescape,
    "escaped": escape,
    "mentions": lambda text: mentions_user(text, IDENTITY.user),
    "addresses_somebody": starts_with_mention,
    "without_mention": lambda text: strip_mention(text, IDENTITY.user, IDENTITY.name),
    "with_name": lambda text: replace_mentions(text, IDENTITY.user, IDENTITY.name),
    "by_id": strip_mention_labels,
    "said_text": lambda text: message_text({"blocks": [{"type": "markdown", "text": text}] * 2}),
    "a setting": setting,
    "an answer": answer,
    "an event": event,
    "an edit": edit,
    "a command": command,
    "a shortcut": shortcut,
    "a modal": submission,
    "a button": button_value,
    "a button's value": lambda text: (
        parse_button_value(text),
        ButtonValue(command_name="a", args=text).encode(9),
    ),
    "command text": command_text,
    "permissions": permissions,
    "a cleanup": cleanup,
    "a role": split_role_prefix,
    "a refusal": lambda text: invalid_message_text(message(text), max_chars=2 * LONG),
    "quoting": excerpt,
    "redaction": redacted,
    "tokens in logs": redact_tokens,
    "one_line": one_line,
    "unmarked": strip_markdown,
    "truncated": lambda text: truncate(text, 1_000),
    "a transcript": transcript,
    "showable": sanitize,
    "defanged": escape_mentions,
    "defanged in pieces": fed(MentionEscaper),
    "links": fed_whole,
    "links in pieces": fed(LinkSanitizer),
    "code": code,
    "fences": lambda text: (find_open_fence(text), starts_fence(text, 0)),
    "parts": split_whole,
    "parts of pieces": split,
    "a part": lambda text: PartText("```\n", body=text, note="x").closed_text,
    "a reply": replied,
    "inert pieces": lambda text: list(escaped_chunks(text, 3_000, 5)),
    "inert and clipped": lambda text: (
        truncate_escaped(text, 3_000),
        truncate_escaped(text, 2 * LONG),
        truncate(text, 9),
    ),
    "cards": card,
    "a question": question,
}


def seconds(work: Callable[[str], object], text: str) -> float:
    """The processor time in seconds."""
    began = time.thread_time()
    work(text)
    return time.thread_time() - began


@pytest.mark.parametrize("reader", READERS)
def test_the_time_for_a_text_is_linear_in_its_length(reader: str) -> None:
    work = READERS[reader]
    work(text_of("words", SHORT))  # builds what the first use builds
    slow = {}
    for name in TEXTS:
        short, long = text_of(name, SHORT), text_of(name, LONG)
        took = seconds(work, long)
        allowed = times = 0.0
        for _ in range(TRIES):
            if took < NOTHING or took > 2 * MOST_SECONDS:
                break
            times = seconds(work, short) if not times else min(times, seconds(work, short))
            allowed = min(MOST_SECONDS, MOST_TIMES * times)
            if took < allowed:
                break
            took = min(took, seconds(work, long))
        if took >= max(allowed, NOTHING):
            slow[name] = (
                f"{took:.3f} s for {len(long):,} characters, {times:.4f} s for {len(short):,}"
            )
    assert slow == {}
