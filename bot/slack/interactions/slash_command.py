"""`/copilot`: an order to the bot, or a question that gets a thread of its own in the channel."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from bot.commands import texts
from bot.commands.parser import KnownNames, parse_command
from bot.domain.commands import Command, CommandSource
from bot.errors import SlackError
from bot.ports import UserDirectory
from bot.slack.api.blocks import Block
from bot.slack.api.calls import with_timeout
from bot.slack.api.ephemeral import responder_for
from bot.slack.identity import BotIdentity
from bot.slack.interactions.ask import Question, QuestionService
from bot.slack.interactions.command_runner import CommandRunner
from bot.slack.interactions.payloads import Actor, QuestionTarget, SlashCommandPayload

log = logging.getLogger(__name__)

_USER_LOOKUP_SECONDS = 1.0
"""For who it is: a command has to be acknowledged within 3 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EphemeralText:
    """What the person alone is shown in answer; nothing when `text` is empty."""

    text: str = ""
    blocks: list[Block] = field(default_factory=list)


class SlashCommand:
    """What the slash command does."""

    def __init__(
        self,
        identity: BotIdentity,
        users: UserDirectory,
        question_service: QuestionService,
        command_runner: CommandRunner,
        known_names: Callable[[], KnownNames],
    ) -> None:
        """`known` tells what orders may name just now."""
        self._identity = identity
        self._users = users
        self._question_service = question_service
        self._command_runner = command_runner
        self._known_names = known_names

    async def handle(self, payload: SlashCommandPayload) -> EphemeralText:
        """Do it, and say what the person is shown; what comes out later they are told later."""
        text = payload.command_text or "help"
        said = parse_command(text, self._known_names(), CommandSource.SLASH_COMMAND)
        if said is not None:
            order = Command(
                key=payload.trigger_id,
                name=said.name,
                args=said.args,
                user=payload.user,
                source=CommandSource.SLASH_COMMAND,
                team=self._identity.team,
                channel=payload.channel,
            )
            drawn = await self._command_runner.run_slash_command(order, payload.response_url)
            return (
                EphemeralText(text=drawn.text, blocks=drawn.blocks)
                if drawn is not None
                else EphemeralText()
            )
        elsewhere = parse_command(
            text, self._known_names(), CommandSource.MESSAGE, from_slash_command=True
        )
        if elsewhere is not None:
            return EphemeralText(text=texts.ONLY_IN_THREADS.format(verb=elsewhere.name))
        return EphemeralText(text=await self._ask_question(payload))

    async def _ask_question(self, payload: SlashCommandPayload) -> str:
        """Ask the question. Empty, or the sentence why not."""
        try:
            person = await with_timeout(self._users.get_user(payload.user), _USER_LOOKUP_SECONDS)
        except SlackError as error:
            log.warning("who used the command could not be looked up: %s", error)
            return error.user_message
        question = Question(
            key=payload.trigger_id,
            actor=Actor(user=payload.user, team=person.team),
            target=QuestionTarget(channel=payload.channel),
            text=payload.text,
        )
        return await self._question_service.submit(question, responder_for(payload.response_url))
