/** A question that must be answered before something is done. */

import { el } from "./dom.js";
import { CANCEL } from "./words.js";

/**
 * Ask; false when it was dismissed.
 *
 * @param {{title?: string, text: Node|string, confirm: string, deny?: string, danger?: boolean}} question
 * @returns {Promise<boolean>}
 */
export function ask({ title = "", text, confirm, deny = CANCEL, danger = false }) {
  return new Promise((resolve) => {
    const yes = el("button", {
      type: "submit",
      value: "yes",
      class: danger ? "button button-danger" : "button button-primary",
      text: confirm,
    });
    const no = el("button", { type: "submit", value: "no", class: "button", text: deny });
    const dialog = el(
      "dialog",
      { class: "dialog dialog-small", "aria-label": title || confirm },
      el(
        "form",
        { method: "dialog" },
        title && el("h2", { text: title }),
        el("div", { class: "dialog-body" }, text),
        el("div", { class: "dialog-foot" }, no, yes),
      ),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
    yes.focus();
  });
}
