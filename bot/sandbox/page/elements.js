/**
 * Block Kit's interactive elements. Each becomes an ordinary form control; what is chosen goes to
 * the app at once (`blocks.actions`), or with the modal that it stands in.
 *
 * @typedef {object} Context
 * @property {import("./inline.js").Names} names
 * @property {{users: {id, name}[], channels: {id, name}[]}} lists what selects choose from
 * @property {(action: {action_id, block_id, value}) => Promise<void>} press
 * @property {Form} [form] the modal's values, where there is one
 */

import { el, icon, link } from "./dom.js";
import { ask } from "./confirm.js";
import { openMenu, iconButton } from "./menu.js";
import { renderMrkdwn, renderPlain } from "./render.js";
import { CHOOSE, HELPFUL, MORE_ACTIONS, NOT_HELPFUL } from "./words.js";

/** What a modal's controls hold, in the shape of Slack's `view.state`. */
export class Form {
  /** @param {object} [kept] values from before an update: typed text survives it */
  constructor(kept = {}) {
    this.kept = kept;
    this.controls = [];
  }

  add(block, action, read) {
    this.controls.push({ block, action, read });
  }

  was(block, action) {
    return this.kept[block]?.[action] ?? null;
  }

  /** {block_id: {action_id: {type, value or selected_…}}} */
  values() {
    const values = {};
    for (const { block, action, read } of this.controls) (values[block] ??= {})[action] = read();
    return values;
  }
}

/** A text object: plain, or mrkdwn. */
export function text(object, names) {
  if (!object) return null;
  return object.type === "mrkdwn" ? renderMrkdwn(object.text, names) : renderPlain(object.text ?? "");
}

/**
 * The control for an element, or null for a kind that the page does not know.
 *
 * @param {object} spec the element
 * @param {string} block the block's id
 * @param {Context} context
 * @param {{label?: string, dispatch?: boolean}} [options]
 */
export function element(spec, block, context, { label = "", dispatch = true } = {}) {
  const made = MAKERS[spec.type];
  if (!made) return null;
  const send = (value) => pressed(spec, block, context, value);
  return made(spec, { block, context, label, send: dispatch ? send : () => {} });
}

/** Tell the app, after the element's own question has been answered. */
async function pressed(spec, block, context, value) {
  if (spec.confirm && !(await ask({
    title: spec.confirm.title?.text,
    text: text(spec.confirm.text, context.names),
    confirm: spec.confirm.confirm?.text ?? "OK",
    deny: spec.confirm.deny?.text,
    danger: spec.confirm.style === "danger",
  }))) return;
  await context.press({ action_id: spec.action_id, block_id: block, value });
}

const plain = (object) => object?.text ?? "";

function button(spec, { send }) {
  const style = { primary: " button-primary", danger: " button-danger" }[spec.style] ?? "";
  const made = el("button", { type: "button", class: `button${style}`, "aria-label": spec.accessibility_label, data: { action: spec.action_id ?? "" } }, renderPlain(plain(spec.text)));
  made.addEventListener("click", () => once(made, () => send(spec.value ?? "")));
  if (!spec.url) return made;
  return el("span", { class: "button-with-link" }, made, link(spec.url, icon("open")));
}

/** Run an action with its button switched off meanwhile. */
async function once(made, run) {
  made.disabled = true;
  try {
    await run();
  } finally {
    made.disabled = false;
  }
}

function overflow(spec, { send }) {
  const made = iconButton("more", MORE_ACTIONS, () =>
    openMenu(made, (spec.options ?? []).map((option) => ({
      label: plain(option.text), hint: plain(option.description), run: () => send(option.value),
    }))), { "aria-haspopup": "menu", "data-action": spec.action_id });
  return made;
}

function feedback(spec, { send }) {
  const one = (button_, name, fallback) => button_ && iconButton(name, button_.accessibility_label ?? plain(button_.text) ?? fallback, (event) => {
    for (const other of event.currentTarget.parentElement.children) other.classList.toggle("chosen", other === event.currentTarget);
    send(button_.value);
  });
  return el("span", { class: "feedback", data: { action: spec.action_id ?? "" } },
    one(spec.positive_button, "thumb-up", HELPFUL), one(spec.negative_button, "thumb-down", NOT_HELPFUL));
}

function iconOnly(spec, { send }) {
  const made = iconButton(spec.icon === "trash" ? "close" : "more", plain(spec.text) || MORE_ACTIONS, () => once(made, () => send(spec.value ?? "")), { "data-action": spec.action_id });
  return made;
}

/** A single-line or multi-line input; Enter or leaving it dispatches where the app asked. */
function textInput(kind) {
  return (spec, { block, context, label, send }) => {
    const was = context.form?.was(block, spec.action_id);
    const tag = spec.multiline ? "textarea" : "input";
    const made = el(tag, {
      class: "input", name: spec.action_id, "aria-label": label, placeholder: plain(spec.placeholder),
      minlength: spec.min_length, maxlength: spec.max_length,
      min: spec.min_value, max: spec.max_value, step: kind === "number" ? (spec.is_decimal_allowed ? "any" : 1) : null,
      ...(spec.multiline ? { rows: 4 } : { type: kind }),
      ...(spec.focus_on_load ? { autofocus: "" } : {}),
      value: was?.value ?? spec.initial_value ?? "",
    });
    context.form?.add(block, spec.action_id, () => ({ type: spec.type, value: made.value === "" ? null : made.value }));
    made.addEventListener("change", () => send(made.value));
    return made;
  };
}

