/** The right pane: a thread with its own composer, and what the app is doing in it. */

import { Composer } from "./composer.js";
import { el } from "./dom.js";
import { MessageList } from "./list.js";
import { iconButton } from "./menu.js";
import { threadKey } from "./state.js";
import { StatusLine } from "./status.js";
import * as words from "./words.js";

/** One thread, as one person has it open. */
export class ThreadPane {
  /**
   * @param {import("./desk.js").Desk} desk
   * @param {{channel: string, thread: string}} place
   */
  constructor(desk, { channel, thread }) {
    this.desk = desk;
    this.channel = channel;
    this.thread = thread;
    this.list = new MessageList(desk, { channel, inThread: true, label: words.THREAD });
    this.status = new StatusLine(() => desk.person.stop(channel, thread));
    this.composer = new Composer(desk, { channel, thread, label: words.REPLY });
    this.title = el("h2", { text: words.THREAD });
    this.where = el("span", { class: "topic", text: desk.state.titleOf(channel) });
    this.host = el(
      "section",
      { class: "pane", "aria-label": words.THREAD },
      el(
        "header",
        { class: "pane-head" },
        this.title,
        this.where,
        iconButton("close", words.CLOSE_THREAD, () => desk.closeThread()),
      ),
      this.list.host,
      this.status.host,
      this.composer.host,
    );
    this.host.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.defaultPrevented) desk.closeThread();
    });
  }

  render() {
    const { state, person } = this.desk;
    person.readThread(this.channel, this.thread);
    const status = state.status(this.channel, this.thread);
    this.title.textContent = status?.title || words.THREAD;
    this.list.render(state.threadList(this.channel, this.thread), () => null);
    this.status.show(status, state);
    this.composer.suggest(state.prompts.get(threadKey(this.channel, this.thread)) ?? null);
  }

  focus() {
    this.composer.focus();
  }

  close() {
    this.list.close();
    this.status.close();
  }
}
