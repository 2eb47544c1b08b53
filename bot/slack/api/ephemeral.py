"""Sends messages that only one user sees: by response URL or by chat.postEphemeral."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from slack_sdk.errors import SlackClientError
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.config.parsers import is_loopback
from bot.errors import SlackError
from bot.slack.api.blocks import Block
from bot.slack.api.calls import CALL_SECONDS, CallContext
from bot.slack.api.client import SlackClient
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
    """Answer the user of a button or a command: within 30 minutes, at most 5 times.

    The answer goes into the thread of `root_ts`, if that is given. With `replace_original` it
    replaces the message with the button. Raises `SlackError` if Slack does not accept it.
    """
    if not is_slack_url(response_url):
        raise SlackError("no_answer_address", "the response URL is not Slack's")
    body: dict[str, object] = {
        "text": text,
        "response_type": "ephemeral",
        "replace_original": replace_original,
    }
    if blocks:
        body["blocks"] = list(blocks)
    if root_ts and not replace_original:
        body["thread_ts"] = root_ts
    webhook = AsyncWebhookClient(url=response_url, timeout=_TIMEOUT_SECONDS)
    try:
        response = await webhook.send_dict(body)
    except (SlackClientError, aiohttp.ClientError, OSError, ValueError) as error:
        raise SlackError("unreachable", type(error).__name__) from error
    if response.status_code != 200:
        raise SlackError(f"http_{response.status_code}", "response URL")


def is_slack_url(response_url: str) -> bool:
    """True if a response URL is Slack's own, or the emulator's on this machine.

    Slack's begin with `https://hooks.slack.com/`
    (docs.slack.dev/interactivity/handling-user-interaction). Texts for users are sent to no other
    URL, even if a payload names one.
    """
    try:
        parts = urlsplit(response_url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.username is not None or parts.password is not None:
        return False
    is_slack_host = any(host == domain or host.endswith(f".{domain}") for domain in _SLACK_DOMAINS)
    return (parts.scheme == "https" and is_slack_host) or (
        parts.scheme in ("http", "https") and is_loopback(host)
    )


def responder_for(response_url: str) -> Callable[[str], Awaitable[None]]:
    """A function that sends one sentence by `respond`, with the same limits and errors."""

    async def send(sentence: str) -> None:
        await respond(response_url, sentence)

    return send


async def post_ephemeral(
    client: SlackClient,
    channel: str,
    user: str,
    root_ts: str = "",
    *,
    max_wait: float = _TIMEOUT_SECONDS,
    seconds: float = CALL_SECONDS,
    **content: object,
) -> None:
    """Post an ephemeral message where there is no response URL. Raises `SlackError`.

    `content` is the text in one of Slack's forms; `max_wait` and `seconds` are as in `ApiCaller`.
    With `root_ts` it goes into that thread, which must have replies: Slack shows none in a thread
    without.
    """
    await client.call(
        client.web.chat_postEphemeral,
        CallContext(priority=Priority.HIGH),
        max_wait=max_wait,
        seconds=seconds,
        channel=channel,
        user=user,
        thread_ts=root_ts or None,
        **content,
    )
