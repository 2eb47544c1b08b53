"""Who may order what, and what the desk does with orders that may not be carried out."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.access import texts as access_texts
from bot.access.policy import Access, Doorkeeping
from bot.access.quotas import BLOCKED
from bot.commands import texts
from bot.commands.dispatcher import Asked
from bot.commands.registry import VERBS, Meant
from bot.domain.cards import Outcome, told
from bot.domain.commands import Form, Order
from bot.domain.messages import ThreadKey
from bot.domain.preferences import Choice, Scope, Topic
from bot.domain.turns import Acceptance
from bot.domain.users import Kind, Person, Standing
from bot.errors import AgentError, AgentFault, BotError, SlackError, StoreError
from tests.contracts.messages import said
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
    Carried,
    People,
    World,
    orders_world,
    thread_at,
)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with orders_world(tmp_path) as world:
        yield world


@pytest.fixture
def carried(world: World) -> Carried:
    carried = Carried()
    world.handlers.update(dict.fromkeys(VERBS, carried.take))
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
BOSSES = {"admin"}
# Of what is about nothing in particular, those in charge need not see the place.
ANYBODY = {*EVERYBODY, "unseeing admin"}
ALL_BOSSES = {"admin", "unseeing admin"}

# Written out on purpose, and not made from the table of verbs: one is to be held against the other.
ALLOWED = {
    "help": EVERYBODY,
    "sessions": ANYBODY,
    "sessions all": ALL_BOSSES,
    "sessions all 2": ALL_BOSSES,
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
    "model gpt-5 for channel": BOSSES,
    "model gpt-5 for workspace": BOSSES,
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
    "admin": ALL_BOSSES,
    "admin cleanup": ALL_BOSSES,
    "delete s1": {"owner", *ALL_BOSSES},
    "vote A": EVERYBODY,
    "reveal": PARTY,
    "keep A": ANSWERABLE,
    "set verbosity brief": ANYBODY,
}


def form_of(order: str) -> Form:
    """A form that the verb has, a thread's own where it can."""
    forms = VERBS[order.partition(" ")[0]].forms
    wanted = (Form.MESSAGE, Form.BUTTON, Form.HOME)
    return next(form for form in wanted if form in forms)


async def a_table(world: World) -> ThreadKey:
    """The thread that the permission table is about; Alice's s1 is its session."""
    session = await world.asked(1, user=ALICE)
    assert session.handle == "s1"
    await world.asked(2, root=1, user=BOB)
    for user in (WHO["stranger"], WHO["unseeing admin"]):
        world.people.known[user] = Person(user=user, team=TEAM, name="Stranger")
        world.people.hidden.add((user, GENERAL))
    world.doors(Doorkeeping(admins=frozenset({ADA, WHO["unseeing admin"]})))
    return thread_at(1)


def test_every_verb_stands_in_the_permission_table() -> None:
    assert {order.partition(" ")[0] for order in ALLOWED} == set(VERBS)


@pytest.mark.parametrize("order", list(ALLOWED))
async def test_an_order_is_carried_out_for_those_who_may_give_it_and_for_nobody_else(
    world: World, carried: Carried, order: str
) -> None:
    thread = await a_table(world)
    obeyed = set()
    for who, user in WHO.items():
        before = len(carried.asked)
        outcome = await world.order(order, by=user, thread=thread, form=form_of(order))
        done = len(carried.asked) > before
        assert done == (outcome.card.text == f"did {order.partition(' ')[0]}")
        assert done or not outcome.public, "a refusal is nobody else's business"
        if done:
            obeyed.add(who)
    assert obeyed == ALLOWED[order]


@pytest.mark.parametrize("verb", list(VERBS))
@pytest.mark.parametrize("form", list(Form))
async def test_a_form_that_a_verb_does_not_have_is_refused_to_everybody(
    world: World, carried: Carried, verb: str, form: Form
) -> None:
    await world.asked(1, user=ADA)
    thread = thread_at(1)
    words_of = {"delete": " s1"}
    outcome = await world.order(verb + words_of.get(verb, ""), by=ADA, thread=thread, form=form)
    if form in VERBS[verb].forms:
        assert len(carried.asked) == 1
    else:
        assert carried.asked == []
        assert outcome.card.text == texts.NO_LONGER


