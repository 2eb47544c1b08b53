"""Permissions of commands, and visibility of their results, at the time of the command."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from bot.access import texts as access_texts
from bot.commands import texts
from bot.commands.texts import sessions as session_texts
from tests.emulator_client import BOT_USER, DEV, GENERAL, SECRET
from tests.scenarios.commands.test_branch import recite
from tests.scenarios.conftest import Bots, ScenarioClient, text_of
from tests.scripted_model import Answer, ScriptedModel

NOT_YOURS = "Only the owner of this session"
NOT_TAKING_PART = "Post in this thread first"
ADMINS_ONLY = texts.ADMINS_ONLY

# The texts for bob, the owner, carol, a participant, and another member. For an allowed command it
# is a part of the result.
MAY: Mapping[str, tuple[str, str, str]] = {
    "help": (session_texts.HELP_TITLE, session_texts.HELP_TITLE, session_texts.HELP_TITLE),
    "sessions": (session_texts.MINE_TITLE, session_texts.NONE_OF_MINE, session_texts.NONE_OF_MINE),
    "sessions all": (ADMINS_ONLY, ADMINS_ONLY, ADMINS_ONLY),
    "status": ("Owner: bob", "Owner: bob", "Owner: bob"),
    "history": ("You said: one", "You said: one", "You said: one"),
    "export": ("The transcript of s1",) * 3,
    "usage": ("1 turn", "1 turn", "1 turn"),
    "stop": (session_texts.NOTHING_RUNS, session_texts.NOTHING_RUNS, NOT_TAKING_PART),
    "title": ("s1 is called", "s1 is called", NOT_TAKING_PART),
    "join": (session_texts.JOINED_ALREADY, session_texts.JOINED_ALREADY, NOT_TAKING_PART),
    "resume s1": (session_texts.RESUME_PRESENT.format(handle="s1"), NOT_YOURS, NOT_YOURS),
    "reset now": ("Usage: `reset", NOT_YOURS, NOT_YOURS),
    "quiet now": ("Send just `quiet`", "Send just `quiet`", NOT_TAKING_PART),
}


async def a_thread_with_carol(slack: ScenarioClient) -> str:
    """Bob's thread, in which carol has posted a message to him."""
    ts = await slack.start_thread("bob", "one")
    await slack.say("carol", GENERAL, "interesting", thread_ts=ts)
    return ts


@pytest.fixture
def without_admins(bots: Bots) -> None:
    """Alice, an admin of the workspace, is a member like any other."""
    bots.env["WORKSPACE_ADMINS"] = "no"


@pytest.mark.usefixtures("without_admins")
@pytest.mark.parametrize(("place", "person"), [(0, "bob"), (1, "carol"), (2, "alice")])
async def test_owner_participant_and_member_may_run_what_the_table_says(
    bots: Bots, slack: ScenarioClient, place: int, person: str
) -> None:
    await bots.start()
    ts = await a_thread_with_carol(slack)
    for command, expected in MAY.items():
        card = await slack.ephemeral_after(
            person, slack.say(person, GENERAL, f"!{command}", thread_ts=ts)
        )
        assert expected[place] in text_of(card), command


async def test_help_lists_what_each_user_may_do_in_this_place(
    bots: Bots, slack: ScenarioClient
) -> None:
    await bots.start()
    ts = await slack.start_thread("bob", "one")

    async def offered(person: str) -> set[str]:
        card = await slack.ephemeral_after(
            person, slack.say(person, GENERAL, "!help", thread_ts=ts)
        )
        return set(re.findall(r"`!([a-z]+)", text_of(card)))

    member, owner, admin = [await offered(person) for person in ("carol", "bob", "alice")]
    assert {"status", "history", "export", "fork", "ask"} <= member
    assert not member & {"reset", "stop", "title", "quiet", "admin"}
    assert owner - member >= {"reset", "stop", "title", "quiet", "rewind"}
    assert admin - owner == {"admin"}
    card = await slack.ephemeral_after("bob", slack.command("bob", GENERAL, "/copilot", "help"))
    assert "`/copilot sessions" in text_of(card)
    assert "stop" not in text_of(card), "what goes in threads only is not offered there"


