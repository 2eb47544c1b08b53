"""Which model a session runs with: the more special choice goes before the more general one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.domain.messages import ThreadKey
from bot.domain.preferences import Scope, Topic
from bot.domain.sessions import SessionRecord
from bot.errors import StoreError
from bot.ports import Setup
from bot.sessions.model_selection import (
    LEARN_SECONDS,
    LEARN_SOON_SECONDS,
    RULE_SAID,
    VERBOSITY,
    Rule,
)
from bot.sessions.roles import BUILT_IN, Role
from tests.unit.commands.command_fixtures import ALICE, BOB, GENERAL, TEAM
from tests.unit.commands.preference_fixtures import MODELS, World, world_in

READER = Role(
    name="reader",
    instructions="Read.",
    model="of-role",
    effort="low",
    tools=("view",),
    folder="/srv/books",
)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with world_in(tmp_path, {**BUILT_IN, "reader": READER}) as world:
        yield world


async def begun(
    world: World, role: str = "", *, model: str = "", effort: str = ""
) -> SessionRecord:
    """Alice's session of a role, with a model of its own where one is given."""
    session, _ = await world.ask(world.thread(), ALICE, role=role)
    await world.store.choose_model(session.number, model, effort)
    found = await world.store.session(session.number)
    assert found is not None
    return found


async def test_every_rule_gives_way_to_the_one_before_it(world: World) -> None:
    main, reader = await begun(world), await begun(world, "reader")
    own = await begun(world, "reader", model="of-session")
    choosing = world.choosing_with(model="of-setting")
    places = (
        (Rule.THREAD, Scope.THREAD, str(main.thread)),
        (Rule.CHANNEL, Scope.CHANNEL, GENERAL),
        (Rule.PERSON, Scope.PERSON, ALICE),
        (Rule.WORKSPACE, Scope.WORKSPACE, TEAM),
    )
    for _, scope, holder in places:
        await world.choose(scope, holder, Topic.MODEL, f"of-{scope.value}")

    async def counts(session: SessionRecord, wish: str = "") -> tuple[Rule, str]:
        chosen = await choosing.chosen(session, session.thread, wish=wish)
        assert chosen.shown == chosen.setup.model
        return chosen.rule, chosen.setup.model

    assert await counts(own, "of-turn") == (Rule.TURN, "of-turn")
    assert await counts(own) == (Rule.SESSION, "of-session")
    assert await counts(reader) == (Rule.ROLE, "of-role")
    for rule, scope, holder in places:
        assert await counts(main) == (rule, f"of-{scope.value}")
        await world.store.unchoose(scope, holder, Topic.MODEL)
    assert await counts(main) == (Rule.SETTING, "of-setting")


async def test_where_nothing_is_chosen_the_servers_first_model_counts(world: World) -> None:
    chosen = await world.choosing.chosen(await begun(world), world.thread())
    assert chosen.setup == Setup(), "the runtime takes its own default"
    assert (chosen.rule, chosen.shown) == (Rule.SERVER, MODELS[0])


async def test_what_others_chose_for_themselves_does_not_count(world: World) -> None:
    await world.choose(Scope.PERSON, BOB, Topic.MODEL, "large")
    await world.choose(Scope.CHANNEL, "C0OTHER", Topic.MODEL, "large")
    await world.choose(Scope.THREAD, str(world.thread(1)), Topic.MODEL, "large")
    chosen = await world.choosing.chosen(await begun(world), world.thread())
    assert chosen.rule is Rule.SERVER


async def test_the_owner_counts_and_not_who_asks(world: World) -> None:
    await world.choose(Scope.PERSON, ALICE, Topic.MODEL, "large")
    session = await begun(world)
    chosen = await world.choosing.chosen(session, session.thread, owner=BOB)
    assert (chosen.rule, chosen.setup.model) == (Rule.PERSON, "large")


async def test_it_is_told_what_a_thread_would_run_with_before_it_has_a_session(
    world: World,
) -> None:
    await world.choose(Scope.PERSON, ALICE, Topic.MODEL, "large")
    chosen = await world.choosing.chosen(None, world.thread(), owner=ALICE)
    assert (chosen.rule, chosen.setup.model) == (Rule.PERSON, "large")
    nowhere = await world.choosing.chosen(None, None)
    assert nowhere.rule is Rule.SERVER


async def test_a_session_of_a_role_is_opened_as_the_role_says(world: World) -> None:
    session = await begun(world, "reader")
    chosen = await world.choosing.chosen(session, session.thread)
    assert chosen.setup == Setup(
        model="of-role",
        effort="low",
        instructions="Read.",
        tools=("view",),
        folder="/srv/books",
    )


async def test_a_session_of_a_role_that_is_gone_is_an_ordinary_one(
    world: World,
) -> None:
    session = await begun(world, "retired")
    chosen = await world.choosing.chosen(session, session.thread)
    assert (chosen.setup, chosen.rule) == (Setup(), Rule.SERVER)


async def test_the_owners_liking_comes_after_the_roles_instructions(world: World) -> None:
    session = await begun(world, "reader")
    for liking in ("brief", "detailed"):
        await world.choose(Scope.PERSON, ALICE, Topic.VERBOSITY, liking)
        chosen = await world.choosing.chosen(session, session.thread)
        assert chosen.setup.instructions == f"Read.\n\n{VERBOSITY[liking]}"
    await world.choose(Scope.PERSON, ALICE, Topic.VERBOSITY, "normal")
    chosen = await world.choosing.chosen(session, session.thread)
    assert chosen.setup.instructions == "Read."


