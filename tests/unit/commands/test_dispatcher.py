"""Who may order what, and what the desk does with orders that may not be carried out."""

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
from bot.domain.turns import AcceptStatus
from bot.domain.users import AccessRole, User, UserKind
from bot.errors import AgentError, AgentErrorKind, BotError, SlackError, StoreError
from tests.contracts.messages import make_message
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

# Who gives the orders: in Alice's session's thread, where Bob has written too. Carol only sees it;
# Ada is in charge and sees it. From the last four the place is hidden, or they are kept out.
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
EVERYBODY = {"owner", "participant", "member", "admin"}
PARTY = {"owner", "participant", "admin"}
ANSWERABLE = {"owner", "admin"}
ADMINS = {"admin"}
# Of what is about nothing in particular, those in charge need not see the place.
ANYBODY = {*EVERYBODY, "unseeing admin"}
ALL_ADMINS = {"admin", "unseeing admin"}

# Written out on purpose, and not made from the table of verbs: one is to be held against the other.
ALLOWED = {
    "help": EVERYBODY,
    "sessions": ANYBODY,
    "sessions all": ALL_ADMINS,
    "sessions all 2": ALL_ADMINS,
    "status": EVERYBODY,
    "reset": ANSWERABLE,
    "resume": EVERYBODY,
    "resume s1": ANSWERABLE,
    "stop": PARTY,
    "stop queue": PARTY,
    "model": EVERYBODY,
    "model gpt-5": ANSWERABLE,
    "model gpt-5 high": ANSWERABLE,
    "model gpt-5 for me": EVERYBODY,
    "model gpt-5 for channel": ADMINS,
    "model gpt-5 for workspace": ADMINS,
    "model for workspace": EVERYBODY,
    "compare gpt-5 claude-4.5 why?": PARTY,
    "ask why?": EVERYBODY,
    "fork": EVERYBODY,
    "retry": PARTY,
    "rewind": ANSWERABLE,
    "role review": PARTY,
    "title Plans": PARTY,
    "history": EVERYBODY,
    "export": EVERYBODY,
    "usage": EVERYBODY,
    "quiet": PARTY,
    "join": PARTY,
    "admin": ALL_ADMINS,
    "admin cleanup": ALL_ADMINS,
    "delete s1": {"owner", *ALL_ADMINS},
    "vote A": EVERYBODY,
    "reveal": PARTY,
    "keep A": ANSWERABLE,
    "set verbosity brief": ANYBODY,
}


def source_of(command: str) -> CommandSource:
    """A form that the verb has, a thread's own where it can."""
    forms = COMMANDS[command.partition(" ")[0]].sources
    wanted = (CommandSource.MESSAGE, CommandSource.BUTTON, CommandSource.HOME_TAB)
    return next(form for form in wanted if form in forms)


async def a_table(world: CommandFixture) -> ThreadKey:
    """The thread that the permission table is about; Alice's s1 is its session."""
    session = await world.context_for(1, user=ALICE)
    assert session.handle == "s1"
    await world.context_for(2, root=1, user=BOB)
    for user in (WHO["stranger"], WHO["unseeing admin"]):
        world.people.known[user] = User(id=user, team=TEAM, name="Stranger")
        world.people.hidden.add((user, GENERAL))
    world.access_config(AccessConfig(admins=frozenset({ADA, WHO["unseeing admin"]})))
    return thread_at(1)


def test_every_command_stands_in_the_permission_table() -> None:
    assert {order.partition(" ")[0] for order in ALLOWED} == set(COMMANDS)


@pytest.mark.parametrize("order", list(ALLOWED))
async def test_a_command_is_carried_out_for_those_who_may_give_it_and_for_nobody_else(
    world: CommandFixture, executed: ExecutedCommands, order: str
) -> None:
    thread = await a_table(world)
    obeyed = set()
    for who, user in WHO.items():
        before = len(executed.asked)
        outcome = await world.run_command(order, by=user, thread=thread, form=source_of(order))
        done = len(executed.asked) > before
        assert done == (outcome.card.text == f"did {order.partition(' ')[0]}")
        assert done or not outcome.public, "a refusal is nobody else's business"
        if done:
            obeyed.add(who)
    assert obeyed == ALLOWED[order]


