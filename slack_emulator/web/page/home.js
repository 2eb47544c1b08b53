/** The app's Home tab. */

import { avatar } from "./avatar.js";
import { renderBlocks } from "./blocks.js";
import { el, fill } from "./dom.js";
import { Form } from "./form.js";
import * as words from "./words.js";

/** The Home tab, as one person has it open. */
export class HomePane {
  /** @param {import("./desk.js").Desk} desk */
  constructor(desk) {
    this.desk = desk;
    this.view = undefined;
    this.body = el("div", { class: "home-body" });
    const { state } = desk;
    this.host = el(
      "section",
      { class: "pane", "aria-label": words.HOME },
      el(
        "header",
        { class: "pane-head" },
        avatar(state.bot, "avatar-small"),
        el("h1", { text: state.appTitle }),
        el("span", { class: "badge", text: words.APP_MARK }),
        el("span", { class: "topic", text: words.HOME }),
      ),
      el("div", { class: "home", tabindex: "0" }, this.body),
    );
    this.open();
  }

  async open() {
    const answer = await this.desk.person.openHome();
    if (answer?.view && !this.desk.state.home) this.desk.state.apply("home", { view: answer.view });
  }

  render() {
    const view = this.desk.state.home;
    if (view === this.view) return;
    this.view = view;
    if (!view) return fill(this.body, el("p", { class: "muted", text: words.NO_HOME }));
    const press = (action) => this.desk.person.press({ view_id: view.id }, action);
    const { action } = this.body.contains(document.activeElement)
      ? document.activeElement.dataset
      : {};
    fill(this.body, renderBlocks(view.blocks, this.desk.blockContext(press, new Form())));
    if (action) this.body.querySelector(`[data-action="${CSS.escape(action)}"]`)?.focus();
  }

  focus() {}

  close() {}
}
