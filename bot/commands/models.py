"""The orders about models: show which one counts and why, choose another, set one's own liking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bot.commands import texts
from bot.commands.dispatcher import CommandContext, CommandHandler
from bot.commands.registry import OWNERS, VERBOSITIES
from bot.commands.session_state import running_turn
from bot.commands.texts import models as model_texts
from bot.domain.cards import Button, Card, CardItem, CommandResult, Select, text_result
from bot.domain.messages import ThreadKey
from bot.domain.preferences import Preference, PreferenceKind, Scope
from bot.domain.sessions import EFFORTS
from bot.domain.text import truncate
from bot.ports import Clock, Store
from bot.sessions.model_selection import ModelSelector, SelectionRule

DEFAULT: Final = "default"
"""What takes a choice back."""
_SCOPES: Final[Mapping[str, Scope]] = {
    "me": Scope.USER,
    "channel": Scope.CHANNEL,
    "workspace": Scope.WORKSPACE,
}
_PUBLIC_SCOPES: Final = frozenset({Scope.THREAD, Scope.CHANNEL})
"""What everybody in the thread is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelArgs:
    """What somebody says after `model`."""

    name: str = ""
    effort: str = ""
    scope: Scope = Scope.THREAD

    @property
    def is_query(self) -> bool:
        """Whether nothing is to be changed."""
        return not self.name and not self.effort

    @property
    def is_default(self) -> bool:
        """Whether a choice is taken back."""
        return self.name.casefold() == DEFAULT


def parse_model_args(args: str) -> ModelArgs | None:
    """What is meant by the words after `model`; None when they do not go together."""
    parts = args.split()
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
    return ModelArgs(name=parts[0] if parts else "", effort=effort, scope=scope)