@pytest.mark.parametrize("verb", list(COMMANDS))
@pytest.mark.parametrize("form", list(CommandSource))
async def test_a_source_that_a_command_does_not_have_is_refused_to_everybody(
    world: CommandFixture, executed: ExecutedCommands, verb: str, form: CommandSource
) -> None:
    await world.context_for(1, user=ADA)
    thread = thread_at(1)
    words_of = {"delete": " s1"}
    outcome = await world.run_command(
        verb + words_of.get(verb, ""), by=ADA, thread=thread, form=form
    )
    if form in COMMANDS[verb].sources:
        assert len(executed.asked) == 1
    else:
        assert executed.asked == []
        assert outcome.card.text == texts.OUTDATED


# What is said to those who may not ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "by", "sentence"),
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
        ("abracadabra", ALICE, texts.OUTDATED),
    ],
)
async def test_a_refusal_says_why_and_tells_nothing_of_places_unseen(
    world: CommandFixture,
    executed: ExecutedCommands,  # noqa: ARG001 # nothing is carried out
    order: str,
    by: str,
    sentence: str,
) -> None:
    thread = await a_table(world)
    form = CommandSource.BUTTON if order.startswith("delete") else CommandSource.MESSAGE
    outcome = await world.run_command(order, by=by, thread=thread, form=form)
    assert outcome == CommandResult(card=replace(outcome.card, text=sentence))


async def test_of_a_session_elsewhere_it_counts_what_one_is_there(
    world: CommandFixture, executed: ExecutedCommands
) -> None:
    """Bob owns the thread in which he names Alice's session."""
    await world.context_for(1, user=ALICE)
    await world.context_for(10, user=BOB)
    outcome = await world.run_command("reset s1", by=BOB, thread=thread_at(10))
    assert outcome.card.text == texts.NOT_YOURS.format(command="reset")
    await world.run_command("reset s2", by=BOB, thread=thread_at(1))
    (asked,) = executed.asked
    assert (asked.session and asked.session.number, asked.names_session, asked.args) == (
        2,
        True,
        "",
    )


async def test_a_place_that_was_left_is_hidden_at_once(
    world: CommandFixture, executed: ExecutedCommands
) -> None:
    await world.context_for(1, user=ALICE, channel=DEV)
    await world.run_command("status s1", form=CommandSource.SLASH_COMMAND)
    world.people.hidden.add((ALICE, DEV))
    outcome = await world.run_command("status s1", form=CommandSource.SLASH_COMMAND)
    assert outcome.card.text == texts.NO_SUCH_SESSION
    assert len(executed.asked) == 1


async def test_an_old_button_does_nothing_in_a_place_that_was_left(
    world: CommandFixture, executed: ExecutedCommands
) -> None:
    """Also where the session that it names is in a place that is seen."""
    await world.context_for(1)
    world.people.hidden.add((ALICE, DEV))
    outcome = await world.run_command(
        "resume s1", thread=thread_at(10, DEV), form=CommandSource.BUTTON
    )
    assert (outcome.card.text, executed.asked) == (access_texts.NOT_VISIBLE, [])


async def test_nothing_is_ordered_about_a_channel_that_was_left(
    world: CommandFixture, executed: ExecutedCommands
) -> None:
    """By a command or a button that stands in no thread; where the bot itself is not, orders that
    need no place are carried out."""
    world.people.hidden.add((ALICE, DEV))
    for order in ("help", "model gpt-5", "usage by channel", "ask what is it?"):
        outcome = await world.run_command(order, form=CommandSource.SLASH_COMMAND, channel=DEV)
        assert (outcome.card.text, executed.asked) == (access_texts.NOT_VISIBLE, [])
    world.people.elsewhere.add(DEV)
    await world.run_command("help", form=CommandSource.SLASH_COMMAND, channel=DEV)
    assert [asked.command.name for asked in executed.asked] == ["help"]


