"""Executes `model` and `set`: shows the selected model and its rule, or changes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bot.commands import texts
from bot.commands.dispatcher import CommandContext, CommandGroup, CommandHandler
from bot.commands.registry import OWNER_OR_ADMIN, VERBOSITIES
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
"""The argument that clears a preference."""
_SCOPES: Final[Mapping[str, Scope]] = {
    "me": Scope.USER,
    "channel": Scope.CHANNEL,
    "workspace": Scope.WORKSPACE,
}
_PUBLIC_SCOPES: Final = frozenset({Scope.THREAD, Scope.CHANNEL})
"""Scopes whose changes are posted in the thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelArgs:
    """The parsed arguments of `model`."""

    name: str = ""
    effort: str = ""
    scope: Scope = Scope.THREAD

    @property
    def is_query(self) -> bool:
        """True if nothing is to be changed."""
        return not self.name and not self.effort

    @property
    def is_default(self) -> bool:
        """True if a preference is to be cleared."""
        return self.name.casefold() == DEFAULT


def parse_model_args(args: str) -> ModelArgs | None:
    """The parsed arguments of `model`, or None if they do not fit together."""
    parts = args.split()
    scope = Scope.THREAD
    if parts and parts[-1].casefold() in _SCOPES:
        is_only_part = len(parts) == 1
        if is_only_part or parts[-2].casefold() == "for":
            scope = _SCOPES[parts[-1].casefold()]
            parts = parts[: -1 if is_only_part else -2]
    effort = ""
    if parts and parts[-1].casefold() in EFFORTS:
        effort = parts.pop().casefold()
    if len(parts) > 1 or (effort and parts and parts[0].casefold() == DEFAULT):
        return None
    return ModelArgs(name=parts[0] if parts else "", effort=effort, scope=scope)


