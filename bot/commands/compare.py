"""Executes `compare`, `vote`, `reveal` and `keep`."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from bot.commands.branch import excerpt
from bot.commands.dispatcher import CommandContext, CommandGroup, CommandHandler
from bot.commands.models import join_models
from bot.commands.session_state import is_blind, running_turn
from bot.commands.texts import branch as branch_texts
from bot.domain.cards import SILENT, Card, CardItem, CommandResult, text_result
from bot.domain.commands import CommandSource
from bot.domain.comparisons import Candidate, Comparison
from bot.domain.messages import Message, MessageOptions, ThreadKey, Trigger
from bot.domain.turns import AcceptResult, AcceptStatus
from bot.errors import BotError, SlackError
from bot.ports import Agent, CardPublisher, Store
from bot.sessions.model_selection import ModelSelector
from bot.sessions.pool import SessionPool
from bot.turns.comparison import MAX_MODELS
from bot.turns.reply_actions import keep_buttons

log = logging.getLogger(__name__)

_OPEN_FLAG: Final = "--open"
_NOT_IN_CHANNEL: Final = frozenset({"not_in_channel", "channel_not_found"})


class CompareCommands(CommandGroup):
    """Handles the commands of comparisons."""

    def __init__(
        self,
        store: Store,
        agent: Agent,
        pool: SessionPool,
        model_selector: ModelSelector,
        publisher: CardPublisher,
        *,
        enqueue: Callable[[Message], Awaitable[AcceptResult]],
    ) -> None:
        """`enqueue` records a question (`bot.turns.inbox.Inbox.enqueue`)."""
        self._store = store
        self._agent = agent
        self._pool = pool
        self._model_selector = model_selector
        self._publisher = publisher
        self._enqueue = enqueue

    def handlers(self) -> Mapping[str, CommandHandler]:
        return {
            "compare": self.compare,
            "vote": self.vote,
            "reveal": self.reveal,
            "keep": self.keep,
        }

    async def compare(self, ctx: CommandContext) -> CommandResult:
        """Put the comparison in the inbox as a question."""
        show_names, models, question = await self._parse(ctx.args)
        if len(models) < 2:
            known = join_models(self._model_selector.available_models) or branch_texts.NO_MODELS
            return text_result(branch_texts.COMPARE_SYNTAX.format(most=MAX_MODELS, models=known))
        if not question:
            return text_result(branch_texts.NO_QUESTION)
        options = MessageOptions(compare_models=models, show_names=show_names)
        try:
            message = await self._build_message(ctx, question, options)
        except SlackError as error:
            if error.code in _NOT_IN_CHANNEL:
                return text_result(branch_texts.NOT_IN_CHANNEL)
            raise
        accepted = await self._enqueue(message)
        return (
            text_result(branch_texts.FULL) if accepted.status is AcceptStatus.QUEUE_FULL else SILENT
        )

    async def _parse(self, args: str) -> tuple[bool, tuple[str, ...], str]:
        """Parse the arguments: True if names are shown at once, the models, the question.

        The models are in the server's spelling.
        """
        first, _, rest = args.partition(" ")
        show_names = first == _OPEN_FLAG
        rest = rest.lstrip() if show_names else args
        models: list[str] = []
        while rest and len(models) < MAX_MODELS:
            word, _, more = rest.partition(" ")
            model = await self._model_selector.resolve_model(word.rstrip(",:"))
            if model is None:
                break
            if model not in models:
                models.append(model)
            rest = more.lstrip()
        return show_names, tuple(models), rest.strip()

    async def _build_message(
        self, ctx: CommandContext, question: str, options: MessageOptions
    ) -> Message:
        """The question as a message; a slash command starts a thread for it. Raises
        `SlackError`."""
        command, ts = ctx.command, ctx.command.ts
        thread = command.thread
        if thread is None or not ts:
            text = branch_texts.ASKS_SEVERAL.format(
                name=ctx.user.name, count=len(options.compare_models), question=question
            )
            ts = await self._publisher.post_to_channel(command.channel, Card(text=text))
            thread = ThreadKey(team=command.team, channel=command.channel, root_ts=ts)
        return Message(
            event_id=f"order-{command.key}",
            thread=thread,
            ts=ts,
            user=command.user,
            user_team=ctx.user.team,
            text=question,
            trigger=Trigger.POSTED_QUESTION
            if command.source is CommandSource.SLASH_COMMAND
            else Trigger.MENTION,
            direct=thread.channel.startswith("D"),
            options=options,
        )

    async def vote(self, ctx: CommandContext) -> CommandResult:
        """Record a vote."""
        comparison = await self._find_comparison(ctx)
        if comparison is None:
            return text_result(branch_texts.NO_SUCH_COMPARISON)
        label = ctx.args.strip()
        if not await self._store.save_vote(comparison.turn, ctx.user.id, label):
            return text_result(branch_texts.NO_VOTE)
        template = branch_texts.VOTED_OPEN if comparison.show_names else branch_texts.VOTED
        return text_result(template.format(label=label))

    async def reveal(self, ctx: CommandContext) -> CommandResult:
        """Show which model gave which answer; the first time to the whole thread."""
        comparison = await self._find_comparison(ctx)
        if comparison is None:
            return text_result(branch_texts.NO_SUCH_COMPARISON)
        is_first = await self._store.reveal_models(comparison.turn)
        items = tuple(_candidate_item(comparison, candidate) for candidate in comparison.candidates)
        # Later it is shown to the caller alone, even if the first result was not delivered.
        return CommandResult(card=Card(text=branch_texts.REVEALED, items=items), public=is_first)

    async def keep(self, ctx: CommandContext) -> CommandResult:
        """Continue with the copy that gave an answer and delete the other copies."""
        comparison = await self._find_comparison(ctx)
        if comparison is None:
            return text_result(branch_texts.NO_SUCH_COMPARISON)
        if await running_turn(self._store, comparison.thread, ctx.position) is not None:
            return text_result(branch_texts.BUSY)
        label = ctx.args.strip()
        chosen = {candidate.label: candidate for candidate in comparison.candidates}.get(label)
        if chosen is None or not await self._store.session_by_number(chosen.session):
            return text_result(branch_texts.GONE)
        previous = await self._store.current_session(comparison.thread)
        if previous is not None and previous.number == chosen.session:
            return text_result(branch_texts.KEPT_ALREADY)
        # Recorded first: of two simultaneous choices one counts. If a restart interrupts the rest,
        # the same choice can be repeated.
        is_first = await self._store.mark_kept(comparison.turn, label)
        if not is_first and comparison.kept_label != label:
            return text_result(branch_texts.KEPT_ALREADY)
        await self._store.add_audit_entry(
            ctx.user.id, "keep", str(comparison.thread), f"{label}: {chosen.usage.model}"
        )
        await self._store.attach(chosen.session, comparison.thread)
        await self._store.reveal_models(comparison.turn)
        await self._delete_copies(
            [candidate for candidate in comparison.candidates if candidate.label != label]
        )
        text = branch_texts.KEPT.format(label=label, model=excerpt(chosen.usage.model))
        if previous is not None:
            await self._pool.close_idle([previous.id])
            text = f"{text} {branch_texts.KEPT_BEFORE.format(handle=previous.handle)}"
        return text_result(text, public=True)

    async def _delete_copies(self, candidates: Sequence[Candidate]) -> None:
        """Delete the copies that were not chosen. The cleanup deletes later what fails now."""
        records = [
            await self._store.session_by_number(candidate.session)
            for candidate in candidates
            if candidate.session
        ]
        copies = {
            record.id: record for record in records if record is not None and is_blind(record)
        }
        try:
            async with self._pool.exclusive(copies) as reserved:
                await self._agent.delete_sessions(sorted(reserved))
                await self._store.delete_sessions(
                    [copies[session_id].number for session_id in sorted(reserved)]
                )
        except BotError as error:
            log.warning("comparison copies not deleted: error=%s", error)

    async def _find_comparison(self, ctx: CommandContext) -> Comparison | None:
        """The comparison of the button, or None if it is not in this thread."""
        if ctx.command.turn is None:
            return None
        comparison = await self._store.comparison_of_turn(ctx.command.turn)
        if comparison is None or comparison.thread != ctx.thread_key:
            return None
        return comparison


def _candidate_item(comparison: Comparison, candidate: Candidate) -> CardItem:
    """The list item of one answer, with its model's name."""
    usage, votes = candidate.usage, candidate.votes
    votes_text = branch_texts.ONE_VOTE if votes == 1 else branch_texts.VOTES.format(count=votes)
    cost = branch_texts.COST.format(
        seconds=usage.seconds,
        taken=usage.input_tokens,
        given=usage.output_tokens,
        votes=votes_text if votes else branch_texts.NO_VOTES,
    )
    return CardItem(
        text=branch_texts.CANDIDATE.format(label=candidate.label, model=excerpt(usage.model)),
        detail=branch_texts.FAILED if candidate.error else cost,
        buttons=() if candidate.error else keep_buttons(comparison.turn, [candidate.label]),
    )