async def test_what_is_only_remembered_of_somebody_puts_them_in_charge_of_nothing(
    world: CommandFixture, executed: ExecutedCommands
) -> None:
    """Slack does not tell just now who they are; they are told so, and go on as a member."""
    await world.context_for(1)
    world.people.silent = True
    for order in ("admin pause", "reset"):
        outcome = await world.run_command(order, by=ADA, thread=thread_at(1))
        assert (outcome.card.text, executed.asked) == (access_texts.ADMIN_UNKNOWN, [])
    await world.run_command("status", by=ADA, thread=thread_at(1))
    assert executed.asked[0].access_roles == {AccessRole.MEMBER, AccessRole.ADMIN_UNKNOWN}
    assert not executed.asked[0].is_admin


@pytest.mark.parametrize(
    ("order", "verb", "said", "session"),
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
    order: str,
    verb: str,
    said: str,
    session: int,
) -> None:
    """But what is free text stays as it is: `S3` may be something else."""
    await world.context_for(1)
    await world.context_for(10)
    await world.run_command(order, thread=thread_at(10))
    (asked,) = executed.asked
    assert asked.command.name == verb
    assert asked.session is not None
    assert (asked.args, asked.session.number) == (said, session)


async def test_a_button_under_an_answer_is_about_the_session_that_gave_it(
    world: CommandFixture, executed: ExecutedCommands
) -> None:
    """Also when it comes to whose it is: the main one is Alice's, the role's Bob's."""
    main = await world.context_for(1)
    role = await world.context_for(2, root=1, user=BOB, role="review")
    (turn,) = [each.turn for each in (await world.store.list_history(role.number, 0, 9)).entries]
    for by, thread, session in (
        (BOB, thread_at(1), role.number),
        (ALICE, thread_at(1), None),
        (ALICE, thread_at(10), None),
    ):
        executed.asked.clear()
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
        found = [each.session.number for each in executed.asked if each.session is not None]
        assert found == ([] if session is None else [session])
    assert main.number != role.number


# The desk itself ---------------------------------------------------------------------------------


async def test_a_message_that_is_a_command_is_recorded_and_begun_and_no_question(
    world: CommandFixture, executed: ExecutedCommands
) -> None:
    message = make_message(1, text="!help")
    assert (await world.router.route_message(message)).status is AcceptStatus.COMMAND
    assert (await world.router.route_message(message)).status is AcceptStatus.DUPLICATE
    again = replace(message, event_id="another event for the same message")
    assert (await world.router.route_message(again)).status is AcceptStatus.DUPLICATE
    (order,) = world.begun
    assert world.questions == []
    assert await world.store.turn_by_ts(TEAM, GENERAL, message.ts) is None
    await world.desk.execute(order)
    await world.desk.mark_done(order)
    assert [asked.command for asked in executed.asked] == [order]
    assert not await world.store.unfinished_commands()


async def test_any_other_message_goes_to_the_inbox(world: CommandFixture) -> None:
    message = make_message(1, text="help me with my letter")
    await world.router.route_message(message)
    assert (world.questions, world.begun) == ([message], [])


async def test_a_double_click_is_one_command(world: CommandFixture) -> None:
    order = Command(
        key="press", name="help", args="", user=ALICE, source=CommandSource.BUTTON, team=TEAM
    )
    assert await world.desk.record(order)
    assert not await world.desk.record(order)


async def test_what_was_not_carried_out_is_found_at_the_next_start(world: CommandFixture) -> None:
    order = Command(
        key="press", name="help", args="", user=ALICE, source=CommandSource.BUTTON, team=TEAM
    )
    await world.desk.record(order)
    assert list(await world.store.unfinished_commands()) == [order]
    await world.desk.mark_done(order)
    assert not await world.store.unfinished_commands()


