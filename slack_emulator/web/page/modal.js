/** Modals: the newest view on the stack, as a real dialog with the app's words on its buttons. */

import { renderBlocks } from "./blocks.js";
import { el } from "./dom.js";
import { Form } from "./form.js";
import { iconButton } from "./menu.js";
import * as words from "./words.js";

/** The dialog that shows whichever view is on top. */
export class Modal {
  constructor() {
    this.view = null;
    this.form = null;
    this.dialog = el("dialog", { class: "dialog" });
    // A browser may close it without asking, on a second Escape.
    this.dialog.addEventListener("close", () => {
      if (!this.dialog.open) this.dismiss();
    });
    this.dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.dismiss();
    });
  }

  /** @param {import("./desk.js").Desk} desk */
  render(desk) {
    this.desk = desk;
    const view = desk.state.views.at(-1) ?? null;
    if (view === this.view) return;
    const kept = view && this.view?.id === view.id ? this.form.values() : {};
    this.view = view;
    if (!view) return this.dialog.close();
    this.draw(view, kept);
    if (!this.dialog.open) this.dialog.showModal();
    (
      this.dialog.querySelector("[autofocus]") ?? this.dialog.querySelector(".dialog-body .input")
    )?.focus();
  }

  draw(view, kept) {
    this.form = new Form(kept);
    const press = (action) => this.desk.person.press({ view_id: view.id }, action);
    const title = view.title?.text ?? "";
    this.dialog.setAttribute("aria-label", title);
    this.submitButton =
      view.submit &&
      el("button", { type: "submit", class: "button button-primary", text: view.submit.text });
    this.dialog.replaceChildren(
      el(
        "form",
        { novalidate: true, on: { submit: (event) => this.submit(event) } },
        el(
          "header",
          { class: "dialog-head" },
          el("h2", { text: title }),
          iconButton("close", words.CLOSE, () => this.dismiss()),
        ),
        el(
          "div",
          { class: "dialog-body" },
          renderBlocks(view.blocks, this.desk.blockContext(press, this.form)),
        ),
        el(
          "footer",
          { class: "dialog-foot" },
          el("button", {
            type: "button",
            class: "button",
            text: view.close?.text ?? words.CANCEL,
            on: { click: () => this.dismiss() },
          }),
          this.submitButton,
        ),
      ),
    );
  }

  async submit(event) {
    event.preventDefault();
    if (!this.submitButton || this.submitButton.disabled) return;
    this.submitButton.disabled = true;
    const errors = await this.desk.person.submit(this.view, this.form.values());
    if (this.submitButton) this.submitButton.disabled = false;
    if (errors) this.showErrors(errors);
  }

  showErrors(errors) {
    for (const place of this.dialog.querySelectorAll(".field-error")) {
      place.textContent = errors[place.dataset.errorFor] ?? "";
      place.closest(".field").classList.toggle("invalid", Boolean(place.textContent));
    }
    this.dialog.querySelector(".field.invalid .input")?.focus();
  }

  async dismiss() {
    if (this.view) await this.desk.person.dismiss(this.view);
  }
}
