"""Who may use which command, and what the dispatcher does with commands that are not permitted."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.access import texts as access_texts
from bot.access.policy import AccessConfig, AccessPolicy
from bot.access.quotas import BLOCKED
from bot.commands import texts
from bot.commands.dispatcher import CommandContext
from bot.commands.registry import COMMANDS, CommandTarget
from bot.domain.cards import CommandResult, text_result
from bot.domain.commands import Command, CommandSource
from bot.domain.messages import ThreadKey
from bot.domain.preferences import Preference, PreferenceKind, Scope
from bot.domain.users import AccessRole, User, UserKind
from bot.errors import AgentError, AgentErrorKind, BotError, SlackError, StoreError
from tests.unit.commands.command_fixtures import (
    ADA,
    ALICE,
    BOB,
    CAROL,
    DEV,
    DIRECT,
    EVE,
    GENERAL,
    GUS,
    PEOPLE,
    ROBOT,
    TEAM,
    CommandFixture,
    ExecutedCommands,
    FakeUserDirectory,
    command_fixture,
    thread_at,
)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[CommandFixture]:
    async with command_fixture(tmp_path) as world:
        yield world


@pytest.fixture
def executed(world: CommandFixture) -> ExecutedCommands:
    carried = ExecutedCommands()
    world.handlers.update(dict.fromkeys(COMMANDS, carried.record))
    return carried


# The permission table ----------------------------------------------------------------------------

# The users who give the commands, in the thread of Alice's session. Bob has posted there, Carol
# only sees it, Ada is an admin and sees it. The last five do not see the channel, or are denied.
WHO = {
    "owner": ALICE,
    "participant": BOB,
    "member": CAROL,
    "admin": ADA,
    "stranger": "U0STRANGER",
    "unseeing admin": "U0UNSEEING",
    "guest": GUS,
    "external": EVE,
    "bot": ROBOT,
}
VIEWERS = {"owner", "participant", "member", "admin"}
PARTICIPANTS = {"owner", "participant", "admin"}
OWNERS = {"owner", "admin"}
ADMINS = {"admin"}
# For commands without a target, admins need not see the channel.
MEMBERS = {*VIEWERS, "unseeing admin"}
ALL_ADMINS = {"admin", "unseeing admin"}

# Written out on purpose, not built from the table of commands: one is compared with the other.
ALLOWED = {
    "help": VIEWERS,
    "sessions": MEMBERS,
    "sessions all": ALL_ADMINS,
    "sessions all 2": ALL_ADMINS,
    "status": VIEWERS,
    "reset": OWNERS,
    "resume": VIEWERS,
    "resume s1": OWNERS,
    "stop": PARTICIPANTS,
    "stop queue": PARTICIPANTS,
    "model": VIEWERS,
    "model gpt-5": OWNERS,
    "model gpt-5 high": OWNERS,
    "model gpt-5 for me": VIEWERS,
    "model gpt-5 for channel": ADMINS,
    "model gpt-5 for workspace": ADMINS,
    "model for workspace": VIEWERS,
    "compare gpt-5 claude-4.5 why?": PARTICIPANTS,
    "ask why?": VIEWERS,
    "fork": VIEWERS,
    "retry": PARTICIPANTS,
    "rewind": OWNERS,
    "role review": PARTICIPANTS,
    "title Plans": PARTICIPANTS,
    "history": VIEWERS,
    "export": VIEWERS,
    "usage": VIEWERS,
    "quiet": PARTICIPANTS,
    "join": PARTICIPANTS,
    "admin": ALL_ADMINS,
    "admin cleanup": ALL_ADMINS,
    "delete s1": {"owner", *ALL_ADMINS},
    "vote A": VIEWERS,
    "reveal": PARTICIPANTS,
    "keep A": OWNERS,
    "set verbosity brief": MEMBERS,
}


def source_of(command: str) -> CommandSource:
    """A source that the command allows, inside a thread if possible."""
    forms = COMMANDS[command.partition(" ")[0]].sources
    wanted = (CommandSource.MESSAGE, CommandSource.BUTTON, CommandSource.HOME_TAB)
    return next(form for form in wanted if form in forms)


async def a_table(world: CommandFixture) -> ThreadKey:
    """The thread of the permission table; Alice's s1 is its session."""
    session = await world.context_for(1, user=ALICE)
    assert session.handle == "s1"
    await world.context_for(2, root=1, user=BOB)
    for user in (WHO["stranger"], WHO["unseeing admin"]):
        world.people.known[user] = User(id=user, team=TEAM, name="Stranger")
        world.people.hidden.add((user, GENERAL))
    world.access_config(AccessConfig(admins=frozenset({ADA, WHO["unseeing admin"]})))
    return thread_at(1)