# What is said to those who may not ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "by", "sentence"),
    [
        ("reset", BOB, texts.NOT_YOURS.format(verb="reset")),
        ("resume s1", BOB, texts.NOT_YOURS.format(verb="resume")),
        ("stop", CAROL, texts.NOT_TAKING_PART.format(verb="stop")),
        ("sessions all", ALICE, texts.ADMINS_ONLY),
        ("model gpt-5 for channel", ALICE, texts.ADMINS_ONLY),
        ("admin cleanup", ALICE, texts.ADMINS_ONLY),
        ("status", WHO["stranger"], access_texts.NOT_SEEN),
        ("status s1", WHO["stranger"], texts.NO_SUCH_SESSION),
        ("export s1", WHO["unseeing admin"], texts.NO_SUCH_SESSION),
        ("delete s1", WHO["stranger"], texts.NO_SUCH_SESSION),
        ("history s999", ALICE, texts.NO_SUCH_SESSION),
        ("delete s999", ADA, texts.NO_SUCH_SESSION),
        ("help", GUS, access_texts.GUEST),
        ("help", EVE, access_texts.OUTSIDER),
        ("abracadabra", ALICE, texts.NO_LONGER),
    ],
)
async def test_a_refusal_says_why_and_tells_nothing_of_places_unseen(
    world: World,
    carried: Carried,  # noqa: ARG001 # nothing is carried out
    order: str,
    by: str,
    sentence: str,
) -> None:
    thread = await a_table(world)
    form = Form.BUTTON if order.startswith("delete") else Form.MESSAGE
    outcome = await world.order(order, by=by, thread=thread, form=form)
    assert outcome == Outcome(card=replace(outcome.card, text=sentence))


async def test_of_a_session_elsewhere_it_counts_what_one_is_there(
    world: World, carried: Carried
) -> None:
    """Bob owns the thread in which he names Alice's session."""
    await world.asked(1, user=ALICE)
    await world.asked(10, user=BOB)
    outcome = await world.order("reset s1", by=BOB, thread=thread_at(10))
    assert outcome.card.text == texts.NOT_YOURS.format(verb="reset")
    await world.order("reset s2", by=BOB, thread=thread_at(1))
    (asked,) = carried.asked
    assert (asked.session and asked.session.number, asked.named, asked.words) == (2, True, "")


async def test_a_place_that_was_left_is_hidden_at_once(world: World, carried: Carried) -> None:
    await world.asked(1, user=ALICE, channel=DEV)
    await world.order("status s1", form=Form.COMMAND)
    world.people.hidden.add((ALICE, DEV))
    outcome = await world.order("status s1", form=Form.COMMAND)
    assert outcome.card.text == texts.NO_SUCH_SESSION
    assert len(carried.asked) == 1


async def test_an_old_button_does_nothing_in_a_place_that_was_left(
    world: World, carried: Carried
) -> None:
    """Also where the session that it names is in a place that is seen."""
    await world.asked(1)
    world.people.hidden.add((ALICE, DEV))
    outcome = await world.order("resume s1", thread=thread_at(10, DEV), form=Form.BUTTON)
    assert (outcome.card.text, carried.asked) == (access_texts.NOT_SEEN, [])


async def test_nothing_is_ordered_about_a_channel_that_was_left(
    world: World, carried: Carried
) -> None:
    """By a command or a button that stands in no thread; where the bot itself is not, orders that
    need no place are carried out."""
    world.people.hidden.add((ALICE, DEV))
    for order in ("help", "model gpt-5", "usage by channel", "ask what is it?"):
        outcome = await world.order(order, form=Form.COMMAND, channel=DEV)
        assert (outcome.card.text, carried.asked) == (access_texts.NOT_SEEN, [])
    world.people.elsewhere.add(DEV)
    await world.order("help", form=Form.COMMAND, channel=DEV)
    assert [asked.order.verb for asked in carried.asked] == ["help"]