class ModelCommands:
    """Carries out `model` and `set`."""

    def __init__(self, store: Store, model_selector: ModelSelector, clock: Clock) -> None:
        self._store = store
        self._model_selector = model_selector
        self._clock = clock

    def handlers(self) -> Mapping[str, CommandHandler]:
        return {"model": self.model, "set": self.set_preference}

    async def model(self, ctx: CommandContext) -> CommandResult:
        """Show or choose the model of a thread, of one's threads, a channel or the workspace."""
        wanted = parse_model_args(ctx.args)
        if wanted is None:
            return text_result(model_texts.MODEL_USAGE)
        if wanted.is_query:
            return CommandResult(card=await self._model_card(ctx, wanted.scope))
        if not _can_choose(ctx, wanted.scope):
            return text_result(texts.ADMINS_ONLY)
        holder = _scope_id(ctx, wanted.scope)
        if not holder:
            return text_result(_missing_location_text(ctx, wanted.scope))
        name = wanted.name
        if name and not wanted.is_default:
            found = await self._model_selector.resolve_model(name)
            if found is None:
                return CommandResult(card=self._unknown_model_card(ctx, name))
            name = found
        return await self._apply(ctx, wanted, holder, name)

    async def set_preference(self, ctx: CommandContext) -> CommandResult:
        """Set what counts for oneself, from the Home tab."""
        what, _, value = ctx.args.partition(" ")
        user = ctx.user.id
        if what == "verbosity" and value in VERBOSITIES:
            liked = "" if value == "normal" else value
            await self._save_preference(user, Scope.USER, user, PreferenceKind.VERBOSITY, liked)
            return text_result(model_texts.SET_VERBOSITY[value])
        if what != "model" or not value:
            return text_result(texts.OUTDATED)
        name: str | None = ""
        if value != DEFAULT:
            name = await self._model_selector.resolve_model(value)
        if name is None:
            return CommandResult(card=self._unknown_model_card(ctx, value))
        await self._save_preference(user, Scope.USER, user, PreferenceKind.MODEL, name)
        await self._save_preference(user, Scope.USER, user, PreferenceKind.EFFORT, "")
        return text_result(
            model_texts.SET_MODEL.format(model=name) if name else model_texts.SET_DEFAULT
        )

    # Choosing

    async def _apply(
        self, ctx: CommandContext, model_args: ModelArgs, scope_id: str, name: str
    ) -> CommandResult:
        """Keep the choice, and say so to those whom it is about."""
        model = "" if model_args.is_default else name
        user, scope = ctx.user.id, model_args.scope
        others = ctx.session is not None and ctx.session.owner != user
        if scope in (Scope.CHANNEL, Scope.WORKSPACE) or (scope is Scope.THREAD and others):
            detail = " ".join(filter(None, (name, model_args.effort)))
            await self._store.add_audit_entry(user, "model", scope_id, detail)
        if name:
            await self._save_preference(user, scope, scope_id, PreferenceKind.MODEL, model)
        await self._save_preference(user, scope, scope_id, PreferenceKind.EFFORT, model_args.effort)
        if scope is Scope.THREAD and ctx.session is not None:
            # Both: the session's own counts, and the thread's is there for the one after a reset.
            of_session = model if name else ctx.session.model
            await self._store.set_model(ctx.session.number, of_session, model_args.effort)
        sentences = [_selection_text(ctx, model_args, model)]
        if scope is Scope.THREAD:
            sentences += await self._thread_effect(ctx, model_args)
        return text_result(" ".join(sentences), public=scope in _PUBLIC_SCOPES)

    async def _thread_effect(self, ctx: CommandContext, model_args: ModelArgs) -> list[str]:
        """From when on it counts, and what does when a choice was taken back."""
        sentences = []
        place = ctx.thread_key
        if model_args.is_default and place is not None:
            session = await self._store.current_session(place)
            chosen = await self._model_selector.select(session, place, owner=ctx.user.id)
            model = _describe_model(chosen.display_model, chosen.config.effort)
            sentences.append(model_texts.NOW_USING.format(model=model, rule=chosen.rule_text))
        sentences.append(model_texts.FROM_NEXT)
        if place is None:
            return sentences
        if await running_turn(self._store, place, ctx.position) is not None:
            sentences.append(model_texts.STILL_RUNNING)
        return sentences

    async def _save_preference(
        self, actor: str, scope: Scope, scope_id: str, kind: PreferenceKind, value: str
    ) -> None:
        """Keep a choice; "" takes it back."""
        if not value:
            await self._store.clear_preference(scope, scope_id, kind)
            return
        at = self._clock.now()
        await self._store.set_preference(
            Preference(
                scope=scope, scope_id=scope_id, kind=kind, value=value, set_by=actor, set_at=at
            )
        )

    # Showing

    async def _model_card(self, ctx: CommandContext, scope: Scope) -> Card:
        """Which model counts, which rule says so, and what else there is."""
        if not self._model_selector.available_models:
            await self._model_selector.refresh_models()
        if scope is Scope.THREAD:
            text, shown, takeable = await self._current_model(ctx)
        else:
            text, shown, takeable = await self._scope_model(ctx, scope)
        presses: tuple[Button, ...] = ()
        if takeable and _can_choose(ctx, scope):
            back = f"{DEFAULT}{_scope_suffix(ctx, scope)}"
            presses = (Button(label=model_texts.CLEAR_CHOICE, command_name="model", args=back),)
        listed = self._selectable_item(ctx, scope, shown)
        return Card(
            title=model_texts.MODEL_TITLE,
            text=text,
            items=(listed,),
            buttons=presses,
            small_print=model_texts.MODEL_HINT,
        )

    async def _current_model(self, ctx: CommandContext) -> tuple[str, str, bool]:
        """What counts in this thread, or in one that the person would begin here; the model's
        name, and whether it can be taken back."""
        order = ctx.command
        sentence, place = model_texts.MODEL_NOW, ctx.thread_key
        if place is None:
            # No thread has such a root: what is chosen for channel, person and workspace counts.
            sentence = model_texts.MODEL_FOR_NEW
            place = ThreadKey(team=order.team, channel=order.channel, root_ts="")
        chosen = await self._model_selector.select(ctx.session, place, owner=ctx.user.id)
        model = _describe_model(chosen.display_model, chosen.config.effort)
        text = sentence.format(model=model, rule=chosen.rule_text)
        return (
            text,
            chosen.display_model,
            chosen.rule in (SelectionRule.SESSION, SelectionRule.THREAD),
        )

    async def _scope_model(self, ctx: CommandContext, scope: Scope) -> tuple[str, str, bool]:
        """The same for what is chosen for a channel, the workspace or a person."""
        holder = _scope_id(ctx, scope)
        choices = await self._store.preferences([(scope, holder)]) if holder else ()
        found = {choice.kind: choice.value for choice in choices}
        model, effort = found.get(PreferenceKind.MODEL, ""), found.get(PreferenceKind.EFFORT, "")
        whom = model_texts.SCOPE_NAMES[scope]
        if not model and not effort:
            return model_texts.NOTHING_CHOSEN_FOR.format(whom=whom), "", False
        name = (
            _describe_model(model, effort)
            if model
            else model_texts.EFFORT_ONLY.format(effort=effort)
        )
        return model_texts.CHOSEN_FOR.format(whom=whom, model=name), model, True

    def _selectable_item(self, ctx: CommandContext, scope: Scope, current: str) -> CardItem:
        """The models that there are, to choose from where the person may."""
        if ctx.thread_key is None and scope is Scope.THREAD:
            scope = Scope.USER
        return models_item(
            self._model_selector.available_models,
            current,
            suffix=_scope_suffix(ctx, scope),
            can_choose=_can_choose(ctx, scope),
        )

    def _unknown_model_card(self, ctx: CommandContext, name: str) -> Card:
        """That there is no such model, and which ones there are."""
        text = model_texts.NO_SUCH_MODEL.format(name=truncate(name, MAX_OPTION_CHARS))
        if ctx.command.name == "set":
            return Card(text=text)
        return Card(text=text, items=(self._selectable_item(ctx, Scope.THREAD, ""),))


