"""The emulator's page in a real browser: what a user at the keyboard does and sees."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from tests.browser import ChromiumMissingError, chromium, console_errors
from tests.emulator.web.page_fixtures import NOTICE, PageFixture, page_fixture_in_thread
from tests.emulator_client import DEV, GENERAL
from tests.emulator_page import Page


class AppsPage(Page):
    """The page, with the app on the other side of it."""

    def __init__(self, driver: Chrome, stage: PageFixture) -> None:
        super().__init__(driver, stage.url)
        self.stage = stage


@pytest.fixture(scope="module")
def driver() -> Iterator[Chrome]:
    with chromium() as driver:
        yield driver


@pytest.fixture
def page(driver: Chrome) -> Iterator[AppsPage]:
    with page_fixture_in_thread() as stage:
        console_errors(driver)
        page = AppsPage(driver, stage)
        yield page.open()
        assert console_errors(driver) == []
        driver.get("about:blank")


def test_a_mention_is_completed_and_its_answer_streams_into_the_thread(page: AppsPage) -> None:
    field = page.sees(".main .composer-field", "")
    field.send_keys("@thr")
    page.sees(".offer.chosen", "@threadpilot")
    field.send_keys(Keys.TAB, "stream please", Keys.ENTER)

    page.sees(".main .message .chip-user", "@threadpilot")
    page.sees(".thread .status-line", "Threadpilot is thinking…")
    page.sees(".thread .stop-button", "Stop")
    page.stage.go_on()
    page.sees(".thread .message.streaming strong", "first")
    page.sees(".thread .caret", "")
    assert "second" not in page.shows_status()
    page.stage.go_on()
    page.sees(".thread .message code", "second")
    page.stage.go_on()
    page.does_not_see(".thread .streaming, .thread .caret")
    page.does_not_see(".thread .status-line")
    assert page.sees(".thread .message-body", "The first").text == (
        "The first words and the second ones."
    )
    page.sees(".main .thread-link", "1 reply")


def test_stop_ends_the_stream_and_what_was_shown_stays(page: AppsPage) -> None:
    page.write("@threadpilot stream")
    page.sees(".thread .status-line", "is thinking…")
    page.stage.go_on()
    page.sees(".thread .streaming", "The first words")
    page.press(".thread .stop-button")
    page.sees(".thread .message", "Stopped")
    page.does_not_see(".thread .status-line")
    page.does_not_see(".thread .streaming")
    page.sees(".thread .message-body", "The first words")


def test_a_task_card_shows_progress(page: AppsPage) -> None:
    page.write("@threadpilot tasks")
    page.sees(".thread .task-in_progress", "Read the docs")
    page.stage.go_on()
    page.press(".thread .task-complete summary", "Read the docs")
    page.sees(".thread .task-complete", "Found 3 pages")
    page.sees(".thread .message", "That is it.")


def test_a_button_confirms_if_the_app_asks_for_it_and_then_reaches_the_app(page: AppsPage) -> None:
    page.write("@threadpilot buttons")
    page.press(".thread .button", "Press me")
    page.press("dialog .button", "No")
    page.does_not_see("dialog")
    page.press(".thread .button", "Press me")
    page.sees("dialog", "It cannot be undone.")
    page.press("dialog .button", "Yes, press")
    page.sees(".thread .message", "Pressed with 7 by @alice")


def test_a_choice_is_reported_to_the_app(page: AppsPage) -> None:
    page.write("@threadpilot buttons")
    page.click(".thread select", "", lambda one: Select(one).select_by_visible_text("Large"))
    page.sees(".thread .message", "Chosen: large")


def test_a_command_opens_a_form_that_shows_what_is_wrong_and_is_then_sent(page: AppsPage) -> None:
    field = page.sees(".main .composer-field", "")
    field.send_keys("/fo")
    page.sees(".offer.chosen", "Opens a form")
    field.send_keys(Keys.TAB, Keys.ENTER)

    page.sees("dialog h2", "A form")
    words = page.sees("dialog input[type=text]", "")
    page.press("dialog .button", "Send it")
    page.sees("dialog .field-error", "Please complete this required field.")
    words.send_keys("ab")
    page.press("dialog .choice", "Large")
    page.press("dialog .button", "Send it")
    page.sees("dialog .field-error", "Write at least 3 letters.")
    words.send_keys("cd", Keys.ENTER)
    page.does_not_see("dialog")
    page.sees(".main .message", "@alice sent abcd, large")


@pytest.mark.parametrize("way", ["button", "escape"])
def test_a_form_can_be_left(page: AppsPage, way: str) -> None:
    page.write("/form")
    page.sees("dialog h2", "A form")
    if way == "button":
        page.press("dialog .button", "Never mind")
    else:
        page.sees("dialog input[type=text]", "").send_keys(Keys.ESCAPE)
    page.does_not_see("dialog")


def test_a_command_in_a_thread_is_refused_as_slack_does_and_is_not_lost(page: AppsPage) -> None:
    page.write("Hello")
    page.press(".main .message", "Hello")
    page.hover(".main .message", "Hello")
    page.press(".main .message-tools [aria-label='Reply in thread']")
    page.reply("/form")
    page.sees(".toast", "can't be used in threads")
    page.until(
        lambda: page.sees(".thread .composer-field", "").get_attribute("value") == "/form",
        "the command back in the composer",
    )


def test_what_was_typed_survives_the_apps_change_of_the_form(page: AppsPage) -> None:
    page.write("/form")
    page.sees("dialog input[type=text]", "").send_keys("half a sen")
    page.press("dialog .choice", "Large")
    page.press("dialog .button", "Tell me more")
    page.sees("dialog", "More about it")
    page.sees("dialog input[type=text]", "").send_keys("tence")
    page.press("dialog .button", "Send it")
    page.sees(".main .message", "@alice sent half a sentence, large")


def test_every_kind_of_block_is_drawn_and_no_picture_is_fetched(page: AppsPage) -> None:
    page.write("@threadpilot showcase")
    page.sees(".thread .block-header", "A header with <b>no</b> markup")
    for selector, text in (
        (".block-fields strong", "Two"),
        (".block-context em", "context"),
        (".block-image a", "Image: A chart"),
        (".prose li strong", "rich"),
        (".table-wrap th", "year"),
        (".table-wrap td", "1991"),
        (".prose h2", "A heading"),
    ):
        page.sees(f".thread {selector}", text)
    assert page.driver.find_elements(By.TAG_NAME, "img") == []
    page.press(".thread .feedback [aria-label=Good]")
    page.sees(".thread .message.ephemeral", "You said: good")


def test_suggested_prompts_are_put_into_the_composer_to_be_looked_over(page: AppsPage) -> None:
    page.write("@threadpilot prompts")
    page.sees(".thread .prompts", "Ask on:")
    page.press(".thread .prompt", "An example?")
    field = page.sees(".thread .composer-field", "")
    assert field.get_attribute("value") == "Show me an example."
    field.send_keys(Keys.ENTER)
    page.sees(".thread .message", "Show me an example.")


def test_an_ephemeral_message_can_be_dismissed(page: AppsPage) -> None:
    page.write("@threadpilot ephemeral")
    page.press(".only-you button", "Dismiss")
    page.does_not_see(".message.ephemeral")


def test_an_ephemeral_message_is_marked_and_shown_to_one_user_only(
    page: AppsPage,
) -> None:
    page.write("@threadpilot ephemeral")
    page.sees(".main .message.ephemeral .only-you", "Only visible to you")
    page.sees(".main .message.ephemeral", "A secret between us")
    page.press(".person", "bob")
    page.sees(".person.chosen", "bob")
    page.sees(".main .message", "ephemeral")
    assert "A secret between us" not in page.shows_status()


def test_lists_and_menus_in_an_ephemeral_message_are_used_in_place(page: AppsPage) -> None:
    page.write("@threadpilot ephemeral")
    page.sees(".message.ephemeral", "A secret between us")
    chosen = page.sees(".message.ephemeral select", "")
    assert Select(chosen).first_selected_option.text == "Large"
    Select(chosen).select_by_visible_text("Small")
    page.sees(".message.ephemeral", "small")
    page.press(".message.ephemeral [data-action=pick]")
    page.press(".menu-item", "Large")
    page.sees(".message.ephemeral", "large")
    assert len(page.driver.find_elements(By.CSS_SELECTOR, ".message.ephemeral")) == 1


def test_a_message_shortcut_reaches_the_app(page: AppsPage) -> None:
    page.write("Look here")
    page.menu_of("Look here")
    page.press(".menu-item", "Look at this")
    page.sees(".main .message.ephemeral", "You looked at: Look here")


def test_what_the_app_writes_is_text_and_a_ping_is_loud(page: AppsPage) -> None:
    page.write("@threadpilot hostile")
    body = page.sees(".thread .message-body", "<script>window.hacked = 1</script>")
    assert "<img src=x onerror='window.hacked = 1'>" in body.text
    assert body.find_elements(By.CSS_SELECTOR, "script, img, a") == []
    assert "pings everyone" in body.find_element(By.CSS_SELECTOR, ".chip-ping").text
    assert body.find_element(By.CSS_SELECTOR, ".chip-user").text == "@bob"
    assert page.driver.execute_script("return window.hacked") is None


def test_ones_own_message_can_be_edited_and_deleted(page: AppsPage) -> None:
    page.write("Frist")
    page.menu_of("Frist")
    page.press(".menu-item", "Edit message")
    field = page.sees(".edit-field", "")
    field.clear()
    field.send_keys("First", Keys.ENTER)
    page.sees(".main .message", "First (edited)")
    page.menu_of("First")
    page.press(".menu-item", "Delete message")
    page.press("dialog .button", "Delete message")
    page.does_not_see(".main .message")


def test_what_becomes_of_a_message_while_it_is_being_edited_is_shown_after_that(
    page: AppsPage,
) -> None:
    """The event of an edit may come before the response to it, too."""
    ts = page.stage.run(page.stage.client.say("alice", GENERAL, "Frist"))
    page.menu_of("Frist")
    page.press(".menu-item", "Edit message")
    page.sees(".edit-field", "")
    page.stage.run(page.stage.client.edit("alice", GENERAL, ts, "Second"))
    page.stage.run(page.stage.client.say("bob", GENERAL, "Seen"))
    page.sees(".main .message", "Seen")
    page.sees(".edit-field", "").send_keys(Keys.ESCAPE)
    page.sees(".main .message", "Second (edited)")


def test_another_users_message_offers_no_edit(page: AppsPage) -> None:
    page.stage.run(page.stage.client.say("bob", GENERAL, "Bob was here"))
    page.menu_of("Bob was here")
    assert "Edit" not in page.sees(".menu", "").text


def test_a_reaction_is_added_counted_and_removed(page: AppsPage) -> None:
    ts = page.stage.run(page.stage.client.say("bob", GENERAL, "React to this"))
    page.stage.run(page.stage.client.react("bob", GENERAL, ts, "tada"))
    page.press(".reaction", "1")
    page.sees(".reaction.mine", "2")
    page.press(".reaction.mine")
    page.sees(".reaction:not(.mine)", "1")
    page.hover(".message", "React")
    page.press(".message-tools [aria-label='Add a reaction']")
    page.press(".picker-item[title=':heart:']")
    page.sees(".reaction.mine[title*=':heart:']", "1")


def test_the_home_tab_is_published_when_it_is_opened(page: AppsPage) -> None:
    page.press(".entry", "Home")
    page.sees(".home strong", "at home")


def test_a_direct_message_with_the_app_begins_from_the_sidebar(page: AppsPage) -> None:
    page.press(".entry[data-goes=direct]")
    page.sees(".main .pane-head", "App")
    page.write("Are you there?")
    page.sees(".main .message", "Are you there?")


def test_another_user_has_another_view(page: AppsPage) -> None:
    page.write("From alice")
    page.press(".person", "eve")
    page.sees(".main .message", "From alice")
    page.write("From outside")
    message = page.sees(".main .message", "From outside")
    assert "other workspace" in message.text


def test_news_in_another_channel_is_marked(page: AppsPage) -> None:
    page.stage.run(page.stage.client.say("bob", DEV, "Over here"))
    page.press(".entry.unread", "dev")
    page.sees(".main .message", "Over here")
    page.does_not_see(".entry.unread")


def test_the_notice_is_plain_text_and_can_be_put_away(page: AppsPage) -> None:
    assert page.sees(".notice", "only for a test").text == NOTICE
    page.press(".notice button")
    page.does_not_see(".notice")


def test_a_lost_connection_is_reported_and_nothing_is_missed(page: AppsPage) -> None:
    page.write("Before")
    page.sees(".main .message", "Before")
    page.driver.execute_cdp_cmd("Network.enable", {})
    page.driver.execute_cdp_cmd(
        "Network.emulateNetworkConditions",
        {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1},
    )
    page.stage.run(page.stage.client.reset())
    page.sees(".cut", "Reconnecting")
    page.driver.execute_cdp_cmd(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1},
    )
    page.stage.run(page.stage.client.say("bob", GENERAL, "While you were away"))
    page.does_not_see(".cut")
    page.sees(".main .message", "While you were away")
    page.does_not_see(".main .message[aria-label^=Alice]")


def test_the_inspector_lists_the_apps_calls_with_what_was_refused(page: AppsPage) -> None:
    page.press(".inspector > summary")
    page.stage.run(page.stage.client.fault("chat.postEphemeral", "error", error="fatal_error"))
    page.write("@threadpilot ephemeral")
    page.sees(".call-refused", "fatal_error")
    page.sees(".call-refused .call-method", "chat.postEphemeral")


def test_the_page_can_be_used_by_keyboard_alone(page: AppsPage) -> None:
    page.write("One")
    page.sees(".main .message", "One")
    page.write("Two")
    page.sees(".main .message", "Two")
    listed = page.sees(".main .list", "")
    listed.send_keys(Keys.ARROW_UP)
    focused = page.driver.switch_to.active_element
    assert "Two" in focused.text
    focused.send_keys(Keys.TAB)
    assert page.driver.switch_to.active_element.get_attribute("aria-label") == "Add a reaction"
    page.driver.switch_to.active_element.send_keys(Keys.TAB, Keys.ENTER)
    thread = page.sees(".thread .composer-field", "")
    page.until(lambda: page.driver.switch_to.active_element == thread, "focus in the thread")
    thread.send_keys(Keys.ESCAPE)
    page.does_not_see(".thread")


@pytest.mark.parametrize("address", ["<script>/NOWHERE/../x", "UALICE/C0NOWHERE/1.2", "UBOB/../"])
def test_an_invalid_address_leads_to_a_channel(page: AppsPage, address: str) -> None:
    page.driver.get("about:blank")
    page.driver.get(f"{page.stage.url}/#/{address}")
    page.sees(".main h1", "general")


def test_an_address_of_an_unknown_user_leads_to_a_known_one(page: AppsPage) -> None:
    page.driver.get("about:blank")
    page.driver.get(f"{page.stage.url}/#/UNOBODY/{DEV}")
    page.sees(".person.chosen", "alice")
    page.sees(".main h1", "dev")
    console_errors(page.driver)  # the refused event stream is one of them


def test_without_chromium_the_error_says_what_to_do(tmp_path: Path) -> None:
    missing = chromium(binary=tmp_path / "chromium")
    with pytest.raises(ChromiumMissingError, match="make setup-tests"), missing:
        pass


def test_a_link_to_a_message_opens_its_thread_in_the_page(page: AppsPage) -> None:
    client, run = page.stage.client, page.stage.run
    ts = run(client.say("bob", GENERAL, "the beginning"))
    permalink = run(client.as_app("chat.getPermalink", channel=GENERAL, message_ts=ts))
    link = str(permalink["permalink"])
    elsewhere = link.replace(GENERAL, "C0SECRET")
    run(client.say("bob", DEV, f"look at {link} and {elsewhere}"))
    page.open("UEVE", DEV)
    page.press(".main a", link)
    page.sees(".thread .message", "the beginning")
    page.sees(".person.chosen", "eve")
    page.press(f".entry[data-goes={DEV}]")
    page.press(".main a", elsewhere)
    page.sees(".toast", "a channel that you are not in")
    page.driver.get("about:blank")
    page.driver.get(link)
    page.sees(".thread .message", "the beginning")
