"""The `admin` subcommands: overview, usage, users, audit, limits, pause and drain."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from bot.access.quotas import BLOCKED, Quota
from bot.commands import texts
from bot.commands.texts import admin as admin_texts
from bot.domain.cards import Card
from bot.domain.preferences import PreferenceKind, Scope
from bot.errors import StoreError
from bot.store.sqlite.data_dir import DATABASE_NAME
from tests.unit.commands.admin.admin_fixtures import AdminFixture, admin_fixture
from tests.unit.commands.command_fixtures import ADA, ALICE, BOB, DEV, GENERAL, TEAM
from tests.unit.turns.inbox_fixtures import wait_until


@pytest.fixture
async def admins(tmp_path: Path) -> AsyncIterator[AdminFixture]:
    async with admin_fixture(tmp_path) as charge:
        yield charge


def labels(card: Card) -> list[str]:
    return [button.label for button in card.buttons]


async def test_only_admins_may(admins: AdminFixture) -> None:
    for args in ("", "cleanup --all", "limits U0BOB block", "pause", "audit"):
        assert (await admins.run_command(args, by=ALICE)).text == texts.ADMINS_ONLY
    assert not admins.paused()
    assert await admins.audited() == []


async def test_admin_alone_lists_its_subcommands(admins: AdminFixture) -> None:
    admins.inbox.running_count = 3
    card = await admins.run_command("")
    assert "Turns running: 3" in card.text
    assert admin_texts.PAUSE in labels(card)
    for button in card.buttons:
        assert (await admins.press_button(button)).text


async def test_an_unknown_topic_gets_the_list(admins: AdminFixture) -> None:
    card = await admins.run_command("`explode` now")
    assert "don't know" in card.text
    assert "cleanup" in card.text


@pytest.mark.parametrize("topic", ["pause", "resume", "drain"])
async def test_a_command_that_affects_all_users_takes_no_arguments(
    admins: AdminFixture, topic: str
) -> None:
    """`admin resume s12` may be meant for a session."""
    if topic == "resume":
        await admins.run_command("pause")
    before = (admins.paused(), await admins.audited())
    card = await admins.run_command(f"{topic} s12")
    assert card.text == admin_texts.TAKES_NO_ARGS.format(word=topic)
    assert (admins.paused(), await admins.audited()) == before


async def test_nothing_is_set_that_cannot_be_audited(admins: AdminFixture, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME)) as database:
        database.execute(
            "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
    for args in ("pause", "drain", "limits U0BOB block", "limits U0BOB 3 a day"):
        assert (await admins.run_command(args)).text == StoreError.user_message
    assert not admins.paused()
    assert await admins.quotas.quota_of(BOB) == Quota()
    assert await admins.world.store.preferences([(Scope.WORKSPACE, TEAM)]) == ()


async def test_all_sessions_are_listed_without_hidden_titles(
    admins: AdminFixture,
) -> None:
    await admins.world.context_for(1, user=ALICE, text="secret plans", channel=DEV)
    await admins.world.context_for(2, user=BOB, text="the weather")
    admins.world.people.hidden.add((ADA, DEV))
    card = await admins.run_command("sessions")
    weather, secret = card.items
    assert "weather" in weather.text
    assert "Bob" in weather.detail
    assert weather.link is not None
    assert "secret" not in secret.text + secret.detail
    assert secret.link is None
    assert [button.command_name for button in secret.buttons] == ["delete"]


async def test_usage_is_summed_by_user_channel_model_and_thread(admins: AdminFixture) -> None:
    for second in (1, 2):
        await admins.world.context_for(second, user=ALICE)
    await admins.world.context_for(3, user=BOB, channel=DEV)
    admins.world.people.hidden.add((ADA, DEV))

    card = await admins.run_command("usage")
    assert [line.text for line in card.items] == ["Alice", "Bob"]
    assert card.items[0].detail == "2 turns, 2,000 tokens in, 40 out"
    card = await admins.run_command("usage month by channel")
    assert [line.text for line in card.items] == [GENERAL, DEV]
    card = await admins.run_command("usage by model")
    assert [(line.text, line.detail[:7]) for line in card.items] == [("gpt-5", "3 turns")]
    card = await admins.run_command("usage day by thread")
    assert {line.text for line in card.items} == {admin_texts.A_THREAD, admin_texts.ELSEWHERE}
    assert sum(line.link is not None for line in card.items) == 2

    admins.world.people.unknown.add(GENERAL)
    card = await admins.run_command("usage by thread")
    assert {(line.text, line.link) for line in card.items} == {(admin_texts.ELSEWHERE, None)}

    await admins.world.clock.advance(2 * 86_400)
    assert (await admins.run_command("usage day")).text == admin_texts.USAGE_NONE.format(
        period="day"
    )
    assert (await admins.run_command("usage year")).text == admin_texts.USAGE_HOW
    assert (await admins.run_command("usage by user")).text == admin_texts.USAGE_HOW


async def test_users_are_listed_with_their_usage_and_limits(admins: AdminFixture) -> None:
    assert (await admins.run_command("users")).text == admin_texts.USERS_NONE
    await admins.world.context_for(1, user=ALICE)
    await admins.world.clock.advance(7_200)
    await admins.run_command("limits U0ALICE 20 a day")
    await admins.run_command("limits U0BOB block")

    alice, bob = (await admins.run_command("users")).items
    assert alice.text == "Alice"
    assert alice.detail == (
        "1 turn, 1,000 tokens in, 20 out · last used 2 h ago · 20 turns in 24 hours"
    )
    assert bob.text == "Bob"
    assert admin_texts.IS_BLOCKED in bob.detail
    assert [button.label for button in (*alice.buttons, *bob.buttons)] == [
        admin_texts.BLOCK,
        admin_texts.UNBLOCK,
    ]
    assert (await admins.press_button(bob.buttons[0])).text == admin_texts.UNBLOCKED.format(
        name="Bob"
    )
    assert (await admins.press_button(alice.buttons[0])).text == admin_texts.BLOCKED_NOW.format(
        name="Alice"
    )
    assert await admins.quotas.quota_refusal(ALICE) == BLOCKED


async def test_many_users_are_paged(admins: AdminFixture) -> None:
    for number in range(10):
        await admins.world.context_for(number + 1, user=f"U0P{number}")
    first = await admins.run_command("users")
    assert len(first.items) == 8
    (older,) = first.buttons
    assert len((await admins.press_button(older)).items) == 2
    assert len((await admins.run_command("users page 99")).items) == 2
    assert (await admins.run_command("users everybody")).text == admin_texts.USERS_HOW


async def test_limits_are_set_shown_and_cleared(admins: AdminFixture) -> None:
    assert admin_texts.NO_OTHER_QUOTAS in (await admins.run_command("limits")).text
    args = {
        "limits <@U0ALICE|alice> 20 a day": "Limit of Alice: 20 turns in 24 hours.",
        "limits @U0ALICE 1": "Limit of Alice: 1 turn in 24 hours.",
        "limits U0BOB unlimited": f"Limit of Bob: {admin_texts.NO_LIMIT}.",
        "limits U0BOB Block": admin_texts.BLOCKED_NOW.format(name="Bob"),
        "limits U0CAROL unblock": admin_texts.WAS_NOT_BLOCKED.format(name="Carol"),
    }
    for order, sentence in args.items():
        assert (await admins.run_command(order)).text == sentence
    alice, bob = (await admins.run_command("limits")).items
    assert (alice.text, alice.detail) == ("Alice (U0ALICE)", "1 turn in 24 hours")
    assert (bob.text, bob.detail) == ("Bob (U0BOB)", f"blocked · {admin_texts.NO_LIMIT}")
    for button in (*alice.buttons, *bob.buttons):
        await admins.press_button(button)
    assert admin_texts.NO_OTHER_QUOTAS in (await admins.run_command("limits")).text
    acts = [(target, detail) for _, _, target, detail in await admins.audited()]
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
    ("args", "sentence"),
    [
        ("limits bob block", admin_texts.NO_SUCH_USER.format(given="bob")),
        ("limits C0DEV block", admin_texts.NO_SUCH_USER.format(given="C0DEV")),
        ("limits U0BOB", admin_texts.LIMITS_HOW),
        ("limits U0BOB 0 a day", admin_texts.LIMITS_HOW),
        ("limits U0BOB -3", admin_texts.LIMITS_HOW),
        ("limits U0BOB 999999", admin_texts.LIMITS_HOW),
        ("limits U0BOB 5 an hour", admin_texts.LIMITS_HOW),
        ("limits U0ADA block", admin_texts.NOT_YOURSELF),
    ],
)
async def test_limits_that_make_no_sense_get_a_sentence(
    admins: AdminFixture, args: str, sentence: str
) -> None:
    assert (await admins.run_command(args)).text == sentence
    assert await admins.audited() == []


async def test_a_user_unknown_to_slack_appears_by_id(admins: AdminFixture) -> None:
    assert (await admins.run_command("limits U0GONE block")).text == admin_texts.BLOCKED_NOW.format(
        name="U0GONE"
    )


async def test_what_was_done_is_listed_newest_first(admins: AdminFixture) -> None:
    assert (await admins.run_command("audit")).text == admin_texts.AUDIT_NONE
    await admins.world.store.add_audit_entry("", "retention", "unused for 30 days", "2 sessions")
    await admins.world.store.add_audit_entry("shell", "sessions delete", "s3")
    for _ in range(8):
        await admins.run_command("limits U0BOB block")
    first = await admins.run_command("audit")
    assert first.items[0].text == "Ada: admin limits U0BOB"
    assert "block" in first.items[0].detail
    (older,) = first.buttons
    assert [line.text for line in (await admins.press_button(older)).items] == [
        "shell: sessions delete s3",
        f"{admin_texts.SYSTEM_ACTOR}: retention unused for 30 days",
    ]
    assert (await admins.run_command("audit all")).text == admin_texts.AUDIT_HOW


async def test_a_pause_holds_over_restarts_until_it_is_resumed(admins: AdminFixture) -> None:
    admins.inbox.running_count = 2
    assert "Still running: 2 turns" in (await admins.run_command("pause")).text
    assert admins.paused()
    (choice,) = await admins.world.store.preferences([(Scope.WORKSPACE, TEAM)])
    assert (choice.kind, choice.value, choice.set_by) == (PreferenceKind.PAUSED, "yes", ADA)
    assert (await admins.run_command("pause")).text == admin_texts.ALREADY_PAUSED
    assert admin_texts.ON_HOLD in (await admins.run_command("")).text

    assert (await admins.run_command("resume")).text == admin_texts.RESUMED
    assert not admins.paused()
    assert not await admins.world.store.preferences([(Scope.WORKSPACE, TEAM)])
    assert (await admins.run_command("resume")).text == admin_texts.NOT_PAUSED
    assert [act for _, act, _, _ in await admins.audited()] == ["admin resume", "admin pause"]


@pytest.mark.parametrize(
    ("idle", "resumed", "sentence"),
    [
        (True, False, admin_texts.DRAINED),
        (False, False, admin_texts.NOT_DRAINED.format(minutes=60)),
        (True, True, admin_texts.DRAIN_RESUMED),
    ],
)
async def test_a_drain_sends_a_direct_message_when_no_turn_runs(
    admins: AdminFixture, idle: bool, resumed: bool, sentence: str
) -> None:
    admins.inbox.running_count, admins.inbox.becomes_idle = 1, idle
    assert "1 turn" in (await admins.run_command("drain")).text
    assert admins.paused()
    assert not await admins.world.store.preferences([(Scope.WORKSPACE, TEAM)])
    assert admins.world.publisher.shown == []
    if resumed:
        await admins.run_command("resume")
    admins.inbox.idle.set()
    await wait_until(lambda: bool(admins.world.publisher.shown))
    ((thread, card),) = admins.world.publisher.shown
    assert (thread.channel, card.text) == (f"D{ADA}", sentence)
