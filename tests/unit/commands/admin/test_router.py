"""What those in charge order: overview, usage, people, audit, limits, pause and drain."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from bot.access.quotas import BLOCKED, Limit
from bot.commands import texts
from bot.commands.texts import admin as admin_texts
from bot.domain.cards import Card
from bot.domain.preferences import Scope, Topic
from bot.errors import StoreError
from bot.store.sqlite.data_dir import DATABASE
from tests.unit.commands.admin.admin_fixtures import InCharge, in_charge
from tests.unit.commands.command_fixtures import ADA, ALICE, BOB, DEV, GENERAL, TEAM
from tests.unit.turns.inbox_fixtures import until


@pytest.fixture
async def charge(tmp_path: Path) -> AsyncIterator[InCharge]:
    async with in_charge(tmp_path) as charge:
        yield charge


def labels(card: Card) -> list[str]:
    return [press.label for press in card.presses]


async def test_nobody_else_may(charge: InCharge) -> None:
    for said in ("", "cleanup --all", "limits U0BOB block", "pause", "audit"):
        assert (await charge.order(said, by=ALICE)).text == texts.ADMINS_ONLY
    assert not charge.paused()
    assert await charge.audited() == []


async def test_alone_it_says_what_there_is(charge: InCharge) -> None:
    charge.pausing.busy = 3
    card = await charge.order("")
    assert "Turns running: 3" in card.text
    assert admin_texts.PAUSE in labels(card)
    for press in card.presses:
        assert (await charge.press(press)).text


async def test_an_unknown_topic_gets_the_list(charge: InCharge) -> None:
    card = await charge.order("`explode` now")
    assert "don't know" in card.text
    assert "cleanup" in card.text


@pytest.mark.parametrize("topic", ["pause", "resume", "drain"])
async def test_what_concerns_everybody_is_not_done_when_something_else_may_be_meant(
    charge: InCharge, topic: str
) -> None:
    """`admin resume s12` is about a session."""
    if topic == "resume":
        await charge.order("pause")
    before = (charge.paused(), await charge.audited())
    card = await charge.order(f"{topic} s12")
    assert card.text == admin_texts.GOES_ALONE.format(word=topic)
    assert (charge.paused(), await charge.audited()) == before


async def test_nothing_is_set_that_cannot_be_put_on_record(
    charge: InCharge, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / DATABASE)) as database:
        database.execute(
            "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
    for said in ("pause", "drain", "limits U0BOB block", "limits U0BOB 3 a day"):
        assert (await charge.order(said)).text == StoreError.sentence
    assert not charge.paused()
    assert await charge.limits.of(BOB) == Limit()
    assert await charge.world.store.choices([(Scope.WORKSPACE, TEAM)]) == ()


async def test_everybodys_sessions_are_listed_without_what_one_does_not_see(
    charge: InCharge,
) -> None:
    await charge.world.asked(1, user=ALICE, text="secret plans", channel=DEV)
    await charge.world.asked(2, user=BOB, text="the weather")
    charge.world.people.hidden.add((ADA, DEV))
    card = await charge.order("sessions")
    weather, secret = card.lines
    assert "weather" in weather.text
    assert "Bob" in weather.detail
    assert weather.link is not None
    assert "secret" not in secret.text + secret.detail
    assert secret.link is None
    assert [press.verb for press in secret.presses] == ["delete"]


async def test_usage_is_added_up_by_people_channel_model_and_thread(charge: InCharge) -> None:
    for second in (1, 2):
        await charge.world.asked(second, user=ALICE)
    await charge.world.asked(3, user=BOB, channel=DEV)
    charge.world.people.hidden.add((ADA, DEV))

    card = await charge.order("usage")
    assert [line.text for line in card.lines] == ["Alice", "Bob"]
    assert card.lines[0].detail == "2 turns, 2,000 tokens in, 40 out"
    card = await charge.order("usage month by channel")
    assert [line.text for line in card.lines] == [GENERAL, DEV]
    card = await charge.order("usage by model")
    assert [(line.text, line.detail[:7]) for line in card.lines] == [("gpt-5", "3 turns")]
    card = await charge.order("usage day by thread")
    assert {line.text for line in card.lines} == {admin_texts.A_THREAD, admin_texts.ELSEWHERE}
    assert sum(line.link is not None for line in card.lines) == 2

    charge.world.people.unknown.add(GENERAL)
    card = await charge.order("usage by thread")
    assert {(line.text, line.link) for line in card.lines} == {(admin_texts.ELSEWHERE, None)}

    await charge.world.clock.advance(2 * 86_400)
    assert (await charge.order("usage day")).text == admin_texts.USAGE_NONE.format(period="day")
    assert (await charge.order("usage year")).text == admin_texts.USAGE_HOW
    assert (await charge.order("usage by user")).text == admin_texts.USAGE_HOW


async def test_people_are_listed_with_what_they_use_and_may(charge: InCharge) -> None:
    assert (await charge.order("users")).text == admin_texts.USERS_NONE
    await charge.world.asked(1, user=ALICE)
    await charge.world.clock.advance(7_200)
    await charge.order("limits U0ALICE 20 a day")
    await charge.order("limits U0BOB block")

    alice, bob = (await charge.order("users")).lines
    assert alice.text == "Alice"
    assert alice.detail == (
        "1 turn, 1,000 tokens in, 20 out · last use 2 h ago · 20 turns in 24 hours"
    )
    assert bob.text == "Bob"
    assert admin_texts.IS_BLOCKED in bob.detail
    assert [press.label for press in (*alice.presses, *bob.presses)] == [
        admin_texts.BLOCK,
        admin_texts.UNBLOCK,
    ]
    assert (await charge.press(bob.presses[0])).text == admin_texts.UNBLOCKED.format(name="Bob")
    assert (await charge.press(alice.presses[0])).text == admin_texts.BLOCKED_NOW.format(
        name="Alice"
    )
    assert await charge.limits.refusal(ALICE) == BLOCKED


async def test_many_people_are_paged(charge: InCharge) -> None:
    for number in range(10):
        await charge.world.asked(number + 1, user=f"U0P{number}")
    first = await charge.order("users")
    assert len(first.lines) == 8
    (older,) = first.presses
    assert len((await charge.press(older)).lines) == 2
    assert len((await charge.order("users page 99")).lines) == 2
    assert (await charge.order("users everybody")).text == admin_texts.USERS_HOW


async def test_limits_are_set_shown_and_taken_back(charge: InCharge) -> None:
    assert admin_texts.NOBODY_ELSE in (await charge.order("limits")).text
    said = {
        "limits <@U0ALICE|alice> 20 a day": "Alice may have 20 turns in 24 hours.",
        "limits @U0ALICE 1": "Alice may have 1 turn in 24 hours.",
        "limits U0BOB unlimited": f"Bob may have {admin_texts.NO_LIMIT}.",
        "limits U0BOB Block": admin_texts.BLOCKED_NOW.format(name="Bob"),
        "limits U0CAROL unblock": admin_texts.WAS_NOT_BLOCKED.format(name="Carol"),
    }
    for order, sentence in said.items():
        assert (await charge.order(order)).text == sentence
    alice, bob = (await charge.order("limits")).lines
    assert (alice.text, alice.detail) == ("Alice (U0ALICE)", "1 turn in 24 hours")
    assert (bob.text, bob.detail) == ("Bob (U0BOB)", f"blocked · {admin_texts.NO_LIMIT}")
    for press in (*alice.presses, *bob.presses):
        await charge.press(press)
    assert admin_texts.NOBODY_ELSE in (await charge.order("limits")).text
    acts = [(target, detail) for _, _, target, detail in await charge.audited()]
    assert acts == [
        (BOB, "default"),
        (BOB, "unblock"),
        (ALICE, "default"),
        (BOB, "block"),
        (BOB, "unlimited"),
        (ALICE, "1"),
        (ALICE, "20 a day"),
    ]


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("limits bob block", admin_texts.NO_SUCH_PERSON.format(given="bob")),
        ("limits C0DEV block", admin_texts.NO_SUCH_PERSON.format(given="C0DEV")),
        ("limits U0BOB", admin_texts.LIMITS_HOW),
        ("limits U0BOB 0 a day", admin_texts.LIMITS_HOW),
        ("limits U0BOB -3", admin_texts.LIMITS_HOW),
        ("limits U0BOB 999999", admin_texts.LIMITS_HOW),
        ("limits U0BOB 5 an hour", admin_texts.LIMITS_HOW),
        ("limits U0ADA block", admin_texts.NOT_YOURSELF),
    ],
)
async def test_limits_that_make_no_sense_get_a_sentence(
    charge: InCharge, said: str, sentence: str
) -> None:
    assert (await charge.order(said)).text == sentence
    assert await charge.audited() == []


async def test_somebody_whom_slack_does_not_know_goes_by_their_id(charge: InCharge) -> None:
    assert (await charge.order("limits U0GONE block")).text == admin_texts.BLOCKED_NOW.format(
        name="U0GONE"
    )


async def test_what_was_done_is_listed_newest_first(charge: InCharge) -> None:
    assert (await charge.order("audit")).text == admin_texts.AUDIT_NONE
    await charge.world.store.audit("", "retention", "unused for 30 days", "2 sessions")
    await charge.world.store.audit("shell", "sessions delete", "s3")
    for _ in range(8):
        await charge.order("limits U0BOB block")
    first = await charge.order("audit")
    assert first.lines[0].text == "Ada: admin limits U0BOB"
    assert "block" in first.lines[0].detail
    (older,) = first.presses
    assert [line.text for line in (await charge.press(older)).lines] == [
        "shell: sessions delete s3",
        f"{admin_texts.BY_ITSELF}: retention unused for 30 days",
    ]
    assert (await charge.order("audit all")).text == admin_texts.AUDIT_HOW


async def test_a_pause_holds_over_restarts_until_it_is_taken_back(charge: InCharge) -> None:
    charge.pausing.busy = 2
    assert "2 turns running" in (await charge.order("pause")).text
    assert charge.paused()
    (choice,) = await charge.world.store.choices([(Scope.WORKSPACE, TEAM)])
    assert (choice.topic, choice.value, choice.by) == (Topic.PAUSED, "yes", ADA)
    assert (await charge.order("pause")).text == admin_texts.WAS_PAUSED
    assert admin_texts.HELD in (await charge.order("")).text

    assert (await charge.order("resume")).text == admin_texts.RESUMED
    assert not charge.paused()
    assert not await charge.world.store.choices([(Scope.WORKSPACE, TEAM)])
    assert (await charge.order("resume")).text == admin_texts.WAS_GOING_ON
    assert [act for _, act, _, _ in await charge.audited()] == ["admin resume", "admin pause"]


@pytest.mark.parametrize(
    ("idle", "resumed", "sentence"),
    [
        (True, False, admin_texts.DRAINED),
        (False, False, admin_texts.NOT_DRAINED.format(minutes=60)),
        (True, True, admin_texts.GOES_ON),
    ],
)
async def test_draining_tells_in_direct_messages_when_nothing_runs_any_more(
    charge: InCharge, idle: bool, resumed: bool, sentence: str
) -> None:
    charge.pausing.busy, charge.pausing.becomes_idle = 1, idle
    assert "1 turn" in (await charge.order("drain")).text
    assert charge.paused()
    assert not await charge.world.store.choices([(Scope.WORKSPACE, TEAM)])
    assert charge.world.board.shown == []
    if resumed:
        await charge.order("resume")
    charge.pausing.idle.set()
    await until(lambda: bool(charge.world.board.shown))
    ((thread, card),) = charge.world.board.shown
    assert (thread.channel, card.text) == (f"D{ADA}", sentence)