@pytest.mark.parametrize(
    ("of_session", "of_channel", "of_workspace", "expected"),
    [
        (("large", "high"), ("small", "low"), ("", ""), ("large", "high")),
        (("large", ""), ("small", "high"), ("", ""), ("large", "")),
        (("", "high"), ("small", "low"), ("", ""), ("small", "high")),
        (("", ""), ("", "medium"), ("small", "low"), ("small", "medium")),
        (("", ""), ("", "medium"), ("", ""), ("", "medium")),
        (("", ""), ("", ""), ("small", ""), ("small", "")),
    ],
)
async def test_an_effort_counts_with_its_own_model_or_a_more_general_one(
    world: World,
    of_session: tuple[str, str],
    of_channel: tuple[str, str],
    of_workspace: tuple[str, str],
    expected: tuple[str, str],
) -> None:
    session = await begun(world, model=of_session[0], effort=of_session[1])
    for scope, holder, pair in (
        (Scope.CHANNEL, GENERAL, of_channel),
        (Scope.WORKSPACE, TEAM, of_workspace),
    ):
        for topic, value in zip((Topic.MODEL, Topic.EFFORT), pair, strict=True):
            if value:
                await world.choose(scope, holder, topic, value)
    chosen = await world.choosing.chosen(session, session.thread)
    assert (chosen.setup.model, chosen.setup.effort) == expected


async def test_a_model_for_one_turn_does_not_take_the_sessions_effort_along(world: World) -> None:
    session = await begun(world, model="large", effort="high")
    chosen = await world.choosing.chosen(session, session.thread, wish="small")
    assert (chosen.setup.model, chosen.setup.effort) == ("small", "")


async def test_every_rule_is_told_in_a_phrase(world: World) -> None:
    assert set(RULE_SAID) == set(Rule)
    chosen = await world.choosing.chosen(None, world.thread())
    assert chosen.rule_said == RULE_SAID[Rule.SERVER]


async def test_a_database_in_trouble_is_no_choice(tmp_path: Path) -> None:
    async with world_in(tmp_path) as world:
        pass
    with pytest.raises(StoreError):
        await world.choosing.chosen(None, world.thread())


# The list of models ------------------------------------------------------------------------------


async def test_a_model_is_found_in_whatever_case_it_is_written(world: World) -> None:
    assert await world.choosing.check_model("vendor/huge-4") == "Vendor/Huge-4"
    assert await world.choosing.check_model("large") == "large"
    assert world.server.asked == 1, "the server is not asked for what is known"


async def test_of_two_models_that_differ_in_case_only_the_exact_one_is_meant(world: World) -> None:
    world.server.names = ("GPT", "gpt")
    await world.choosing.learn()
    assert await world.choosing.check_model("gpt") == "gpt"
    assert await world.choosing.check_model("Gpt") == "GPT"


async def test_the_server_is_asked_anew_for_a_model_that_is_not_known(world: World) -> None:
    assert await world.choosing.check_model("newest") is None
    world.server.names = ("newest",)
    assert await world.choosing.check_model("Newest") == "newest"
    assert world.choosing.models == {"newest"}


async def test_the_old_list_stays_while_the_server_cannot_be_had(world: World) -> None:
    world.server.go_down()
    await world.choosing.learn()
    assert list(world.choosing.offered) == list(MODELS)
    world.server.fault = RuntimeError("never thought of")
    await world.choosing.learn()
    assert world.choosing.models == set(MODELS)


async def test_roles_are_told_by_name(world: World) -> None:
    assert world.choosing.roles == {*BUILT_IN, "reader"}
    assert world.choosing.role("reader") == READER
    assert world.choosing.role("nobody") is None


async def test_the_list_is_learned_at_the_start_and_kept_fresh(world: World) -> None:
    world.server.names = ("one",)
    async with world.choosing.running():
        assert world.choosing.models == {"one"}
        world.server.names = ("one", "two")
        await world.clock.advance(LEARN_SECONDS)
        assert world.choosing.models == {"one", "two"}
        world.server.go_down()
        await world.clock.advance(LEARN_SECONDS)
        assert world.choosing.models == {"one", "two"}
    asked = world.server.asked
    await world.clock.advance(LEARN_SECONDS)
    assert world.server.asked == asked, "nobody asks once the bot has stopped"


async def test_a_server_that_is_down_at_the_start_is_asked_again_soon(world: World) -> None:
    choosing = world.choosing_with(model="")
    world.server.go_down()
    async with choosing.running():
        assert choosing.models == frozenset()
        world.server.fault = None
        await world.clock.advance(LEARN_SOON_SECONDS)
        assert choosing.models == set(MODELS)


async def test_a_server_that_says_nothing_does_not_keep_the_bot_from_starting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.sessions.model_selection.START_SECONDS", 0.01)
    world.server.silent = True
    async with asyncio.timeout(30), world.choosing.running():
        assert world.choosing.models == set(MODELS)


async def test_a_new_thread_of_a_channel_follows_what_is_chosen_there(tmp_path: Path) -> None:
    async with world_in(tmp_path) as world:
        await world.choose(Scope.CHANNEL, GENERAL, Topic.MODEL, "large")
        place = ThreadKey(team=TEAM, channel=GENERAL, root_ts="")
        assert (await world.choosing.chosen(None, place)).rule is Rule.CHANNEL
