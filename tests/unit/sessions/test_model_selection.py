"""A more specific preference for a model overrides a more general one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.domain.messages import ThreadKey
from bot.domain.preferences import PreferenceKind, Scope
from bot.domain.sessions import SessionRecord
from bot.errors import StoreError
from bot.ports import SessionConfig
from bot.sessions.model_selection import (
    EMPTY_REFRESH_SECONDS,
    REFRESH_SECONDS,
    RULE_TEXTS,
    VERBOSITY_INSTRUCTIONS,
    SelectionRule,
)
from bot.sessions.roles import BUILT_IN_ROLES, Role
from tests.unit.commands.command_fixtures import ALICE, BOB, GENERAL, TEAM
from tests.unit.commands.preference_fixtures import MODELS, PreferenceFixture, preference_fixture

READER = Role(
    name="reader",
    instructions="Read.",
    model="of-role",
    effort="low",
    tools=("view",),
    folder="/srv/books",
)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[PreferenceFixture]:
    async with preference_fixture(tmp_path, {**BUILT_IN_ROLES, "reader": READER}) as world:
        yield world


async def begun(
    world: PreferenceFixture, role: str = "", *, model: str = "", effort: str = ""
) -> SessionRecord:
    """Alice's session of a role, with a model of its own if one is given."""
    session, _ = await world.ask(world.thread(), ALICE, role=role)
    await world.store.set_model(session.number, model, effort)
    found = await world.store.session_by_number(session.number)
    assert found is not None
    return found


async def test_each_rule_is_overridden_by_the_one_before_it(world: PreferenceFixture) -> None:
    main, reader = await begun(world), await begun(world, "reader")
    own = await begun(world, "reader", model="of-session")
    selector = world.select_models_with(model="of-setting")
    places = (
        (SelectionRule.THREAD, Scope.THREAD, str(main.thread)),
        (SelectionRule.CHANNEL, Scope.CHANNEL, GENERAL),
        (SelectionRule.USER, Scope.USER, ALICE),
        (SelectionRule.WORKSPACE, Scope.WORKSPACE, TEAM),
    )
    for _, scope, holder in places:
        await world.choose(scope, holder, PreferenceKind.MODEL, f"of-{scope.value}")

    async def counts(session: SessionRecord, turn_model: str = "") -> tuple[SelectionRule, str]:
        selection = await selector.select(session, session.thread, turn_model=turn_model)
        assert selection.display_model == selection.config.model
        return selection.rule, selection.config.model

    assert await counts(own, "of-turn") == (SelectionRule.TURN, "of-turn")
    assert await counts(own) == (SelectionRule.SESSION, "of-session")
    assert await counts(reader) == (SelectionRule.ROLE, "of-role")
    for rule, scope, holder in places:
        assert await counts(main) == (rule, f"of-{scope.value}")
        await world.store.clear_preference(scope, holder, PreferenceKind.MODEL)
    assert await counts(main) == (SelectionRule.SETTING, "of-setting")


async def test_without_preferences_the_servers_first_model_counts(
    world: PreferenceFixture,
) -> None:
    selection = await world.choosing.select(await begun(world), world.thread())
    assert selection.config == SessionConfig(), "the runtime takes its own default"
    assert (selection.rule, selection.display_model) == (SelectionRule.SERVER, MODELS[0])


async def test_preferences_of_other_users_do_not_count(world: PreferenceFixture) -> None:
    await world.choose(Scope.USER, BOB, PreferenceKind.MODEL, "large")
    await world.choose(Scope.CHANNEL, "C0OTHER", PreferenceKind.MODEL, "large")
    await world.choose(Scope.THREAD, str(world.thread(1)), PreferenceKind.MODEL, "large")
    selection = await world.choosing.select(await begun(world), world.thread())
    assert selection.rule is SelectionRule.SERVER


async def test_the_owners_preference_counts_and_not_the_authors(world: PreferenceFixture) -> None:
    await world.choose(Scope.USER, ALICE, PreferenceKind.MODEL, "large")
    session = await begun(world)
    selection = await world.choosing.select(session, session.thread, owner=BOB)
    assert (selection.rule, selection.config.model) == (SelectionRule.USER, "large")


async def test_a_model_is_selected_for_a_thread_without_a_session(
    world: PreferenceFixture,
) -> None:
    await world.choose(Scope.USER, ALICE, PreferenceKind.MODEL, "large")
    selection = await world.choosing.select(None, world.thread(), owner=ALICE)
    assert (selection.rule, selection.config.model) == (SelectionRule.USER, "large")
    nowhere = await world.choosing.select(None, None)
    assert nowhere.rule is SelectionRule.SERVER


async def test_a_session_of_a_role_is_opened_as_the_role_says(world: PreferenceFixture) -> None:
    session = await begun(world, "reader")
    selection = await world.choosing.select(session, session.thread)
    assert selection.config == SessionConfig(
        model="of-role",
        effort="low",
        instructions="Read.",
        tools=("view",),
        folder="/srv/books",
    )


async def test_a_session_of_a_removed_role_is_an_ordinary_one(
    world: PreferenceFixture,
) -> None:
    session = await begun(world, "retired")
    selection = await world.choosing.select(session, session.thread)
    assert (selection.config, selection.rule) == (SessionConfig(), SelectionRule.SERVER)


