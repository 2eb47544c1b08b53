"""Slack's own Python SDK finds the same users and channels in the emulator as in Slack."""

from __future__ import annotations

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.web.async_client import AsyncWebClient

from tests.conformance.http_client import APP, BOB, BOT, DEV, GENERAL, SECRET, TEAM, Outside
from tests.conformance.sdk_client import client_for, code_of

# Identity


async def test_an_app_learns_its_identity(slack: AsyncWebClient) -> None:
    me = await slack.auth_test()
    assert me["team_id"] == TEAM
    assert me["user_id"].startswith("U")
    assert me["bot_id"].startswith("B")
    assert me["url"].startswith("http")
    assert "chat:write" in me.headers["x-oauth-scopes"]
    bot = await slack.bots_info(bot=me["bot_id"])
    assert bot["bot"]["id"] == me["bot_id"]
    assert bot["bot"]["user_id"] == me["user_id"]
    team = await slack.team_info()
    assert team["team"]["id"] == TEAM


async def test_users_bots_and_admins_are_distinguished(
    slack: AsyncWebClient, alice: AsyncWebClient, outside: Outside
) -> None:
    bot = (await slack.auth_test())["user_id"]
    admin = (await alice.auth_test())["user_id"]
    other = (await client_for(outside, BOB).auth_test())["user_id"]
    assert (await slack.users_info(user=bot))["user"]["is_bot"] is True
    assert (await slack.users_info(user=admin))["user"]["is_admin"] is True
    assert (await slack.users_info(user=other))["user"]["is_admin"] is False
    assert (await slack.users_info(user=other))["user"]["is_bot"] is False
    assert await code_of(slack.users_info(user="U0NOBODY")) == "user_not_found"


async def test_api_test_gives_back_what_it_got(slack: AsyncWebClient) -> None:
    assert (await slack.api_test(foo="bar"))["args"]["foo"] == "bar"
    assert await code_of(slack.api_test(error="my_error")) == "my_error"


@pytest.mark.parametrize(
    ("token", "code"),
    [(None, "not_authed"), ("xoxb-wrong", "invalid_auth"), (APP, "not_allowed_token_type")],
)
async def test_a_wrong_token_is_refused(outside: Outside, token: str | None, code: str) -> None:
    """As Slack does, with HTTP status 200 and the reason in the response."""
    assert await code_of(client_for(outside, token).users_info(user="U1")) == code


async def test_only_the_app_token_opens_connections(slack: AsyncWebClient) -> None:
    opened = await slack.apps_connections_open(app_token=APP)
    assert opened["url"].startswith("ws")
    assert await code_of(slack.apps_connections_open(app_token=BOT)) == "not_allowed_token_type"


async def test_an_unknown_method_is_named_so(slack: AsyncWebClient) -> None:
    assert await code_of(slack.api_call("chat.sing")) == "unknown_method"


# Channels and users


async def test_the_channel_list_iterates_page_by_page(slack: AsyncWebClient) -> None:
    """The SDK's own iteration follows next_cursor until there is none."""
    names = []
    pages = 0
    async for page in await slack.conversations_list(limit=1):
        pages += 1
        assert len(page["channels"]) <= 1
        names += [channel["name"] for channel in page["channels"]]
    assert pages >= 2
    assert {"general", "dev"} <= set(names)
    assert len(names) == len(set(names))


async def test_history_and_replies_iterate_page_by_page(
    slack: AsyncWebClient, alice: AsyncWebClient
) -> None:
    posted = [
        (await alice.chat_postMessage(channel=GENERAL, text=f"number {n}"))["ts"] for n in range(7)
    ]
    for n in range(5):
        await alice.chat_postMessage(channel=GENERAL, thread_ts=posted[0], text=f"reply {n}")
    seen = []
    async for page in await slack.conversations_history(channel=GENERAL, limit=3):
        assert len(page["messages"]) <= 3
        seen += [message["ts"] for message in page["messages"]]
    assert seen == sorted(posted, reverse=True), "newest first, each once, no replies among them"
    texts = []
    async for page in await slack.conversations_replies(channel=GENERAL, ts=posted[0], limit=2):
        texts += [message["text"] for message in page["messages"] if message["ts"] != posted[0]]
    assert texts == [f"reply {n}" for n in range(5)]


async def test_history_can_be_cut_by_time(slack: AsyncWebClient, alice: AsyncWebClient) -> None:
    posted = [
        (await alice.chat_postMessage(channel=GENERAL, text=f"number {n}"))["ts"] for n in range(4)
    ]
    page = await slack.conversations_history(channel=GENERAL, oldest=posted[1], latest=posted[3])
    assert [message["ts"] for message in page["messages"]] == [posted[2]]
    page = await slack.conversations_history(
        channel=GENERAL, oldest=posted[1], latest=posted[2], inclusive=True
    )
    assert [message["ts"] for message in page["messages"]] == [posted[2], posted[1]]


