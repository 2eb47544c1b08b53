/** The line that says what the app is doing in a thread, with the Stop button. */

import { el, icon } from "./dom.js";
import { ANSWERING, STOP, WAITING_FOR_PERSON, WORKING } from "./words.js";

const EACH = 2_500;

/** What the app is doing by a status, in a few words after its name; "" for nothing. */
export function statusWords(status, state) {
  const doing = activity(status, state);
  return doing && `${state.appTitle} ${doing}`;
}

function activity(status, state) {
  if (!status) return "";
  if (status.status) return status.status;
  if (status.session === "suspended") return WAITING_FOR_PERSON;
  if (status.session !== "processing") return "";
  return isStreaming(status, state) ? ANSWERING : WORKING;
}

function isStreaming({ channel, thread_ts: thread }, state) {
  return state
    .threadList(channel, thread)
    .some((message) => message.streaming?.state === "streaming");
}

/** The line itself; it is kept, and only its words change. */
export class StatusLine {
  /** @param {() => void} stop */
  constructor(stop) {
    this.words = el("span", { class: "status-words" });
    this.button = el(
      "button",
      { type: "button", class: "button stop-button", on: { click: () => this.press(stop) } },
      icon("stop"),
      STOP,
    );
    this.host = el(
      "div",
      { class: "status-line", hidden: true, role: "status" },
      el("span", { class: "dots", "aria-hidden": "true" }, el("i"), el("i"), el("i")),
      this.words,
      this.button,
    );
    this.turn = 0;
    this.timer = setInterval(() => this.next(), EACH);
  }

  async press(stop) {
    this.button.disabled = true;
    await stop();
    this.button.disabled = false;
  }

  show(status, state) {
    this.status = status;
    this.state = state;
    const shown = statusWords(status, state);
    this.host.hidden = !shown;
    this.button.hidden = status?.session !== "processing";
    if (!status?.loading_messages?.length) this.turn = 0;
    this.write(shown);
  }

  /** Loading messages take turns. */
  next() {
    if (!this.status?.loading_messages?.length) return;
    this.turn += 1;
    this.write(statusWords(this.status, this.state));
  }

  write(shown) {
    const loading = this.status?.status ? (this.status.loading_messages ?? []) : [];
    const text = loading.length ? loading[this.turn % loading.length] : shown;
    if (this.words.textContent !== text) this.words.textContent = text;
  }

  close() {
    clearInterval(this.timer);
  }
}
