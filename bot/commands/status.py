"""The order `status`: how it stands with a session and its thread."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bot.commands import texts
from bot.commands.dispatcher import Asked, Handler
from bot.commands.formatting import age, count, how_it_goes, many, titled
from bot.commands.session_state import answering, blind, state_of
from bot.commands.sessions import presses_for
from bot.commands.texts import sessions as session_texts
from bot.commands.thread import is_quiet
from bot.commands.user_names import Names
from bot.domain.cards import Card, Outcome, Press, told
from bot.domain.messages import ThreadKey
from bot.domain.sessions import SessionRecord
from bot.ports import Clock, Store
from bot.sessions.model_selection import Choosing, Chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """What is told of a session beside what is on its record."""

    chosen: Chosen
    owner: str
    answering: bool
    waiting: int
    beside: tuple[SessionRecord, ...]
    quiet: bool
    now: float


class Status:
    """Tells how it stands."""

    def __init__(self, store: Store, choosing: Choosing, names: Names, clock: Clock) -> None:
        self._store = store
        self._choosing = choosing
        self._names = names
        self._clock = clock

    def handlers(self) -> Mapping[str, Handler]:
        return {"status": self.status}

    async def status(self, asked: Asked) -> Outcome:
        if asked.words:
            return told(how_it_goes("status"))
        session = asked.session
        if session is None:
            if asked.place is None:
                return told(texts.ONLY_IN_THREADS.format(verb="status"))
            return told(await self._without_session(asked, asked.place))
        facts = await self._facts(session)
        return Outcome(
            card=Card(
                title=session_texts.STATUS_TITLE.format(
                    handle=session.handle, title=titled(session)
                ),
                text="\n".join(_told(session, facts)),
                presses=(
                    Press(label=session_texts.HISTORY, verb="history", words=session.handle),
                    Press(label=session_texts.EXPORT, verb="export", words=session.handle),
                    *self._presses(asked, session),
                ),
                small=session_texts.STATUS_ID.format(id=session.id),
                link=session.thread if session.thread != asked.place else None,
            )
        )

    def _presses(self, asked: Asked, session: SessionRecord) -> tuple[Press, ...]:
        if session.owner != asked.person.user and not asked.in_charge:
            return ()
        return presses_for(session, seen=True, in_charge=asked.in_charge)

    async def _without_session(self, asked: Asked, place: ThreadKey) -> str:
        """A thread may have a model and people before it has a session."""
        chosen = await self._choosing.chosen(None, place, owner=asked.person.user)
        quiet = await is_quiet(self._store, place)
        return "\n".join((session_texts.NO_SESSION, _model(chosen), _manners(quiet=quiet)))

    async def _facts(self, session: SessionRecord) -> _Facts:
        beside = await self._store.currents(session.thread)
        return _Facts(
            chosen=await self._choosing.chosen(session, session.thread),
            owner=await self._names.name(session.owner),
            answering=await answering(self._store, session),
            waiting=len(await self._store.waiting(session.thread)),
            beside=tuple(each for each in beside if each.number != session.number),
            quiet=await is_quiet(self._store, session.thread),
            now=self._clock.now(),
        )


def _told(session: SessionRecord, facts: _Facts) -> Iterator[str]:
    state = state_of(session, running=False)
    yield session_texts.STATUS_STATE.format(state=f"{state}, {age(facts.now - session.used)}")
    yield session_texts.STATUS_OWNER.format(name=facts.owner)
    yield session_texts.STATUS_BLIND if blind(session) else _model(facts.chosen)
    if facts.chosen.setup.effort:
        yield session_texts.STATUS_EFFORT.format(effort=facts.chosen.setup.effort)
    yield session_texts.STATUS_TURNS.format(
        turns=count(session.turns),
        input=count(session.input_tokens),
        output=count(session.output_tokens),
    )
    if session.context_tokens and session.context_limit:
        yield session_texts.STATUS_CONTEXT.format(
            used=count(session.context_tokens),
            limit=count(session.context_limit),
            percent=round(100 * session.context_tokens / session.context_limit),
        )
    yield session_texts.STATUS_QUEUE.format(queue=_queue(facts))
    if facts.beside:
        beside = ", ".join(f"{each.handle} ({each.role or titled(each)})" for each in facts.beside)
        yield session_texts.STATUS_BESIDE.format(sessions=beside)
    yield _manners(quiet=facts.quiet)


def _model(chosen: Chosen) -> str:
    model = chosen.shown or session_texts.STATUS_DEFAULT
    return session_texts.STATUS_MODEL.format(model=model, rule=chosen.rule_said)


def _manners(*, quiet: bool) -> str:
    return session_texts.STATUS_QUIET if quiet else session_texts.STATUS_TAKES_PART


def _queue(facts: _Facts) -> str:
    runs = session_texts.STATUS_ANSWERING if facts.answering else session_texts.STATUS_IDLE
    if not facts.waiting:
        return f"{runs}, {session_texts.STATUS_NOTHING_WAITS}"
    return f"{runs}, {session_texts.STATUS_WAITING.format(messages=many(facts.waiting, 'message'))}"
