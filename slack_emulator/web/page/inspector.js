/** What the app asks of the Web API, call by call: for those who build or debug an app. */

import { el, icon } from "./dom.js";
import { clockTime } from "./times.js";
import { INSPECTOR, INSPECTOR_COUNT, INSPECTOR_EMPTY } from "./words.js";

const LONGEST = 2_000;

/** The drawer at the bottom of the page. */
export class Inspector {
  constructor() {
    this.calls = [];
    this.count = el("span", { class: "inspector-count" });
    this.rows = el("ol", { class: "calls" });
    this.empty = el("p", { class: "muted", text: INSPECTOR_EMPTY });
    this.host = el(
      "details",
      { class: "inspector" },
      el("summary", {}, icon("terminal"), el("span", { text: INSPECTOR }), this.count, icon("up")),
      el("div", { class: "inspector-body", tabindex: "0" }, this.empty, this.rows),
    );
    this.host.addEventListener("toggle", () => this.draw());
  }

  /** @param {object[]} calls the newest last; the same array again when nothing was called */
  render(calls) {
    if (calls === this.calls) return;
    this.calls = calls;
    this.count.textContent = calls.length ? INSPECTOR_COUNT(calls.length) : "";
    this.draw();
  }

  draw() {
    if (!this.host.open) return;
    this.empty.hidden = this.calls.length > 0;
    this.rows.replaceChildren(...this.calls.map((call) => row(call)).reverse());
  }
}

const drawn = new WeakMap();

/** The row of a call: made once, since a call never changes. */
function row(call) {
  if (!drawn.has(call)) drawn.set(call, make(call));
  return drawn.get(call);
}

function make(call) {
  const given = JSON.stringify(call.arguments ?? {}, null, 2);
  const shown = given.length > LONGEST ? `${given.slice(0, LONGEST)}…` : given;
  return el(
    "li",
    { class: call.ok ? "call" : "call call-refused" },
    el(
      "details",
      {},
      el(
        "summary",
        {},
        el("time", { text: clockTime(call.ts) }),
        el("code", { class: "call-method", text: call.method }),
        el("span", { class: "call-answer", text: call.ok ? "ok" : (call.error ?? "error") }),
        el("span", { class: "call-brief", text: brief(call.arguments) }),
      ),
      el("pre", {}, el("code", { text: shown })),
    ),
  );
}

/** The most telling argument, in one line. */
function brief(given = {}) {
  const { text, markdown_text: markdown, status, chunks, ts, thread_ts: thread } = given;
  const told =
    text ?? markdown ?? status ?? (chunks && JSON.stringify(chunks)) ?? ts ?? thread ?? "";
  return String(told).slice(0, 120);
}
