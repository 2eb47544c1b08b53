/**
 * Where the person is, kept in the address so that a reload, a bookmark and a second window keep
 * it: `#/UALICE/C0GENERAL/1790000000.000100`, with `home` in place of a channel for the Home tab.
 */

/** Whom one is before one has chosen. */
export const FIRST_PERSON = "UALICE";
const ID = /^[A-Z0-9]{2,40}$/;
const PERMALINK = /^\/archives\/([A-Z0-9]{2,40})\/p(\d{1,12})(\d{6})$/;
const TS = /^\d{1,12}\.\d{1,9}$/;

/**
 * @typedef {object} Place
 * @property {string} user
 * @property {string|null} channel a channel's id, `home`, or null before one is chosen
 * @property {string|null} thread
 */

/** The place in the window's address; what is malformed is taken as absent. @returns {Place} */
export function currentPlace() {
  const [, user = "", channel = "", thread = ""] = location.hash.split("/");
  return {
    user: ID.test(user) ? user : FIRST_PERSON,
    channel: ID.test(channel) || channel === "home" ? channel : null,
    thread: TS.test(thread) ? thread : null,
  };
}

/**
 * The channel and thread that a permalink of this workspace leads to, or null for any other address.
 */
export function placeOf(address) {
  const { origin, pathname, searchParams } = new URL(address, location.href);
  const found = origin === location.origin && PERMALINK.exec(pathname);
  if (!found) return null;
  const [, channel, seconds, rest] = found;
  const thread = searchParams.get("thread_ts") ?? `${seconds}.${rest}`;
  return { channel, thread: TS.test(thread) ? thread : null };
}

/** Go somewhere; what is not named stays, but another channel has no thread open. */
export function go(change) {
  const here = currentPlace();
  const leaves = "channel" in change && change.channel !== here.channel;
  const there = { ...here, ...(leaves ? { thread: null } : {}), ...change };
  const parts = [there.user, there.channel, there.channel && there.thread].filter(Boolean);
  location.hash = `#/${parts.join("/")}`;
}
