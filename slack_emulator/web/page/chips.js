/** The small marks within text: who is mentioned, what would ping everyone, emoji. */

import { el } from "./dom.js";
import { emoji, emojiText } from "./emoji.js";
import { PINGS_EVERYONE } from "./words.js";

/**
 * Who is behind an id.
 * @typedef {object} Names
 * @property {(id: string) => {name: string, me: boolean} | null} user
 * @property {(id: string) => string | null} channel
 */

/** Names for text without a workspace around it: ids are shown as they are. */
export const NO_NAMES = { user: () => null, channel: () => null };

/** A loud chip for what would notify everyone on Slack. */
export function ping(word) {
  return el(
    "span",
    { class: "chip chip-ping", title: PINGS_EVERYONE },
    `@${word}`,
    el("span", { class: "chip-note", text: PINGS_EVERYONE }),
  );
}

/** A mention of a person or bot. */
export function userChip(id, names, label) {
  const known = names.user(id);
  const name = known?.name ?? label ?? id;
  return el(
    "span",
    { class: known?.me ? "chip chip-user chip-me" : "chip chip-user", data: { user: id } },
    `@${name}`,
  );
}

/** A mention of a channel. */
export function channelChip(id, names, label) {
  return el(
    "span",
    { class: "chip chip-channel", data: { channel: id } },
    `#${names.channel(id) ?? label ?? id}`,
  );
}

/** An emoji by its Slack name. */
export function emojiSpan(name) {
  const known = emoji(name) !== null;
  if (!known) return document.createTextNode(`:${name}:`);
  const label = name.replaceAll("_", " ");
  return el("span", {
    class: "emoji",
    role: "img",
    "aria-label": label,
    title: `:${name}:`,
    text: emojiText(name),
  });
}
