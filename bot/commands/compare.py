"""Orders about comparisons: ask several models, vote, show the names, go on with one."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from bot.commands.branch import excerpt
from bot.commands.dispatcher import CommandContext, CommandHandler
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


class CompareCommands:
    """Carries out `compare`, `vote`, `reveal` and `keep`."""

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
        """`ask` is the inbox's `accept`."""
        self._store = store
        self._agent = agent
        self._pool = pool
        self._model_selector = model_selector
        self._publisher = publisher
        self._enqueue = enqueue

    def handlers(self) -> Mapping[str, CommandHandler]:
        """The verbs that are carried out here."""
        return {
            "compare": self.compare,
            "vote": self.vote,
            "reveal": self.reveal,
            "keep": self.keep,
        }

    async def compare(self, ctx: CommandContext) -> CommandResult:
        """Hand the comparison to the inbox, as a question of its own."""
        named, models, question = await self._parse(ctx.args)
        if len(models) < 2:
            known = join_models(self._model_selector.available_models) or branch_texts.NO_MODELS
            return text_result(branch_texts.COMPARE_SYNTAX.format(most=MAX_MODELS, models=known))
        if not question:
            return text_result(branch_texts.NO_QUESTION)
        wish = MessageOptions(compare_models=models, show_names=named)
        try:
            message = await self._build_message(ctx, question, wish)
        except SlackError as error:
            if error.code in _NOT_IN_CHANNEL:
                return text_result(branch_texts.NOT_IN_CHANNEL)
            raise
        accepted = await self._enqueue(message)
        return (
            text_result(branch_texts.FULL) if accepted.status is AcceptStatus.QUEUE_FULL else SILENT
        )

    async def _parse(self, args: str) -> tuple[bool, tuple[str, ...], str]:
        """Whether names are shown at once, the models in the server's spelling, the question."""
        first, _, rest = args.partition(" ")
        named = first == _OPEN_FLAG
        rest = rest.lstrip() if named else args
        models: list[str] = []
        while rest and len(models) < MAX_MODELS:
            word, _, more = rest.partition(" ")
            model = await self._model_selector.resolve_model(word.rstrip(",:"))
            if model is None:
                break
            if model not in models:
                models.append(model)
            rest = more.lstrip()
        return named, tuple(models), rest.strip()

    async def _build_message(
        self, ctx: CommandContext, question: str, options: MessageOptions
    ) -> Message:
        """The question as a message. One by command begins a thread. Raises `SlackError`."""
        order, ts = ctx.command, ctx.command.ts
        thread = order.thread
        if thread is None or not ts:
            text = branch_texts.ASKS_SEVERAL.format(
                name=ctx.user.name, count=len(options.compare_models), question=question
            )
            ts = await self._publisher.post_to_channel(order.channel, Card(text=text))
            thread = ThreadKey(team=order.team, channel=order.channel, root_ts=ts)
        return Message(
            event_id=f"order-{order.key}",
            thread=thread,
            ts=ts,
            user=order.user,
            user_team=ctx.user.team,
            text=question,
            trigger=Trigger.COMMAND
            if order.source is CommandSource.SLASH_COMMAND
            else Trigger.MENTION,
            direct=thread.channel.startswith("D"),
            options=options,
        )

    async def vote(self, ctx: CommandContext) -> CommandResult:
        """Count a vote."""
        comparison = await self._find_comparison(ctx)
        if comparison is None:
            return text_result(branch_texts.NO_SUCH_COMPARISON)
        label = ctx.args.strip()
        if not await self._store.save_vote(comparison.turn, ctx.user.id, label):
            return text_result(branch_texts.NO_VOTE)
        sentence = branch_texts.VOTED_OPEN if comparison.show_names else branch_texts.VOTED
        return text_result(sentence.format(label=label))

    async def reveal(self, ctx: CommandContext) -> CommandResult:
        """Tell which model gave which answer: the whole thread, the first time."""
        comparison = await self._find_comparison(ctx)
        if comparison is None:
            return text_result(branch_texts.NO_SUCH_COMPARISON)
        fresh = await self._store.reveal_models(comparison.turn)
        lines = tuple(_candidate_item(comparison, candidate) for candidate in comparison.candidates)
        # Shown again it is for who asks alone: also where the first time did not come to be shown.
        return CommandResult(card=Card(text=branch_texts.REVEALED, items=lines), public=fresh)

    async def keep(self, ctx: CommandContext) -> CommandResult:
        """Go on with the copy that gave an answer; the other copies are deleted."""
        comparison = await self._find_comparison(ctx)
        if comparison is None:
            return text_result(branch_texts.NO_SUCH_COMPARISON)
        if await running_turn(self._store, comparison.thread, ctx.position) is not None:
            return text_result(branch_texts.BUSY)
        label = ctx.args.strip()
        chosen = {each.label: each for each in comparison.candidates}.get(label)
        if chosen is None or not await self._store.session_by_number(chosen.session):
            return text_result(branch_texts.GONE)
        before = await self._store.current_session(comparison.thread)
        if before is not None and before.number == chosen.session:
            return text_result(branch_texts.KEPT_ALREADY)
        # Noted first: of two who choose at once one counts. Chosen again after a restart came in
        # between, the rest is done.
        noted = await self._store.mark_kept(comparison.turn, label)
        if not noted and comparison.kept_label != label:
            return text_result(branch_texts.KEPT_ALREADY)
        await self._store.add_audit_entry(
            ctx.user.id, "keep", str(comparison.thread), f"{label}: {chosen.usage.model}"
        )
        await self._store.attach(chosen.session, comparison.thread)
        await self._store.reveal_models(comparison.turn)
        await self._delete_copies([each for each in comparison.candidates if each.label != label])
        sentence = branch_texts.KEPT.format(label=label, model=excerpt(chosen.usage.model))
        if before is not None:
            await self._pool.close_idle([before.id])
            sentence = f"{sentence} {branch_texts.KEPT_BEFORE.format(handle=before.handle)}"
        return text_result(sentence, public=True)

    async def _delete_copies(self, candidates: Sequence[Candidate]) -> None:
        """Delete the copies that nobody goes on with. What cannot be deleted now, cleaning up
        deletes later."""
        records = [
            await self._store.session_by_number(each.session) for each in candidates if each.session
        ]
        there = {record.id: record for record in records if record is not None and is_blind(record)}
        try:
            async with self._pool.exclusive(there) as free:
                await self._agent.delete_sessions(sorted(free))
                await self._store.delete_sessions([there[name].number for name in sorted(free)])
        except BotError as error:
            log.warning("copies of a comparison could not be deleted: %s", error)

    async def _find_comparison(self, ctx: CommandContext) -> Comparison | None:
        """The comparison whose button was pressed, if it is one of this thread."""
        if ctx.command.turn is None:
            return None
        comparison = await self._store.comparison_of_turn(ctx.command.turn)
        if comparison is None or comparison.thread != ctx.thread_key:
            return None
        return comparison


def _candidate_item(comparison: Comparison, candidate: Candidate) -> CardItem:
    """One answer with its model's name."""
    spent, votes = candidate.usage, candidate.votes
    counted = branch_texts.ONE_VOTE if votes == 1 else branch_texts.VOTES.format(count=votes)
    cost = branch_texts.COST.format(
        seconds=spent.seconds,
        taken=spent.input_tokens,
        given=spent.output_tokens,
        votes=counted if votes else branch_texts.NO_VOTES,
    )
    return CardItem(
        text=branch_texts.CANDIDATE.format(label=candidate.label, model=excerpt(spent.model)),
        detail=branch_texts.FAILED if candidate.error else cost,
        buttons=() if candidate.error else keep_buttons(comparison.turn, [candidate.label]),
    )