def _can_choose(ctx: CommandContext, scope: Scope) -> bool:
    """The desk has looked at the words as they were written; this is as they are understood."""
    if scope is Scope.USER:
        return True
    if scope is Scope.THREAD:
        return bool(OWNERS & ctx.access_roles)
    return ctx.is_admin


def _scope_id(ctx: CommandContext, scope: Scope) -> str:
    """Whom a choice is for; "" where the order was given at no such place."""
    match scope:
        case Scope.THREAD:
            return "" if ctx.thread_key is None else str(ctx.thread_key)
        case Scope.CHANNEL:
            return ctx.command.channel
        case Scope.WORKSPACE:
            return ctx.command.team
        case Scope.USER:
            return ctx.user.id


def _missing_location_text(ctx: CommandContext, scope: Scope) -> str:
    """What to do when it cannot be told which thread or channel is meant."""
    if scope is Scope.THREAD:
        said = truncate(" ".join(ctx.args.split()), MAX_OPTION_CHARS)
        return model_texts.MODEL_OF_NO_THREAD.format(words=said)
    return model_texts.NO_CHANNEL


def _scope_suffix(ctx: CommandContext, scope: Scope) -> str:
    """What stands after a model's name so that it is chosen for `scope`."""
    if ctx.thread_key is None and scope is Scope.THREAD:
        scope = Scope.USER
    meant = (f" for {word}" for word, its_scope in _SCOPES.items() if its_scope is scope)
    return next(meant, "")


def _selection_text(ctx: CommandContext, model_args: ModelArgs, model: str) -> str:
    public = model_args.scope in _PUBLIC_SCOPES
    who, whom = (
        ctx.user.name if public else model_texts.YOU,
        model_texts.SCOPE_NAMES[model_args.scope],
    )
    if model_args.is_default:
        return model_texts.CHOSE_DEFAULT.format(who=who, whom=whom)
    if not model:
        effort = model_texts.EFFORT_ONLY.format(effort=model_args.effort)
        return model_texts.CHOSE.format(who=who, model=effort, whom=whom)
    return model_texts.CHOSE.format(
        who=who, model=_describe_model(model, model_args.effort), whom=whom
    )


def _describe_model(model: str, effort: str) -> str:
    """A model with the effort that it is to make, for people."""
    name = model or model_texts.SOME_MODEL
    return model_texts.MODEL_AND_EFFORT.format(model=name, effort=effort) if effort else name


MAX_NAMED: Final = 30
"""Models that are told by name."""


MAX_BUTTONS: Final = 5
"""Up to so many models have a button each; more are a list."""


MAX_OPTION_CHARS: Final = 75
"""Characters on a button or in a list, as Slack has it."""


MAX_OPTIONS: Final = 100
"""Things in a list, as Slack has it."""


def selectable(models: Sequence[str]) -> list[str]:
    """The models whose names fit a list and can be typed as one word."""
    return [name for name in models if len(name) <= MAX_OPTION_CHARS and name.split() == [name]]


def models_item(
    available_models: Sequence[str], current: str, *, suffix: str, can_choose: bool
) -> CardItem:
    """The models that there are, to choose one of where the person may.

    `shown` is the one that counts now; `suffix` is what `model <name>` is followed by.
    """
    if not available_models:
        return CardItem(text=model_texts.NO_MODELS)
    text = model_texts.MODELS_ARE.format(models=join_models(available_models))
    names = selectable(available_models)[:MAX_OPTIONS]
    if not can_choose or not names:
        return CardItem(text=text)
    if len(names) <= MAX_BUTTONS:
        presses = (_use_button(name, suffix) for name in names if name != current)
        return CardItem(text=text, buttons=tuple(presses))
    choose = Select(
        label=model_texts.USE_LABEL,
        command_name="model",
        args="",
        options=tuple((name, f"{name}{suffix}") for name in names),
        selected=f"{current}{suffix}" if current in names else "",
    )
    return CardItem(text=text, select=choose)


def _use_button(name: str, suffix: str) -> Button:
    label = truncate(model_texts.USE.format(model=name), MAX_OPTION_CHARS)
    return Button(label=label, command_name="model", args=f"{name}{suffix}")


def join_models(models: Sequence[str]) -> str:
    """The names of models, as many as fit a sentence."""
    names = ", ".join(truncate(name, MAX_OPTION_CHARS) for name in models[:MAX_NAMED])
    more = len(models) - MAX_NAMED
    return model_texts.MODELS_MORE.format(models=names, more=more) if more > 0 else names
