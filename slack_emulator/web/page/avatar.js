/** The faces of people and of the app. */

import { el, icon } from "./dom.js";

const COLOURS = 6;

/** A small square with initials, or the app's mark; the colour follows from the id. */
export function avatar(user, size = "") {
  const shape = `avatar ${size}`.trim();
  if (!user) return el("span", { class: shape, "aria-hidden": "true", text: "?" });
  if (user.is_bot)
    return el("span", { class: `${shape} avatar-app`, "aria-hidden": "true" }, icon("plane"));
  const colour =
    [...user.id].reduce((sum, char) => (sum * 37 + char.charCodeAt(0)) % 997, 11) % COLOURS;
  const initial = (user.real_name || user.name || "?").trim().charAt(0).toUpperCase();
  return el("span", { class: `${shape} avatar-${colour}`, "aria-hidden": "true", text: initial });
}
