/** Slack's `rich_text` blocks, as far as apps send them. */

import { el, link } from "./dom.js";
import { channelChip, emojiSpan, ping, userChip } from "./chips.js";
import { codeBlock } from "./markdown.js";

const MAX_INDENT = 8;

/** @returns {HTMLElement} */
export function richText(block, names) {
  return el(
    "div",
    { class: "prose" },
    (block.elements ?? []).map((part) => piece(part, names)),
  );
}

function piece(part, names) {
  const inside = part.elements ?? [];
  switch (part.type) {
    case "rich_text_section":
      return el(
        "p",
        {},
        inside.map((one) => span(one, names)),
      );
    case "rich_text_quote":
      return el(
        "blockquote",
        {},
        el(
          "p",
          {},
          inside.map((one) => span(one, names)),
        ),
      );
    case "rich_text_preformatted":
      return codeBlock(
        inside.map((one) => one.text ?? one.url ?? "").join(""),
        part.language ?? "",
        "markdown",
        names,
      );
    case "rich_text_list":
      return el(
        part.style === "ordered" ? "ol" : "ul",
        {
          class: `indent-${Math.min(part.indent ?? 0, MAX_INDENT)}`,
          ...(part.offset ? { start: part.offset + 1 } : {}),
        },
        inside.map((item) =>
          el(
            "li",
            {},
            (item.elements ?? []).map((one) => span(one, names)),
          ),
        ),
      );
    default:
      return null;
  }
}

function span(part, names) {
  return styled(content(part, names), part.style);
}

function content(part, names) {
  switch (part.type) {
    case "text": {
      const lines = String(part.text ?? "").split("\n");
      return lines.flatMap((line, at) => (at ? [el("br"), line] : [line]));
    }
    case "link":
      return [link(String(part.url ?? ""), ...(part.text ? [part.text] : []))];
    case "user":
      return [userChip(part.user_id, names)];
    case "channel":
      return [channelChip(part.channel_id, names)];
    case "usergroup":
      return [ping(part.usergroup_id)];
    case "broadcast":
      return [ping(part.range)];
    case "emoji":
      return [emojiSpan(part.name)];
    case "date":
      return [part.fallback ?? ""];
    default:
      return [part.text ?? part.fallback ?? ""];
  }
}

function styled(nodes, style = {}) {
  let shown = nodes;
  for (const [name, tag] of [
    ["code", "code"],
    ["bold", "strong"],
    ["italic", "em"],
    ["strike", "s"],
  ]) {
    if (style[name]) shown = [el(tag, {}, ...shown)];
  }
  return shown;
}
