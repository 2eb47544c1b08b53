"""Sentences that one person alone is shown: by Slack's answer address, or as an ephemeral post."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import aiohttp
from slack_sdk.errors import SlackClientError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.errors import SlackError
from bot.slack.calls import called


def tell_aside(answer_url: str) -> Callable[[str], Awaitable[None]]:
    """How to tell the person who pressed or commanded something: within 30 minutes, 5 times.

    What comes back raises `SlackError` when Slack does not take the sentence.
    """

    async def tell(sentence: str) -> None:
        if urlsplit(answer_url).scheme not in ("https", "http"):
            raise SlackError("no_answer_address", "the person cannot be told")
        hook = AsyncWebhookClient(url=answer_url, timeout=10)
        try:
            answer = await hook.send(
                text=sentence, response_type="ephemeral", replace_original=False
            )
        except (SlackClientError, aiohttp.ClientError, OSError, ValueError) as error:
            raise SlackError("unreachable", type(error).__name__) from error
        if answer.status_code != 200:
            raise SlackError(f"http_{answer.status_code}", "the person was not told")

    return tell


async def post_aside(
    client: AsyncWebClient, channel: str, user: str, sentence: str, root_ts: str = ""
) -> None:
    """An ephemeral post, for where there is no answer address; in a thread when `root_ts` names
    one that has replies (Slack shows none in a thread that has not begun). Raises `SlackError`.
    """
    await called(
        client.chat_postEphemeral(
            channel=channel, user=user, text=sentence, thread_ts=root_ts or None
        )
    )
