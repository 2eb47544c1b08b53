/** Where one writes: Enter sends, a slash begins a command, drafts wait for one to come back. */

import { Completion } from "./completion.js";
import { el, icon } from "./dom.js";
import { SEND, SEND_HINT } from "./words.js";

const drafts = new Map();

/** The composer of one channel or one thread. */
export class Composer {
  /**
   * @param {import("./desk.js").Desk} desk
   * @param {{channel: string, thread: string|null, label: string}} place
   */
  constructor(desk, { channel, thread, label }) {
    this.desk = desk;
    this.channel = channel;
    this.thread = thread;
    this.draft = `${desk.state.userId}/${channel}/${thread ?? ""}`;
    this.field = el("textarea", {
      class: "composer-field",
      rows: 1,
      placeholder: label,
      "aria-label": label,
      value: drafts.get(this.draft) ?? "",
    });
    this.send = el(
      "button",
      { type: "submit", class: "send", title: SEND, "aria-label": SEND },
      icon("send"),
    );
    this.completion = new Completion(
      this.field,
      desk.state,
      thread ? "offers-thread" : "offers-channel",
    );
    this.prompts = el("div", { class: "prompts", hidden: true });
    this.host = el(
      "form",
      { class: "composer", on: { submit: (event) => this.submit(event) } },
      this.prompts,
      this.completion.host,
      el("div", { class: "composer-box" }, this.field, this.send),
      el("div", { class: "composer-hint", text: SEND_HINT }),
    );
    this.field.addEventListener("input", () => this.typed());
    this.field.addEventListener("keydown", (event) => this.key(event));
    this.typed();
  }

  typed() {
    drafts.set(this.draft, this.field.value);
    this.send.disabled = !this.field.value.trim();
    this.field.style.height = "auto";
    if (this.field.scrollHeight)
      this.field.style.height = `${Math.min(this.field.scrollHeight, 220)}px`;
  }

  key(event) {
    if (this.completion.key(event)) return;
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.submit(event);
  }

  async submit(event) {
    event.preventDefault();
    const text = this.field.value.trim();
    if (!text) return;
    this.write("");
    this.completion.hide();
    const sent = await this.desk.person.say(this.channel, this.thread, text);
    // What was refused comes back to be mended, unless something new is being written.
    if (!sent && !this.field.value) this.write(text);
  }

  write(text) {
    this.field.value = text;
    this.typed();
  }

  /** Offer what the app suggests to ask. */
  suggest(suggested) {
    if (suggested === this.suggested) return;
    this.suggested = suggested;
    const prompts = suggested?.prompts ?? [];
    this.prompts.hidden = prompts.length === 0;
    this.prompts.replaceChildren(
      ...(suggested?.title ? [el("span", { class: "prompts-title", text: suggested.title })] : []),
      ...prompts.map((prompt) =>
        el("button", {
          type: "button",
          class: "prompt",
          title: prompt.message,
          text: prompt.title,
          on: {
            click: () => {
              this.write(prompt.message);
              this.field.focus();
            },
          },
        }),
      ),
    );
  }

  focus() {
    this.field.focus();
  }
}