async def test_what_is_only_remembered_of_somebody_puts_them_in_charge_of_nothing(
    world: World, carried: Carried
) -> None:
    """Slack does not tell just now who they are; they are told so, and go on as a member."""
    await world.asked(1)
    world.people.silent = True
    for order in ("admin pause", "reset"):
        outcome = await world.order(order, by=ADA, thread=thread_at(1))
        assert (outcome.card.text, carried.asked) == (access_texts.UNSURE, [])
    await world.order("status", by=ADA, thread=thread_at(1))
    assert carried.asked[0].standings == {Standing.MEMBER, Standing.UNSURE}
    assert not carried.asked[0].in_charge


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
    world: World, carried: Carried, order: str, verb: str, said: str, session: int
) -> None:
    """But what is free text stays as it is: `S3` may be something else."""
    await world.asked(1)
    await world.asked(10)
    await world.order(order, thread=thread_at(10))
    (asked,) = carried.asked
    assert asked.order.verb == verb
    assert asked.session is not None
    assert (asked.words, asked.session.number) == (said, session)


async def test_a_button_under_an_answer_is_about_the_session_that_gave_it(
    world: World, carried: Carried
) -> None:
    """Also when it comes to whose it is: the main one is Alice's, the role's Bob's."""
    main = await world.asked(1)
    role = await world.asked(2, root=1, user=BOB, role="review")
    (turn,) = [each.turn for each in (await world.store.remembered(role.number, 0, 9)).turns]
    for by, thread, session in (
        (BOB, thread_at(1), role.number),
        (ALICE, thread_at(1), None),
        (ALICE, thread_at(10), None),
    ):
        carried.asked.clear()
        await world.carry_out(
            Order(
                key=f"press by {by} in {thread}",
                verb="rewind",
                words="",
                by=by,
                form=Form.BUTTON,
                team=TEAM,
                channel=GENERAL,
                thread=thread,
                turn=turn,
            )
        )
        found = [each.session.number for each in carried.asked if each.session is not None]
        assert found == ([] if session is None else [session])
    assert main.number != role.number


# The desk itself ---------------------------------------------------------------------------------


async def test_a_message_that_is_an_order_is_recorded_and_begun_and_no_question(
    world: World, carried: Carried
) -> None:
    message = said(1, text="!help")
    assert (await world.desk.accept(message)).acceptance is Acceptance.ORDER
    assert (await world.desk.accept(message)).acceptance is Acceptance.REPEATED
    again = replace(message, event_id="another event for the same message")
    assert (await world.desk.accept(again)).acceptance is Acceptance.REPEATED
    (order,) = world.begun
    assert world.questions == []
    assert await world.store.find(TEAM, GENERAL, message.ts) is None
    await world.desk.carry_out(order)
    await world.desk.done(order)
    assert [asked.order for asked in carried.asked] == [order]
    assert not await world.store.unfinished_orders()


async def test_any_other_message_goes_to_the_inbox(world: World) -> None:
    message = said(1, text="help me with my letter")
    await world.desk.accept(message)
    assert (world.questions, world.begun) == ([message], [])


async def test_a_double_click_is_one_order(world: World) -> None:
    order = Order(key="press", verb="help", words="", by=ALICE, form=Form.BUTTON, team=TEAM)
    assert await world.desk.take(order)
    assert not await world.desk.take(order)


async def test_what_was_not_carried_out_is_found_at_the_next_start(world: World) -> None:
    order = Order(key="press", verb="help", words="", by=ALICE, form=Form.BUTTON, team=TEAM)
    await world.desk.take(order)
    assert list(await world.store.unfinished_orders()) == [order]
    await world.desk.done(order)
    assert not await world.store.unfinished_orders()


@pytest.mark.parametrize(
    ("trouble", "sentence"),
    [
        (StoreError("disk full"), StoreError.sentence),
        (AgentError(AgentFault.UNSUPPORTED, "no such method"), None),
        (ValueError("/etc/secret"), BotError.sentence),
    ],
)
async def test_trouble_becomes_a_sentence(
    world: World, trouble: Exception, sentence: str | None
) -> None:
    async def fall(asked: Asked) -> Outcome:  # noqa: ARG001 # a handler's
        raise trouble

    world.handlers["help"] = fall
    outcome = await world.order("help", thread=thread_at(1))
    assert outcome.card.text == (sentence or getattr(trouble, "sentence", ""))
    assert str(trouble) not in outcome.card.text


