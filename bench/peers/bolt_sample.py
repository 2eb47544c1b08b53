"""Runs a bot like Slack's samples on Bolt, answered by Copilot sessions: a peer of the bot.

It has the shape of Slack's own samples for AI apps (`bolt-python-ai-chatbot`, and
`ChatGPT-in-Slack` by Bolt's author). It answers a mention by a placeholder at once, and edits it
into the answer after each 20 pieces and at the end. Sessions are in a dict; nothing outlives the
process. Started as

    python -m bench.peers.bolt_sample http://127.0.0.1:…/api/ <the model's base URL> <folder>
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import Final

from copilot import CopilotClient, CopilotSession
from copilot.session_events import (
    AssistantMessageDeltaData,
    SessionErrorData,
    SessionEvent,
    SessionIdleData,
)
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp, AsyncSay
from slack_sdk.web.async_client import AsyncWebClient

from bench.bare import session_options, started
from slack_emulator.state.entities import APP_TOKEN, BOT_TOKEN, SIGNING_SECRET

READY: Final = "Bolt sample is connected to Slack"
PLACEHOLDER: Final = "Wait a second, please ..."
GROWING: Final = " ... :writing_hand:"
PIECES_AN_EDIT: Final = 20


class Answers:
    """Answers mentions by one session for each thread."""

    def __init__(self, client: CopilotClient, model_url: str) -> None:
        self._client = client
        self._given = session_options(model_url)
        self._sessions: dict[str, CopilotSession] = {}

    async def mentioned(self, event: dict[str, str], say: AsyncSay, client: AsyncWebClient) -> None:
        """Answer an `app_mention`."""
        thread = event.get("thread_ts") or event["ts"]
        placeholder = await say(text=PLACEHOLDER, thread_ts=thread)
        session = await self._session(thread)
        pieces = asyncio.Queue[str | None]()
        unsubscribe = session.on(lambda each: _put(each, pieces))
        await session.send(event["text"])
        text, waiting = "", 0

        async def edit(shown: str) -> None:
            await client.chat_update(
                channel=event["channel"], ts=str(placeholder["ts"]), text=shown
            )

        while (piece := await pieces.get()) is not None:
            text += piece
            waiting += 1
            if waiting >= PIECES_AN_EDIT:
                await edit(text + GROWING)
                waiting = 0
        unsubscribe()
        await edit(text)

    async def _session(self, thread: str) -> CopilotSession:
        if thread not in self._sessions:
            self._sessions[thread] = await self._client.create_session(**self._given)
        return self._sessions[thread]


def _put(event: SessionEvent, pieces: asyncio.Queue[str | None]) -> None:
    match event.data:
        case AssistantMessageDeltaData() as delta:
            pieces.put_nowait(delta.delta_content)
        case SessionErrorData() as error:
            pieces.put_nowait(f"Something went wrong: {error.message}")
            pieces.put_nowait(None)
        case SessionIdleData():
            pieces.put_nowait(None)
        case _:
            pass


async def _serve(api_url: str, model_url: str, folder: Path) -> None:
    copilot = await started(model_url, folder)
    app = AsyncApp(
        token=BOT_TOKEN,
        signing_secret=SIGNING_SECRET,
        client=AsyncWebClient(token=BOT_TOKEN, base_url=api_url),
    )
    app.event("app_mention")(Answers(copilot, model_url).mentioned)

    async def other_message() -> None:
        """Ignore the message: the sample answers mentions only."""

    app.event("message")(other_message)
    handler = AsyncSocketModeHandler(app, APP_TOKEN)
    await handler.connect_async()  # type: ignore[no-untyped-call]  # Bolt's is untyped
    sys.stdout.write(f"{READY}\n")
    sys.stdout.flush()
    ends = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ends.set)
    await ends.wait()
    await handler.close_async()  # type: ignore[no-untyped-call]
    await copilot.force_stop()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
