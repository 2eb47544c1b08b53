/** What a composer offers while one types: people after `@`, the app's commands after `/`. */

import { avatar } from "./avatar.js";
import { el, icon } from "./dom.js";

const MOST = 8;
const MENTION = /(^|[\s(])@([\w.-]*)$/;
const COMMAND = /^\/([\w-]*)$/;

/**
 * What fits the text before the caret.
 *
 * @returns {{insert: string, title: string, note: string, from: number, picture: Node}[]}
 */
export function offers(before, state) {
  const mention = MENTION.exec(before);
  if (mention)
    return people(mention[2].toLowerCase(), before.length - mention[2].length - 1, state);
  const command = COMMAND.exec(before);
  if (command) return commands(command[1].toLowerCase(), state);
  return [];
}

function people(begun, from, state) {
  const fits = ({ name, real_name: real }) =>
    name.toLowerCase().startsWith(begun) || real.toLowerCase().startsWith(begun);
  return [...state.users.values()]
    .filter((user) => user.id !== state.me.id && fits(user))
    .sort((one, other) => Number(other.is_bot) - Number(one.is_bot))
    .slice(0, MOST)
    .map((user) => ({
      insert: `@${user.name} `,
      title: user.real_name,
      note: `@${user.name}`,
      from,
      picture: avatar(user, "avatar-small"),
    }));
}

function commands(begun, state) {
  return state.app.commands
    .filter(({ command }) => command.slice(1).toLowerCase().startsWith(begun))
    .slice(0, MOST)
    .map(({ command, description, usage_hint: hint }) => ({
      insert: `${command} `,
      title: [command, hint].filter(Boolean).join(" "),
      note: description ?? "",
      from: 0,
      picture: el("span", { class: "avatar avatar-small avatar-app" }, icon("terminal")),
    }));
}

/** The list of offers over a text field. */
export class Completion {
  /**
   * @param {HTMLTextAreaElement} field
   * @param {import("./state.js").State} state
   * @param {string} id for assistive technology
   */
  constructor(field, state, id) {
    this.field = field;
    this.state = state;
    this.host = el("div", { class: "offers", role: "listbox", id, hidden: true });
    this.offers = [];
    this.at = 0;
    field.setAttribute("aria-controls", id);
    field.setAttribute("aria-autocomplete", "list");
    field.addEventListener("input", () => this.look());
    field.addEventListener("click", () => this.look());
    field.addEventListener("blur", () => setTimeout(() => this.hide(), 150));
  }

  look() {
    const { value, selectionStart, selectionEnd } = this.field;
    const whole = selectionStart === selectionEnd;
    this.offers = whole ? offers(value.slice(0, selectionStart), this.state) : [];
    this.at = 0;
    this.draw();
  }

  hide() {
    this.offers = [];
    this.draw();
  }

  draw() {
    this.host.hidden = this.offers.length === 0;
    this.field.setAttribute("aria-expanded", String(this.offers.length > 0));
    this.host.replaceChildren(
      ...this.offers.map((offer, at) => {
        const option = el(
          "div",
          {
            class: at === this.at ? "offer chosen" : "offer",
            role: "option",
            "aria-selected": String(at === this.at),
          },
          offer.picture,
          el("span", { class: "offer-title", text: offer.title }),
          el("span", { class: "offer-note", text: offer.note }),
        );
        // Before the field loses the focus to the press.
        option.addEventListener("pointerdown", (event) => {
          event.preventDefault();
          this.take(offer);
        });
        return option;
      }),
    );
  }

  /** Whether a key was for the list. */
  key(event) {
    if (!this.offers.length) return false;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const by = event.key === "ArrowDown" ? 1 : -1;
      this.at = (this.at + by + this.offers.length) % this.offers.length;
      this.draw();
    } else if (event.key === "Enter" || event.key === "Tab") {
      const exact = this.field.value.trim() === this.offers[this.at].insert.trim();
      if (event.key === "Enter" && exact) return false;
      this.take(this.offers[this.at]);
    } else if (event.key === "Escape") this.hide();
    else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  }

  take(offer) {
    const { value, selectionStart } = this.field;
    this.field.value = value.slice(0, offer.from) + offer.insert + value.slice(selectionStart);
    const caret = offer.from + offer.insert.length;
    this.field.setSelectionRange(caret, caret);
    this.hide();
    this.field.dispatchEvent(new Event("input", { bubbles: true }));
  }
}