@pytest.mark.parametrize(
    ("setting", "value", "person"),
    [
        ("WORKSPACE_ADMINS", "yes", "alice"),
        ("ADMIN_USERS", "UCAROL", "carol"),
        ("ADMIN_GROUP", "S0PILOTS", "carol"),
    ],
)
async def test_admins_may_run_what_the_owner_may(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel, setting: str, value: str, person: str
) -> None:
    bots.env[setting] = value
    await bots.start()
    ts = await slack.start_thread("bob", "one")
    card = await slack.ephemeral_after(
        person, slack.command(person, DEV, "/copilot", "sessions all")
    )
    assert "owner: bob" in text_of(card)
    await slack.say(person, GENERAL, "!reset", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, session_texts.RESET_DONE.format(handle="s1"))
    card = await slack.ephemeral_after("bob", slack.say("bob", GENERAL, "!status", thread_ts=ts))
    assert "Owner: bob" in text_of(card), "it stays its owner's"
    await slack.say(person, GENERAL, "!resume s1", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "Resumed s1")
    assert len(model.requests) == 1


async def test_admins_by_a_group_are_admins_while_they_are_in_it(
    bots: Bots, slack: ScenarioClient
) -> None:
    bots.env.update(WORKSPACE_ADMINS="no", ADMIN_GROUP="S0PILOTS")
    await bots.start()
    ts = await slack.start_thread("bob", "one")
    for person in ("alice", "bob"):
        assert (
            await slack.ephemeral_after_message(person, GENERAL, ts, "!sessions all")
            == texts.ADMINS_ONLY
        )
    card = await slack.ephemeral_after(
        "carol", slack.say("carol", GENERAL, "!sessions all", thread_ts=ts)
    )
    assert session_texts.ALL_TITLE in text_of(card)


