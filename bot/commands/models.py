"""The orders about models: show which one counts and why, choose another, set one's own liking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bot.commands import texts
from bot.commands.dispatcher import Asked, Handler
from bot.commands.formatting import clipped
from bot.commands.registry import ANSWERING_FOR, VERBOSITIES
from bot.commands.session_state import being_answered
from bot.commands.texts import models as model_texts
from bot.domain.cards import Card, Choose, Line, Outcome, Press, told
from bot.domain.messages import ThreadKey
from bot.domain.preferences import Choice, Scope, Topic
from bot.domain.sessions import EFFORTS
from bot.ports import Clock, Store
from bot.sessions.model_selection import Choosing, Rule

DEFAULT: Final = "default"
"""What takes a choice back."""
_SCOPES: Final[Mapping[str, Scope]] = {
    "me": Scope.PERSON,
    "channel": Scope.CHANNEL,
    "workspace": Scope.WORKSPACE,
}
_PUBLIC: Final = frozenset({Scope.THREAD, Scope.CHANNEL})
"""What everybody in the thread is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What somebody says after `model`."""

    name: str = ""
    effort: str = ""
    scope: Scope = Scope.THREAD

    @property
    def shows(self) -> bool:
        """Whether nothing is to be changed."""
        return not self.name and not self.effort

    @property
    def default(self) -> bool:
        """Whether a choice is taken back."""
        return self.name.casefold() == DEFAULT


def read_wanted(said: str) -> Wanted | None:
    """What is meant by the words after `model`; None when they do not go together."""
    parts = said.split()
    scope = Scope.THREAD
    if parts and parts[-1].casefold() in _SCOPES:
        alone = len(parts) == 1
        if alone or parts[-2].casefold() == "for":
            scope = _SCOPES[parts[-1].casefold()]
            parts = parts[: -1 if alone else -2]
    effort = ""
    if parts and parts[-1].casefold() in EFFORTS:
        effort = parts.pop().casefold()
    if len(parts) > 1 or (effort and parts and parts[0].casefold() == DEFAULT):
        return None
    return Wanted(name=parts[0] if parts else "", effort=effort, scope=scope)


class ModelOrders:
    """Carries out `model` and `set`."""

    def __init__(self, store: Store, choosing: Choosing, clock: Clock) -> None:
        self._store = store
        self._choosing = choosing
        self._clock = clock

    def handlers(self) -> Mapping[str, Handler]:
        return {"model": self.model, "set": self.set_own}

    async def model(self, asked: Asked) -> Outcome:
        """Show or choose the model of a thread, of one's threads, a channel or the workspace."""
        wanted = read_wanted(asked.words)
        if wanted is None:
            return told(model_texts.MODEL_USAGE)
        if wanted.shows:
            return Outcome(card=await self._shown(asked, wanted.scope))
        if not _may_choose(asked, wanted.scope):
            return told(texts.ADMINS_ONLY)
        holder = _holder(asked, wanted.scope)
        if not holder:
            return told(_whereabouts(asked, wanted.scope))
        name = wanted.name
        if name and not wanted.default:
            found = await self._choosing.check_model(name)
            if found is None:
                return Outcome(card=self._unknown(asked, name))
            name = found
        return await self._choose(asked, wanted, holder, name)

    async def set_own(self, asked: Asked) -> Outcome:
        """Set what counts for oneself, from the Home tab."""
        what, _, value = asked.words.partition(" ")
        user = asked.person.user
        if what == "verbosity" and value in VERBOSITIES:
            liked = "" if value == "normal" else value
            await self._keep(user, Scope.PERSON, user, Topic.VERBOSITY, liked)
            return told(model_texts.SET_VERBOSITY[value])
        if what != "model" or not value:
            return told(texts.NO_LONGER)
        name: str | None = ""
        if value != DEFAULT:
            name = await self._choosing.check_model(value)
        if name is None:
            return Outcome(card=self._unknown(asked, value))
        await self._keep(user, Scope.PERSON, user, Topic.MODEL, name)
        await self._keep(user, Scope.PERSON, user, Topic.EFFORT, "")
        return told(model_texts.SET_MODEL.format(model=name) if name else model_texts.SET_DEFAULT)

    # Choosing

    async def _choose(self, asked: Asked, wanted: Wanted, holder: str, name: str) -> Outcome:
        """Keep the choice, and say so to those whom it is about."""
        model = "" if wanted.default else name
        user, scope = asked.person.user, wanted.scope
        others = asked.session is not None and asked.session.owner != user
        if scope in (Scope.CHANNEL, Scope.WORKSPACE) or (scope is Scope.THREAD and others):
            detail = " ".join(filter(None, (name, wanted.effort)))
            await self._store.audit(user, "model", holder, detail)
        if name:
            await self._keep(user, scope, holder, Topic.MODEL, model)
        await self._keep(user, scope, holder, Topic.EFFORT, wanted.effort)
        if scope is Scope.THREAD and asked.session is not None:
            # Both: the session's own counts, and the thread's is there for the one after a reset.
            of_session = model if name else asked.session.model
            await self._store.choose_model(asked.session.number, of_session, wanted.effort)
        sentences = [_chose(asked, wanted, model)]
        if scope is Scope.THREAD:
            sentences += await self._in_this_thread(asked, wanted)
        return told(" ".join(sentences), public=scope in _PUBLIC)

    async def _in_this_thread(self, asked: Asked, wanted: Wanted) -> list[str]:
        """From when on it counts, and what does when a choice was taken back."""
        sentences = []
        place = asked.place
        if wanted.default and place is not None:
            session = await self._store.current(place)
            chosen = await self._choosing.chosen(session, place, owner=asked.person.user)
            model = _named(chosen.shown, chosen.setup.effort)
            sentences.append(model_texts.NOW_FOLLOWS.format(model=model, rule=chosen.rule_said))
        sentences.append(model_texts.FROM_NEXT)
        if place is None:
            return sentences
        if await being_answered(self._store, place, asked.position) is not None:
            sentences.append(model_texts.STILL_RUNNING)
        return sentences

    async def _keep(self, by: str, scope: Scope, holder: str, topic: Topic, value: str) -> None:
        """Keep a choice; "" takes it back."""
        if not value:
            await self._store.unchoose(scope, holder, topic)
            return
        at = self._clock.now()
        await self._store.choose(
            Choice(scope=scope, holder=holder, topic=topic, value=value, by=by, at=at)
        )

    # Showing

    async def _shown(self, asked: Asked, scope: Scope) -> Card:
        """Which model counts, which rule says so, and what else there is."""
        if not self._choosing.offered:
            await self._choosing.learn()
        if scope is Scope.THREAD:
            text, shown, takeable = await self._now(asked)
        else:
            text, shown, takeable = await self._chosen_for(asked, scope)
        presses: tuple[Press, ...] = ()
        if takeable and _may_choose(asked, scope):
            back = f"{DEFAULT}{_suffix(asked, scope)}"
            presses = (Press(label=model_texts.TAKE_BACK, verb="model", words=back),)
        listed = self._listed(asked, scope, shown)
        return Card(
            title=model_texts.MODEL_TITLE,
            text=text,
            lines=(listed,),
            presses=presses,
            small=model_texts.MODEL_HINT,
        )

    async def _now(self, asked: Asked) -> tuple[str, str, bool]:
        """What counts in this thread, or in one that the person would begin here; the model's
        name, and whether it can be taken back."""
        order = asked.order
        sentence, place = model_texts.MODEL_NOW, asked.place
        if place is None:
            # No thread has such a root: what is chosen for channel, person and workspace counts.
            sentence = model_texts.MODEL_FOR_NEW
            place = ThreadKey(team=order.team, channel=order.channel, root_ts="")
        chosen = await self._choosing.chosen(asked.session, place, owner=asked.person.user)
        model = _named(chosen.shown, chosen.setup.effort)
        text = sentence.format(model=model, rule=chosen.rule_said)
        return text, chosen.shown, chosen.rule in (Rule.SESSION, Rule.THREAD)

    async def _chosen_for(self, asked: Asked, scope: Scope) -> tuple[str, str, bool]:
        """The same for what is chosen for a channel, the workspace or a person."""
        holder = _holder(asked, scope)
        choices = await self._store.choices([(scope, holder)]) if holder else ()
        found = {choice.topic: choice.value for choice in choices}
        model, effort = found.get(Topic.MODEL, ""), found.get(Topic.EFFORT, "")
        whom = model_texts.WHOM[scope]
        if not model and not effort:
            return model_texts.NOTHING_CHOSEN_FOR.format(whom=whom), "", False
        name = _named(model, effort) if model else model_texts.EFFORT_ONLY.format(effort=effort)
        return model_texts.CHOSEN_FOR.format(whom=whom, model=name), model, True

    def _listed(self, asked: Asked, scope: Scope, shown: str) -> Line:
        """The models that there are, to choose from where the person may."""
        if asked.place is None and scope is Scope.THREAD:
            scope = Scope.PERSON
        return model_line(
            self._choosing.offered,
            shown,
            suffix=_suffix(asked, scope),
            may_choose=_may_choose(asked, scope),
        )

    def _unknown(self, asked: Asked, name: str) -> Card:
        """That there is no such model, and which ones there are."""
        text = model_texts.NO_SUCH_MODEL.format(name=clipped(name, LONGEST_OPTION))
        if asked.order.verb == "set":
            return Card(text=text)
        return Card(text=text, lines=(self._listed(asked, Scope.THREAD, ""),))


