/**
 * Building the page's elements. Everything that is shown goes through here as text nodes and
 * checked attributes: there is no way from a message to markup.
 */

const SVG = "http://www.w3.org/2000/svg";
const SAFE_LINK = /^(?:https?:|mailto:)/i;
const FORBIDDEN = /^(?:on|style$|srcdoc$|src$|action$|formaction$)/i;

/**
 * Make an element.
 *
 * @param {string} tag
 * @param {Record<string, unknown>} [props] `class`, `text`, `on` (listeners), `data` (data-*),
 *   `value`/`checked`/`disabled`/`hidden`/`open` (properties); anything else is an attribute.
 *   null, undefined and false leave the attribute away.
 * @param {...(Node|string|null|undefined|false|Array)} children
 * @returns {HTMLElement}
 * @throws {Error} for an attribute that could run code, and for a link of another kind than
 *   http, https, mailto.
 */
export function el(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    set(element, name, value);
  }
  append(element, children);
  return element;
}

function set(element, name, value) {
  if (name === "class") element.className = String(value);
  else if (name === "text") element.textContent = String(value);
  else if (name === "on") {
    for (const [event, listener] of Object.entries(value))
      element.addEventListener(event, listener);
  } else if (name === "data") Object.assign(element.dataset, value);
  else if (["value", "checked", "disabled", "hidden", "open", "selected"].includes(name)) {
    element[name] = value;
  } else {
    if (FORBIDDEN.test(name)) throw new Error(`attribute ${name} is not for this page`);
    if (name === "href" && !SAFE_LINK.test(String(value))) throw new Error("not a link to follow");
    element.setAttribute(name, value === true ? "" : String(value));
  }
}

/** Append nodes and texts; lists are flattened, nothing is appended for null and false. */
export function append(parent, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) append(parent, child);
    else parent.append(child);
  }
}

/** Replace all that an element holds. */
export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
}

/**
 * A link that leaves the page safely, or just its label where the address is not one to follow.
 *
 * @param {string} address
 * @param {...(Node|string)} label the address itself when there is none
 * @returns {Node}
 */
export function link(address, ...label) {
  const shown = label.length ? label : [address];
  if (!followable(address)) return el("span", {}, ...shown);
  return el(
    "a",
    { href: address, target: "_blank", rel: "noopener noreferrer", title: address },
    ...shown,
  );
}

/** Whether an address is http, https or mailto, and one that the browser understands. */
export function followable(address) {
  try {
    return (
      ["http:", "https:", "mailto:"].includes(new URL(address).protocol) && SAFE_LINK.test(address)
    );
  } catch {
    return false;
  }
}

const ICONS = {
  hash: "M9 4 7 20M17 4l-2 16M4 9h17M3 15h17",
  lock: "M7 11V8a5 5 0 0 1 10 0v3M5 11h14v9H5z",
  home: "M4 11 12 4l8 7M6 10v10h12V10",
  reply: "M20 15a3 3 0 0 1-3 3H9l-5 3V7a3 3 0 0 1 3-3h10a3 3 0 0 1 3 3z",
  smile: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM9 10h.01M15 10h.01M8.5 14.5c2 2.3 5 2.3 7 0",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  close: "M6 6l12 12M18 6 6 18",
  send: "M4 12 20 4l-5 17-3.5-7.5zM11.5 13.5 20 4",
  stop: "M7 7h10v10H7z",
  eye: "M2 12s4-7 10-7 10 7 10 7-4 7-10 7S2 12 2 12zM12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6z",
  menu: "M4 7h16M4 12h16M4 17h16",
  check: "M5 13l4.5 4.5L19 7",
  alert: "M12 8v5M12 17h.01M12 3 2.5 20h19z",
  circle: "M12 20a8 8 0 1 0 0-16 8 8 0 0 0 0 16z",
  up: "M6 15l6-6 6 6",
  down: "M6 9l6 6 6-6",
  open: "M14 5h5v5M19 5l-8 8M10 6H5v13h13v-5",
  "thumb-up":
    "M7 11v9H4v-9zM7 11l4-8c2 0 2.5 1.5 2 3.5L12.3 9H19a1.7 1.7 0 0 1 1.7 2l-1.3 7.5a2 2 0 0 1-2 1.5H7",
  "thumb-down":
    "M7 13V4H4v9zM7 13l4 8c2 0 2.5-1.5 2-3.5L12.3 15H19a1.7 1.7 0 0 0 1.7-2l-1.3-7.5a2 2 0 0 0-2-1.5H7",
  plane: "M3 11.5 21 4l-6 17-4-7z",
  copy: "M9 9h11v11H9zM5 15V4h11",
  terminal: "M5 7l5 5-5 5M12 18h7",
};

/** A line icon; it is decoration, so whatever it sits in has the words. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({
    viewBox: "0 0 24 24",
    class: `icon icon-${name}`,
    "aria-hidden": "true",
    focusable: "false",
  }))
    svg.setAttribute(key, value);
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}