def test_every_command_is_in_the_permission_table() -> None:
    assert {text.partition(" ")[0] for text in ALLOWED} == set(COMMANDS)


@pytest.mark.parametrize("text", list(ALLOWED))
async def test_a_command_is_executed_only_for_permitted_users(
    world: CommandFixture, executed: ExecutedCommands, text: str
) -> None:
    thread = await a_table(world)
    obeyed = set()
    for who, user in WHO.items():
        before = len(executed.contexts)
        result = await world.run_command(text, by=user, thread=thread, form=source_of(text))
        done = len(executed.contexts) > before
        assert done == (result.card.text == f"did {text.partition(' ')[0]}")
        assert done or not result.public, "a refusal is nobody else's business"
        if done:
            obeyed.add(who)
    assert obeyed == ALLOWED[text]


@pytest.mark.parametrize("name", list(COMMANDS))
@pytest.mark.parametrize("form", list(CommandSource))
async def test_a_source_that_a_command_does_not_have_is_refused(
    world: CommandFixture, executed: ExecutedCommands, name: str, form: CommandSource
) -> None:
    await world.context_for(1, user=ADA)
    thread = thread_at(1)
    words_of = {"delete": " s1"}
    result = await world.run_command(
        name + words_of.get(name, ""), by=ADA, thread=thread, form=form
    )
    if form in COMMANDS[name].sources:
        assert len(executed.contexts) == 1
    else:
        assert executed.contexts == []
        assert result.card.text == texts.OLD_BUTTON


# Refusal texts -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "by", "sentence"),
    [
        ("reset", BOB, texts.NOT_YOURS.format(command="reset")),
        ("resume s1", BOB, texts.NOT_YOURS.format(command="resume")),
        ("stop", CAROL, texts.NOT_PARTICIPANT.format(command="stop")),
        ("sessions all", ALICE, texts.ADMINS_ONLY),
        ("model gpt-5 for channel", ALICE, texts.ADMINS_ONLY),
        ("admin cleanup", ALICE, texts.ADMINS_ONLY),
        ("status", WHO["stranger"], access_texts.NOT_VISIBLE),
        ("status s1", WHO["stranger"], texts.NO_SUCH_SESSION),
        ("export s1", WHO["unseeing admin"], texts.NO_SUCH_SESSION),
        ("delete s1", WHO["stranger"], texts.NO_SUCH_SESSION),
        ("history s999", ALICE, texts.NO_SUCH_SESSION),
        ("delete s999", ADA, texts.NO_SUCH_SESSION),
        ("help", GUS, access_texts.GUEST),
        ("help", EVE, access_texts.EXTERNAL_USER),
        ("abracadabra", ALICE, texts.OLD_BUTTON),
    ],
)
async def test_a_refusal_gives_the_reason_and_reveals_no_hidden_channel(
    world: CommandFixture,
    executed: ExecutedCommands,  # noqa: ARG001 # nothing is carried out
    text: str,
    by: str,
    sentence: str,
) -> None:
    thread = await a_table(world)
    form = CommandSource.BUTTON if text.startswith("delete") else CommandSource.MESSAGE
    result = await world.run_command(text, by=by, thread=thread, form=form)
    assert result == CommandResult(card=replace(result.card, text=sentence))


