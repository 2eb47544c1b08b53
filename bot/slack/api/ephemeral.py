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
from bot.slack.api.calls import Cause
from bot.slack.api.client import Block, Client
from bot.slack.api.rate_limiter import Urgency

_SECONDS = 10
_SLACK: Final = ("slack.com", "slack-gov.com")


async def answer_aside(
    answer_url: str,
    text: str,
    blocks: Sequence[Block] = (),
    *,
    root_ts: str = "",
    replace: bool = False,
) -> None:
    """Answer the person who pressed or commanded something: within 30 minutes, 5 times.

    In the thread of `root_ts`, where it names one; with `replace` in the place of the message that
    was pressed. Raises `SlackError` when Slack does not take it.
    """
    if not is_slacks(answer_url):
        raise SlackError("no_answer_address", "the person cannot be told")
    body: dict[str, object] = {
        "text": text,
        "response_type": "ephemeral",
        "replace_original": replace,
    }
    if blocks:
        body["blocks"] = list(blocks)
    if root_ts and not replace:
        body["thread_ts"] = root_ts
    hook = AsyncWebhookClient(url=answer_url, timeout=_SECONDS)
    try:
        answer = await hook.send_dict(body)
    except (SlackClientError, aiohttp.ClientError, OSError, ValueError) as error:
        raise SlackError("unreachable", type(error).__name__) from error
    if answer.status_code != 200:
        raise SlackError(f"http_{answer.status_code}", "the person was not told")


def is_slacks(answer_url: str) -> bool:
    """Whether an answer address is Slack's own (docs.slack.dev/interactivity/handling-user-
    interaction: `https://hooks.slack.com/…`), or the sandbox's on this machine. Nothing that people
    see is sent anywhere else, whatever a payload says."""
    try:
        address = urlsplit(answer_url)
        host = address.hostname or ""
    except ValueError:
        return False
    if address.username is not None or address.password is not None:
        return False
    slacks = any(host == home or host.endswith(f".{home}") for home in _SLACK)
    return (address.scheme == "https" and slacks) or (
        address.scheme in ("http", "https") and is_loopback(host)
    )


def tell_aside(answer_url: str) -> Callable[[str], Awaitable[None]]:
    """How to tell somebody a sentence by `answer_aside`, with the same bounds and errors."""

    async def tell(sentence: str) -> None:
        await answer_aside(answer_url, sentence)

    return tell


async def post_aside(
    client: Client, channel: str, user: str, sentence: str, root_ts: str = ""
) -> None:
    """An ephemeral post, for where there is no answer address; in a thread when `root_ts` names
    one that has replies (Slack shows none in a thread that has not begun). Raises `SlackError`.
    """
    await client.calls(
        client.web.chat_postEphemeral,
        Cause(urgency=Urgency.FIRST),
        patience=_SECONDS,
        channel=channel,
        user=user,
        text=sentence,
        thread_ts=root_ts or None,
    )