async def test_while_slack_does_not_say_who_somebody_is_nothing_is_done(
    world: World, carried: Carried
) -> None:
    world.people.trouble = True
    outcome = await world.order("help", thread=thread_at(1))
    assert (outcome.card.text, carried.asked) == (BotError.sentence, [])


@pytest.mark.parametrize("verb", sorted(VERBS))
async def test_no_forged_order_reaches_a_session_that_is_not_seen(
    world: World, carried: Carried, verb: str
) -> None:
    """Whatever names it: a handle typed or in a button's value, the thread or the turn that the
    value carries, from wherever it is pressed. What is carried out is about nothing of it."""
    hidden = await world.asked(1, user=ALICE, channel=DEV)
    await world.asked(10, user=BOB)
    world.people.hidden.add((BOB, DEV))
    [turn] = [each.turn for each in (await world.store.remembered(hidden.number, 0, 9)).turns]
    numbers = itertools.count()
    for form in Form:
        for words_said in ("", "s1", "S1", "json s1", "s1 2"):
            for thread in (thread_at(1, DEV), thread_at(10), None):
                for number in (turn, None):
                    await world.carry_out(
                        Order(
                            key=f"forged {next(numbers)}",
                            verb=verb,
                            words=words_said,
                            by=BOB,
                            form=form,
                            team=TEAM,
                            channel="" if form is Form.HOME else GENERAL,
                            thread=thread,
                            turn=number,
                        )
                    )
    about_nothing = VERBS[verb].meant is Meant.NOTHING
    for asked in carried.asked:
        assert asked.session is None or asked.session.number != hidden.number
        assert about_nothing or asked.place is None or asked.place.channel != DEV


# Who is what -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("person", "doors", "out"),
    [
        (PEOPLE[ALICE], Doorkeeping(), None),
        (PEOPLE[GUS], Doorkeeping(), Standing.GUEST),
        (PEOPLE[GUS], Doorkeeping(guests=True), None),
        (PEOPLE[EVE], Doorkeeping(guests=True), Standing.EXTERNAL),
        (PEOPLE[EVE], Doorkeeping(external=True), None),
        (PEOPLE[ROBOT], Doorkeeping(guests=True, external=True), Standing.EXTERNAL),
    ],
)
async def test_guests_and_people_of_elsewhere_are_kept_out_unless_let_in(
    person: Person, doors: Doorkeeping, out: Standing | None
) -> None:
    assert await Access(People(), doors).kept_out(person) is out


LISTED = Doorkeeping(
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
        (ALICE, DEV, Standing.ELSEWHERE),
        (ALICE, DIRECT, Standing.ELSEWHERE),
        (BOB, GENERAL, Standing.UNLISTED),
        (BOB, "", Standing.UNLISTED),
        (BOB, DEV, Standing.UNLISTED),
        (ADA, GENERAL, None),
        (ADA, DEV, Standing.ELSEWHERE),
        (GUS, GENERAL, Standing.GUEST),
        (EVE, GENERAL, Standing.EXTERNAL),
        (ROBOT, GENERAL, Standing.EXTERNAL),
    ],
)
async def test_who_or_where_is_on_no_list_is_kept_out(
    person: str, channel: str, out: Standing | None
) -> None:
    """Those in charge count as listed; a list opens no other door, and channels bind everybody."""
    assert await Access(People(), LISTED).kept_out(PEOPLE[person], channel) is out


@pytest.mark.parametrize("form", [Form.MESSAGE, Form.BUTTON, Form.COMMAND])
async def test_no_order_is_carried_out_for_who_or_where_is_on_no_list(
    world: World, carried: Carried, form: Form
) -> None:
    """Whether it is given there or, by an old button, about a thread there."""
    world.doors(LISTED)
    await world.order("help", by=ALICE, channel=GENERAL, form=form, thread=thread_at(1))
    assert len(carried.asked) == 1
    for by, thread, channel, sentence in (
        (BOB, thread_at(1), GENERAL, access_texts.UNLISTED),
        (ALICE, thread_at(1, DEV), DEV, access_texts.ELSEWHERE),
        (ALICE, thread_at(1, DEV), GENERAL, access_texts.ELSEWHERE),
        (ALICE, thread_at(1), DEV, access_texts.ELSEWHERE),
    ):
        outcome = await world.order("help", by=by, channel=channel, form=form, thread=thread)
        assert outcome.card.text == sentence
    assert len(carried.asked) == 1