async def test_a_root_counts_its_replies(slack: AsyncWebClient, alice: AsyncWebClient) -> None:
    root = (await alice.chat_postMessage(channel=GENERAL, text="a question"))["ts"]
    await slack.chat_postMessage(channel=GENERAL, thread_ts=root, text="an answer")
    shown = (await slack.conversations_replies(channel=GENERAL, ts=root))["messages"]
    assert shown[0]["reply_count"] == 1
    assert shown[0]["thread_ts"] == shown[1]["thread_ts"] == root
    assert "thread_ts" not in (await alice.chat_postMessage(channel=GENERAL, text="x"))["message"]
    assert await code_of(slack.conversations_replies(channel=GENERAL, ts="1.000001")) == (
        "thread_not_found"
    )


async def test_channels_and_users_are_described(slack: AsyncWebClient) -> None:
    info = (await slack.conversations_info(channel=DEV))["channel"]
    assert info["id"] == DEV
    assert info["name"] == "dev"
    assert info["is_member"] is True
    assert info["is_im"] is False
    bot = (await slack.auth_test())["user_id"]
    members: list[str] = []
    async for page in await slack.conversations_members(channel=GENERAL, limit=2):
        members += page["members"]
    assert bot in members
    assert len(members) == len(set(members)) >= 4
    everyone: list[str] = []
    async for page in await slack.users_list(limit=2):
        everyone += [user["name"] for user in page["members"]]
    assert {"alice", "bob", "carol"} <= set(everyone)
    mine = await slack.users_conversations(types="public_channel,private_channel")
    assert {channel["id"] for channel in mine["channels"]} == {GENERAL, DEV}
    assert await code_of(slack.conversations_info(channel="C0NOWHERE")) == "channel_not_found"


async def test_a_direct_message_is_opened_once(
    slack: AsyncWebClient, alice: AsyncWebClient
) -> None:
    me = (await alice.auth_test())["user_id"]
    opened = await slack.conversations_open(users=me)
    channel = opened["channel"]["id"]
    assert channel.startswith("D")
    assert (await slack.conversations_open(users=me))["channel"]["id"] == channel
    described = (await slack.conversations_info(channel=channel))["channel"]
    assert described["is_im"] is True
    assert described["user"] == me


async def test_the_app_cannot_write_where_it_is_not(slack: AsyncWebClient) -> None:
    """The app is not in #secret: the error is the same as for a channel that does not exist."""
    code = await code_of(slack.chat_postMessage(channel=SECRET, text="hello"))
    assert code in {"channel_not_found", "not_in_channel"}
    assert await code_of(slack.conversations_history(channel=SECRET)) in {
        "channel_not_found",
        "not_in_channel",
    }


async def test_arguments_may_come_as_a_form_or_as_json(outside: Outside) -> None:
    """Slack accepts both, and blocks as a JSON string inside a form."""
    headers = {"Authorization": f"Bearer {BOT}"}
    form = {"channel": GENERAL, "text": "t", "blocks": '[{"type":"divider"}]'}
    address = f"{outside.url}/api/chat.postMessage"
    async with outside.http.post(address, data=form, headers=headers) as answer:
        posted = await answer.json()
    assert posted["ok"] is True, posted
    assert posted["message"]["blocks"][0]["type"] == "divider"
    multipart = aiohttp.FormData(default_to_multipart=True)
    for name, value in {"channel": GENERAL, "text": "by parts", "token": BOT}.items():
        multipart.add_field(name, value)
    async with outside.http.post(address, data=multipart) as answer:
        posted = await answer.json()
    assert posted["ok"] is True, posted
    async with outside.http.get(f"{outside.url}/api/auth.test", params={"token": BOT}) as answer:
        assert (await answer.json())["ok"] is True


# Rate limits


async def test_the_sdk_waits_as_long_as_slack_asks(outside: Outside) -> None:
    """The SDK's own handler understands 429 with Retry-After, and the call then succeeds."""
    await outside.control(
        "faults",
        {"method": "chat.postMessage", "times": 1, "kind": "429", "retry_after": 1},
    )
    patient = AsyncWebClient(
        token=BOT,
        base_url=f"{outside.url}/api/",
        retry_handlers=[AsyncRateLimitErrorRetryHandler(max_retry_count=1)],
    )
    posted = await patient.chat_postMessage(channel=GENERAL, text="at last")
    assert posted["ok"] is True
    assert len(await outside.messages(GENERAL)) == 1


async def test_too_many_calls_are_slowed_down(slack: AsyncWebClient) -> None:
    """apps.connections.open is Tier 1: a burst of calls gets 429 with Retry-After."""

    async def burst() -> None:
        for _ in range(30):
            await slack.apps_connections_open(app_token=APP)

    with pytest.raises(SlackApiError) as refused:
        await burst()
    assert refused.value.response["error"] in {"ratelimited", "rate_limited"}
    assert refused.value.response.status_code == 429
    assert int(refused.value.response.headers["Retry-After"]) >= 1
