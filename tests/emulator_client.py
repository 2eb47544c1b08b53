"""Acts as the users of scenario tests: what alice, bob, carol and eve do in the emulator, and see.

It uses HTTP and the emulator's public contract only, and no internals of the emulator.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp

Json = dict[str, Any]
"""JSON as received; a test says what it expects of it."""

T = TypeVar("T")

BOT_TOKEN = "xoxb-sandbox"
APP_TOKEN = "xapp-sandbox"
SIGNING_SECRET = "sandbox-signing-secret"
BOT_USER = "U0PILOT"
GENERAL, DEV, SECRET = "C0GENERAL", "C0DEV", "C0SECRET"
PEOPLE = {
    "alice": "UALICE",
    "bob": "UBOB",
    "carol": "UCAROL",
    "eve": "UEVE",
    "gus": "UGUS",
}

POLL_SECONDS = 0.02


class Refusal(AssertionError):
    """A call that should have succeeded was refused; `code` is Slack's error."""

    def __init__(self, method: str, answer: Json) -> None:
        self.code = str(answer.get("error"))
        super().__init__(f"{method} was answered {answer}")


def shown_text(message: Json) -> str:
    """The shown text of a message: its Markdown blocks if it has any, else its text."""
    blocks = message.get("blocks") or []
    written = [block["text"] for block in blocks if block.get("type") == "markdown"]
    return "\n".join(written) if written else str(message["text"])


def command_buttons(
    blocks: list[Json], name: str, args: str | None = None
) -> tuple[str, str | None]:
    """The action id of the button or menu for the command `name`, and the option's value in a
    menu."""
    for block in blocks:
        accessory = [block["accessory"]] if "accessory" in block else []
        for element in [*accessory, *(block.get("elements") or [])]:
            several = element.get("options")
            for one in [element] if several is None else several:
                if _is_command_button(one.get("value"), name, args):
                    return element["action_id"], None if several is None else one["value"]
    raise AssertionError(f"no button for {name!r} with {args!r} in {blocks}")


def _is_command_button(value: object, name: str, args: str | None) -> bool:
    if not (isinstance(value, str) and value.startswith("{")):
        return False
    carried = json.loads(value)
    return carried.get("v") == name and args in (None, carried.get("w", ""))