def _may_choose(asked: Asked, scope: Scope) -> bool:
    """The desk has looked at the words as they were written; this is as they are understood."""
    if scope is Scope.PERSON:
        return True
    if scope is Scope.THREAD:
        return bool(ANSWERING_FOR & asked.standings)
    return asked.in_charge


def _holder(asked: Asked, scope: Scope) -> str:
    """Whom a choice is for; "" where the order was given at no such place."""
    match scope:
        case Scope.THREAD:
            return "" if asked.place is None else str(asked.place)
        case Scope.CHANNEL:
            return asked.order.channel
        case Scope.WORKSPACE:
            return asked.order.team
        case Scope.PERSON:
            return asked.person.user


def _whereabouts(asked: Asked, scope: Scope) -> str:
    """What to do when it cannot be told which thread or channel is meant."""
    if scope is Scope.THREAD:
        said = clipped(" ".join(asked.words.split()), LONGEST_OPTION)
        return model_texts.MODEL_OF_NO_THREAD.format(words=said)
    return model_texts.NO_CHANNEL


def _suffix(asked: Asked, scope: Scope) -> str:
    """What stands after a model's name so that it is chosen for `scope`."""
    if asked.place is None and scope is Scope.THREAD:
        scope = Scope.PERSON
    meant = (f" for {word}" for word, its_scope in _SCOPES.items() if its_scope is scope)
    return next(meant, "")