async def test_the_owners_verbosity_comes_after_the_roles_instructions(
    world: PreferenceFixture,
) -> None:
    session = await begun(world, "reader")
    for verbosity in ("brief", "detailed"):
        await world.choose(Scope.USER, ALICE, PreferenceKind.VERBOSITY, verbosity)
        selection = await world.choosing.select(session, session.thread)
        assert selection.config.instructions == f"Read.\n\n{VERBOSITY_INSTRUCTIONS[verbosity]}"
    await world.choose(Scope.USER, ALICE, PreferenceKind.VERBOSITY, "normal")
    selection = await world.choosing.select(session, session.thread)
    assert selection.config.instructions == "Read."


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
    world: PreferenceFixture,
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
        for topic, value in zip((PreferenceKind.MODEL, PreferenceKind.EFFORT), pair, strict=True):
            if value:
                await world.choose(scope, holder, topic, value)
    selection = await world.choosing.select(session, session.thread)
    assert (selection.config.model, selection.config.effort) == expected


async def test_a_model_for_one_turn_ignores_the_sessions_effort(
    world: PreferenceFixture,
) -> None:
    session = await begun(world, model="large", effort="high")
    selection = await world.choosing.select(session, session.thread, turn_model="small")
    assert (selection.config.model, selection.config.effort) == ("small", "")


async def test_every_rule_is_described_in_a_phrase(world: PreferenceFixture) -> None:
    assert set(RULE_TEXTS) == set(SelectionRule)
    selection = await world.choosing.select(None, world.thread())
    assert selection.rule_text == RULE_TEXTS[SelectionRule.SERVER]


async def test_a_failing_database_raises(tmp_path: Path) -> None:
    async with preference_fixture(tmp_path) as world:
        pass
    with pytest.raises(StoreError):
        await world.choosing.select(None, world.thread())


# The list of models ------------------------------------------------------------------------------


async def test_a_model_is_found_in_any_case(world: PreferenceFixture) -> None:
    assert await world.choosing.resolve_model("vendor/huge-4") == "Vendor/Huge-4"
    assert await world.choosing.resolve_model("large") == "large"
    assert world.server.list_calls == 1, "the server is not asked for what is known"


async def test_of_two_models_that_differ_in_case_only_the_exact_one_is_meant(
    world: PreferenceFixture,
) -> None:
    world.server.names = ("GPT", "gpt")
    await world.choosing.refresh_models()
    assert await world.choosing.resolve_model("gpt") == "gpt"
    assert await world.choosing.resolve_model("Gpt") == "GPT"


async def test_the_list_is_fetched_again_for_an_unknown_model(
    world: PreferenceFixture,
) -> None:
    assert await world.choosing.resolve_model("newest") is None
    world.server.names = ("newest",)
    assert await world.choosing.resolve_model("Newest") == "newest"
    assert world.choosing.model_names == {"newest"}


async def test_the_old_list_stays_while_the_server_is_down(world: PreferenceFixture) -> None:
    world.server.go_down()
    await world.choosing.refresh_models()
    assert list(world.choosing.available_models) == list(MODELS)
    world.server.fault = RuntimeError("never thought of")
    await world.choosing.refresh_models()
    assert world.choosing.model_names == set(MODELS)


async def test_roles_are_shown_by_name(world: PreferenceFixture) -> None:
    assert world.choosing.role_names == {*BUILT_IN_ROLES, "reader"}
    assert world.choosing.find_role("reader") == READER
    assert world.choosing.find_role("nobody") is None


async def test_the_list_is_fetched_at_the_start_and_refreshed(world: PreferenceFixture) -> None:
    world.server.names = ("one",)
    async with world.choosing.keep_refreshed():
        assert world.choosing.model_names == {"one"}
        world.server.names = ("one", "two")
        await world.clock.advance(REFRESH_SECONDS)
        assert world.choosing.model_names == {"one", "two"}
        world.server.go_down()
        await world.clock.advance(REFRESH_SECONDS)
        assert world.choosing.model_names == {"one", "two"}
    requests = world.server.list_calls
    await world.clock.advance(REFRESH_SECONDS)
    assert world.server.list_calls == requests, "no request after the bot has stopped"


async def test_a_server_that_is_down_at_the_start_is_retried_soon(
    world: PreferenceFixture,
) -> None:
    selector = world.select_models_with(model="")
    world.server.go_down()
    async with selector.keep_refreshed():
        assert selector.model_names == frozenset()
        world.server.fault = None
        await world.clock.advance(EMPTY_REFRESH_SECONDS)
        assert selector.model_names == set(MODELS)


async def test_a_silent_server_does_not_block_the_start(
    world: PreferenceFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.sessions.model_selection.INITIAL_REFRESH_SECONDS", 0.01)
    world.server.silent = True
    async with asyncio.timeout(30), world.choosing.keep_refreshed():
        assert world.choosing.model_names == set(MODELS)


async def test_a_new_thread_of_a_channel_follows_what_is_chosen_there(tmp_path: Path) -> None:
    async with preference_fixture(tmp_path) as world:
        await world.choose(Scope.CHANNEL, GENERAL, PreferenceKind.MODEL, "large")
        place = ThreadKey(team=TEAM, channel=GENERAL, root_ts="")
        assert (await world.choosing.select(None, place)).rule is SelectionRule.CHANNEL
