"""What one person alone is shown: by Slack's answer address, or as an ephemeral post."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from slack_sdk.errors import SlackClientError
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.config.parsers import is_loopback
from bot.errors import SlackError
from bot.slack.api.calls import CallContext
from bot.slack.api.client import Block, SlackClient
from bot.slack.api.rate_limiter import Priority

_TIMEOUT_SECONDS = 10
_SLACK_DOMAINS: Final = ("slack.com", "slack-gov.com")


async def respond(
    response_url: str,
    text: str,
    blocks: Sequence[Block] = (),
    *,
    root_ts: str = "",
    replace_original: bool = False,
) -> None:
    """Answer the person who pressed or commanded something: within 30 minutes, 5 times.

    In the thread of `root_ts`, where it names one; with `replace` in the place of the message that
    was pressed. Raises `SlackError` when Slack does not take it.
    """
    if not is_slack_url(response_url):
        raise SlackError("no_answer_address", "the person cannot be told")
    body: dict[str, object] = {
        "text": text,
        "response_type": "ephemeral",
        "replace_original": replace_original,
    }
    if blocks:
        body["blocks"] = list(blocks)
    if root_ts and not replace_original:
        body["thread_ts"] = root_ts
    hook = AsyncWebhookClient(url=response_url, timeout=_TIMEOUT_SECONDS)
    try:
        answer = await hook.send_dict(body)
    except (SlackClientError, aiohttp.ClientError, OSError, ValueError) as error:
        raise SlackError("unreachable", type(error).__name__) from error
    if answer.status_code != 200:
        raise SlackError(f"http_{answer.status_code}", "the person was not told")


def is_slack_url(response_url: str) -> bool:
    """Whether an answer address is Slack's own (docs.slack.dev/interactivity/handling-user-
    interaction: `https://hooks.slack.com/…`), or the sandbox's on this machine. Nothing that people
    see is sent anywhere else, whatever a payload says."""
    try:
        address = urlsplit(response_url)
        host = address.hostname or ""
    except ValueError:
        return False
    if address.username is not None or address.password is not None:
        return False
    slacks = any(host == home or host.endswith(f".{home}") for home in _SLACK_DOMAINS)
    return (address.scheme == "https" and slacks) or (
        address.scheme in ("http", "https") and is_loopback(host)
    )


def responder_for(response_url: str) -> Callable[[str], Awaitable[None]]:
    """How to tell somebody a sentence by `respond`, with the same bounds and errors."""

    async def tell(sentence: str) -> None:
        await respond(response_url, sentence)

    return tell


async def post_ephemeral(
    client: SlackClient, channel: str, user: str, text: str, root_ts: str = ""
) -> None:
    """An ephemeral post, for where there is no answer address; in a thread when `root_ts` names
    one that has replies (Slack shows none in a thread that has not begun). Raises `SlackError`.
    """
    await client.call(
        client.web.chat_postEphemeral,
        CallContext(priority=Priority.HIGH),
        max_wait=_TIMEOUT_SECONDS,
        channel=channel,
        user=user,
        text=text,
        thread_ts=root_ts or None,
    )