def _chose(asked: Asked, wanted: Wanted, model: str) -> str:
    public = wanted.scope in _PUBLIC
    who, whom = asked.person.name if public else model_texts.YOU, model_texts.WHOM[wanted.scope]
    if wanted.default:
        return model_texts.CHOSE_DEFAULT.format(who=who, whom=whom)
    if not model:
        effort = model_texts.EFFORT_ONLY.format(effort=wanted.effort)
        return model_texts.CHOSE.format(who=who, model=effort, whom=whom)
    return model_texts.CHOSE.format(who=who, model=_named(model, wanted.effort), whom=whom)


def _named(model: str, effort: str) -> str:
    """A model with the effort that it is to make, for people."""
    name = model or model_texts.SOME_MODEL
    return model_texts.MODEL_AND_EFFORT.format(model=name, effort=effort) if effort else name


MOST_TOLD: Final = 30
"""Models that are told by name."""


MOST_BUTTONS: Final = 5
"""Up to so many models have a button each; more are a list."""


LONGEST_OPTION: Final = 75
"""Characters on a button or in a list, as Slack has it."""


MOST_OPTIONS: Final = 100
"""Things in a list, as Slack has it."""


def listable(models: Sequence[str]) -> list[str]:
    """The models whose names fit a list and can be typed as one word."""
    return [name for name in models if len(name) <= LONGEST_OPTION and name.split() == [name]]


def model_line(offered: Sequence[str], shown: str, *, suffix: str, may_choose: bool) -> Line:
    """The models that there are, to choose one of where the person may.

    `shown` is the one that counts now; `suffix` is what `model <name>` is followed by.
    """
    if not offered:
        return Line(text=model_texts.NO_MODELS)
    text = model_texts.MODELS_ARE.format(models=enumerated(offered))
    names = listable(offered)[:MOST_OPTIONS]
    if not may_choose or not names:
        return Line(text=text)
    if len(names) <= MOST_BUTTONS:
        presses = (_use(name, suffix) for name in names if name != shown)
        return Line(text=text, presses=tuple(presses))
    choose = Choose(
        label=model_texts.USE_LABEL,
        verb="model",
        words="",
        options=tuple((name, f"{name}{suffix}") for name in names),
        chosen=f"{shown}{suffix}" if shown in names else "",
    )
    return Line(text=text, choose=choose)


def _use(name: str, suffix: str) -> Press:
    label = clipped(model_texts.USE.format(model=name), LONGEST_OPTION)
    return Press(label=label, verb="model", words=f"{name}{suffix}")


def enumerated(models: Sequence[str]) -> str:
    """The names of models, as many as fit a sentence."""
    names = ", ".join(clipped(name, LONGEST_OPTION) for name in models[:MOST_TOLD])
    more = len(models) - MOST_TOLD
    return model_texts.MODELS_MORE.format(models=names, more=more) if more > 0 else names