class ModelCommands(CommandGroup):
    """Handles `model` and `set`."""

    def __init__(self, store: Store, model_selector: ModelSelector, clock: Clock) -> None:
        self._store = store
        self._model_selector = model_selector
        self._clock = clock

    def handlers(self) -> Mapping[str, CommandHandler]:
        return {"model": self.model, "set": self.set_preference}

    async def model(self, ctx: CommandContext) -> CommandResult:
        """Show or choose the model of a thread, a user, a channel or the workspace."""
        model_args = parse_model_args(ctx.args)
        if model_args is None:
            return text_result(model_texts.MODEL_USAGE)
        if model_args.is_query:
            return CommandResult(card=await self._model_card(ctx, model_args.scope))
        if not _can_choose(ctx, model_args.scope):
            return text_result(texts.ADMINS_ONLY)
        scope_id = _scope_id(ctx, model_args.scope)
        if not scope_id:
            return text_result(_missing_location_text(ctx, model_args.scope))
        name = model_args.name
        if name and not model_args.is_default:
            found = await self._model_selector.resolve_model(name)
            if found is None:
                return CommandResult(card=self._unknown_model_card(ctx, name))
            name = found
        return await self._apply(ctx, model_args, scope_id, name)

    async def set_preference(self, ctx: CommandContext) -> CommandResult:
        """Set a preference of the user, from the Home tab."""
        setting, _, value = ctx.args.partition(" ")
        user = ctx.user.id
        if setting == "verbosity" and value in VERBOSITIES:
            verbosity = "" if value == "normal" else value
            await self._save_preference(user, Scope.USER, user, PreferenceKind.VERBOSITY, verbosity)
            return text_result(model_texts.SET_VERBOSITY[value])
        if setting != "model" or not value:
            return text_result(texts.OLD_BUTTON)
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

    # Choose

    async def _apply(
        self, ctx: CommandContext, model_args: ModelArgs, scope_id: str, name: str
    ) -> CommandResult:
        """Save the preference and report it."""
        model = "" if model_args.is_default else name
        user, scope = ctx.user.id, model_args.scope
        is_foreign = ctx.session is not None and ctx.session.owner != user
        if scope in (Scope.CHANNEL, Scope.WORKSPACE) or (scope is Scope.THREAD and is_foreign):
            detail = " ".join(filter(None, (name, model_args.effort)))
            await self._store.add_audit_entry(user, "model", scope_id, detail)
        if name:
            await self._save_preference(user, scope, scope_id, PreferenceKind.MODEL, model)
        await self._save_preference(user, scope, scope_id, PreferenceKind.EFFORT, model_args.effort)
        if scope is Scope.THREAD and ctx.session is not None:
            # Both: the session's model applies now, the thread's one after a reset.
            of_session = model if name else ctx.session.model
            await self._store.set_model(ctx.session.number, of_session, model_args.effort)
        parts = [_selection_text(ctx, model_args, model)]
        if scope is Scope.THREAD:
            parts += await self._thread_effect(ctx, model_args)
        return text_result(" ".join(parts), public=scope in _PUBLIC_SCOPES)

    async def _thread_effect(self, ctx: CommandContext, model_args: ModelArgs) -> list[str]:
        """The texts that say when the change takes effect, and what applies after a clear."""
        parts = []
        thread_key = ctx.thread_key
        if model_args.is_default and thread_key is not None:
            session = await self._store.current_session(thread_key)
            selection = await self._model_selector.select(session, thread_key, owner=ctx.user.id)
            model = _describe_model(selection.display_model, selection.config.effort)
            parts.append(model_texts.NOW_USING.format(model=model, rule=selection.rule_text))
        parts.append(model_texts.FROM_NEXT)
        if thread_key is None:
            return parts
        if await running_turn(self._store, thread_key, ctx.position) is not None:
            parts.append(model_texts.STILL_RUNNING)
        return parts

    async def _save_preference(
        self, actor: str, scope: Scope, scope_id: str, kind: PreferenceKind, value: str
    ) -> None:
        """Save a preference; an empty `value` clears it."""
        if not value:
            await self._store.clear_preference(scope, scope_id, kind)
            return
        now = self._clock.now()
        await self._store.set_preference(
            Preference(
                scope=scope, scope_id=scope_id, kind=kind, value=value, set_by=actor, set_at=now
            )
        )

    # Show

    async def _model_card(self, ctx: CommandContext, scope: Scope) -> Card:
        """The selected model, the rule that selected it, and the available models."""
        if not self._model_selector.available_models:
            await self._model_selector.refresh_models()
        if scope is Scope.THREAD:
            text, current, can_clear = await self._current_model(ctx)
        else:
            text, current, can_clear = await self._scope_model(ctx, scope)
        buttons: tuple[Button, ...] = ()
        if can_clear and _can_choose(ctx, scope):
            args = f"{DEFAULT}{_scope_suffix(ctx, scope)}"
            buttons = (Button(label=model_texts.CLEAR_CHOICE, command_name="model", args=args),)
        item = self._selectable_item(ctx, scope, current)
        return Card(
            title=model_texts.MODEL_TITLE,
            text=text,
            items=(item,),
            buttons=buttons,
            small_print=model_texts.MODEL_HINT,
        )

    async def _current_model(self, ctx: CommandContext) -> tuple[str, str, bool]:
        """The text about this thread or a new one here, the model's name, and True if it can be
        cleared."""
        command = ctx.command
        template, thread_key = model_texts.MODEL_NOW, ctx.thread_key
        if thread_key is None:
            # No thread has this root, so the rules of channel, user and workspace apply.
            template = model_texts.MODEL_FOR_NEW
            thread_key = ThreadKey(team=command.team, channel=command.channel, root_ts="")
        selection = await self._model_selector.select(ctx.session, thread_key, owner=ctx.user.id)
        model = _describe_model(selection.display_model, selection.config.effort)
        text = template.format(model=model, rule=selection.rule_text)
        return (
            text,
            selection.display_model,
            selection.rule in (SelectionRule.SESSION, SelectionRule.THREAD),
        )

    async def _scope_model(self, ctx: CommandContext, scope: Scope) -> tuple[str, str, bool]:
        """The same for the preference of a channel, the workspace or a user."""
        scope_id = _scope_id(ctx, scope)
        preferences = await self._store.preferences([(scope, scope_id)]) if scope_id else ()
        values = {preference.kind: preference.value for preference in preferences}
        model, effort = values.get(PreferenceKind.MODEL, ""), values.get(PreferenceKind.EFFORT, "")
        scope_name = model_texts.SCOPE_NAMES[scope]
        if not model and not effort:
            return model_texts.NOTHING_CHOSEN_FOR.format(scope=scope_name), "", False
        name = (
            _describe_model(model, effort)
            if model
            else model_texts.EFFORT_ONLY.format(effort=effort)
        )
        return model_texts.CHOSEN_FOR.format(scope=scope_name, model=name), model, True

    def _selectable_item(self, ctx: CommandContext, scope: Scope, current: str) -> CardItem:
        """The available models, selectable if the user may choose."""
        if ctx.thread_key is None and scope is Scope.THREAD:
            scope = Scope.USER
        return models_item(
            self._model_selector.available_models,
            current,
            suffix=_scope_suffix(ctx, scope),
            can_choose=_can_choose(ctx, scope),
        )

    def _unknown_model_card(self, ctx: CommandContext, name: str) -> Card:
        """A card for an unknown model name, with the available models."""
        text = model_texts.NO_SUCH_MODEL.format(name=truncate(name, MAX_OPTION_CHARS))
        if ctx.command.name == "set":
            return Card(text=text)
        return Card(text=text, items=(self._selectable_item(ctx, Scope.THREAD, ""),))


