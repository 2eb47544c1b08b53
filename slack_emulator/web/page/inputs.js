/** Block Kit's inputs for text, numbers, dates and times. */

import { el } from "./dom.js";

/** A single-line or multi-line input; Enter or leaving it dispatches where the app asked. */
export function textInput(kind) {
  return (spec, { block, context, label, send }) => {
    const was = context.form?.was(block, spec.action_id);
    const tag = spec.multiline ? "textarea" : "input";
    const made = el(tag, {
      class: "input",
      name: spec.action_id,
      "aria-label": label,
      placeholder: spec.placeholder?.text,
      minlength: spec.min_length,
      maxlength: spec.max_length,
      min: spec.min_value,
      max: spec.max_value,
      step: kind === "number" ? (spec.is_decimal_allowed ? "any" : 1) : null,
      ...(spec.multiline ? { rows: 4 } : { type: kind }),
      ...(spec.focus_on_load ? { autofocus: "" } : {}),
      value: was?.value ?? spec.initial_value ?? "",
    });
    context.form?.add(block, spec.action_id, () => ({
      type: spec.type,
      value: made.value === "" ? null : made.value,
    }));
    made.addEventListener("change", () => send(made.value));
    return made;
  };
}

/** A date or time input; `field` is Slack's name for what was chosen. */
export function momentInput(kind, field) {
  return (spec, { block, context, label, send }) => {
    const was = context.form?.was(block, spec.action_id);
    const made = el("input", {
      class: "input",
      type: kind,
      "aria-label": label,
      value: was?.[`selected_${field}`] ?? spec[`initial_${field}`] ?? "",
    });
    context.form?.add(block, spec.action_id, () => ({
      type: spec.type,
      [`selected_${field}`]: made.value || null,
    }));
    made.addEventListener("change", () => send(made.value));
    return made;
  };
}
