"""Nothing that is stored in the emulator runs in the page, for any author and any place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import pytest
from selenium.webdriver import Chrome

from tests.browser import chromium, console_errors
from tests.emulator.web.page_fixtures import PageFixture, page_fixture_in_thread
from tests.emulator_client import BOT_USER, DEV, GENERAL, Json
from tests.emulator_page import Page

MARK: Final = "evil"
ATTACKS: Final = (
    "<script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 1'>",
    "\"'><svg onload=window.hacked=1>",
    "[evil](javascript:window.hacked=1)",
    "<javascript:window.hacked=1|evil>",
    "<https://evil.example\"onmouseover=\"window.hacked=1|evil>",
    "[https://bank.example](data:text/html,<script>window.hacked=1</script>)",
    "`evil`</code></pre><script>window.hacked=1</script>",
    "{{constructor.constructor('window.hacked=1')()}}${window.hacked=1}",
    "__proto__ constructor toString evil",
    "\u202eevil\u2066<iframe srcdoc='<script>parent.hacked=1</script>'>",
)  # fmt: skip
HOSTILE: Final = f"{MARK} {' '.join(ATTACKS)}"

# Texts that would run, or would link to something that runs.
LIVE: Final = """
const bad = [];
for (const one of document.querySelectorAll("*")) {
  const here = one.closest(".main, .thread, .sidebar, dialog, aside, nav") !== null;
  if (here && /^(script|img|iframe|object|embed|base|link|meta|style)$/i.test(one.localName))
    bad.push(one.outerHTML.slice(0, 200));
  for (const { name, value } of one.attributes)
    if (/^on/i.test(name) || (/^(href|src|action|srcdoc|formaction)$/i.test(name)
        && !/^(https?:|mailto:|[/#.]|[a-z0-9_-]+[.](js|css|svg|png)$|$)/i.test(value.trim())
        && one.localName !== "link"))
      bad.push(`${one.localName} ${name}=${value.slice(0, 100)}`);
}
return [window.hacked ?? null, bad];
"""


@pytest.fixture(scope="module")
def driver() -> Iterator[Chrome]:
    with chromium() as driver:
        yield driver


@pytest.fixture
def stage() -> Iterator[PageFixture]:
    with page_fixture_in_thread() as stage:
        yield stage


async def renamed(stage: PageFixture) -> None:
    """Bob, the app and a channel get this name; the channel also gets it as topic."""
    workspace = stage.workspace
    for user in ("UBOB", BOT_USER):
        workspace.users[user] = replace(workspace.users[user], name=HOSTILE, real_name=HOSTILE)
    workspace.channels[DEV] = replace(workspace.channels[DEV], name=HOSTILE, topic=HOSTILE)


async def post_as_users(stage: PageFixture) -> str:
    """Messages, a file and its title, and a reaction; returns the thread."""
    client = stage.client
    root = await client.say("bob", GENERAL, HOSTILE)
    await client.say("alice", GENERAL, HOSTILE, thread_ts=root)
    name = "evil '\"><img src=x onerror=window.hacked=1>.html"
    upload = await client.call("bob", "files.getUploadURLExternal", filename=name, length=20)
    script = b"<script>x()</script>"
    async with client.http.post(upload["upload_url"], data=script) as answer:
        assert answer.status == 200
    await client.call(
        "bob",
        "files.completeUploadExternal",
        files=[{"id": upload["file_id"], "title": HOSTILE}],
        channel_id=GENERAL,
        initial_comment=HOSTILE,
    )
    return root


def text(kind: str) -> Json:
    return {"type": kind, "text": HOSTILE}


BLOCKS: Final[list[Json]] = [
    {"type": "header", "text": {"type": "plain_text", "text": HOSTILE[:150]}},
    {"type": "section", "text": text("mrkdwn"), "fields": [text("plain_text"), text("mrkdwn")]},
    {"type": "context", "elements": [text("mrkdwn")]},
    {"type": "markdown", "text": HOSTILE},
    {
        "type": "actions",
        "elements": [
            {
                "type": "button",
                "action_id": "evil",
                "text": {"type": "plain_text", "text": HOSTILE[:75]},
                "value": HOSTILE,
            },
            {
                "type": "static_select",
                "action_id": "evils",
                "placeholder": {"type": "plain_text", "text": HOSTILE[:150]},
                "options": [
                    {"text": {"type": "plain_text", "text": HOSTILE[:75]}, "value": HOSTILE[:150]}
                ],
            },
        ],
    },
]


async def post_as_app(stage: PageFixture, root: str) -> None:
    """Post under a name of its choice: blocks, an ephemeral message, a status, a stream, the Home
    tab."""
    client = stage.client
    place = {"channel": GENERAL, "thread_ts": root}
    await client.as_app("chat.postMessage", **place, text=HOSTILE, username=HOSTILE)
    await client.as_app("chat.postMessage", **place, text=HOSTILE, blocks=BLOCKS)
    await client.as_app("chat.postMessage", **place, markdown_text=HOSTILE)
    await client.as_app("chat.postEphemeral", **place, user="UALICE", text=HOSTILE, blocks=BLOCKS)
    begun = await client.as_app(
        "chat.startStream",
        **place,
        recipient_user_id="UALICE",
        recipient_team_id="T0SANDBOX",
        markdown_text=HOSTILE,
    )
    await client.as_app("chat.appendStream", channel=GENERAL, ts=begun["ts"], markdown_text=HOSTILE)
    await client.as_app(
        "assistant.threads.setStatus", channel_id=GENERAL, thread_ts=root, status=HOSTILE[:100]
    )
    await client.as_app("views.publish", user_id="UALICE", view={"type": "home", "blocks": BLOCKS})


def assert_nothing_ran(driver: Chrome) -> None:
    hacked, live = driver.execute_script(LIVE)
    assert (hacked, live) == (None, [])
    assert console_errors(driver) == []


def test_hostile_messages_names_files_and_channels_are_only_text(
    driver: Chrome, stage: PageFixture
) -> None:
    stage.run(renamed(stage))
    root = stage.run(post_as_users(stage))
    stage.run(post_as_app(stage, root))
    console_errors(driver)
    page = Page(driver, stage.url).open()
    page.sees(".main .message", MARK)
    page.sees(".sidebar", MARK)
    assert_nothing_ran(driver)

    driver.get(f"{stage.url}/archives/{GENERAL}/p{root.replace('.', '')}")
    page.sees(".thread .message", MARK)
    page.sees(".thread .block-header", MARK)
    page.sees(".thread .message.streaming", MARK)
    assert_nothing_ran(driver)
    shown = page.shows_status()
    assert "<script>window.hacked = 1</script>" in shown
    driver.get("about:blank")


def test_a_stored_file_is_handed_out_as_a_download_and_never_as_a_page(stage: PageFixture) -> None:
    """Opened in the browser by its address, it would run with the page's origin."""
    stage.run(post_as_users(stage))

    async def headers() -> tuple[str, str]:
        message = (await stage.client.history(GENERAL))[0]
        address = message["files"][0]["url_private"]
        bearer = {"Authorization": "Bearer xoxp-alice"}
        async with stage.client.http.get(address, headers=bearer) as answer:
            return answer.headers["Content-Type"], answer.headers["X-Content-Type-Options"]

    assert stage.run(headers()) == ("application/octet-stream", "nosniff")