async def test_guests_and_external_users_are_notified_for_every_form(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    ts = await slack.start_thread("bob", "one")
    for person, sentence in (("gus", access_texts.GUEST), ("eve", access_texts.EXTERNAL_USER)):
        assert await slack.ephemeral_after_message(person, GENERAL, ts, "!status") == sentence
        assert (
            await slack.ephemeral_after_message(person, GENERAL, ts, "@threadpilot export")
            == sentence
        )
        given = slack.command(person, GENERAL, "/copilot", "history s1")
        assert text_of(await slack.ephemeral_after(person, given)) == sentence
        reply_action = await slack.reply_action(GENERAL, ts, "export")
        pressed = slack.press_reply_action(person, GENERAL, reply_action)
        assert text_of(await slack.ephemeral_after(person, pressed)) == sentence
        await slack.home(person)
        await slack.wait_for_home_tab_text(person, sentence)
        assert "s1" not in text_of(await slack.home_tab_of(person))
    assert len(model.requests) == 1


async def test_an_allowed_guest_may_run_commands_in_their_channels(
    bots: Bots, slack: ScenarioClient
) -> None:
    bots.env["ALLOW_GUESTS"] = "yes"
    await bots.start()
    ts = await slack.start_thread("bob", "one")
    elsewhere = await slack.start_thread("bob", "two", channel=DEV)
    card = await slack.ephemeral_after("gus", slack.say("gus", GENERAL, "!status", thread_ts=ts))
    assert "Owner: bob" in text_of(card)
    card = await slack.ephemeral_after(
        "gus", slack.command("gus", GENERAL, "/copilot", "status s2")
    )
    assert text_of(card) == texts.NO_SUCH_SESSION
    await slack.until_shown(DEV, elsewhere, "You said: two")


# A private channel -------------------------------------------------------------------------------


async def a_secret_thread(bots: Bots, slack: ScenarioClient, *questions: str) -> str:
    """Bob's thread in the private channel, with the bot's session s1."""
    await slack.call("bob", "conversations.invite", channel=SECRET, users=BOT_USER)
    await bots.start()
    return await slack.start_thread("bob", *questions, channel=SECRET)


async def leave(slack: ScenarioClient, person: str) -> None:
    await slack.call(person, "conversations.leave", channel=SECRET)


async def test_users_who_left_a_private_channel_see_nothing_of_their_sessions_there(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    ts = await a_secret_thread(bots, slack, "the zebrafish plan")
    before = await slack.ephemeral_after(
        "bob", slack.command("bob", GENERAL, "/copilot", "sessions")
    )
    assert "zebrafish" in text_of(before)
    await leave(slack, "bob")
    card = await slack.ephemeral_after("bob", slack.command("bob", GENERAL, "/copilot", "sessions"))
    assert f"s1 {session_texts.ELSEWHERE}" in text_of(card)
    for telling in ("zebrafish", SECRET, ts.replace(".", "")):
        assert telling not in str(card)
    assert '"v":"reset"' not in str(card)
    assert '"v":"delete"' not in str(card)
    for name in ("reset", "delete"):
        message = await slack.ephemeral_after(
            "bob", slack.press_command("bob", GENERAL, before, name, "s1")
        )
        assert text_of(message) == texts.NO_SUCH_SESSION, "the buttons from before"
    await slack.home("bob")
    page = await slack.wait_for_home_tab_text("bob", session_texts.ELSEWHERE)
    assert "zebrafish" not in str(page)
    assert len(model.requests) == 1


async def test_a_session_in_an_invisible_place_is_refused_as_if_it_did_not_exist(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await a_secret_thread(bots, slack, "the zebrafish plan")
    for person in ("alice", "bob", "carol"):
        await leave(slack, person)
    ts = await slack.start_thread("bob", "elsewhere")
    for person in ("alice", "bob", "carol"):
        for command in ("status", "history", "export", "fork", "resume", "reset", "export json"):
            for handle in ("s1", "s999"):
                text = await slack.ephemeral_after_message(
                    person, GENERAL, ts, f"!{command} {handle}"
                )
                assert text == texts.NO_SUCH_SESSION, (person, command, handle)
        for command in ("status", "history", "export", "reset"):
            given = slack.command(person, GENERAL, "/copilot", f"{command} s1")
            assert text_of(await slack.ephemeral_after(person, given)) == texts.NO_SUCH_SESSION
    assert await slack.files_of("carol") == []
    card = await slack.ephemeral_after("bob", slack.say("bob", GENERAL, "!resume", thread_ts=ts))
    assert text_of(card) == session_texts.RESUME_NONE
    assert len(model.requests) == 2


async def test_users_who_return_see_their_sessions_again(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.default = Answer(recite)
    ts = await a_secret_thread(bots, slack, "the plan")
    await leave(slack, "bob")
    given = slack.command("bob", GENERAL, "/copilot", "history s1")
    assert text_of(await slack.ephemeral_after("bob", given)) == texts.NO_SUCH_SESSION
    await slack.call("carol", "conversations.invite", channel=SECRET, users="UBOB")
    given = slack.command("bob", GENERAL, "/copilot", "history s1")
    assert "the plan" in text_of(await slack.ephemeral_after("bob", given))
    await slack.say("bob", SECRET, "go on", thread_ts=ts)
    await slack.wait_for(lambda: slack.bot_texts(SECRET, ts, "bob"))
    await slack.wait_until_answered(SECRET, ts, n=2, person="bob")
    assert model.requests[-1].prompts == ("the plan", "go on")


async def test_a_session_of_a_private_channel_may_be_forked_within_it_only(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await a_secret_thread(bots, slack, "the plan")
    ts = await slack.start_thread("bob", "in public")
    text = await slack.ephemeral_after_message("bob", GENERAL, ts, "!resume s1")
    assert text == session_texts.RESUME_OTHER_CHANNEL.format(handle="s1")
    await slack.say("bob", GENERAL, "!fork s1", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "Here's the fork")
    messages = [str(message) for message in await slack.history(GENERAL)]
    assert not any("the plan" in each for each in messages)
    roots = [m for m in await slack.history(SECRET, "bob") if m.get("bot_id")]
    assert len(roots) == 1, "the fork began in the channel of its session"
    assert len(model.requests) == 2


async def test_a_session_shown_by_its_handle_is_shown_to_the_caller_only(
    bots: Bots, slack: ScenarioClient
) -> None:
    """Status, history and transcript of a private place, requested in a public one."""
    await a_secret_thread(bots, slack, "the zebrafish plan")
    ts = await slack.start_thread("bob", "in public")
    for command in ("status s1", "history s1", "sessions", "export s1"):
        await slack.ephemeral_after("bob", slack.say("bob", GENERAL, f"!{command}", thread_ts=ts))
    messages = [str(message) for message in await slack.replies(GENERAL, ts)]
    assert not any("zebrafish" in each for each in messages)
    assert await slack.ephemeral("carol") == []


async def test_admins_cannot_see_direct_messages_of_other_users(
    bots: Bots, slack: ScenarioClient
) -> None:
    await bots.start()
    direct = await slack.dm("bob")
    ts = await slack.say("bob", direct, "the zebrafish plan")
    await slack.wait_until_answered(direct, ts, person="bob")
    listed = slack.command("alice", GENERAL, "/copilot", "sessions all")
    card = await slack.ephemeral_after("alice", listed)
    assert f"s1 {session_texts.ELSEWHERE}" in text_of(card)
    assert "zebrafish" not in str(card)
    for command in ("status", "history", "export"):
        given = slack.command("alice", GENERAL, "/copilot", f"{command} s1")
        assert text_of(await slack.ephemeral_after("alice", given)) == texts.NO_SUCH_SESSION
    message = await slack.ephemeral_after(
        "alice", slack.press_command("alice", GENERAL, card, "delete", "s1")
    )
    assert "s1 is deleted permanently" in text_of(message), (
        "cleaning up is theirs, and shows nothing"
    )
    await slack.wait_until_answered(direct, ts, n=2, person="bob")
    assert (await slack.bot_texts(direct, ts, "bob"))[-1] == session_texts.DELETED_HERE
    audit = slack.command("alice", GENERAL, "/copilot", "admin audit")
    assert "delete" in text_of(await slack.ephemeral_after("alice", audit))


async def test_sessions_of_a_channel_without_the_bot_are_invisible(
    bots: Bots, slack: ScenarioClient
) -> None:
    await a_secret_thread(bots, slack, "the zebrafish plan")
    await slack.call("bob", "conversations.kick", channel=SECRET, user=BOT_USER)
    given = slack.command("bob", GENERAL, "/copilot", "history s1")
    assert text_of(await slack.ephemeral_after("bob", given)) == texts.NO_SUCH_SESSION
    card = await slack.ephemeral_after("bob", slack.command("bob", GENERAL, "/copilot", "sessions"))
    assert "zebrafish" not in str(card)


async def test_buttons_under_a_reply_do_nothing_for_users_who_left_its_channel(
    bots: Bots, slack: ScenarioClient
) -> None:
    """Slack hides them from users who have left, but an open message may still be used."""
    ts = await a_secret_thread(bots, slack, "the zebrafish plan")
    card = await slack.ephemeral_after("bob", slack.say("bob", SECRET, "!status", thread_ts=ts))
    elsewhere = await slack.ephemeral_after(
        "bob", slack.command("bob", GENERAL, "/copilot", "status s1")
    )
    assert "zebrafish" in text_of(card)
    await leave(slack, "bob")
    for name in ("history", "export"):
        message = await slack.ephemeral_after(
            "bob", slack.press_command("bob", GENERAL, elsewhere, name, "s1")
        )
        assert text_of(message) == texts.NO_SUCH_SESSION
    assert await slack.files_of("bob") == []
