"""The order to answer again: the session forgets its answer and is asked like by a message."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final

from bot.commands.branch import last_of, shown
from bot.commands.dispatcher import Asked, Handler
from bot.commands.models import enumerated
from bot.commands.registry import ANSWERING_FOR
from bot.commands.session_state import waits_behind
from bot.commands.texts import branch as branch_texts
from bot.domain.cards import Card, Outcome, Press, told
from bot.domain.messages import Message, Trigger, Wish, ts_of
from bot.domain.sessions import SessionRecord
from bot.domain.turns import Acceptance, Accepted, Turn, TurnState
from bot.ports import Store
from bot.sessions.model_selection import Choosing

_SURE: Final = "--forget"
"""Said by the button that asks whether later answers may be forgotten."""
_MOST: Final = 100
"""So often one message is followed from an answer to the next."""


class Retrying:
    """Carries out `retry`."""

    def __init__(
        self,
        store: Store,
        choosing: Choosing,
        *,
        ask: Callable[[Message], Awaitable[Accepted]],
    ) -> None:
        """`ask` is the inbox's `accept`."""
        self._store = store
        self._choosing = choosing
        self._ask = ask

    def handlers(self) -> Mapping[str, Handler]:
        """The verb that is carried out here."""
        return {"retry": self.retry}

    async def retry(self, asked: Asked) -> Outcome:
        """Answer a turn anew. Later answers are forgotten with it: only its owner may do that, and
        is asked before."""
        named = asked.words.removeprefix(_SURE).strip()
        model = await self._choosing.check_model(named) if named else ""
        if model is None:
            return told(self._unknown(named))
        turn = await self._meant(asked)
        if isinstance(turn, Outcome):
            return turn
        session = await self._store.current(turn.message.thread, turn.message.wish.role)
        refused = await self._not_remembered(turn, session)
        if refused is not None:
            return refused
        later = await self._later(asked, turn, session)
        if later and not asked.standings & ANSWERING_FOR:
            return told(branch_texts.FORGETS_OTHERS.format(count=later))
        if later and not asked.words.startswith(_SURE):
            return _whether(turn, model, later)
        accepted = await self._ask(self._anew(asked, turn, model))
        if accepted.acceptance is Acceptance.FULL:
            return told(branch_texts.FULL)
        if accepted.acceptance is Acceptance.TAKEN:
            return told(branch_texts.AGAIN_ALREADY)
        return told(branch_texts.AGAIN_WITH.format(model=model) if model else branch_texts.AGAIN)

    async def _later(self, asked: Asked, turn: Turn, session: SessionRecord | None) -> int:
        """How many turns would be forgotten with this one: those that its session was asked after
        it, and those that it will have been asked until then, for they were written before."""
        if session is None or await self._store.recall(session.number, turn.id) is None:
            return 0
        thread = turn.message.thread
        running = await self._store.running(thread)
        coming = [*([running] if running is not None else []), *await self._store.waiting(thread)]
        between = [
            each
            for each in coming
            if each.message.wish.role == session.role
            and not waits_behind(each, asked.position)
            and not each.message.wish.compare
            and await self._store.recall(session.number, each.id) is None
        ]
        return await self._store.asked_after(session.number, turn.id) + len(between)

    def _unknown(self, name: str) -> str:
        models = enumerated(self._choosing.offered) or branch_texts.NO_MODELS
        return branch_texts.UNKNOWN_MODEL.format(name=shown(name), models=models)

    async def _meant(self, asked: Asked) -> Turn | Outcome:
        """The turn to answer anew: the one whose button was used, or what became of it since; else
        the last one."""
        number = asked.order.turn
        if number is None:
            last = await last_of(self._store, asked.session)
            number = last.turn if last is not None else 0
        turn = await self._store.turn(number)
        if turn is None or turn.message.thread != asked.place:
            return told(branch_texts.NOTHING_TO_REPEAT)
        if turn.message.wish.compare:
            return told(branch_texts.NOT_A_COMPARISON)
        for _ in range(_MOST):
            newer = await self._store.answered_anew(turn.id)
            if newer is None:
                break
            turn = newer
        if turn.message.wish.again and turn.accepted > asked.given:
            # Somebody else wanted the same answer given anew at the same time.
            return told(branch_texts.AGAIN_ALREADY)
        if turn.ending is not None and not turn.state.final:
            # Its answer is shown already, though the turn itself may not have ended yet.
            turn = replace(turn, state=turn.ending.state)
        if not turn.state.final:
            return told(
                branch_texts.AGAIN_ALREADY if turn.message.wish.again else branch_texts.NOT_FINISHED
            )
        return turn

    async def _not_remembered(self, turn: Turn, session: SessionRecord | None) -> Outcome | None:
        """Why the thread's session cannot answer a turn anew that it was not asked. One that it
        has no answer to it can be asked all the same."""
        answered = turn.ending is not None and bool(turn.ending.answer)
        if turn.state is not TurnState.DONE and not (turn.state is TurnState.STOPPED and answered):
            return None
        if session is None or await self._store.recall(session.number, turn.id) is None:
            return told(branch_texts.OTHER_SESSION)
        return None

    def _anew(self, asked: Asked, turn: Turn, model: str) -> Message:
        order, old = asked.order, turn.message
        return Message(
            event_id=f"order-{order.key}",
            thread=old.thread,
            # A press has no message of its own; when it came in stands in for one.
            ts=order.ts or ts_of(asked.position),
            user=order.by,
            user_team=asked.person.team,
            text=old.text,
            trigger=Trigger.MENTION if order.ts else Trigger.MENU,
            direct=old.direct,
            wish=Wish(role=old.wish.role, model=model, again=turn.id),
        )


def _whether(turn: Turn, model: str, later: int) -> Outcome:
    """The question whether later answers may be forgotten."""
    anyway = Press(
        label=branch_texts.AGAIN_ANYWAY,
        verb="retry",
        words=f"{_SURE} {model}".strip(),
        turn=turn.id,
        style="danger",
    )
    return Outcome(card=Card(text=branch_texts.AGAIN_SURE.format(count=later), presses=(anyway,)))
