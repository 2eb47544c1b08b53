/** The notices above the page: the operator's notice, a lost connection, an error. */

import { el, icon } from "./dom.js";
import { iconButton } from "./menu.js";
import { CONNECTING, CUT, DISMISS } from "./words.js";

const STAYS = 6_000;

/** The strip at the top and the short message at the bottom. */
export class Notices {
  constructor() {
    this.text = el("span");
    this.notice = el(
      "div",
      { class: "notice", role: "note", hidden: true },
      icon("alert"),
      this.text,
      iconButton("close", DISMISS, () => this.dismiss()),
    );
    this.cut = el("div", { class: "cut", role: "status", hidden: true });
    this.host = el("div", { class: "notices" }, this.cut, this.notice);
    this.toast = el("div", { class: "toast", role: "alert", hidden: true });
    this.dismissed = "";
    this.timer = 0;
  }

  render(state) {
    this.text.textContent = state.notice;
    this.notice.hidden = !state.notice || state.notice === this.dismissed;
    this.cut.hidden = state.link === "live";
    this.cut.classList.toggle("connecting", state.link === "connecting");
    this.cut.textContent = state.link === "cut" ? CUT : CONNECTING;
  }

  dismiss() {
    this.dismissed = this.text.textContent;
    this.notice.hidden = true;
  }

  /** Say something for a few seconds. */
  tell(sentence) {
    clearTimeout(this.timer);
    this.toast.textContent = sentence;
    this.toast.hidden = false;
    this.timer = setTimeout(() => {
      this.toast.hidden = true;
    }, STAYS);
  }
}
