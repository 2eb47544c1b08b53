"""The client through which every call of Slack's Web API goes: timed and counted by its method.

A try is one call: what is tried again counts again. Uploads of files, which go to an address that
Slack gives, and answers to a `response_url` are no methods and are not counted.
"""

from __future__ import annotations

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.ports import Watch


class WatchedClient(AsyncWebClient):
    """Slack's client, watched. It repeats nothing on its own."""

    def __init__(
        self,
        *,
        watch: Watch,
        base_url: str,
        token: str | None = None,
        timeout: int = 30,
        session: aiohttp.ClientSession | None = None,
    ) -> None:
        super().__init__(
            token=token, base_url=base_url, timeout=timeout, session=session, retry_handlers=[]
        )
        self._watch = watch

    async def api_call(  # type: ignore[no-untyped-def]  # what the SDK's methods hand on
        self, api_method: str, **given
    ) -> AsyncSlackResponse:
        with self._watch.calling(api_method) as outcome:
            try:
                answer = await super().api_call(api_method, **given)
            except SlackApiError as error:
                outcome.said = _refusal(error)
                raise
            except (SlackClientError, aiohttp.ClientError, OSError, ValueError):
                outcome.said = "unreachable"
                raise
            outcome.said = "ok"
            return answer


def _refusal(error: SlackApiError) -> str:
    """What kind of no it was, in one of a few words."""
    response = error.response
    if not isinstance(response, AsyncSlackResponse):  # the SDK could not read it
        return "failed"
    data = response.data
    code = data.get("error") if isinstance(data, dict) else None
    if response.status_code == 429 or code in ("ratelimited", "rate_limited"):
        return "ratelimited"
    return "failed" if response.status_code >= 500 or not isinstance(code, str) else "refused"