async def test_for_a_session_in_another_thread_the_roles_there_count(
    world: CommandFixture, executed: ExecutedCommands
) -> None:
    """Bob owns the thread where he names Alice's session."""
    await world.context_for(1, user=ALICE)
    await world.context_for(10, user=BOB)
    result = await world.run_command("reset s1", by=BOB, thread=thread_at(10))
    assert result.card.text == texts.NOT_YOURS.format(command="reset")
    await world.run_command("reset s2", by=BOB, thread=thread_at(1))
    (ctx,) = executed.contexts
    assert (ctx.session and ctx.session.number, ctx.names_session, ctx.args) == (
        2,
        True,
        "",
    )


async def test_a_channel_that_the_user_left_is_hidden_at_once(
    world: CommandFixture, executed: ExecutedCommands
) -> None:
    await world.context_for(1, user=ALICE, channel=DEV)
    await world.run_command("status s1", form=CommandSource.SLASH_COMMAND)
    world.people.hidden.add((ALICE, DEV))
    result = await world.run_command("status s1", form=CommandSource.SLASH_COMMAND)
    assert result.card.text == texts.NO_SUCH_SESSION
    assert len(executed.contexts) == 1


async def test_an_old_button_does_nothing_in_a_channel_that_the_user_left(
    world: CommandFixture, executed: ExecutedCommands
) -> None:
    """Even if the named session is in a visible channel."""
    await world.context_for(1)
    world.people.hidden.add((ALICE, DEV))
    result = await world.run_command(
        "resume s1", thread=thread_at(10, DEV), form=CommandSource.BUTTON
    )
    assert (result.card.text, executed.contexts) == (access_texts.NOT_VISIBLE, [])


async def test_no_command_concerns_a_channel_that_the_user_left(
    world: CommandFixture, executed: ExecutedCommands
) -> None:
    """By slash command, or by a button outside of threads. In a channel without the bot, commands
    that need no channel are executed."""
    world.people.hidden.add((ALICE, DEV))
    for text in ("help", "model gpt-5", "usage by channel", "ask what is it?"):
        result = await world.run_command(text, form=CommandSource.SLASH_COMMAND, channel=DEV)
        assert (result.card.text, executed.contexts) == (access_texts.NOT_VISIBLE, [])
    world.people.elsewhere.add(DEV)
    await world.run_command("help", form=CommandSource.SLASH_COMMAND, channel=DEV)
    assert [ctx.command.name for ctx in executed.contexts] == ["help"]


async def test_a_cached_user_is_no_admin(world: CommandFixture, executed: ExecutedCommands) -> None:
    """Slack does not confirm it now. The user reads that, and counts as a member."""
    await world.context_for(1)
    world.people.silent = True
    for text in ("admin pause", "reset"):
        result = await world.run_command(text, by=ADA, thread=thread_at(1))
        assert (result.card.text, executed.contexts) == (access_texts.ADMIN_UNKNOWN, [])
    await world.run_command("status", by=ADA, thread=thread_at(1))
    assert executed.contexts[0].access_roles == {AccessRole.MEMBER, AccessRole.ADMIN_UNKNOWN}
    assert not executed.contexts[0].is_admin


@pytest.mark.parametrize(
    ("text", "name", "args", "session"),
    [
        ("status s1", "status", "", 1),
        ("status S1", "status", "", 1),
        ("export json s1", "export", "json", 1),
        ("export s1 json", "export", "json", 1),
        ("history s1 3", "history", "3", 1),
        ("history", "history", "", 2),
        ("history s0", "history", "s0", 2),
        ("title s1 is better", "title", "s1 is better", 2),
        ("ask what is S3", "ask", "what is S3", 2),
    ],
)
async def test_a_session_is_named_by_its_handle_first_or_last(
    world: CommandFixture,
    executed: ExecutedCommands,
    text: str,
    name: str,
    args: str,
    session: int,
) -> None:
    """Free text stays as it is: `S3` may mean something else."""
    await world.context_for(1)
    await world.context_for(10)
    await world.run_command(text, thread=thread_at(10))
    (ctx,) = executed.contexts
    assert ctx.command.name == name
    assert ctx.session is not None
    assert (ctx.args, ctx.session.number) == (args, session)