@pytest.mark.parametrize(
    ("trouble", "sentence"),
    [
        (StoreError("disk full"), StoreError.user_message),
        (AgentError(AgentErrorKind.UNSUPPORTED, "no such method"), None),
        (ValueError("/etc/secret"), BotError.user_message),
    ],
)
async def test_trouble_becomes_a_sentence(
    world: CommandFixture, trouble: Exception, sentence: str | None
) -> None:
    async def fall(asked: CommandContext) -> CommandResult:  # noqa: ARG001 # a handler's
        raise trouble

    world.handlers["help"] = fall
    outcome = await world.run_command("help", thread=thread_at(1))
    assert outcome.card.text == (sentence or getattr(trouble, "user_message", ""))
    assert str(trouble) not in outcome.card.text


async def test_while_slack_does_not_say_who_somebody_is_nothing_is_done(
    world: CommandFixture, executed: ExecutedCommands
) -> None:
    world.people.trouble = True
    outcome = await world.run_command("help", thread=thread_at(1))
    assert (outcome.card.text, executed.asked) == (BotError.user_message, [])


@pytest.mark.parametrize("verb", sorted(COMMANDS))
async def test_no_forged_command_reaches_a_session_that_is_not_seen(
    world: CommandFixture, executed: ExecutedCommands, verb: str
) -> None:
    """Whatever names it: a handle typed or in a button's value, the thread or the turn that the
    value carries, from wherever it is pressed. What is carried out is about nothing of it."""
    hidden = await world.context_for(1, user=ALICE, channel=DEV)
    await world.context_for(10, user=BOB)
    world.people.hidden.add((BOB, DEV))
    [turn] = [each.turn for each in (await world.store.list_history(hidden.number, 0, 9)).entries]
    numbers = itertools.count()
    for form in CommandSource:
        for words_said in ("", "s1", "S1", "json s1", "s1 2"):
            for thread in (thread_at(1, DEV), thread_at(10), None):
                for number in (turn, None):
                    await world.execute(
                        Command(
                            key=f"forged {next(numbers)}",
                            name=verb,
                            args=words_said,
                            user=BOB,
                            source=form,
                            team=TEAM,
                            channel="" if form is CommandSource.HOME_TAB else GENERAL,
                            thread=thread,
                            turn=number,
                        )
                    )
    about_nothing = COMMANDS[verb].target is CommandTarget.NOTHING
    for asked in executed.asked:
        assert asked.session is None or asked.session.number != hidden.number
        assert about_nothing or asked.thread_key is None or asked.thread_key.channel != DEV


# Who is what -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("person", "doors", "out"),
    [
        (PEOPLE[ALICE], AccessConfig(), None),
        (PEOPLE[GUS], AccessConfig(), AccessRole.GUEST),
        (PEOPLE[GUS], AccessConfig(guests=True), None),
        (PEOPLE[EVE], AccessConfig(guests=True), AccessRole.EXTERNAL),
        (PEOPLE[EVE], AccessConfig(external=True), None),
        (PEOPLE[ROBOT], AccessConfig(guests=True, external=True), AccessRole.EXTERNAL),
    ],
)
async def test_guests_and_people_of_elsewhere_are_kept_out_unless_let_in(
    person: User, doors: AccessConfig, out: AccessRole | None
) -> None:
    assert await AccessPolicy(FakeUserDirectory(), doors).denial(person) is out


LISTED = AccessConfig(
    users=frozenset({ALICE, GUS, EVE, ROBOT}),
    channels=frozenset({GENERAL}),
    admins=frozenset({ADA}),
    bots=frozenset({"B0ROBOT"}),
)


