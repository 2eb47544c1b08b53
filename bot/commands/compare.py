"""Orders about comparisons: ask several models, vote, show the names, go on with one."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from bot.commands.branch import shown
from bot.commands.dispatcher import Asked, Handler
from bot.commands.models import enumerated
from bot.commands.session_state import being_answered, blind
from bot.commands.texts import branch as branch_texts
from bot.domain.cards import SILENT, Card, Line, Outcome, told
from bot.domain.commands import Form
from bot.domain.comparisons import Candidate, Comparison
from bot.domain.messages import Message, ThreadKey, Trigger, Wish
from bot.domain.turns import Acceptance, Accepted
from bot.errors import BotError, SlackError
from bot.ports import Agent, Board, Store
from bot.sessions.model_selection import Choosing
from bot.sessions.pool import Sessions
from bot.turns.comparison import MOST
from bot.turns.reply_actions import keeps

log = logging.getLogger(__name__)

_OPEN: Final = "--open"
_NOT_HERE: Final = frozenset({"not_in_channel", "channel_not_found"})


class Comparisons:
    """Carries out `compare`, `vote`, `reveal` and `keep`."""

    def __init__(
        self,
        store: Store,
        agent: Agent,
        sessions: Sessions,
        choosing: Choosing,
        board: Board,
        *,
        ask: Callable[[Message], Awaitable[Accepted]],
    ) -> None:
        """`ask` is the inbox's `accept`."""
        self._store = store
        self._agent = agent
        self._sessions = sessions
        self._choosing = choosing
        self._board = board
        self._ask = ask

    def handlers(self) -> Mapping[str, Handler]:
        """The verbs that are carried out here."""
        return {
            "compare": self.compare,
            "vote": self.vote,
            "reveal": self.reveal,
            "keep": self.keep,
        }

    async def compare(self, asked: Asked) -> Outcome:
        """Hand the comparison to the inbox, as a question of its own."""
        named, models, question = await self._read(asked.words)
        if len(models) < 2:
            known = enumerated(self._choosing.offered) or branch_texts.NO_MODELS
            return told(branch_texts.COMPARE_HOW.format(most=MOST, models=known))
        if not question:
            return told(branch_texts.NO_QUESTION)
        wish = Wish(compare=models, open=named)
        try:
            message = await self._message(asked, question, wish)
        except SlackError as error:
            if error.code in _NOT_HERE:
                return told(branch_texts.NOT_HERE)
            raise
        accepted = await self._ask(message)
        return told(branch_texts.FULL) if accepted.acceptance is Acceptance.FULL else SILENT

    async def _read(self, said: str) -> tuple[bool, tuple[str, ...], str]:
        """Whether names are shown at once, the models in the server's spelling, the question."""
        first, _, rest = said.partition(" ")
        named = first == _OPEN
        rest = rest.lstrip() if named else said
        models: list[str] = []
        while rest and len(models) < MOST:
            word, _, more = rest.partition(" ")
            model = await self._choosing.check_model(word.rstrip(",:"))
            if model is None:
                break
            if model not in models:
                models.append(model)
            rest = more.lstrip()
        return named, tuple(models), rest.strip()

    async def _message(self, asked: Asked, question: str, wish: Wish) -> Message:
        """The question as a message. One by command begins a thread. Raises `SlackError`."""
        order, ts = asked.order, asked.order.ts
        thread = order.thread
        if thread is None or not ts:
            text = branch_texts.ASKS_SEVERAL.format(
                name=asked.person.name, count=len(wish.compare), question=question
            )
            ts = await self._board.begin(order.channel, Card(text=text))
            thread = ThreadKey(team=order.team, channel=order.channel, root_ts=ts)
        return Message(
            event_id=f"order-{order.key}",
            thread=thread,
            ts=ts,
            user=order.by,
            user_team=asked.person.team,
            text=question,
            trigger=Trigger.COMMAND if order.form is Form.COMMAND else Trigger.MENTION,
            direct=thread.channel.startswith("D"),
            wish=wish,
        )

    async def vote(self, asked: Asked) -> Outcome:
        """Count a vote."""
        comparison = await self._meant(asked)
        if comparison is None:
            return told(branch_texts.NO_SUCH_COMPARISON)
        label = asked.words.strip()
        if not await self._store.vote(comparison.turn, asked.person.user, label):
            return told(branch_texts.NO_VOTE)
        sentence = branch_texts.VOTED_OPEN if comparison.open else branch_texts.VOTED
        return told(sentence.format(label=label))

    async def reveal(self, asked: Asked) -> Outcome:
        """Tell which model gave which answer: the whole thread, the first time."""
        comparison = await self._meant(asked)
        if comparison is None:
            return told(branch_texts.NO_SUCH_COMPARISON)
        fresh = await self._store.reveal(comparison.turn)
        lines = tuple(_line(comparison, candidate) for candidate in comparison.candidates)
        # Shown again it is for who asks alone: also where the first time did not come to be shown.
        return Outcome(card=Card(text=branch_texts.REVEALED, lines=lines), public=fresh)

    async def keep(self, asked: Asked) -> Outcome:
        """Go on with the copy that gave an answer; the other copies are deleted."""
        comparison = await self._meant(asked)
        if comparison is None:
            return told(branch_texts.NO_SUCH_COMPARISON)
        if await being_answered(self._store, comparison.thread, asked.position) is not None:
            return told(branch_texts.BUSY)
        label = asked.words.strip()
        chosen = {each.label: each for each in comparison.candidates}.get(label)
        if chosen is None or not await self._store.session(chosen.session):
            return told(branch_texts.GONE)
        before = await self._store.current(comparison.thread)
        if before is not None and before.number == chosen.session:
            return told(branch_texts.KEPT_ALREADY)
        # Noted first: of two who choose at once one counts. Chosen again after a restart came in
        # between, the rest is done.
        noted = await self._store.keep(comparison.turn, label)
        if not noted and comparison.kept != label:
            return told(branch_texts.KEPT_ALREADY)
        await self._store.audit(
            asked.person.user, "keep", str(comparison.thread), f"{label}: {chosen.spent.model}"
        )
        await self._store.take_up(chosen.session, comparison.thread)
        await self._store.reveal(comparison.turn)
        await self._delete([each for each in comparison.candidates if each.label != label])
        sentence = branch_texts.KEPT.format(label=label, model=shown(chosen.spent.model))
        if before is not None:
            await self._sessions.let_go([before.id])
            sentence = f"{sentence} {branch_texts.KEPT_BEFORE.format(handle=before.handle)}"
        return told(sentence, public=True)

    async def _delete(self, candidates: Sequence[Candidate]) -> None:
        """Delete the copies that nobody goes on with. What cannot be deleted now, cleaning up
        deletes later."""
        records = [await self._store.session(each.session) for each in candidates if each.session]
        there = {record.id: record for record in records if record is not None and blind(record)}
        try:
            async with self._sessions.reserved(there) as free:
                await self._agent.delete(sorted(free))
                await self._store.drop([there[name].number for name in sorted(free)])
        except BotError as error:
            log.warning("copies of a comparison could not be deleted: %s", error)

    async def _meant(self, asked: Asked) -> Comparison | None:
        """The comparison whose button was pressed, if it is one of this thread."""
        if asked.order.turn is None:
            return None
        comparison = await self._store.comparison(asked.order.turn)
        if comparison is None or comparison.thread != asked.place:
            return None
        return comparison


def _line(comparison: Comparison, candidate: Candidate) -> Line:
    """One answer with its model's name."""
    spent, votes = candidate.spent, candidate.votes
    counted = branch_texts.ONE_VOTE if votes == 1 else branch_texts.VOTES.format(count=votes)
    cost = branch_texts.COST.format(
        seconds=spent.seconds,
        taken=spent.input_tokens,
        given=spent.output_tokens,
        votes=counted if votes else branch_texts.NO_VOTES,
    )
    return Line(
        text=branch_texts.CANDIDATE.format(label=candidate.label, model=shown(spent.model)),
        detail=branch_texts.FAILED if candidate.failed else cost,
        presses=() if candidate.failed else keeps(comparison.turn, [candidate.label]),
    )
