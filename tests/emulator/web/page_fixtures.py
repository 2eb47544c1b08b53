"""Runs an emulator with a small Bolt app in a thread of its own, for tests of the page.

The tests themselves are synchronous: they type and look as a user does, and Selenium's calls block.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from typing import Any, Final, TypeVar

from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from slack_emulator.server import RunningEmulator, running_emulator
from tests.emulator_client import APP_TOKEN, BOT_TOKEN, SIGNING_SECRET, EmulatorClient

Json = dict[str, Any]
T = TypeVar("T")

WAIT_SECONDS: Final = 20.0
"""Timeout in seconds for anything that should happen at once."""
NOTICE: Final = "This emulator is only for a test <b>of the page</b>."


class PageFixture:
    """The running emulator and app, used from the test's own thread."""

    def __init__(self, emulator: RunningEmulator, client: EmulatorClient, app: TestApp) -> None:
        self.url = emulator.url
        self.workspace = emulator.slack.workspace
        self.client = client
        self.app = app
        self._loop = asyncio.get_running_loop()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the emulator's loop and wait for it."""
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(WAIT_SECONDS)

    def go_on(self) -> None:
        """Let the app take its next step."""
        self._loop.call_soon_threadsafe(self.app.gate.set)


class TestApp:
    """What the app does; it waits at its gate while a test looks at the page."""

    __test__ = False

    def __init__(self, client: AsyncWebClient) -> None:
        self.client = client
        self.gate = asyncio.Event()
        self.stopped = asyncio.Event()
        self.app = AsyncApp(client=client, signing_secret=SIGNING_SECRET)
        self.app.event("app_mention")(self.mentioned)
        self.app.event("message")(self.ignored)
        self.app.event("reaction_added")(self.ignored)
        self.app.event("agent_session_stopped")(self.on_stop)
        self.app.event("app_home_opened")(self.home)
        self.app.command("/form")(self.form)
        self.app.shortcut("look")(self.look)
        self.app.action("press_me")(self.on_button)
        self.app.action("choose")(self.on_select)
        self.app.action("pick")(self.on_picker)
        self.app.action("more")(self.more)
        self.app.action("thumbs")(self.judged)
        self.app.view("form")(self.sent)

    async def step(self) -> None:
        """Wait until the test lets the app continue."""
        await asyncio.wait_for(self.gate.wait(), WAIT_SECONDS)
        self.gate.clear()

    async def ignored(self) -> None:
        """Acknowledge only, which Slack requires."""

    async def mentioned(self, event: Json) -> None:
        for word, act in (
            ("stream", self.stream),
            ("tasks", self.tasks),
            ("buttons", self.buttons),
            ("ephemeral", self.post_ephemeral),
            ("hostile", self.hostile),
            ("showcase", self.showcase),
            ("prompts", self.prompts),
        ):
            if word in event["text"]:
                await act(event)

    async def _status(self, event: Json, status: str) -> None:
        await self.client.api_call(
            "agents.sessions.setStatus",
            json={"channel_id": event["channel"], "thread_ts": event["ts"], "status": status},
        )

    async def _start(self, event: Json, **content: Any) -> str:
        answer = await self.client.chat_startStream(
            channel=event["channel"],
            thread_ts=event["ts"],
            recipient_user_id=event["user"],
            recipient_team_id=event["team"],
            **content,
        )
        return str(answer["ts"])

    async def stream(self, event: Json) -> None:
        """Stream in three steps; a user may stop it at each."""
        await self._status(event, "processing")
        await self.client.assistant_threads_setStatus(
            channel_id=event["channel"], thread_ts=event["ts"], status="is thinking…"
        )
        await self.step()
        ts = await self._start(event, markdown_text="The **first** words")
        await self.step()
        if not self.stopped.is_set():
            await self.client.chat_appendStream(
                channel=event["channel"], ts=ts, markdown_text=" and the `second` ones."
            )
            await self.step()
        if not self.stopped.is_set():
            await self.client.chat_stopStream(channel=event["channel"], ts=ts)
        await self._status(event, "active")

    async def on_stop(self) -> None:
        self.stopped.set()
        self.gate.set()

    async def tasks(self, event: Json) -> None:
        """Stream a task that is in progress and then done, and a text."""
        ts = await self._start(event, chunks=[_task("in_progress")])
        await self.step()
        await self.client.chat_appendStream(
            channel=event["channel"],
            ts=ts,
            chunks=[
                _task("complete", output="Found 3 pages"),
                {"type": "markdown_text", "text": "That is it."},
            ],
        )
        await self.client.chat_stopStream(channel=event["channel"], ts=ts)

    async def buttons(self, event: Json) -> None:
        await self.client.chat_postMessage(
            channel=event["channel"], text="Press", blocks=BUTTONS, thread_ts=event["ts"]
        )

    async def on_button(self, ack: Any, body: Json, action: Json) -> None:
        await ack()
        await self.client.chat_update(
            channel=body["channel"]["id"],
            ts=body["message"]["ts"],
            text=f"Pressed with {action['value']} by <@{body['user']['id']}>",
        )

    async def on_select(self, ack: Any, body: Json, action: Json) -> None:
        await ack()
        await self.client.chat_postMessage(
            channel=body["channel"]["id"],
            thread_ts=body["message"]["thread_ts"],
            text=f"Chosen: {action['selected_option']['value']}",
        )

    async def post_ephemeral(self, event: Json) -> None:
        await self.client.chat_postEphemeral(
            channel=event["channel"], user=event["user"], text="A secret", blocks=EPHEMERAL_TEXT
        )

    async def on_picker(self, ack: Any, respond: Any, action: Json) -> None:
        await ack()
        picked = {"type": "section", "text": _plain(action["selected_option"]["value"])}
        await respond(text="Picked", blocks=[picked, EPHEMERAL_TEXT[1]], replace_original=True)

    async def hostile(self, event: Json) -> None:
        await self.client.chat_postMessage(
            channel=event["channel"], thread_ts=event["ts"], markdown_text=HOSTILE
        )

    async def showcase(self, event: Json) -> None:
        await self.client.chat_postMessage(
            channel=event["channel"], thread_ts=event["ts"], text="All", blocks=SHOWCASE
        )

    async def prompts(self, event: Json) -> None:
        await self.client.assistant_threads_setSuggestedPrompts(
            channel_id=event["channel"],
            thread_ts=event["ts"],
            title="Ask on:",
            prompts=[{"title": "An example?", "message": "Show me an example."}],
        )
        await self.client.chat_postMessage(
            channel=event["channel"], thread_ts=event["ts"], text="See below"
        )

    async def home(self, event: Json) -> None:
        if event["tab"] == "home":
            await self.client.views_publish(user_id=event["user"], view=HOME)

    async def form(self, ack: Any, body: Json) -> None:
        await ack()
        view = FORM | {"private_metadata": body["channel_id"]}
        await self.client.views_open(trigger_id=body["trigger_id"], view=view)

    async def more(self, ack: Any, body: Json) -> None:
        """Change the form while the user fills it in."""
        await ack()
        note = {"type": "section", "text": _plain("More about it")}
        view = FORM | {
            "private_metadata": body["view"]["private_metadata"],
            "blocks": [note, *FORM["blocks"]],
        }
        await self.client.views_update(view_id=body["view"]["id"], view=view)

    async def judged(self, ack: Any, body: Json, action: Json) -> None:
        await ack()
        await self.client.chat_postEphemeral(
            channel=body["channel"]["id"],
            thread_ts=body["message"]["thread_ts"],
            user=body["user"]["id"],
            text=f"You said: {action['value']}",
        )

    async def sent(self, ack: Any, view: Json, body: Json) -> None:
        values = view["state"]["values"]
        words = values["words"]["text"]["value"]
        if len(words) < 3:
            await ack(response_action="errors", errors={"words": "Write at least 3 letters."})
            return
        await ack()
        size = values["size"]["size"]["selected_option"]["value"]
        await self.client.chat_postMessage(
            channel=view["private_metadata"],
            text=f"<@{body['user']['id']}> sent {words}, {size}",
        )

    async def look(self, ack: Any, respond: Callable[..., Any], shortcut: Json) -> None:
        await ack()
        await respond(f"You looked at: {shortcut['message']['text']}")


