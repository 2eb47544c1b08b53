"""Handles slash commands, buttons, the message shortcut and modals: Bolt's listeners.

Each interaction is acknowledged, also one that is unknown. Its user gets the result, or one
sentence why there is none.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from typing import Final

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.commands import texts as command_texts
from bot.commands.parser import KnownNames, parse_command
from bot.domain.cards import Card
from bot.domain.commands import Command, CommandSource
from bot.errors import SlackError
from bot.ports import UserDirectory
from bot.slack import manifest, texts
from bot.slack.api.blocks import Block
from bot.slack.api.calls import CallContext, with_timeout
from bot.slack.api.client import SlackClient
from bot.slack.api.ephemeral import post_ephemeral, respond, responder_for
from bot.slack.api.rate_limiter import Priority
from bot.slack.cards.home_tab import HomeTabPublisher
from bot.slack.identity import BotIdentity
from bot.slack.interactions.command_runner import CommandRunner
from bot.slack.interactions.modals import about_modal, question_modal
from bot.slack.interactions.payloads import (
    Actor,
    ButtonPress,
    QuestionTarget,
    ShortcutPayload,
    SlashCommandPayload,
    is_command_press,
    parse_button_press,
    parse_command_press,
    parse_shortcut,
    parse_slash_command,
    parse_submission,
)
from bot.slack.interactions.question_service import Question, QuestionService
from bot.tasks import BackgroundTasks

log = logging.getLogger(__name__)

Json = dict[str, object]

_ANYTHING: Final = re.compile(".*", re.DOTALL)

_USER_LOOKUP_SECONDS: Final = 1.0
"""Timeout in seconds of the user lookup: a command has to be acknowledged within 3 s."""

_MAX_WAIT_SECONDS: Final = 1.0
"""Maximum wait in seconds for the rate limiter before a modal: a trigger is valid for 3 s."""

_EXPIRED_TRIGGER_ERRORS: Final = frozenset(
    {"expired_trigger_id", "exchanged_trigger_id", "invalid_trigger_id"}
)


class Listeners:
    """Bolt's listeners for all interactions."""

    def __init__(
        self,
        client: SlackClient,
        identity: BotIdentity,
        background_tasks: BackgroundTasks,
        users: UserDirectory,
        question_service: QuestionService,
        command_runner: CommandRunner,
        known_names: Callable[[], KnownNames],
        home_tab: HomeTabPublisher,
    ) -> None:
        """`known_names` returns the names that commands may use at this moment."""
        self._client = client
        self._identity = identity
        self._background_tasks = background_tasks
        self._users = users
        self._question_service = question_service
        self._command_runner = command_runner
        self._known_names = known_names
        self._home_tab = home_tab

    def register(self, app: AsyncApp) -> None:
        """Register the listeners with Bolt; of each kind, the one that matches all comes last."""
        app.command(manifest.SLASH_COMMAND)(self._on_slash_command)
        app.command(_ANYTHING)(self._on_unknown_command)
        app.shortcut(manifest.ASK_ABOUT_MESSAGE)(self._on_shortcut)
        app.action(_ANYTHING)(self._on_button)
        for modal in (manifest.ASK_MODAL, manifest.ABOUT_MODAL):
            app.view(modal)(self._on_modal_submitted)
        app.view(_ANYTHING)(self._on_unknown_modal)

    # The slash command ------------------------------------------------------------------------

    async def _on_slash_command(self, ack: AsyncAck, body: Json) -> None:
        payload = parse_slash_command(body, self._identity)
        if payload is None:
            await ack(texts.WENT_WRONG)
            return
        text, blocks = await self._run_slash_command(payload)
        if text:
            await ack(text=text, blocks=blocks or None)
        else:
            await ack()

    async def _run_slash_command(self, payload: SlashCommandPayload) -> tuple[str, list[Block]]:
        """The text and blocks for the user alone, or an empty text. A later result is sent by
        `CommandRunner` or `QuestionService`."""
        text = payload.command_text or "help"
        parsed = parse_command(text, self._known_names(), CommandSource.SLASH_COMMAND)
        if parsed is not None:
            command = Command(
                key=payload.trigger_id,
                name=parsed.name,
                args=parsed.args,
                user=payload.user,
                source=CommandSource.SLASH_COMMAND,
                team=self._identity.team,
                channel=payload.channel,
            )
            rendered = await self._command_runner.run_slash_command(command, payload.response_url)
            return (rendered.text, rendered.blocks) if rendered is not None else ("", [])
        thread_command = parse_command(
            text, self._known_names(), CommandSource.MESSAGE, from_slash_command=True
        )
        if thread_command is not None:
            return command_texts.ONLY_IN_THREADS.format(command=thread_command.name), []
        return await self._ask_question(payload), []

    async def _ask_question(self, payload: SlashCommandPayload) -> str:
        """Submit the question. The refusal text, or an empty string."""
        try:
            user = await with_timeout(self._users.get_user(payload.user), _USER_LOOKUP_SECONDS)
        except SlackError as error:
            log.warning("user lookup failed: user=%s reason=%s", payload.user, error)
            return error.user_message
        question = Question(
            key=payload.trigger_id,
            actor=Actor(user=payload.user, team=user.team),
            target=QuestionTarget(channel=payload.channel),
            text=payload.text,
        )
        return await self._question_service.submit(question, responder_for(payload.response_url))

    async def _on_unknown_command(self, ack: AsyncAck) -> None:
        await ack(texts.UNKNOWN_COMMAND)

    # Buttons ----------------------------------------------------------------------------------

    async def _on_button(self, ack: AsyncAck, body: Json) -> None:
        press = parse_button_press(body)
        if press is not None and is_command_press(press):
            await self._run_button_command(ack, body, press)
            return
        await ack()
        if press is not None:
            work = self._run_and_respond(self._open_question_modal(press), press.response_url)
            self._background_tasks.spawn("a button", work)

    async def _run_button_command(self, ack: AsyncAck, body: Json, press: ButtonPress) -> None:
        """Record the command before it is acknowledged; its result is sent when it is there."""
        command_press, text = parse_command_press(body, self._identity), texts.OLD_BUTTON
        if command_press is not None:
            text = await self._command_runner.run_button_command(
                command_press, self._home_tab.publish
            )
        await ack()
        if text:
            self._background_tasks.spawn("a button", self._report_rejected(press, text))

    async def _report_rejected(self, press: ButtonPress, text: str) -> None:
        """Show the reason beside the button, or on top of the Home tab."""
        if press.response_url:
            await respond(press.response_url, text)
        else:
            await self._home_tab.publish(press.actor.user, Card(text=text))

    async def _open_question_modal(self, press: ButtonPress) -> str:
        """Open the modal of the help card's button. The refusal text, or an empty string."""
        refusal = await self._question_service.denial_for(press.actor, press.channel)
        if refusal:
            return refusal
        if press.action_id != manifest.ASK_BUTTON or not press.channel:
            return texts.OLD_BUTTON
        target = QuestionTarget(channel=press.channel)
        return await self._open_modal(press.trigger_id, question_modal(target))

    # The message shortcut ---------------------------------------------------------------------

    async def _on_shortcut(self, ack: AsyncAck, body: Json) -> None:
        await ack()
        shortcut = parse_shortcut(body, self._identity)
        if shortcut is not None:
            work = self._run_and_respond(self._open_about_modal(shortcut), shortcut.response_url)
            self._background_tasks.spawn("a shortcut", work)

    async def _open_about_modal(self, shortcut: ShortcutPayload) -> str:
        """Open the modal for a message. The refusal text, or an empty string."""
        refusal = await self._question_service.denial_for(shortcut.actor, shortcut.target.channel)
        if refusal:
            return refusal
        if not shortcut.target.quoted:
            return texts.ABOUT_EMPTY
        return await self._open_modal(shortcut.trigger_id, about_modal(shortcut.target))

    async def _open_modal(self, trigger_id: str, view: Block) -> str:
        try:
            await self._client.call(
                self._client.web.views_open,
                CallContext(priority=Priority.HIGH),
                max_wait=_MAX_WAIT_SECONDS,
                trigger_id=trigger_id,
                view=view,
            )
        except SlackError as error:
            log.warning("modal not opened: reason=%s", error)
            return texts.TOO_SLOW if error.code in _EXPIRED_TRIGGER_ERRORS else error.user_message
        return ""

    async def _run_and_respond(self, work: Awaitable[str], response_url: str) -> None:
        """Send the text that `work` returns to the user alone, if it is not empty."""
        text = await work
        if text:
            await responder_for(response_url)(text)

    # Modals -----------------------------------------------------------------------------------

    async def _on_modal_submitted(self, ack: AsyncAck, body: Json) -> None:
        submission = parse_submission(body)
        if submission is None:
            await ack(response_action="errors", errors=_modal_errors(texts.WENT_WRONG))
            return
        target, actor = submission.target, submission.actor

        async def notify_later(text: str) -> None:
            await post_ephemeral(self._client, target.channel, actor.user, text=text)

        question = Question(
            key=submission.view_id, actor=actor, target=target, text=submission.question
        )
        refusal = await self._question_service.submit(question, notify_later)
        if refusal:
            await ack(response_action="errors", errors=_modal_errors(refusal))
        else:
            await ack()

    async def _on_unknown_modal(self, ack: AsyncAck) -> None:
        await ack()


def _modal_errors(text: str) -> dict[str, str]:
    return {manifest.QUESTION_BLOCK: text}