async def test_a_button_under_a_reply_targets_its_session(
    world: CommandFixture, executed: ExecutedCommands
) -> None:
    """The owner counts, too: Alice owns the main session, Bob that of the role."""
    main = await world.context_for(1)
    role = await world.context_for(2, root=1, user=BOB, role="review")
    (turn,) = [each.turn for each in (await world.store.list_history(role.number, 0, 9)).entries]
    for by, thread, session in (
        (BOB, thread_at(1), role.number),
        (ALICE, thread_at(1), None),
        (ALICE, thread_at(10), None),
    ):
        executed.contexts.clear()
        await world.execute(
            Command(
                key=f"press by {by} in {thread}",
                name="rewind",
                args="",
                user=by,
                source=CommandSource.BUTTON,
                team=TEAM,
                channel=GENERAL,
                thread=thread,
                turn=turn,
            )
        )
        found = [each.session.number for each in executed.contexts if each.session is not None]
        assert found == ([] if session is None else [session])
    assert main.number != role.number


# The dispatcher itself ---------------------------------------------------------------------------


async def test_a_double_click_is_one_command(world: CommandFixture) -> None:
    command = Command(
        key="press", name="help", args="", user=ALICE, source=CommandSource.BUTTON, team=TEAM
    )
    assert await world.dispatcher.record(command)
    assert not await world.dispatcher.record(command)


async def test_an_unfinished_command_is_found_at_the_next_start(world: CommandFixture) -> None:
    command = Command(
        key="press", name="help", args="", user=ALICE, source=CommandSource.BUTTON, team=TEAM
    )
    await world.dispatcher.record(command)
    assert list(await world.store.unfinished_commands()) == [command]
    await world.dispatcher.mark_done(command)
    assert not await world.store.unfinished_commands()


@pytest.mark.parametrize(
    ("trouble", "sentence"),
    [
        (StoreError("disk full"), StoreError.user_message),
        (AgentError(AgentErrorKind.UNSUPPORTED, "no such method"), None),
        (ValueError("/etc/secret"), BotError.user_message),
    ],
)
async def test_an_error_becomes_a_text(
    world: CommandFixture, trouble: Exception, sentence: str | None
) -> None:
    async def fall(ctx: CommandContext) -> CommandResult:  # noqa: ARG001 # a handler's
        raise trouble

    world.handlers["help"] = fall
    result = await world.run_command("help", thread=thread_at(1))
    assert result.card.text == (sentence or getattr(trouble, "user_message", ""))
    assert str(trouble) not in result.card.text


async def test_while_a_user_cannot_be_looked_up_nothing_is_done(
    world: CommandFixture, executed: ExecutedCommands
) -> None:
    world.people.trouble = True
    result = await world.run_command("help", thread=thread_at(1))
    assert (result.card.text, executed.contexts) == (BotError.user_message, [])


@pytest.mark.parametrize("name", sorted(COMMANDS))
async def test_no_forged_command_reaches_a_hidden_session(
    world: CommandFixture, executed: ExecutedCommands, name: str
) -> None:
    """However it is named: by a typed handle, a button's value, a thread or a turn. No executed
    command has it as its target."""
    hidden = await world.context_for(1, user=ALICE, channel=DEV)
    await world.context_for(10, user=BOB)
    world.people.hidden.add((BOB, DEV))
    [turn] = [each.turn for each in (await world.store.list_history(hidden.number, 0, 9)).entries]
    numbers = itertools.count()
    for form in CommandSource:
        for args in ("", "s1", "S1", "json s1", "s1 2"):
            for thread in (thread_at(1, DEV), thread_at(10), None):
                for number in (turn, None):
                    await world.execute(
                        Command(
                            key=f"forged {next(numbers)}",
                            name=name,
                            args=args,
                            user=BOB,
                            source=form,
                            team=TEAM,
                            channel="" if form is CommandSource.HOME_TAB else GENERAL,
                            thread=thread,
                            turn=number,
                        )
                    )
    about_nothing = COMMANDS[name].target is CommandTarget.NOTHING
    for ctx in executed.contexts:
        assert ctx.session is None or ctx.session.number != hidden.number
        assert about_nothing or ctx.thread_key is None or ctx.thread_key.channel != DEV