def _plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def _task(status: str, **more: str) -> Json:
    return {"type": "task_update", "id": "t1", "title": "Read the docs", "status": status} | more


HOSTILE: Final = (
    "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'> <!channel> "
    "[click](javascript:window.hacked=1) <@UBOB>"
)

SIZES: Final = [{"text": _plain(name.title()), "value": name} for name in ("small", "large")]

BUTTONS: Final[list[Json]] = [
    {"type": "section", "text": {"type": "mrkdwn", "text": "Please *press*"}},
    {
        "type": "actions",
        "block_id": "acts",
        "elements": [
            {
                "type": "button",
                "action_id": "press_me",
                "text": _plain("Press me"),
                "value": "7",
                "confirm": {
                    "title": _plain("Really?"),
                    "text": _plain("It cannot be undone."),
                    "confirm": _plain("Yes, press"),
                    "deny": _plain("No"),
                },
            },
            {
                "type": "static_select",
                "action_id": "choose",
                "placeholder": _plain("Size"),
                "options": SIZES,
            },
        ],
    },
]

EPHEMERAL_TEXT: Final[list[Json]] = [
    {
        "type": "section",
        "text": _plain("A secret between us"),
        "accessory": {
            "type": "static_select",
            "action_id": "pick",
            "placeholder": _plain("Size"),
            "options": SIZES,
            "initial_option": SIZES[1],
        },
    },
    {
        "type": "actions",
        "elements": [{"type": "overflow", "action_id": "pick", "options": SIZES}],
    },
]

