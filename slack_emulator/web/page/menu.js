/** Small menus that open beside what was pressed: keyboard first, closed by Escape or elsewhere. */

import { el, icon } from "./dom.js";
import { DRAWABLE, PICKER, emojiText } from "./emoji.js";

let close = () => {};

/** Close whatever menu is open. */
export function closeMenu() {
  close();
}

/**
 * Open a menu.
 *
 * @param {HTMLElement} anchor what was pressed; it gets the focus back
 * @param {{label: string, hint?: string, danger?: boolean, run: () => void}[]} items
 */
export function openMenu(anchor, items) {
  const buttons = items.map(({ label, hint, danger, run }) =>
    el(
      "button",
      {
        type: "button",
        role: "menuitem",
        class: danger ? "menu-item danger" : "menu-item",
        on: { click: () => choose(run) },
      },
      el("span", { text: label }),
      hint && el("small", { text: hint }),
    ),
  );
  show(anchor, el("div", { class: "menu", role: "menu" }, buttons), buttons);
}

/** Open the emoji picker; `choose` gets the emoji's Slack name. */
export function openPicker(anchor, chosen) {
  const buttons = PICKER.map((name) =>
    el("button", {
      type: "button",
      role: "menuitem",
      class: "picker-item",
      "aria-label": name.replaceAll("_", " "),
      title: `:${name}:`,
      text: emojiText(name),
      on: { click: () => choose(() => chosen(name)) },
    }),
  );
  show(
    anchor,
    el(
      "div",
      { class: DRAWABLE ? "menu picker" : "menu picker picker-names", role: "menu" },
      buttons,
    ),
    buttons,
  );
}

function choose(run) {
  closeMenu();
  run();
}

function show(anchor, menu, buttons) {
  closeMenu();
  const host = anchor.closest("dialog") ?? document.body;
  const outside = (event) => {
    if (!menu.contains(event.target)) closeMenu();
  };
  const key = (event) => {
    if (event.key === "Escape") {
      event.stopPropagation();
      event.preventDefault();
      closeMenu();
    } else if (["ArrowDown", "ArrowRight"].includes(event.key)) step(event, buttons, 1);
    else if (["ArrowUp", "ArrowLeft"].includes(event.key)) step(event, buttons, -1);
    else if (event.key === "Tab") closeMenu();
  };
  close = () => {
    close = () => {};
    document.removeEventListener("pointerdown", outside, true);
    menu.remove();
    anchor.setAttribute("aria-expanded", "false");
    anchor.focus({ preventScroll: true });
  };
  document.addEventListener("pointerdown", outside, true);
  menu.addEventListener("keydown", key);
  anchor.setAttribute("aria-expanded", "true");
  host.append(menu);
  beside(menu, anchor.getBoundingClientRect());
  buttons[0]?.focus({ preventScroll: true });
}

function step(event, buttons, by) {
  event.preventDefault();
  const at = buttons.indexOf(document.activeElement);
  buttons[(at + by + buttons.length) % buttons.length].focus();
}

/** Place a menu below the anchor, or above where there is no room. */
function beside(menu, anchor) {
  const { width, height } = menu.getBoundingClientRect();
  const left = Math.max(8, Math.min(anchor.right - width, window.innerWidth - width - 8));
  const below = anchor.bottom + 4;
  const top =
    below + height < window.innerHeight - 8 ? below : Math.max(8, anchor.top - height - 4);
  menu.style.left = `${left}px`;
  menu.style.top = `${top}px`;
}

/** A button with only an icon; `label` is what it is called. */
export function iconButton(name, label, click, more = {}) {
  return el(
    "button",
    {
      type: "button",
      class: "icon-button",
      title: label,
      "aria-label": label,
      ...more,
      on: { click },
    },
    icon(name),
  );
}
