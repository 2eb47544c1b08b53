/** Block Kit blocks as the page shows them; what it does not know, it says so and goes on. */

import { el, icon, link } from "./dom.js";
import { element } from "./elements.js";
import { renderMarkdown, renderPlain, renderText } from "./render.js";
import { richText } from "./richtext.js";
import { plan, taskCard } from "./tasks.js";
import { IMAGE_LINK, OPTIONAL, UNKNOWN_BLOCK } from "./words.js";

/**
 * @param {object[]} blocks
 * @param {import("./elements.js").Context} context
 * @returns {HTMLElement}
 */
export function renderBlocks(blocks, context) {
  return el(
    "div",
    { class: "blocks" },
    (blocks ?? []).map((block, at) => one(block, at, context)),
  );
}

function one(block, at, context) {
  const made = KINDS[block?.type];
  const id = block?.block_id ?? `block-${at}`;
  return made
    ? made(block, context, id)
    : el("div", { class: "block-unknown", text: UNKNOWN_BLOCK(String(block?.type)) });
}

const KINDS = {
  __proto__: null,
  markdown: (block, { names }) => renderMarkdown(block.text ?? "", names),
  header: (block) => el("h3", { class: "block-header" }, renderPlain(block.text?.text ?? "")),
  divider: () => el("hr", { class: "block-divider" }),
  rich_text: (block, { names }) => richText(block, names),
  task_card: (block, { names }) => taskCard(block, names),
  plan: (block, { names }) => plan(block, names),
  image: (block) => imageLink(block),
  section,
  context: (block, context) =>
    el(
      "div",
      { class: "block-context" },
      (block.elements ?? []).map((part) =>
        part.type === "image" ? imageLink(part) : renderText(part, context.names),
      ),
    ),
  actions: (block, context, id) =>
    el(
      "div",
      { class: "block-actions" },
      (block.elements ?? []).map((part) => element(part, id, context)),
    ),
  context_actions: (block, context, id) =>
    el(
      "div",
      { class: "block-actions block-context-actions" },
      (block.elements ?? []).map((part) => element(part, id, context)),
    ),
  input,
  table,
  alert: (block, { names }) =>
    el(
      "div",
      { class: `block-alert alert-${LEVELS.has(block.level) ? block.level : "default"}` },
      renderText(block.text, names),
    ),
};

const LEVELS = new Set(["info", "success", "warning", "error"]);

function section(block, context, id) {
  const { names } = context;
  const accessory =
    block.accessory &&
    (block.accessory.type === "image"
      ? imageLink(block.accessory)
      : element(block.accessory, id, context));
  return el(
    "div",
    { class: "block-section" },
    el(
      "div",
      { class: "block-section-text" },
      renderText(block.text, names),
      block.fields &&
        el(
          "div",
          { class: "block-fields" },
          block.fields.map((field) => renderText(field, names)),
        ),
    ),
    accessory && el("div", { class: "block-accessory" }, accessory),
  );
}

/** Pictures are never fetched: a page that shows what strangers send must not call out. */
function imageLink(block) {
  const title = block.title?.text ?? block.alt_text ?? "";
  return el(
    "div",
    { class: "block-image" },
    icon("eye"),
    link(String(block.image_url ?? ""), IMAGE_LINK(title)),
  );
}

/** A modal's input with its label, its hint, and room for what the app says is wrong. */
function input(block, context, id) {
  const label = block.label?.text ?? "";
  const error = el("div", { class: "field-error", role: "alert", data: { errorFor: id } });
  return el(
    "div",
    { class: "field", data: { block: id } },
    el("span", { class: "field-label" }, label, block.optional && el("small", { text: OPTIONAL })),
    element(block.element ?? {}, id, context, { label, dispatch: Boolean(block.dispatch_action) }),
    error,
    block.hint && el("small", { class: "field-hint" }, renderPlain(block.hint.text)),
  );
}

function table(block, { names }) {
  const sides = (block.column_settings ?? []).map((column) =>
    ["center", "right"].includes(column?.align) ? column.align : "left",
  );
  const cell = (content, column, tag) =>
    el(
      tag,
      { class: `align-${sides[column] ?? "left"}` },
      content?.type === "rich_text" ? richText(content, names) : renderPlain(content?.text ?? ""),
    );
  const [head = [], ...body] = block.rows ?? [];
  const row = (cells, tag) =>
    el(
      "tr",
      {},
      cells.map((content, column) => cell(content, column, tag)),
    );
  return el(
    "div",
    { class: "table-wrap", tabindex: "0" },
    el(
      "table",
      {},
      el("thead", {}, row(head, "th")),
      el(
        "tbody",
        {},
        body.map((cells) => row(cells, "td")),
      ),
    ),
  );
}
