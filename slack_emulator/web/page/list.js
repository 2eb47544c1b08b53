/**
 * A list of messages that stays where one reads: at the newest while one is there, else in place.
 * Rows are kept and made anew only when what they show has changed.
 */

import { el, icon } from "./dom.js";
import { messageRow } from "./message.js";
import { statusWords } from "./status.js";
import { clockTime, dayName, sameDay } from "./times.js";
import { JUMP } from "./words.js";

const CLOSE_TOGETHER = 300;
const AT_END = 80;

/** The list of one channel or one thread. */
export class MessageList {
  /**
   * @param {import("./desk.js").Desk} desk
   * @param {{channel: string, inThread: boolean, label: string}} place
   */
  constructor(desk, place) {
    this.desk = desk;
    this.place = place;
    this.rows = new Map();
    this.top = el("div", { class: "list-top" });
    this.inner = el("div", { class: "list-inner" }, this.top);
    this.scroller = el(
      "div",
      { class: "list", role: "log", "aria-label": place.label, tabindex: "0" },
      this.inner,
    );
    this.jump = el(
      "button",
      { type: "button", class: "jump", hidden: true, on: { click: () => this.toEnd() } },
      icon("down"),
      JUMP,
    );
    this.host = el("div", { class: "list-host" }, this.scroller, this.jump);
    this.atEnd = true;
    this.shown = [[], () => null];
    this.scroller.addEventListener("scroll", () => this.noteScroll());
    this.scroller.addEventListener("keydown", (event) => this.step(event));
    // What came while a row was being edited has not been drawn.
    this.inner.addEventListener("left", () => this.render(...this.shown));
    this.watch = new ResizeObserver(() => this.settle());
    this.watch.observe(this.scroller);
    this.watch.observe(this.inner);
  }

  /** Show these messages, oldest first. `statusOf` gives the status of a message's thread. */
  render(messages, statusOf) {
    this.shown = [messages, statusOf];
    const kept = new Set();
    let previous = null;
    let after = this.top;
    for (const message of messages) {
      const key = `${message.ephemeral ? "e" : "m"}${message.ts}`;
      kept.add(key);
      const row = this.row(key, message, this.facts(message, previous, statusOf));
      if (after.nextSibling !== row) after.after(row);
      after = row;
      previous = message;
    }
    for (const [key, { host }] of this.rows) {
      if (kept.has(key)) continue;
      host.remove();
      this.rows.delete(key);
    }
    this.settle();
  }

  /** All that a row's looks depend on, besides the message. */
  facts(message, previous, statusOf) {
    const newDay = !previous || !sameDay(previous.ts, message.ts);
    const grouped = !newDay && together(previous, message);
    const status = statusOf(message);
    return {
      newDay,
      grouped,
      status,
      me: this.desk.state.me?.id,
      users: this.desk.state.users.size,
      doing: statusWords(status, this.desk.state),
    };
  }

  row(key, message, facts) {
    const known = this.rows.get(key);
    const same =
      known &&
      known.message === message &&
      Object.keys(facts).every((name) => known.facts[name] === facts[name]);
    if (same || known?.host.querySelector(".editing")) return known.host;
    const row = messageRow(message, { desk: this.desk, ...this.place, ...facts });
    const host = known?.host ?? el("div", { class: "row" });
    const focused = host.contains(document.activeElement) && document.activeElement.dataset.ts;
    host.replaceChildren(...(facts.newDay ? [this.day(message)] : []), row);
    if (focused) row.focus({ preventScroll: true });
    this.rows.set(key, { host, message, facts });
    return host;
  }

  day(message) {
    return el(
      "div",
      { class: "day", role: "separator" },
      el("span", { text: dayName(message.ts, this.desk.state.now), title: clockTime(message.ts) }),
    );
  }

  /** Arrow keys go from message to message. */
  step(event) {
    const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!by || event.target.closest("input, textarea, select, [role=menu]")) return;
    const rows = [...this.inner.querySelectorAll(".message")];
    const at = rows.indexOf(document.activeElement?.closest?.(".message"));
    const next = at < 0 ? rows.at(-1) : rows[at + by];
    if (!next) return;
    event.preventDefault();
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
  }

  noteScroll() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    this.atEnd = scrollHeight - scrollTop - clientHeight < AT_END;
    this.jump.hidden = this.atEnd;
  }

  settle() {
    if (this.atEnd) this.scroller.scrollTop = this.scroller.scrollHeight;
    else this.noteScroll();
  }

  toEnd() {
    this.atEnd = true;
    this.settle();
  }

  close() {
    this.watch.disconnect();
  }
}

function together(one, other) {
  return (
    one.user === other.user &&
    !one.ephemeral &&
    !other.ephemeral &&
    !one.reply_count &&
    one.subtype !== "tombstone" &&
    one.username === other.username &&
    Number(other.ts) - Number(one.ts) < CLOSE_TOGETHER
  );
}