# Access roles ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "config", "denial"),
    [
        (PEOPLE[ALICE], AccessConfig(), None),
        (PEOPLE[GUS], AccessConfig(), AccessRole.GUEST),
        (PEOPLE[GUS], AccessConfig(guests=True), None),
        (PEOPLE[EVE], AccessConfig(guests=True), AccessRole.EXTERNAL),
        (PEOPLE[EVE], AccessConfig(external=True), None),
        (PEOPLE[ROBOT], AccessConfig(guests=True, external=True), AccessRole.EXTERNAL),
    ],
)
async def test_guests_and_external_users_are_denied_unless_allowed(
    user: User, config: AccessConfig, denial: AccessRole | None
) -> None:
    assert await AccessPolicy(FakeUserDirectory(), config).denial(user) is denial


LISTED = AccessConfig(
    users=frozenset({ALICE, GUS, EVE, ROBOT}),
    channels=frozenset({GENERAL}),
    admins=frozenset({ADA}),
    bots=frozenset({"B0ROBOT"}),
)


@pytest.mark.parametrize(
    ("user", "channel", "denial"),
    [
        (ALICE, GENERAL, None),
        (ALICE, "", None),
        (ALICE, DEV, AccessRole.CHANNEL_NOT_ALLOWED),
        (ALICE, DIRECT, AccessRole.CHANNEL_NOT_ALLOWED),
        (BOB, GENERAL, AccessRole.USER_NOT_ALLOWED),
        (BOB, "", AccessRole.USER_NOT_ALLOWED),
        (BOB, DEV, AccessRole.USER_NOT_ALLOWED),
        (ADA, GENERAL, None),
        (ADA, DEV, AccessRole.CHANNEL_NOT_ALLOWED),
        (GUS, GENERAL, AccessRole.GUEST),
        (EVE, GENERAL, AccessRole.EXTERNAL),
        (ROBOT, GENERAL, AccessRole.EXTERNAL),
    ],
)
async def test_users_and_channels_outside_of_the_lists_are_denied(
    user: str, channel: str, denial: AccessRole | None
) -> None:
    """Admins count as listed. A list lifts no other denial, and channels bind all users."""
    assert await AccessPolicy(FakeUserDirectory(), LISTED).denial(PEOPLE[user], channel) is denial


@pytest.mark.parametrize(
    "form", [CommandSource.MESSAGE, CommandSource.BUTTON, CommandSource.SLASH_COMMAND]
)
async def test_no_command_is_executed_outside_of_the_lists(
    world: CommandFixture, executed: ExecutedCommands, form: CommandSource
) -> None:
    """Given there, or about a thread there by an old button."""
    world.access_config(LISTED)
    await world.run_command("help", by=ALICE, channel=GENERAL, form=form, thread=thread_at(1))
    assert len(executed.contexts) == 1
    for by, thread, channel, sentence in (
        (BOB, thread_at(1), GENERAL, access_texts.USER_NOT_ALLOWED),
        (ALICE, thread_at(1, DEV), DEV, access_texts.CHANNEL_NOT_ALLOWED),
        (ALICE, thread_at(1, DEV), GENERAL, access_texts.CHANNEL_NOT_ALLOWED),
        (ALICE, thread_at(1), DEV, access_texts.CHANNEL_NOT_ALLOWED),
    ):
        result = await world.run_command("help", by=by, channel=channel, form=form, thread=thread)
        assert result.card.text == sentence
    assert len(executed.contexts) == 1


@pytest.mark.parametrize(
    ("bot", "channel", "denial"),
    [
        ("B0ROBOT", GENERAL, None),
        ("B0ROBOT", DEV, AccessRole.CHANNEL_NOT_ALLOWED),
        ("B0OTHER", GENERAL, AccessRole.EXTERNAL),
        (ALICE, GENERAL, AccessRole.EXTERNAL),
    ],
)
def test_listed_bots_are_answered_where_users_are(
    bot: str, channel: str, denial: AccessRole | None
) -> None:
    assert AccessPolicy(FakeUserDirectory(), LISTED).bot_denial(bot, channel) is denial