class EmulatorClient:
    """The actions of users and operators; `async with` closes its connections.

    A user is given by name as in the workspace: "alice", "bob", "carol", "eve", "gus".
    """

    def __init__(self, base_url: str) -> None:
        self.url = base_url.rstrip("/")
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()
            self._http = None

    @property
    def http(self) -> aiohttp.ClientSession:
        """The HTTP session, for calls without a method here."""
        if self._http is None:
            self._http = aiohttp.ClientSession()
        return self._http

    # Calls

    async def ask(self, token: str, method: str, **arguments: object) -> Json:
        """A Web API call; returns the response, ok or not."""
        given = {name: value for name, value in arguments.items() if value is not None}
        headers = {"Authorization": f"Bearer {token}"}
        address = f"{self.url}/api/{method}"
        async with self.http.post(address, json=given, headers=headers) as answer:
            body: Json = await answer.json()
            return body

    async def call(self, person: str, method: str, **arguments: object) -> Json:
        """A Web API call by a user. Raises Refusal if the response is not ok."""
        answer = await self.ask(f"xoxp-{person}", method, **arguments)
        if answer.get("ok") is not True:
            raise Refusal(method, answer)
        return answer

    async def as_app(self, method: str, **arguments: object) -> Json:
        """A Web API call with the bot's token. Raises Refusal if the response is not ok."""
        answer = await self.ask(BOT_TOKEN, method, **arguments)
        if answer.get("ok") is not True:
            raise Refusal(method, answer)
        return answer

    # Actions of users

    async def say(self, person: str, channel: str, text: str, thread_ts: str | None = None) -> str:
        """Post a message as typed (`@threadpilot` mentions the bot); returns its ts."""
        response = await self.call(
            person, "chat.postMessage", channel=channel, text=text, thread_ts=thread_ts
        )
        return str(response["ts"])

    async def edit(self, person: str, channel: str, ts: str, text: str) -> None:
        await self.call(person, "chat.update", channel=channel, ts=ts, text=text)

    async def delete(self, person: str, channel: str, ts: str) -> None:
        await self.call(person, "chat.delete", channel=channel, ts=ts)

    async def react(self, person: str, channel: str, ts: str, name: str) -> None:
        await self.call(person, "reactions.add", channel=channel, timestamp=ts, name=name)

    async def dm(self, person: str) -> str:
        """The id of the direct message of this user with the bot."""
        opened = await self.call(person, "conversations.open", users=BOT_USER)
        return str(opened["channel"]["id"])

    async def stop(self, person: str, channel: str, thread_ts: str) -> Json:
        """Press the native Stop button. Raises Refusal while it is not shown."""
        return await self.call(person, "agents.sessions.stop", channel=channel, thread_ts=thread_ts)

    async def press(
        self,
        person: str,
        channel: str,
        message_ts: str,
        action_id: str,
        *,
        block_id: str | None = None,
        value: object = None,
    ) -> Json:
        """Press a button or choose in a menu; returns when the app has acknowledged."""
        return await self.call(
            person,
            "blocks.actions",
            channel=channel,
            message_ts=message_ts,
            action_id=action_id,
            block_id=block_id,
            value=value,
        )

    async def press_command(
        self, person: str, channel: str, message: Json, name: str, args: str | None = None
    ) -> Json:
        """Press the button, or choose the option, for the command `name` under a message.

        If `args` is given, the arguments must be the same. Returns when the app has acknowledged.
        """
        action, value = command_buttons(message["blocks"], name, args)
        return await self.press(person, channel, message["ts"], action, value=value)

    async def press_command_at_home(
        self, person: str, view: Json, name: str, args: str | None = None
    ) -> Json:
        """Press the button of a command on the Home tab."""
        action, value = command_buttons(view["blocks"], name, args)
        return await self.call(
            person, "blocks.actions", view_id=view["id"], action_id=action, value=value
        )

    async def submit(self, person: str, view_id: str, values: Json) -> Json:
        """Submit a modal: `{block_id: {action_id: value}}`.

        The response's `response_action` is `errors` if the app refused the values.
        """
        return await self.call(person, "views.submit", view_id=view_id, state={"values": values})

    async def close_view(self, person: str, view_id: str) -> None:
        """Close a modal without submitting it."""
        await self.call(person, "views.submit", view_id=view_id, close=True)

    async def command(self, person: str, channel: str, command: str, text: str = "") -> Json:
        """Send a slash command; returns when the app has acknowledged."""
        return await self.call(person, "chat.command", channel=channel, command=command, text=text)

    async def shortcut(self, person: str, callback_id: str, channel: str, message_ts: str) -> Json:
        """Run a message shortcut; returns when the app has acknowledged."""
        return await self.call(
            person, "shortcuts.run", callback_id=callback_id, channel=channel, message_ts=message_ts
        )

    async def home(self, person: str, tab: str = "home") -> Json | None:
        """Open the app's Home tab; returns the view that is shown now, or None."""
        opened = await self.call(person, "apps.home.open", tab=tab)
        view: Json | None = opened["view"]
        return view

    async def modal(self, timeout: float = 10.0) -> Json:
        """The modal that the app opened last, as soon as there is one."""

        async def opened() -> Json | None:
            calls = [call for call in await self.calls("views.open") if call["status"] == 200]
            answers = [call["answer"] for call in calls if call["answer"]["ok"]]
            return answers[-1]["view"] if answers else None

        return await self.wait_for(opened, timeout=timeout, why="the app opens a modal")

    # What users see

    async def replies(self, channel: str, thread_ts: str, person: str = "alice") -> list[Json]:
        """All messages of a thread, its root first."""
        messages: list[Json] = []
        cursor: str | None = None
        while True:
            page = await self.call(
                person, "conversations.replies", channel=channel, ts=thread_ts, cursor=cursor
            )
            messages += page["messages"]
            cursor = page.get("response_metadata", {}).get("next_cursor") or None
            if cursor is None:
                return messages

    async def history(self, channel: str, person: str = "alice") -> list[Json]:
        """The newest messages of a channel, newest first."""
        page = await self.call(person, "conversations.history", channel=channel, limit=1_000)
        messages: list[Json] = page["messages"]
        return messages

    async def bot_messages(self, channel: str, thread_ts: str, person: str = "alice") -> list[Json]:
        """The bot's messages of a thread, oldest first."""
        messages = await self.replies(channel, thread_ts, person)
        return [
            message for message in messages if message.get("bot_id") and message["ts"] != thread_ts
        ]

    async def bot_texts(self, channel: str, thread_ts: str, person: str = "alice") -> list[str]:
        """The shown texts of the bot's messages of a thread, oldest first."""
        return [shown_text(m) for m in await self.bot_messages(channel, thread_ts, person)]

    async def wait_until_answered(
        self,
        channel: str,
        thread_ts: str,
        n: int = 1,
        *,
        person: str = "alice",
        timeout: float = 20.0,
    ) -> list[str]:
        """The bot's texts as soon as `n` of its messages in the thread no longer stream."""

        async def answered() -> list[str] | None:
            messages = await self.bot_messages(channel, thread_ts, person)
            settled = [m for m in messages if m.get("streaming", {}).get("state") != "streaming"]
            return [shown_text(m) for m in messages] if len(settled) >= n else None

        return await self.wait_for(answered, timeout=timeout, why=f"{n} answers in {thread_ts}")

    async def wait_for(
        self,
        look: Callable[[], Awaitable[T | None]],
        timeout: float = 10.0,
        why: str = "what was waited for",
    ) -> T:
        """Call `look` until it returns a value that is not None. Raises AssertionError after
        `timeout`."""
        until = time.monotonic() + timeout
        while True:
            seen = await look()
            if seen:
                return seen
            assert time.monotonic() < until, f"Not so after {timeout:.0f} s: {why}"
            await asyncio.sleep(POLL_SECONDS)

    async def ephemeral(self, user: str) -> list[Json]:
        """The ephemeral messages of this user, newest last; by name or by id."""
        return self._list(await self._control("GET", "ephemeral", user=PEOPLE.get(user, user)))

    # Actions of operators

    async def calls(self, method: str | None = None) -> list[Json]:
        """The app's Web API calls, oldest first."""
        if method is None:
            return self._list(await self._control("GET", "calls"))
        return self._list(await self._control("GET", "calls", method=method))

    async def fault(self, method: str, kind: str, times: int = 1, **more: object) -> None:
        """Set a fault: of a method, of the `socket`, or of the `events`."""
        wanted = {"method": method, "kind": kind, "times": times} | more
        await self._control("POST", "faults", wanted)

    async def faults(self) -> list[Json]:
        """The faults that are still due."""
        return self._list(await self._control("GET", "faults"))

    async def clear_faults(self) -> None:
        await self._control("DELETE", "faults")

    async def advance(self, seconds: float) -> None:
        """Advance the emulator's clock."""
        await self._control("POST", "clock", {"advance": seconds})

    async def app(self, **settings: object) -> Json:
        """Change the app's configuration at Slack, and read it."""
        changed = await self._control("POST", "app", dict(settings))
        assert isinstance(changed, dict)
        return changed

    async def reset(self) -> None:
        await self._control("POST", "reset", {})

    async def _control(
        self, http_method: str, name: str, body: Json | None = None, **query: str
    ) -> object:
        address = f"{self.url}/sandbox/{name}"
        async with self.http.request(http_method, address, json=body, params=query) as answer:
            text = await answer.text()
            assert answer.status == 200, f"/sandbox/{name} answered {answer.status}: {text}"
            read: object = await answer.json()
            return read

    @staticmethod
    def _list(value: object) -> list[Json]:
        assert isinstance(value, list)
        return value
