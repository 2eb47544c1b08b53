/**
 * Standard Markdown, as Slack's `markdown` block and streams take it, block by block: headings,
 * lists in lists, quotes, tables, code with its language, rules, paragraphs.
 *
 * What is still being streamed is as good as finished: an open fence runs to the end.
 */

import { NO_NAMES } from "./chips.js";
import { el, icon } from "./dom.js";
import { code, inline } from "./inline.js";
import { COPIED, COPY, TASK_DONE, TO_DO } from "./words.js";

const MAX_NESTING = 10;
const MAX_CELLS = 5000;
const FENCE = /^( {0,3})(`{3,}|~{3,}) {0,9}([^\s`]{0,60})[^`]*$/;
const HEADING = /^ {0,3}(#{1,6})(?: |$)/;
const RULE = /^ {0,3}(?:(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( *)([-*+•]|\d{1,9}[.)])([ \t]+|$)/;
const TASK = /^\[([ xX])\][ \t]+/;
const TABLE_RULE = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;

/**
 * @param {string} text
 * @param {import("./chips.js").Names} [names]
 * @returns {DocumentFragment}
 */
export function markdown(text, names = NO_NAMES) {
  const lines = text.replaceAll("\r\n", "\n").replaceAll("\t", "    ").split("\n");
  return blocks(lines, names, 0);
}

/** A block of code with its language and a button to copy it. */
export function codeBlock(text, language, dialect, names) {
  const shown = el("code", {}, code(text, dialect, names));
  const button = el(
    "button",
    { type: "button", class: "code-copy", title: COPY, "aria-label": COPY },
    icon("copy"),
  );
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(shown.textContent);
    button.title = COPIED;
    button.replaceChildren(icon("check"));
  });
  return el(
    "div",
    { class: language ? "code" : "code code-bare" },
    el(
      "div",
      { class: "code-head" },
      el("span", { class: "code-language", text: language }),
      button,
    ),
    el("pre", { tabindex: "0" }, shown),
  );
}

function blocks(lines, names, depth) {
  const shown = document.createDocumentFragment();
  let at = 0;
  while (at < lines.length) {
    if (!lines[at].trim()) {
      at += 1;
      continue;
    }
    const [node, next] = block(lines, at, names, depth);
    shown.append(node);
    at = next;
  }
  return shown;
}

/** The block that starts at a line that is not blank, and the line after it. */
function block(lines, at, names, depth) {
  const line = lines[at];
  const fence = FENCE.exec(line);
  if (fence) return fenced(lines, at, fence, names);
  const heading = HEADING.exec(line);
  if (heading) {
    const title = line
      .slice(heading[0].length)
      .trim()
      .replace(/(?:^| )#+$/, "");
    return [el(`h${heading[1].length}`, {}, inline(title, "markdown", names)), at + 1];
  }
  if (RULE.test(line)) return [el("hr"), at + 1];
  if (depth < MAX_NESTING && QUOTE.test(line)) return quote(lines, at, names, depth);
  if (depth < MAX_NESTING && ITEM.test(line)) return list(lines, at, names, depth);
  if (isTable(lines, at)) return table(lines, at, names);
  return paragraph(lines, at, names);
}

function fenced(lines, at, [, indent, fence, language], names) {
  const closing = new RegExp(`^ {0,3}\\${fence[0]}{${fence.length},}\\s*$`);
  const margin = new RegExp(`^ {0,${indent.length}}`);
  const body = [];
  let next = at + 1;
  while (next < lines.length && !closing.test(lines[next])) {
    body.push(lines[next].replace(margin, ""));
    next += 1;
  }
  return [codeBlock(body.join("\n"), language, "markdown", names), next + 1];
}

function quote(lines, at, names, depth) {
  const inner = [];
  let next = at;
  while (next < lines.length && QUOTE.test(lines[next])) {
    inner.push(lines[next].replace(QUOTE, ""));
    next += 1;
  }
  return [el("blockquote", {}, blocks(inner, names, depth + 1)), next];
}

/** A list; what is indented further than its marker belongs to the item above it. */
function list(lines, at, names, depth) {
  const [, indent, marker] = ITEM.exec(lines[at]);
  const ordered = /\d/.test(marker);
  const items = [];
  let next = at;
  while (next < lines.length) {
    const found = ITEM.exec(lines[next]);
    if (!found || found[1].length > indent.length + 1 || /\d/.test(found[2]) !== ordered) break;
    if (found[1].length < indent.length || RULE.test(lines[next])) break;
    const [inner, after] = item(lines, next, found);
    items.push(listItem(inner, names, depth));
    next = afterBlanks(lines, after);
    if (!ITEM.test(lines[next] ?? "")) {
      next = after;
      break;
    }
  }
  const start = ordered && parseInt(marker, 10) !== 1 ? { start: parseInt(marker, 10) } : {};
  return [el(ordered ? "ol" : "ul", start, items), next];
}

/** The lines of one item without their margin, and the line after it. */
function item(lines, at, [whole, indent, marker]) {
  const margin = indent.length + 2;
  const width = Math.min(whole.length, indent.length + marker.length + 1);
  const inner = [lines[at].slice(whole.length)];
  let next = at + 1;
  while (next < lines.length) {
    const line = lines[next];
    const deep = line.length - line.trimStart().length;
    if (!line.trim()) {
      const resumedAt = afterBlanks(lines, next);
      const resumed = lines[resumedAt] ?? "";
      if (resumed.length - resumed.trimStart().length < margin) break;
      inner.push("");
      next = resumedAt;
      continue;
    } else if (deep >= margin) inner.push(line.slice(Math.min(deep, width)));
    else if (startsBlock(line) || deep < indent.length) break;
    else if (!inner.at(-1)) break;
    else inner.push(line.trimStart());
    next += 1;
  }
  return [inner, next];
}

function listItem(inner, names, depth) {
  const task = TASK.exec(inner[0]);
  if (task) inner[0] = inner[0].slice(task[0].length);
  const body = blocks(inner, names, depth + 1);
  const first = body.firstElementChild;
  if (first?.tagName === "P") first.replaceWith(...first.childNodes);
  if (!task) return el("li", {}, body);
  const done = task[1] !== " ";
  return el(
    "li",
    { class: "task-item" },
    el("span", {
      class: done ? "box box-done" : "box",
      role: "img",
      "aria-label": done ? TASK_DONE : TO_DO,
    }),
    body,
  );
}

function afterBlanks(lines, at) {
  let next = at;
  while (next < lines.length && !lines[next].trim()) next += 1;
  return next;
}

function startsBlock(line) {
  return (
    ITEM.test(line) || FENCE.test(line) || HEADING.test(line) || QUOTE.test(line) || RULE.test(line)
  );
}

function isTable(lines, at) {
  const rule = lines[at + 1] ?? "";
  return (
    lines[at].includes("|") &&
    rule.includes("-") &&
    rule.length < 2000 &&
    TABLE_RULE.test(rule) &&
    cells(lines[at]).length === cells(rule).length
  );
}

function table(lines, at, names) {
  const aligned = cells(lines[at + 1]).map((cell) =>
    cell.endsWith(":") ? (cell.startsWith(":") ? "center" : "right") : "left",
  );
  const row = (line, tag) =>
    el(
      "tr",
      {},
      aligned.map((side, column) =>
        el(tag, { class: `align-${side}` }, inline(cells(line)[column] ?? "", "markdown", names)),
      ),
    );
  const body = [];
  let next = at + 2;
  while (
    next < lines.length &&
    lines[next].includes("|") &&
    body.length * aligned.length < MAX_CELLS
  ) {
    body.push(row(lines[next], "td"));
    next += 1;
  }
  const whole = el("table", {}, el("thead", {}, row(lines[at], "th")), el("tbody", {}, body));
  return [el("div", { class: "table-wrap", tabindex: "0" }, whole), next];
}

function cells(line) {
  const inner = line
    .trim()
    .replace(/^\|/, "")
    .replace(/(?<!\\)\|$/, "");
  return inner.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
}

function paragraph(lines, at, names) {
  let next = at + 1;
  while (
    next < lines.length &&
    lines[next].trim() &&
    !startsBlock(lines[next]) &&
    !isTable(lines, next)
  ) {
    next += 1;
  }
  const text = lines
    .slice(at, next)
    .map((line) => line.trimStart())
    .join("\n");
  return [el("p", {}, inline(text.trimEnd(), "markdown", names)), next];
}