def _can_choose(ctx: CommandContext, scope: Scope) -> bool:
    """True if the user may choose for a scope.

    The dispatcher has checked the text of the arguments; this checks their meaning.
    """
    if scope is Scope.USER:
        return True
    if scope is Scope.THREAD:
        return bool(OWNER_OR_ADMIN & ctx.access_roles)
    return ctx.is_admin


def _scope_id(ctx: CommandContext, scope: Scope) -> str:
    """The id of the thread, channel, team or user of a scope; "" if there is none here."""
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
    """The text for a command without a thread or channel."""
    if scope is Scope.THREAD:
        args = truncate(" ".join(ctx.args.split()), MAX_OPTION_CHARS)
        return model_texts.MODEL_OF_NO_THREAD.format(args=args)
    return model_texts.NO_CHANNEL


def _scope_suffix(ctx: CommandContext, scope: Scope) -> str:
    """The argument after a model's name that chooses it for `scope`, or ""."""
    if ctx.thread_key is None and scope is Scope.THREAD:
        scope = Scope.USER
    suffixes = (f" for {word}" for word, its_scope in _SCOPES.items() if its_scope is scope)
    return next(suffixes, "")


def _selection_text(ctx: CommandContext, model_args: ModelArgs, model: str) -> str:
    public = model_args.scope in _PUBLIC_SCOPES
    actor, scope_name = (
        ctx.user.name if public else model_texts.YOU,
        model_texts.SCOPE_NAMES[model_args.scope],
    )
    if model_args.is_default:
        return model_texts.CHOSE_DEFAULT.format(actor=actor, scope=scope_name)
    if not model:
        effort = model_texts.EFFORT_ONLY.format(effort=model_args.effort)
        return model_texts.CHOSE.format(actor=actor, model=effort, scope=scope_name)
    return model_texts.CHOSE.format(
        actor=actor, model=_describe_model(model, model_args.effort), scope=scope_name
    )


def _describe_model(model: str, effort: str) -> str:
    """A model with its thinking effort, as text for users."""
    name = model or model_texts.SOME_MODEL
    return model_texts.MODEL_AND_EFFORT.format(model=name, effort=effort) if effort else name


MAX_NAMED: Final = 30
"""Maximum number of models that are listed by name."""


MAX_BUTTONS: Final = 5
"""Maximum number of models with a button each; more models become a select menu."""


MAX_OPTION_CHARS: Final = 75
"""Maximum length of a button or option in characters, a limit of Slack."""


MAX_OPTIONS: Final = 100
"""Maximum number of options in a select menu, a limit of Slack."""


def selectable(models: Sequence[str]) -> list[str]:
    """The models whose names fit an option and can be typed as one word."""
    return [name for name in models if len(name) <= MAX_OPTION_CHARS and name.split() == [name]]


def models_item(
    available_models: Sequence[str], current: str, *, suffix: str, can_choose: bool
) -> CardItem:
    """The available models, with buttons or a select menu if the user may choose.

    `current` is the selected model; `suffix` is appended to `model <name>`.
    """
    if not available_models:
        return CardItem(text=model_texts.NO_MODELS)
    text = model_texts.MODELS_ARE.format(models=join_models(available_models))
    names = selectable(available_models)[:MAX_OPTIONS]
    if not can_choose or not names:
        return CardItem(text=text)
    if len(names) <= MAX_BUTTONS:
        buttons = (_use_button(name, suffix) for name in names if name != current)
        return CardItem(text=text, buttons=tuple(buttons))
    select = Select(
        label=model_texts.USE_LABEL,
        command_name="model",
        args="",
        options=tuple((name, f"{name}{suffix}") for name in names),
        selected=f"{current}{suffix}" if current in names else "",
    )
    return CardItem(text=text, select=select)


def _use_button(name: str, suffix: str) -> Button:
    label = truncate(model_texts.USE.format(model=name), MAX_OPTION_CHARS)
    return Button(label=label, command_name="model", args=f"{name}{suffix}")


def join_models(models: Sequence[str]) -> str:
    """The names of models in one text, at most `MAX_NAMED` of them."""
    names = ", ".join(truncate(name, MAX_OPTION_CHARS) for name in models[:MAX_NAMED])
    more = len(models) - MAX_NAMED
    return model_texts.MODELS_MORE.format(models=names, more=more) if more > 0 else names
