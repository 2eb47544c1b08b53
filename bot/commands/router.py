"""Routes each incoming message: a command to the dispatcher, a question to the inbox."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from bot.commands.dispatcher import CommandDispatcher
from bot.commands.parser import KnownNames, parse_message
from bot.domain.messages import Message
from bot.domain.turns import AcceptResult


class MessageRouter:
    """Decides whether a message is a command or a question, and hands it on."""

    def __init__(
        self,
        dispatcher: CommandDispatcher,
        enqueue: Callable[[Message], Awaitable[AcceptResult]],
        known_names: Callable[[], KnownNames],
    ) -> None:
        """`enqueue` records a question (`bot.turns.inbox.Inbox.enqueue`).

        `known_names` returns the names that a command may mention now.
        """
        self._dispatcher = dispatcher
        self._enqueue = enqueue
        self._known_names = known_names
        self.redact = dispatcher.redact

    async def route_message(self, message: Message) -> AcceptResult:
        """Record a message, as a command or as a question.

        It is on disk when this returns. Raises `StoreError` if it is not: then Slack must get no
        acknowledgement.
        """
        text = self.redact(message.text)
        if text != message.text or message.command_text:
            message = replace(message, text=text, command_text=self.redact(message.command_text))
        parsed = parse_message(message, self._known_names())
        if isinstance(parsed, Message):
            return await self._enqueue(parsed)
        return await self._dispatcher.accept_command(parsed)