/** A date or time input; `field` is Slack's name for what was chosen. */
function momentInput(kind, field) {
  return (spec, { block, context, label, send }) => {
    const was = context.form?.was(block, spec.action_id);
    const made = el("input", { class: "input", type: kind, "aria-label": label, value: was?.[`selected_${field}`] ?? spec[`initial_${field}`] ?? "" });
    context.form?.add(block, spec.action_id, () => ({ type: spec.type, [`selected_${field}`]: made.value || null }));
    made.addEventListener("change", () => send(made.value));
    return made;
  };
}

const CHOICES = {
  static: { field: "option", many: "options", from: (spec) => options(spec) },
  external: { field: "option", many: "options", from: () => [] },
  users: { field: "user", many: "users", from: (_, { lists }) => lists.users.map(({ id, name }) => ({ value: id, label: name, raw: id })) },
  channels: { field: "channel", many: "channels", from: (_, { lists }) => lists.channels.map(({ id, name }) => ({ value: id, label: `#${name}`, raw: id })) },
  conversations: { field: "conversation", many: "conversations", from: (_, { lists }) => lists.channels.map(({ id, name }) => ({ value: id, label: `#${name}`, raw: id })) },
};

function options(spec) {
  const groups = spec.option_groups ?? [{ options: spec.options ?? [] }];
  return groups.flatMap(({ label, options: inside }) => (inside ?? []).map((option) => ({
    value: option.value, label: plain(option.text), hint: option.description, raw: option, group: plain(label),
  })));
}

function select(kind) {
  const { field, from } = CHOICES[kind];
  return (spec, { block, context, label, send }) => {
    const choices = from(spec, context);
    const was = context.form?.was(block, spec.action_id)?.[`selected_${field}`] ?? spec[`initial_${field}`];
    const first = typeof was === "string" ? was : was?.value;
    const made = el("select", { class: "input", "aria-label": label || plain(spec.placeholder), data: { action: spec.action_id ?? "" } },
      el("option", { value: "", text: plain(spec.placeholder) || CHOOSE }),
      choices.map((one) => el("option", { value: one.value, text: one.label, selected: one.value === first })));
    const chosen = () => choices.find((one) => one.value === made.value)?.raw ?? null;
    context.form?.add(block, spec.action_id, () => ({ type: spec.type, [`selected_${field}`]: chosen() }));
    made.addEventListener("change", () => made.value && send(made.value));
    return made;
  };
}

/** Check boxes, radio buttons, and selects of several: a list of choices, all in sight. */
function choiceList(kind, { single = false } = {}) {
  const { field, many, from } = CHOICES[kind];
  const name = single ? `selected_${field}` : `selected_${many}`;
  const initial = single ? `initial_${field}` : `initial_${many}`;
  return (spec, { block, context, label, send }) => {
    const was = [context.form?.was(block, spec.action_id)?.[name] ?? spec[initial] ?? []].flat();
    const first = new Set(was.map((one) => (typeof one === "string" ? one : one.value)));
    const group = `${block}-${spec.action_id}`;
    const rows = from(spec, context).map((one) => ({ ...one, box: el("input", { type: single ? "radio" : "checkbox", name: group, value: one.value, checked: first.has(one.value) }) }));
    const chosen = () => rows.filter(({ box }) => box.checked).map(({ raw }) => raw);
    context.form?.add(block, spec.action_id, () => ({ type: spec.type, [name]: single ? (chosen()[0] ?? null) : chosen() }));
    const made = el("div", { class: "choices", role: single ? "radiogroup" : "group", "aria-label": label, data: { action: spec.action_id ?? "" } },
      rows.map(({ box, label: words, hint }) => el("label", { class: "choice" }, box, el("span", {}, renderMrkdwn(words, context.names), hint && el("small", {}, text(hint, context.names))))));
    made.addEventListener("change", () => {
      const values = rows.filter(({ box }) => box.checked).map(({ value }) => value);
      send(single ? values[0] : values);
    });
    return made;
  };
}

const MAKERS = {
  button,
  workflow_button: button,
  overflow,
  feedback_buttons: feedback,
  icon_button: iconOnly,
  plain_text_input: textInput("text"),
  email_text_input: textInput("email"),
  url_text_input: textInput("url"),
  number_input: textInput("number"),
  datepicker: momentInput("date", "date"),
  timepicker: momentInput("time", "time"),
  static_select: select("static"),
  external_select: select("external"),
  users_select: select("users"),
  channels_select: select("channels"),
  conversations_select: select("conversations"),
  multi_static_select: choiceList("static"),
  multi_users_select: choiceList("users"),
  multi_channels_select: choiceList("channels"),
  multi_conversations_select: choiceList("conversations"),
  checkboxes: choiceList("static"),
  radio_buttons: choiceList("static", { single: true }),
};