@pytest.mark.parametrize(
    ("bot", "channel", "out"),
    [
        ("B0ROBOT", GENERAL, None),
        ("B0ROBOT", DEV, Standing.ELSEWHERE),
        ("B0OTHER", GENERAL, Standing.EXTERNAL),
        (ALICE, GENERAL, Standing.EXTERNAL),
    ],
)
def test_of_other_bots_those_on_the_list_are_let_in_where_people_are(
    bot: str, channel: str, out: Standing | None
) -> None:
    assert Access(People(), LISTED).bot_kept_out(bot, channel) is out


async def test_while_slack_does_not_tell_who_is_in_charge_nobody_unlisted_is_let_in() -> None:
    people = People()
    doors = Doorkeeping(users=frozenset({ALICE}), admin_group="S0PILOTS")
    access = Access(people, doors)
    assert await access.kept_out(PEOPLE[ALICE]) is None
    people.trouble = True
    with pytest.raises(SlackError):
        await access.kept_out(PEOPLE[BOB])


@pytest.mark.parametrize(
    ("person", "doors", "in_charge"),
    [
        (PEOPLE[ALICE], Doorkeeping(), False),
        (PEOPLE[ALICE], Doorkeeping(admins=frozenset({ALICE})), True),
        (replace(PEOPLE[BOB], workspace_admin=True), Doorkeeping(), True),
        (replace(PEOPLE[BOB], workspace_admin=True), Doorkeeping(workspace_admins=False), False),
        (PEOPLE[CAROL], Doorkeeping(admin_group="S0PILOTS"), True),
        (PEOPLE[BOB], Doorkeeping(admin_group="S0PILOTS"), False),
        (PEOPLE[GUS], Doorkeeping(admins=frozenset({GUS}), guests=True), False),
        (PEOPLE[EVE], Doorkeeping(admins=frozenset({EVE}), external=True), False),
    ],
)
async def test_those_in_charge_are_named_by_the_settings_by_slack_or_by_a_group(
    person: Person, doors: Doorkeeping, in_charge: bool
) -> None:
    people = People()
    people.groups["S0PILOTS"] = {CAROL, GUS, EVE}
    assert await Access(people, doors).in_charge(person) is in_charge


async def test_a_thread_without_a_session_is_owned_by_whoever_is_alone_in_it(
    world: World, carried: Carried
) -> None:
    await world.waits(1, user=ALICE)
    await world.order("model gpt-5", by=ALICE, thread=thread_at(1))
    outcome = await world.order("model gpt-5", by=BOB, thread=thread_at(1))
    assert outcome.card.text == texts.NOT_YOURS.format(verb="model")
    await world.waits(2, root=1, user=BOB)
    outcome = await world.order("model gpt-5", by=ALICE, thread=thread_at(1))
    assert outcome.card.text == texts.NOT_YOURS.format(verb="model")
    await world.order("model gpt-5", by=CAROL, thread=thread_at(50))
    assert [asked.person.user for asked in carried.asked] == [ALICE, CAROL]


async def test_guests_who_are_let_in_are_what_everybody_else_is(
    world: World, carried: Carried
) -> None:
    world.doors(Doorkeeping(guests=True))
    await world.asked(1, user=GUS)
    await world.order("reset", by=GUS, thread=thread_at(1))
    assert carried.asked[0].standings == {Standing.MEMBER, Standing.PARTICIPANT, Standing.OWNER}
    assert PEOPLE[GUS].kind is Kind.GUEST


async def test_who_is_blocked_orders_nothing_but_help(world: World) -> None:
    calls: list[str] = []

    async def handler(asked: Asked) -> Outcome:
        calls.append(asked.order.verb)
        return told("done")

    world.handlers |= dict.fromkeys(("help", "sessions", "reset"), handler)
    await world.store.choose(
        Choice(scope=Scope.PERSON, holder=ALICE, topic=Topic.BLOCKED, value="yes", by=ADA, at=1.0)
    )
    for verb in ("help", "sessions", "reset"):
        outcome = await world.order(verb, thread=thread_at(1))
        assert (outcome.card.text == BLOCKED) is (verb != "help")
    assert calls == ["help"]