@pytest.mark.parametrize(
    ("person", "channel", "out"),
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
async def test_who_or_where_is_on_no_list_is_kept_out(
    person: str, channel: str, out: AccessRole | None
) -> None:
    """Those in charge count as listed; a list opens no other door, and channels bind everybody."""
    assert await AccessPolicy(FakeUserDirectory(), LISTED).denial(PEOPLE[person], channel) is out


@pytest.mark.parametrize(
    "form", [CommandSource.MESSAGE, CommandSource.BUTTON, CommandSource.SLASH_COMMAND]
)
async def test_no_command_is_carried_out_for_who_or_where_is_on_no_list(
    world: CommandFixture, executed: ExecutedCommands, form: CommandSource
) -> None:
    """Whether it is given there or, by an old button, about a thread there."""
    world.access_config(LISTED)
    await world.run_command("help", by=ALICE, channel=GENERAL, form=form, thread=thread_at(1))
    assert len(executed.asked) == 1
    for by, thread, channel, sentence in (
        (BOB, thread_at(1), GENERAL, access_texts.USER_NOT_ALLOWED),
        (ALICE, thread_at(1, DEV), DEV, access_texts.CHANNEL_NOT_ALLOWED),
        (ALICE, thread_at(1, DEV), GENERAL, access_texts.CHANNEL_NOT_ALLOWED),
        (ALICE, thread_at(1), DEV, access_texts.CHANNEL_NOT_ALLOWED),
    ):
        outcome = await world.run_command("help", by=by, channel=channel, form=form, thread=thread)
        assert outcome.card.text == sentence
    assert len(executed.asked) == 1


@pytest.mark.parametrize(
    ("bot", "channel", "out"),
    [
        ("B0ROBOT", GENERAL, None),
        ("B0ROBOT", DEV, AccessRole.CHANNEL_NOT_ALLOWED),
        ("B0OTHER", GENERAL, AccessRole.EXTERNAL),
        (ALICE, GENERAL, AccessRole.EXTERNAL),
    ],
)
def test_of_other_bots_those_on_the_list_are_let_in_where_people_are(
    bot: str, channel: str, out: AccessRole | None
) -> None:
    assert AccessPolicy(FakeUserDirectory(), LISTED).bot_denial(bot, channel) is out


async def test_while_slack_does_not_tell_who_is_an_admin_nobody_unlisted_is_let_in() -> None:
    people = FakeUserDirectory()
    doors = AccessConfig(users=frozenset({ALICE}), admin_group="S0PILOTS")
    access = AccessPolicy(people, doors)
    assert await access.denial(PEOPLE[ALICE]) is None
    people.trouble = True
    with pytest.raises(SlackError):
        await access.denial(PEOPLE[BOB])


@pytest.mark.parametrize(
    ("person", "doors", "in_charge"),
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
    person: User, doors: AccessConfig, in_charge: bool
) -> None:
    people = FakeUserDirectory()
    people.groups["S0PILOTS"] = {CAROL, GUS, EVE}
    assert await AccessPolicy(people, doors).is_admin(person) is in_charge


async def test_a_thread_without_a_session_is_owned_by_whoever_is_alone_in_it(
    world: CommandFixture, executed: ExecutedCommands
) -> None:
    await world.enqueue_turn(1, user=ALICE)
    await world.run_command("model gpt-5", by=ALICE, thread=thread_at(1))
    outcome = await world.run_command("model gpt-5", by=BOB, thread=thread_at(1))
    assert outcome.card.text == texts.NOT_YOURS.format(command="model")
    await world.enqueue_turn(2, root=1, user=BOB)
    outcome = await world.run_command("model gpt-5", by=ALICE, thread=thread_at(1))
    assert outcome.card.text == texts.NOT_YOURS.format(command="model")
    await world.run_command("model gpt-5", by=CAROL, thread=thread_at(50))
    assert [asked.user.id for asked in executed.asked] == [ALICE, CAROL]


async def test_guests_who_are_let_in_are_what_everybody_else_is(
    world: CommandFixture, executed: ExecutedCommands
) -> None:
    world.access_config(AccessConfig(guests=True))
    await world.context_for(1, user=GUS)
    await world.run_command("reset", by=GUS, thread=thread_at(1))
    assert executed.asked[0].access_roles == {
        AccessRole.MEMBER,
        AccessRole.PARTICIPANT,
        AccessRole.OWNER,
    }
    assert PEOPLE[GUS].kind is UserKind.GUEST


async def test_who_is_blocked_runs_no_command_but_help(world: CommandFixture) -> None:
    calls: list[str] = []

    async def handler(asked: CommandContext) -> CommandResult:
        calls.append(asked.command.name)
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
    for verb in ("help", "sessions", "reset"):
        outcome = await world.run_command(verb, thread=thread_at(1))
        assert (outcome.card.text == BLOCKED) is (verb != "help")
    assert calls == ["help"]
