/**
 * The page's door for text: Slack's mrkdwn, standard Markdown and plain text become DOM nodes.
 *
 * Pure: text in, nodes out, no state, no fetching. Text is only ever put in as text nodes, so
 * that nothing which somebody writes can become markup, script, or a link of another kind than
 * http, https and mailto.
 */

import { NO_NAMES } from "./chips.js";
import { el } from "./dom.js";
import { decoded, inline } from "./inline.js";
import { codeBlock, markdown } from "./markdown.js";

export { followable } from "./dom.js";
export { NO_NAMES } from "./chips.js";

const FENCE = "```";
const QUOTE = /^(?:>|&gt;) ?/;
const QUOTE_REST = /^(?:>>>|&gt;&gt;&gt;) ?/;

/**
 * Standard Markdown, as `markdown` blocks and streams have it.
 *
 * @param {string} text
 * @param {import("./chips.js").Names} [names]
 * @returns {HTMLElement}
 */
export function renderMarkdown(text, names = NO_NAMES) {
  return el("div", { class: "prose" }, markdown(String(text), names));
}

/**
 * Slack's own mrkdwn, as `text` and sections have it.
 *
 * @param {string} text
 * @param {import("./chips.js").Names} [names]
 * @returns {HTMLElement}
 */
export function renderMrkdwn(text, names = NO_NAMES) {
  const body = el("div", { class: "prose" });
  const pieces = String(text).replaceAll("\r\n", "\n").split(FENCE);
  // Fences come in pairs; one without a partner is text.
  if (pieces.length % 2 === 0) pieces.push(pieces.splice(-2).join(FENCE));
  pieces.forEach((piece, at) => {
    const inner = piece
      .replace(at > 0 ? /^\n/ : "", "")
      .replace(at < pieces.length - 1 ? /\n$/ : "", "");
    if (at % 2 === 1) body.append(codeBlock(inner, "", "mrkdwn", names));
    else appendLines(body, inner, names);
  });
  return body;
}

/** Plain text: entities decoded, line breaks kept, nothing else. */
export function renderPlain(text) {
  return el("span", { class: "plain", text: decoded(String(text)) });
}

/** A text object of Block Kit: plain, or mrkdwn; null for none. */
export function renderText(object, names = NO_NAMES) {
  if (!object) return null;
  return object.type === "mrkdwn"
    ? renderMrkdwn(object.text ?? "", names)
    : renderPlain(object.text ?? "");
}

/** mrkdwn without code blocks: quotes and lines. */
function appendLines(body, text, names) {
  if (!text) return;
  const lines = text.split("\n");
  let at = 0;
  while (at < lines.length) {
    if (QUOTE_REST.test(lines[at])) {
      const rest = [lines[at].replace(QUOTE_REST, ""), ...lines.slice(at + 1)];
      body.append(el("blockquote", {}, linesOf(rest, names)));
      return;
    }
    const quoted = QUOTE.test(lines[at]);
    const from = at;
    while (at < lines.length && QUOTE.test(lines[at]) === quoted && !QUOTE_REST.test(lines[at]))
      at += 1;
    const run = lines.slice(from, at);
    if (quoted)
      body.append(
        el(
          "blockquote",
          {},
          linesOf(
            run.map((line) => line.replace(QUOTE, "")),
            names,
          ),
        ),
      );
    else body.append(el("p", {}, linesOf(run, names)));
  }
}

/** Formatting never spans lines in mrkdwn. */
function linesOf(lines, names) {
  return lines.flatMap((line, number) => {
    const shown = inline(line, "mrkdwn", names);
    return number === 0 ? [shown] : [el("br"), shown];
  });
}
