/**
 * Block Kit's interactive elements. Each becomes an ordinary form control; what is chosen goes to
 * the app at once (`blocks.actions`), or with the modal that it stands in.
 *
 * @typedef {object} Context
 * @property {import("./chips.js").Names} names
 * @property {{users: {id, name}[], channels: {id, name}[]}} lists what selects choose from
 * @property {(action: {action_id, block_id, value}) => Promise<void>} press
 * @property {import("./form.js").Form} [form] the modal's values, where there is one
 */

import { el, icon, link } from "./dom.js";
import { ask } from "./confirm.js";
import { openMenu, iconButton } from "./menu.js";
import { choiceList, select } from "./choices.js";
import { momentInput, textInput } from "./inputs.js";
import { renderPlain, renderText } from "./render.js";
import { HELPFUL, MORE_ACTIONS, NOT_HELPFUL, OK } from "./words.js";

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
  if (
    spec.confirm &&
    !(await ask({
      title: spec.confirm.title?.text,
      text: renderText(spec.confirm.text, context.names),
      confirm: spec.confirm.confirm?.text ?? OK,
      deny: spec.confirm.deny?.text,
      danger: spec.confirm.style === "danger",
    }))
  )
    return;
  await context.press({ action_id: spec.action_id, block_id: block, value });
}

const plain = (object) => object?.text ?? "";

function button(spec, { send }) {
  const style = { primary: " button-primary", danger: " button-danger" }[spec.style] ?? "";
  const made = el(
    "button",
    {
      type: "button",
      class: `button${style}`,
      "aria-label": spec.accessibility_label,
      data: { action: spec.action_id ?? "" },
    },
    renderPlain(plain(spec.text)),
  );
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
  const made = iconButton(
    "more",
    MORE_ACTIONS,
    () =>
      openMenu(
        made,
        (spec.options ?? []).map((option) => ({
          label: plain(option.text),
          hint: plain(option.description),
          run: () => send(option.value),
        })),
      ),
    { "aria-haspopup": "menu", "data-action": spec.action_id },
  );
  return made;
}

function feedback(spec, { send }) {
  const one = (button_, name, fallback) =>
    button_ &&
    iconButton(name, button_.accessibility_label ?? plain(button_.text) ?? fallback, (event) => {
      for (const other of event.currentTarget.parentElement.children)
        other.classList.toggle("chosen", other === event.currentTarget);
      send(button_.value);
    });
  return el(
    "span",
    { class: "feedback", data: { action: spec.action_id ?? "" } },
    one(spec.positive_button, "thumb-up", HELPFUL),
    one(spec.negative_button, "thumb-down", NOT_HELPFUL),
  );
}

function iconOnly(spec, { send }) {
  const made = iconButton(
    spec.icon === "trash" ? "close" : "more",
    plain(spec.text) || MORE_ACTIONS,
    () => once(made, () => send(spec.value ?? "")),
    { "data-action": spec.action_id },
  );
  return made;
}

const MAKERS = {
  __proto__: null,
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
