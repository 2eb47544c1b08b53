/**
 * Text within a line: emphasis, code, links, mentions, pings, emoji, in Slack's two dialects.
 *
 * The one pass is linear in the text whatever the text is, nests at most MAX_DEPTH deep, and makes
 * DOM nodes: nothing of the text is ever read as markup.
 */

import { channelChip, emojiSpan, ping, userChip } from "./chips.js";
import { el, followable, link } from "./dom.js";
import { emoji } from "./emoji.js";

const MAX_DEPTH = 16;
const MAX_LABEL = 1000;
const MAX_RUN = 3;
const SPECIAL = /[\\`*_~<&:@h[!\n]/g;
const ENTITY =
  /<([@#!][^<>|\n]{1,300}|(?:https?:\/\/|mailto:)[^<>|\s]{1,3000})(?:\|([^<>\n]{0,1000}))?>/y;
const BARE_URL = /https?:\/\/[^\s<>"`]{1,3000}/y;
const BARE_PING = /@(?:here|channel|everyone)(?!\w)/y;
const SHORTCODE = /:([a-z0-9_+-]{1,60}):/y;
const CHARACTER = /&(lt|gt|amp|quot|#39|nbsp);/y;
const CHARACTERS = { lt: "<", gt: ">", amp: "&", quot: '"', "#39": "'", nbsp: "\u00a0" };
const PUNCTUATION = /[\p{P}\p{S}]/u;

/**
 * @param {string} text
 * @param {"markdown"|"mrkdwn"} dialect standard Markdown, or Slack's own
 * @param {import("./chips.js").Names} names
 * @param {{links?: boolean}} [options] `links: false` inside of a link's label
 * @returns {DocumentFragment}
 */
export function inline(text, dialect, names, { links = true } = {}) {
  return new Scan(text, dialect, names, links).run();
}

/** Slack decodes these three in everything that an app sends; Markdown does outside of code. */
export function decoded(text) {
  return text.replace(/&(lt|gt|amp);/g, (_, name) => CHARACTERS[name]);
}

/** Code: no formatting, but Slack's live forms stay visible for what they are. */
export function code(text, dialect, names) {
  const shown = document.createDocumentFragment();
  let from = 0;
  for (const found of text.matchAll(new RegExp(ENTITY.source, "g"))) {
    const node = found[1].startsWith("!") ? entity(found[1], found[2], names) : null;
    if (!node) continue;
    shown.append(
      dialect === "mrkdwn" ? decoded(text.slice(from, found.index)) : text.slice(from, found.index),
      node,
    );
    from = found.index + found[0].length;
  }
  const rest = text.slice(from);
  shown.append(dialect === "mrkdwn" ? decoded(rest) : rest);
  return shown;
}

/** The node for what stands between `<` and `>`, or null when Slack has no such form. */
function entity(target, label, names) {
  if (/^@[UWB][A-Z0-9]+$/.test(target)) return userChip(target.slice(1), names, label);
  if (/^#[CGD][A-Z0-9]+$/.test(target)) return channelChip(target.slice(1), names, label);
  if (/^!(channel|here|everyone)$/.test(target)) return ping(target.slice(1));
  if (target.startsWith("!subteam^")) return ping(label?.replace(/^@/, "") || target.slice(9));
  if (target.startsWith("!date^"))
    return document.createTextNode(decoded(label ?? target.slice(6)));
  if (followable(decoded(target))) {
    return link(decoded(target), decoded(label || target.replace(/^mailto:/, "")));
  }
  return null;
}

/** One pass over one text. */
class Scan {
  constructor(text, dialect, names, links) {
    this.text = text;
    this.dialect = dialect;
    this.names = names;
    this.links = links;
    this.at = 0;
    /** Open emphasis, innermost last; the first frame is the text itself. */
    this.frames = [{ char: "", count: 0, children: [] }];
    this.opened = { "*": 0, _: 0, "~": 0 };
    this.ticks = null;
  }

  run() {
    const { text } = this;
    while (this.at < text.length) {
      SPECIAL.lastIndex = this.at;
      const next = SPECIAL.exec(text);
      const until = next ? next.index : text.length;
      if (until > this.at) this.put(text.slice(this.at, until));
      this.at = until;
      if (next) this.special(next[0]);
    }
    while (this.frames.length > 1) this.unopen();
    const shown = document.createDocumentFragment();
    appendAll(shown, this.frames[0].children);
    return shown;
  }

  put(child) {
    this.frames.at(-1).children.push(child);
  }

  /** Show a node for what stands here, `length` characters long. */
  take(child, length) {
    this.put(child);
    this.at += length;
  }

  /** Match a sticky pattern right here. */
  match(pattern) {
    pattern.lastIndex = this.at;
    return pattern.exec(this.text);
  }

  special(char) {
    const before = this.text[this.at - 1] ?? "";
    if (char === "\n") return this.take(el("br"), 1);
    if (char === "\\") return this.escape();
    if (char === "`") return this.codeSpan();
    if ("*_~".includes(char)) return this.delimiter(char);
    if (char === "<") return this.found(this.match(ENTITY), (m) => this.entity(m));
    if (char === "&") return this.found(this.match(CHARACTER), (m) => CHARACTERS[m[1]]);
    if (char === ":")
      return this.found(this.match(SHORTCODE), (m) => emoji(m[1]) && emojiSpan(m[1]));
    if (char === "@" && !/[\w@/.]/.test(before)) {
      return this.found(this.match(BARE_PING), (m) => ping(m[0].slice(1)));
    }
    if (char === "h" && this.links && !/\w/.test(before)) return this.bareUrl();
    if ((char === "[" || char === "!") && this.dialect === "markdown" && this.links) {
      return this.markdownLink(char === "!");
    }
    return this.take(char, 1);
  }

  /** Show what `make` makes of a match, or the one character when there is nothing. */
  found(match, make) {
    const child = match && make(match);
    if (child) this.take(child, match[0].length);
    else this.take(this.text[this.at], 1);
  }

  entity([, target, label]) {
    if (!this.links && /^(?:http|mailto)/.test(target)) return decoded(label || target);
    return entity(target, label, this.names);
  }

  escape() {
    const next = this.text[this.at + 1];
    if (this.dialect === "markdown" && next && /[!-/:-@[-`{-~]/.test(next)) this.take(next, 2);
    else this.take("\\", 1);
  }

  codeSpan() {
    const run = /`+/y;
    const length = this.match(run)[0].length;
    const start = this.at + length;
    const end = this.closingTicks(length, start);
    if (end < 0) return this.take("`".repeat(length), length);
    let inner = this.text.slice(start, end).replaceAll("\n", " ");
    if (inner.startsWith(" ") && inner.endsWith(" ") && inner.trim()) inner = inner.slice(1, -1);
    this.put(el("code", {}, code(inner, this.dialect, this.names)));
    this.at = end + length;
  }

  /** Where the next run of exactly `length` backticks is, or -1. All runs are found once. */
  closingTicks(length, from) {
    if (!this.ticks) {
      this.ticks = new Map();
      for (const run of this.text.matchAll(/`+/g)) {
        const size = run[0].length;
        if (!this.ticks.has(size)) this.ticks.set(size, { places: [], next: 0 });
        this.ticks.get(size).places.push(run.index);
      }
    }
    const runs = this.ticks.get(length);
    // None of this length where a backslash has taken the run's first tick.
    if (!runs) return -1;
    while (runs.next < runs.places.length && runs.places[runs.next] < from) runs.next += 1;
    return runs.places[runs.next] ?? -1;
  }

  bareUrl() {
    const match = this.match(BARE_URL);
    if (!match) return this.take("h", 1);
    let address = match[0].replace(/[.,;:!?'*_~\]]+$/, "");
    if (address.endsWith(")") && !address.includes("(")) address = address.replace(/\)+$/, "");
    const plain = decoded(address);
    return this.take(followable(plain) ? link(plain) : plain, address.length);
  }

  /** `[label](address)`; an image is shown as a link, never fetched. */
  markdownLink(image) {
    const open = image ? this.at + 1 : this.at;
    const label = this.text[open] === "[" ? this.label(open) : null;
    const target = label === null ? null : this.target(open + label.length + 2);
    if (!target || !followable(target.address)) return this.take(this.text[this.at], 1);
    const shown = inline(label || target.address, this.dialect, this.names, { links: false });
    return this.take(link(target.address, ...shown.childNodes), target.end - this.at);
  }

  /** The label that starts at `[`, brackets balanced, or null. */
  label(open) {
    let depth = 0;
    const limit = Math.min(this.text.length, open + MAX_LABEL);
    for (let at = open; at < limit; at += 1) {
      const char = this.text[at];
      if (char === "\\") at += 1;
      else if (char === "[") depth += 1;
      else if (char === "]") {
        depth -= 1;
        if (depth === 0) return this.text.slice(open + 1, at);
      }
    }
    return null;
  }

  target(at) {
    const pattern =
      /\(\s{0,5}<?([^\s<>()]{1,3000}(?:\([^\s<>()]{0,300}\)[^\s<>()]{0,1000})?)>?(?:\s{1,5}"[^"\n]{0,300}")?\s{0,5}\)/y;
    pattern.lastIndex = at;
    const match = pattern.exec(this.text);
    return match && { address: decoded(match[1]), end: at + match[0].length };
  }

  delimiter(char) {
    const run = this.runLength(char);
    const before = this.text[this.at - 1] ?? " ";
    const after = this.text[this.at + run] ?? " ";
    this.at += run;
    // A long row of stars is a row of stars: each pair would nest one deeper.
    if (run > MAX_RUN) return this.put(char.repeat(run));
    const { opens, closes } = flanks(before, after, char, this.dialect);
    let left = run;
    if (closes) left = this.close(char, left);
    if (!left) return;
    const may =
      opens && this.frames.length <= MAX_DEPTH && (this.dialect === "markdown" || left === 1);
    if (!may) return this.put(char.repeat(left));
    this.frames.push({ char, count: left, children: [] });
    this.opened[char] += 1;
  }

  runLength(char) {
    let end = this.at;
    while (this.text[end] === char) end += 1;
    return end - this.at;
  }

  /** Close as much emphasis as `count` delimiters can; how many are left over. */
  close(char, count) {
    while (count > 0 && this.opened[char] > 0) {
      while (this.frames.at(-1).char !== char) this.unopen();
      const frame = this.frames.at(-1);
      const { tag, used } = emphasis(char, Math.min(frame.count, count), this.dialect);
      const element = el(tag);
      appendAll(element, frame.children);
      frame.count -= used;
      count -= used;
      frame.children = [element];
      if (frame.count === 0) {
        this.frames.pop();
        this.opened[char] -= 1;
        this.put(element);
      }
    }
    return count;
  }

  /** The innermost open emphasis never closed: its delimiters were text. */
  unopen() {
    const frame = this.frames.pop();
    this.opened[frame.char] -= 1;
    this.put(frame.char.repeat(frame.count));
    for (const child of frame.children) this.put(child);
  }
}

function appendAll(parent, children) {
  for (const child of children) parent.append(child);
  parent.normalize();
}

function emphasis(char, available, dialect) {
  if (dialect === "mrkdwn") return { tag: { "*": "strong", _: "em", "~": "s" }[char], used: 1 };
  if (char === "~") return { tag: "s", used: Math.min(2, available) };
  return available >= 2 ? { tag: "strong", used: 2 } : { tag: "em", used: 1 };
}

/** Whether a delimiter can open and close, by its neighbours (CommonMark's flanking rules). */
function flanks(before, after, char, dialect) {
  const space = { before: /\s/.test(before), after: /\s/.test(after) };
  const mark = { before: PUNCTUATION.test(before), after: PUNCTUATION.test(after) };
  if (dialect === "mrkdwn") {
    return {
      opens: !space.after && (space.before || mark.before),
      closes: !space.before && (space.after || mark.after),
    };
  }
  const left = !space.after && (!mark.after || space.before || mark.before);
  const right = !space.before && (!mark.before || space.after || mark.after);
  if (char !== "_") return { opens: left, closes: right };
  return { opens: left && (!right || mark.before), closes: right && (!left || mark.after) };
}
