/** One message: who, when, what it says, what hangs on it, and what can be done with it. */

import { avatar } from "./avatar.js";
import { renderBlocks } from "./blocks.js";
import { append, el, fill, icon } from "./dom.js";
import { emojiText } from "./emoji.js";
import { renderMrkdwn, renderPlain } from "./render.js";
import { statusWords } from "./status.js";
import { clockTime, fullTime } from "./times.js";
import { toolbar } from "./toolbar.js";
import * as words from "./words.js";

const TEXT_ENDS_IN = "p, ul, ol, li, blockquote, h1, h2, h3, h4, h5, h6, .prose, .blocks";
const CARET_GOES_IN = `${TEXT_ENDS_IN}, .code, pre, pre > code`;

/**
 * @param {object} message Slack's message object, or an ephemeral one
 * @param {object} view
 * @param {import("./desk.js").Desk} view.desk
 * @param {string} view.channel
 * @param {boolean} view.grouped whether the author stands above already
 * @param {boolean} view.inThread
 * @param {object|null} view.status the status of the thread that hangs on it
 * @returns {HTMLElement}
 */
export function messageRow(message, view) {
  const { desk, grouped } = view;
  const { state } = desk;
  const author = state.users.get(message.ephemeral ? state.app.user_id : message.user);
  const row = el("article", {
    class: rowClass(message, grouped),
    tabindex: "-1",
    data: { ts: message.ts },
    "aria-label": `${authorName(message, author)}, ${clockTime(message.ts)}`,
    "aria-busy": message.streaming?.state === "streaming" ? "true" : null,
  });
  const content = el("div", { class: "message-content" });
  fill(content, body(message, view));
  append(row, [
    el("div", { class: "message-gutter" }, grouped ? time(message) : avatar(author)),
    el(
      "div",
      { class: "message-main" },
      message.ephemeral && onlyYou(message, desk),
      !grouped && header(message, author),
      content,
      reactions(message, view),
      !view.inThread && threadFooter(message, view),
    ),
    !message.ephemeral &&
      message.subtype !== "tombstone" &&
      toolbar(message, view, { row, content }),
  ]);
  return row;
}

/** The line over an ephemeral message, and the way to be rid of it. */
function onlyYou(message, { state }) {
  const gone = () => state.apply("ephemeral", { ...message, deleted: true });
  return el(
    "div",
    { class: "only-you" },
    icon("eye"),
    words.ONLY_YOU,
    el("button", { type: "button", class: "dismiss", text: words.DISMISS, on: { click: gone } }),
  );
}

function rowClass(message, grouped) {
  return [
    "message",
    grouped && "grouped",
    message.ephemeral && "ephemeral",
    message.streaming?.state === "streaming" && "streaming",
    message.subtype === "tombstone" && "tombstone",
  ]
    .filter(Boolean)
    .join(" ");
}

function authorName(message, author) {
  return message.username || author?.real_name || author?.name || message.user || "?";
}

function time(message) {
  return el("time", {
    class: "message-time",
    title: fullTime(message.ts),
    text: clockTime(message.ts),
  });
}

function header(message, author) {
  return el(
    "div",
    { class: "message-head" },
    el("span", { class: "message-author", text: authorName(message, author) }),
    author?.is_bot && el("span", { class: "badge", text: words.APP_MARK }),
    author?.is_stranger && el("span", { class: "badge badge-guest", text: words.GUEST }),
    time(message),
  );
}

/** What a message says: its blocks, or its text; then files, and how it stands. */
function body(message, view) {
  if (message.subtype === "tombstone") return el("p", { class: "muted", text: words.DELETED });
  const { names } = view.desk.state;
  const shown = el("div", { class: "message-body" });
  if (message.blocks?.length)
    shown.append(renderBlocks(message.blocks, blockContext(message, view)));
  else if (message.text) shown.append(renderMrkdwn(message.text, names));
  for (const attachment of message.attachments ?? [])
    shown.append(attached(attachment, message, view));
  for (const file of message.files ?? [])
    shown.append(el("div", { class: "file" }, icon("copy"), renderPlain(file.name ?? "")));
  const state = message.streaming?.state;
  if (state === "streaming")
    lastOf(shown, CARET_GOES_IN).append(el("span", { class: "caret", "aria-hidden": "true" }));
  if (state === "stopped_by_user")
    shown.append(el("p", { class: "muted stopped", text: words.STOPPED_BY_USER }));
  if (state === "expired" && !message.edited)
    shown.append(el("p", { class: "muted", text: words.STREAM_EXPIRED }));
  if (message.edited && !message.bot_id)
    lastOf(shown, TEXT_ENDS_IN).append(
      el("span", { class: "edited", title: fullTime(message.edited.ts), text: ` ${words.EDITED}` }),
    );
  return shown;
}

function blockContext(message, view) {
  const place = { channel: view.channel, message_ts: message.ts };
  return view.desk.blockContext((action) => view.desk.person.press(place, action));
}

function attached(attachment, message, view) {
  const { names } = view.desk.state;
  return el(
    "div",
    { class: "attachment" },
    attachment.pretext && renderMrkdwn(attachment.pretext, names),
    attachment.title && el("strong", {}, renderPlain(attachment.title)),
    attachment.blocks?.length
      ? renderBlocks(attachment.blocks, blockContext(message, view))
      : renderMrkdwn(attachment.text ?? attachment.fallback ?? "", names),
  );
}

/** The innermost of these elements that the text ends in. */
function lastOf(node, selector) {
  const last = node.lastElementChild;
  return last?.matches(selector) ? lastOf(last, selector) : node;
}

function reactions(message, { desk, channel }) {
  if (!message.reactions?.length) return null;
  const me = desk.state.me.id;
  return el(
    "div",
    { class: "reactions" },
    message.reactions.map((one) => {
      const who = one.users.map((id) => desk.state.users.get(id)?.name ?? id).join(", ");
      return el(
        "button",
        {
          type: "button",
          class: one.users.includes(me) ? "reaction mine" : "reaction",
          title: words.REACTED(who, one.name),
          "aria-label": words.REACTION(one.name.replaceAll("_", " "), one.count, who),
          "aria-pressed": String(one.users.includes(me)),
          on: { click: () => desk.person.react(channel, message, one.name) },
        },
        el("span", { class: "emoji", text: emojiText(one.name) }),
        el("span", { text: one.count }),
      );
    }),
  );
}

/** How many replies a message has, and what the app is doing in its thread. */
function threadFooter(message, { desk, status }) {
  const doing = statusWords(status, desk.state);
  if (!message.reply_count && !doing) return null;
  const faces = (message.reply_users ?? [])
    .slice(0, 4)
    .map((id) => avatar(desk.state.users.get(id), "avatar-small"));
  return el(
    "button",
    { type: "button", class: "thread-link", on: { click: () => desk.openThread(message.ts) } },
    faces,
    message.reply_count > 0 &&
      el("span", { class: "thread-count", text: words.REPLIES(message.reply_count) }),
    doing
      ? el(
          "span",
          { class: "thread-doing" },
          el("span", { class: "dots", "aria-hidden": "true" }, el("i"), el("i"), el("i")),
          doing,
        )
      : el("span", { class: "thread-hint", text: words.VIEW_THREAD }),
  );
}