async def test_while_admins_are_unknown_unlisted_users_are_denied() -> None:
    people = FakeUserDirectory()
    config = AccessConfig(users=frozenset({ALICE}), admin_group="S0PILOTS")
    access = AccessPolicy(people, config)
    assert await access.denial(PEOPLE[ALICE]) is None
    people.trouble = True
    with pytest.raises(SlackError):
        await access.denial(PEOPLE[BOB])


@pytest.mark.parametrize(
    ("user", "config", "is_admin"),
    [
        (PEOPLE[ALICE], AccessConfig(), False),
        (PEOPLE[ALICE], AccessConfig(admins=frozenset({ALICE})), True),
        (replace(PEOPLE[BOB], is_workspace_admin=True), AccessConfig(), True),
        (
            replace(PEOPLE[BOB], is_workspace_admin=True),
            AccessConfig(workspace_admins=False),
            False,
        ),
        (PEOPLE[CAROL], AccessConfig(admin_group="S0PILOTS"), True),
        (PEOPLE[BOB], AccessConfig(admin_group="S0PILOTS"), False),
        (PEOPLE[GUS], AccessConfig(admins=frozenset({GUS}), guests=True), False),
        (PEOPLE[EVE], AccessConfig(admins=frozenset({EVE}), external=True), False),
    ],
)
async def test_admins_are_named_by_the_settings_by_slack_or_by_a_group(
    user: User, config: AccessConfig, is_admin: bool
) -> None:
    people = FakeUserDirectory()
    people.groups["S0PILOTS"] = {CAROL, GUS, EVE}
    assert await AccessPolicy(people, config).is_admin(user) is is_admin


async def test_a_thread_without_a_session_is_owned_by_its_only_participant(
    world: CommandFixture, executed: ExecutedCommands
) -> None:
    await world.enqueue_turn(1, user=ALICE)
    await world.run_command("model gpt-5", by=ALICE, thread=thread_at(1))
    result = await world.run_command("model gpt-5", by=BOB, thread=thread_at(1))
    assert result.card.text == texts.NOT_YOURS.format(command="model")
    await world.enqueue_turn(2, root=1, user=BOB)
    result = await world.run_command("model gpt-5", by=ALICE, thread=thread_at(1))
    assert result.card.text == texts.NOT_YOURS.format(command="model")
    await world.run_command("model gpt-5", by=CAROL, thread=thread_at(50))
    assert [ctx.user.id for ctx in executed.contexts] == [ALICE, CAROL]


async def test_allowed_guests_have_the_roles_of_members(
    world: CommandFixture, executed: ExecutedCommands
) -> None:
    world.access_config(AccessConfig(guests=True))
    await world.context_for(1, user=GUS)
    await world.run_command("reset", by=GUS, thread=thread_at(1))
    assert executed.contexts[0].access_roles == {
        AccessRole.MEMBER,
        AccessRole.PARTICIPANT,
        AccessRole.OWNER,
    }
    assert PEOPLE[GUS].kind is UserKind.GUEST


async def test_a_blocked_user_runs_no_command_but_help(world: CommandFixture) -> None:
    calls: list[str] = []

    async def handler(ctx: CommandContext) -> CommandResult:
        calls.append(ctx.command.name)
        return text_result("done")

    world.handlers |= dict.fromkeys(("help", "sessions", "reset"), handler)
    await world.store.set_preference(
        Preference(
            scope=Scope.USER,
            scope_id=ALICE,
            kind=PreferenceKind.BLOCKED,
            value="yes",
            set_by=ADA,
            set_at=1.0,
        )
    )
    for name in ("help", "sessions", "reset"):
        result = await world.run_command(name, thread=thread_at(1))
        assert (result.card.text == BLOCKED) is (name != "help")
    assert calls == ["help"]
