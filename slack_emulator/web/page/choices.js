/** Block Kit's choices: selects, check boxes, radio buttons, of options, people or channels. */

import { el } from "./dom.js";
import { renderMrkdwn, renderText } from "./render.js";
import { CHOOSE } from "./words.js";

const plain = (object) => object?.text ?? "";

const CHOICES = {
  static: { field: "option", many: "options", from: (spec) => options(spec) },
  external: { field: "option", many: "options", from: () => [] },
  users: {
    field: "user",
    many: "users",
    from: (_, { lists }) =>
      lists.users.map(({ id, name }) => ({ value: id, label: name, raw: id })),
  },
  channels: {
    field: "channel",
    many: "channels",
    from: (_, { lists }) =>
      lists.channels.map(({ id, name }) => ({ value: id, label: `#${name}`, raw: id })),
  },
  conversations: {
    field: "conversation",
    many: "conversations",
    from: (_, { lists }) =>
      lists.channels.map(({ id, name }) => ({ value: id, label: `#${name}`, raw: id })),
  },
};

function options(spec) {
  const groups = spec.option_groups ?? [{ options: spec.options ?? [] }];
  return groups.flatMap(({ label, options: inside }) =>
    (inside ?? []).map((option) => ({
      value: option.value,
      label: plain(option.text),
      hint: option.description,
      raw: option,
      group: plain(label),
    })),
  );
}

/** A select of one. */
export function select(kind) {
  const { field, from } = CHOICES[kind];
  return (spec, { block, context, label, send }) => {
    const choices = from(spec, context);
    const was =
      context.form?.was(block, spec.action_id)?.[`selected_${field}`] ?? spec[`initial_${field}`];
    const first = typeof was === "string" ? was : was?.value;
    const made = el(
      "select",
      {
        class: "input",
        "aria-label": label || plain(spec.placeholder),
        data: { action: spec.action_id ?? "" },
      },
      el("option", { value: "", text: plain(spec.placeholder) || CHOOSE }),
      choices.map((one) =>
        el("option", { value: one.value, text: one.label, selected: one.value === first }),
      ),
    );
    const chosen = () => choices.find((one) => one.value === made.value)?.raw ?? null;
    context.form?.add(block, spec.action_id, () => ({
      type: spec.type,
      [`selected_${field}`]: chosen(),
    }));
    made.addEventListener("change", () => made.value && send(made.value));
    return made;
  };
}

/** Check boxes, radio buttons, and selects of several: a list of choices, all in sight. */
export function choiceList(kind, { single = false } = {}) {
  const { field, many, from } = CHOICES[kind];
  const name = single ? `selected_${field}` : `selected_${many}`;
  const initial = single ? `initial_${field}` : `initial_${many}`;
  return (spec, { block, context, label, send }) => {
    const was = [context.form?.was(block, spec.action_id)?.[name] ?? spec[initial] ?? []].flat();
    const first = new Set(was.map((one) => (typeof one === "string" ? one : one.value)));
    const group = `${block}-${spec.action_id}`;
    const rows = from(spec, context).map((one) => ({
      ...one,
      box: el("input", {
        type: single ? "radio" : "checkbox",
        name: group,
        value: one.value,
        checked: first.has(one.value),
      }),
    }));
    const chosen = () => rows.filter(({ box }) => box.checked).map(({ raw }) => raw);
    context.form?.add(block, spec.action_id, () => ({
      type: spec.type,
      [name]: single ? (chosen()[0] ?? null) : chosen(),
    }));
    const made = el(
      "div",
      {
        class: "choices",
        role: single ? "radiogroup" : "group",
        "aria-label": label,
        data: { action: spec.action_id ?? "" },
      },
      rows.map(({ box, label: words, hint }) =>
        el(
          "label",
          { class: "choice" },
          box,
          el(
            "span",
            {},
            renderMrkdwn(words, context.names),
            hint && el("small", {}, renderText(hint, context.names)),
          ),
        ),
      ),
    );
    made.addEventListener("change", () => {
      const values = rows.filter(({ box }) => box.checked).map(({ value }) => value);
      send(single ? values[0] : values);
    });
    return made;
  };
}
