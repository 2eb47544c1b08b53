/** What can be done with a message: react, reply, the app's shortcuts; edit and delete one's own. */

import { ask } from "./confirm.js";
import { el, fill } from "./dom.js";
import { decoded } from "./inline.js";
import { iconButton, openMenu, openPicker } from "./menu.js";
import * as words from "./words.js";

/**
 * @param {object} message
 * @param {object} view as for `messageRow`
 * @param {{row: HTMLElement, content: HTMLElement}} parts of the row, for editing in place
 */
export function toolbar(message, view, { row, content }) {
  const { desk, channel, inThread } = view;
  const { person } = desk;
  const react = iconButton(
    "smile",
    words.ADD_REACTION,
    () => openPicker(react, (name) => person.react(channel, message, name)),
    { "aria-haspopup": "menu" },
  );
  const more = iconButton(
    "more",
    words.MORE_ACTIONS,
    () =>
      openMenu(
        more,
        items(message, view, () => edit(message, view, row, content)),
      ),
    { "aria-haspopup": "menu" },
  );
  return el(
    "div",
    { class: "message-tools", role: "toolbar", "aria-label": words.MORE_ACTIONS },
    react,
    !inThread &&
      iconButton("reply", words.REPLY_IN_THREAD, () =>
        desk.openThread(message.thread_ts ?? message.ts, { focus: true }),
      ),
    more,
  );
}

function items(message, { desk, channel }, startEdit) {
  const { person, state } = desk;
  const shortcuts = state.app.shortcuts.map((shortcut) => ({
    label: shortcut.name,
    hint: state.appTitle,
    run: () => person.shortcut(shortcut.callback_id, channel, message.ts),
  }));
  const own =
    message.user === state.me.id
      ? [
          { label: words.EDIT, run: startEdit },
          { label: words.DELETE, danger: true, run: () => remove(message, person, channel) },
        ]
      : [];
  const copy = {
    label: words.COPY_TEXT,
    run: () => navigator.clipboard.writeText(decoded(message.text ?? "")),
  };
  return [...shortcuts, copy, ...own];
}

async function remove(message, person, channel) {
  const sure = await ask({ text: words.DELETE_SURE, confirm: words.DELETE, danger: true });
  if (sure) await person.remove(channel, message.ts);
}

/** Turn the row into a small editor; Escape leaves it as it was. */
function edit(message, { desk, channel }, row, content) {
  const before = [...content.childNodes];
  const field = el("textarea", {
    class: "input edit-field",
    "aria-label": words.EDIT,
    value: typed(message.text ?? "", desk.state),
  });
  const leave = () => {
    row.classList.remove("editing");
    fill(content, before);
    row.focus();
    row.dispatchEvent(new Event("left", { bubbles: true }));
  };
  const save = async () => {
    if (field.value.trim() && (await desk.person.edit(channel, message.ts, field.value.trim())))
      leave();
  };
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape") leave();
    else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) save();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  row.classList.add("editing");
  fill(
    content,
    field,
    el(
      "div",
      { class: "edit-foot" },
      el("button", { type: "button", class: "button", text: words.CANCEL, on: { click: leave } }),
      el("button", {
        type: "button",
        class: "button button-primary",
        text: words.SAVE,
        on: { click: save },
      }),
    ),
  );
  field.focus();
  field.setSelectionRange(field.value.length, field.value.length);
}

/** A message's text as it was typed: mentions by name, characters decoded. */
function typed(text, state) {
  const named = text.replace(/<@([A-Z0-9]+)(?:\|[^>]*)?>/g, (whole, id) => {
    const user = state.users.get(id);
    return user ? `@${user.name}` : whole;
  });
  return decoded(named.replace(/<((?:https?:\/\/|mailto:)[^|>]+)>/g, "$1"));
}
