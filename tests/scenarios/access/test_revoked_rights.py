"""A revoked right is gone at once: cached values grant no more than a member's rights."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.access import texts as access_texts
from bot.commands import texts
from bot.commands.texts import admin as admin_texts
from bot.domain.users import AccessRole
from slack_emulator.server import RunningEmulator
from slack_emulator.state import seed
from slack_emulator.state.entities import UserGroup
from tests.emulator_client import GENERAL
from tests.scenarios.conftest import Bots, ScenarioClient, full_text_of
from tests.scripted_model import ScriptedModel


def change(
    emulator: RunningEmulator, user: str, *, admin: bool = False, guest: bool = False
) -> None:
    """Change the user's role in Slack."""
    users = emulator.slack.workspace.users
    users[user] = replace(users[user], is_admin=admin, is_owner=admin, is_guest=guest)


async def test_former_workspace_admins_lose_all_admin_rights(
    bots: Bots, slack: ScenarioClient, emulator: RunningEmulator
) -> None:
    """At once, for every form of command, and on the Home tab."""
    bot = await bots.start()
    ts = await slack.start_thread("bob", "one")
    assert admin_texts.TITLE in full_text_of(await slack.card_for("alice", GENERAL, "admin"))
    await slack.home("alice")
    await slack.wait_for_published_home_text("alice", "Turns running")
    change(emulator, "UALICE")
    for text in ("admin", "admin pause", "sessions all", "model scripted-1 for workspace"):
        assert full_text_of(await slack.card_for("alice", GENERAL, text)).startswith(
            texts.ADMINS_ONLY
        )
    text = await slack.ephemeral_after_message("alice", GENERAL, ts, "!reset")
    assert text == texts.NOT_YOURS.format(command="reset")
    assert not bot.inbox.paused
    await slack.home("alice")
    home = await slack.wait_for_published_home_text("alice", "Your settings")
    assert "Turns running" not in full_text_of(home)


async def test_users_removed_from_the_admin_group_lose_all_admin_rights(
    bots: Bots, slack: ScenarioClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    bots.env.update({"ADMIN_GROUP": "S0PILOTS", "WORKSPACE_ADMINS": "no"})
    await bots.start()
    assert admin_texts.TITLE in full_text_of(await slack.card_for("carol", GENERAL, "admin"))
    monkeypatch.setattr(
        seed, "USER_GROUPS", (UserGroup(id="S0PILOTS", handle="pilots", members=()),)
    )
    text = full_text_of(await slack.card_for("carol", GENERAL, "admin"))
    assert text.startswith(texts.ADMINS_ONLY)


@pytest.mark.parametrize("setting", ["ADMIN_USERS", "ADMIN_GROUP"])
async def test_users_who_become_guests_are_guests_at_once_even_if_listed(
    bots: Bots, slack: ScenarioClient, emulator: RunningEmulator, setting: str
) -> None:
    value = "UCAROL" if setting == "ADMIN_USERS" else "S0PILOTS"
    bots.env.update({setting: value, "ALLOW_GUESTS": "yes"})
    await bots.start()
    assert admin_texts.TITLE in full_text_of(await slack.card_for("carol", GENERAL, "admin"))
    change(emulator, "UCAROL", guest=True)
    text = full_text_of(await slack.card_for("carol", GENERAL, "admin"))
    assert text.startswith(texts.ADMINS_ONLY)


async def test_users_who_become_guests_are_denied_all_commands_and_forms_at_once(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel, emulator: RunningEmulator
) -> None:
    await bots.start()
    ts = await slack.start_thread("bob", "one")
    change(emulator, "UBOB", guest=True)
    guest = access_texts.DENIAL_TEXTS[AccessRole.GUEST]
    assert await slack.ephemeral_after_message("bob", GENERAL, ts, "!status") == guest
    assert (await slack.card_for("bob", GENERAL, "what is it?"))["text"] == guest
    await slack.press_reply_action("bob", GENERAL, await slack.reply_action(GENERAL, ts, "retry"))
    await slack.wait_for_ephemeral_text("bob", guest)
    await slack.home("bob")
    await slack.wait_for_published_home_text("bob", guest)
    assert len(model.requests) == 1


async def test_users_allowed_only_as_admins_are_denied_when_they_are_admins_no_longer(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel, emulator: RunningEmulator
) -> None:
    bots.env["ALLOWED_USERS"] = "UBOB"
    await bots.start()
    await slack.ask_in_new_thread("alice", "one")
    change(emulator, "UALICE")
    ts = await slack.say("alice", GENERAL, "@threadpilot two")
    [shown] = await slack.wait_until_answered(GENERAL, ts)
    assert access_texts.DENIAL_TEXTS[AccessRole.USER_NOT_ALLOWED] in shown
    assert len(model.requests) == 1


@pytest.mark.parametrize("person", ["alice", "carol"])
async def test_while_slack_cannot_say_who_is_admin_members_are_still_answered(
    bots: Bots, slack: ScenarioClient, person: str
) -> None:
    """They get a notice; all that members may do still works."""
    bots.env["ADMIN_GROUP"] = "S0PILOTS"
    bot = await bots.start()
    ts = await slack.start_thread(person, "one")
    assert admin_texts.TITLE in full_text_of(await slack.card_for(person, GENERAL, "admin"))
    for method in ("users.info", "usergroups.users.list"):
        await slack.fault(method, "error", error="internal_error", times=1_000)
    for text in ("admin pause", "sessions all"):
        card = await slack.ephemeral_after(
            person, slack.say(person, GENERAL, f"!{text}", thread_ts=ts)
        )
        assert card["text"] == access_texts.ADMIN_UNKNOWN
    card = await slack.ephemeral_after(person, slack.say(person, GENERAL, "!history", thread_ts=ts))
    assert "You said: one" in full_text_of(card)
    assert not bot.inbox.paused
    await slack.home(person)
    assert "Your settings" in full_text_of(
        await slack.wait_for_published_home_text(person, access_texts.ADMIN_UNKNOWN)
    )
    await slack.clear_faults()
    assert admin_texts.TITLE in full_text_of(await slack.card_for(person, GENERAL, "admin"))


async def test_a_command_of_an_admin_costs_one_user_lookup(
    bots: Bots, slack: ScenarioClient
) -> None:
    bots.env.update({"ADMIN_GROUP": "S0PILOTS", "ALLOWED_USERS": "UBOB"})
    await bots.start()
    await slack.card_for("carol", GENERAL, "admin")
    before = {method: len(await slack.calls(method)) for method in LOOKS}
    await slack.card_for("carol", GENERAL, "admin")
    after = {method: len(await slack.calls(method)) for method in LOOKS}
    assert {method: after[method] - before[method] for method in LOOKS} == dict.fromkeys(LOOKS, 1)


LOOKS = ("users.info", "usergroups.users.list")