SHOWCASE: Final[list[Json]] = [
    {"type": "header", "text": _plain("A header with <b>no</b> markup")},
    {"type": "section", "fields": [_plain("One field"), {"type": "mrkdwn", "text": "*Two*"}]},
    {"type": "divider"},
    {"type": "context", "elements": [{"type": "mrkdwn", "text": "In _context_"}]},
    {"type": "image", "image_url": "https://a.example/x.png", "alt_text": "A chart"},
    {
        "type": "rich_text",
        "elements": [
            {
                "type": "rich_text_list",
                "style": "bullet",
                "elements": [
                    {
                        "type": "rich_text_section",
                        "elements": [{"type": "text", "text": "rich", "style": {"bold": True}}],
                    }
                ],
            },
        ],
    },
    {
        "type": "table",
        "rows": [
            [{"type": "raw_text", "text": "name"}, {"type": "raw_text", "text": "year"}],
            [{"type": "raw_text", "text": "Python"}, {"type": "raw_text", "text": "1991"}],
        ],
    },
    {"type": "markdown", "text": "## A heading\n\n- an item"},
    {
        "type": "context_actions",
        "elements": [
            {
                "type": "feedback_buttons",
                "action_id": "thumbs",
                "positive_button": {"text": _plain("Good"), "value": "good"},
                "negative_button": {"text": _plain("Bad"), "value": "bad"},
            }
        ],
    },
]

FORM: Final[Json] = {
    "type": "modal",
    "callback_id": "form",
    "title": _plain("A form"),
    "submit": _plain("Send it"),
    "close": _plain("Never mind"),
    "blocks": [
        {
            "type": "input",
            "block_id": "words",
            "label": _plain("Your words"),
            "element": {"type": "plain_text_input", "action_id": "text"},
        },
        {
            "type": "input",
            "block_id": "size",
            "label": _plain("Size"),
            "element": {"type": "radio_buttons", "action_id": "size", "options": SIZES},
        },
        {
            "type": "actions",
            "elements": [{"type": "button", "action_id": "more", "text": _plain("Tell me more")}],
        },
    ],
}

HOME: Final[Json] = {
    "type": "home",
    "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "The app is *at home*."}}],
}


@asynccontextmanager
async def _page_fixture() -> AsyncIterator[PageFixture]:
    async with (
        running_emulator(notice=NOTICE) as emulator,
        EmulatorClient(emulator.url) as client,
    ):
        await client.app(
            commands=[{"command": "/form", "description": "Opens a form", "usage_hint": ""}],
            shortcuts=[{"callback_id": "look", "name": "Look at this", "description": ""}],
        )
        app = TestApp(AsyncWebClient(token=BOT_TOKEN, base_url=emulator.api_url))
        handler = AsyncSocketModeHandler(app.app, APP_TOKEN)
        await handler.connect_async()  # type: ignore[no-untyped-call]  # Bolt types it not
        try:
            yield PageFixture(emulator, client, app)
        finally:
            await _ended(handler)


async def _ended(handler: AsyncSocketModeHandler) -> None:
    """Close the connection, and wait for the tasks that the SDK only cancels."""
    client = handler.client
    tasks = [client.message_processor, client.current_session_monitor, client.message_receiver]
    await handler.close_async()  # type: ignore[no-untyped-call]  # Bolt types it not
    for task in tasks:
        if task is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await task


@contextmanager
def run_in_thread(scene: Callable[[], AbstractAsyncContextManager[T]]) -> Iterator[T]:
    """Run an async context in a thread and loop of its own.

    An error on enter or exit is raised here.
    """
    ready: Future[T] = Future()
    leaving: Future[Callable[[], object]] = Future()

    async def play() -> None:
        left = asyncio.Event()
        loop = asyncio.get_running_loop()
        leaving.set_result(lambda: loop.call_soon_threadsafe(left.set))
        async with scene() as value:
            ready.set_result(value)
            await left.wait()

    with ThreadPoolExecutor(1, thread_name_prefix="stage") as pool:
        playing = pool.submit(lambda: asyncio.run(play()))
        playing.add_done_callback(lambda done: _pass_on(done, ready))
        try:
            yield ready.result(WAIT_SECONDS)
        finally:
            leaving.result(WAIT_SECONDS)()
            playing.result(WAIT_SECONDS)


def _pass_on(done: Future[None], ready: Future[T]) -> None:
    """Pass an early end of the thread to the caller that waits for its start."""
    if not ready.done():
        ready.set_exception(done.exception() or RuntimeError("it ended before it began"))


def page_fixture_in_thread() -> AbstractContextManager[PageFixture]:
    """The emulator with the app."""
    return run_in_thread(_page_fixture)
