/** Slack's timestamps as people read them. */

import { NEW_TODAY, YESTERDAY } from "./words.js";

const CLOCK = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  hour12: false,
});
const DAY = new Intl.DateTimeFormat("en", { weekday: "long", month: "long", day: "numeric" });
const FULL = new Intl.DateTimeFormat("en", { dateStyle: "full", timeStyle: "medium" });

const date = (ts) => new Date(Number(ts) * 1000);

/** Such as 14:05. */
export const clockTime = (ts) => CLOCK.format(date(ts));

/** The whole date and time, for a tooltip. */
export const fullTime = (ts) => FULL.format(date(ts));

/** A name for the day of a message: Today, Yesterday, or its date. */
export function dayName(ts, now) {
  const day = date(ts).toDateString();
  if (day === date(now).toDateString()) return NEW_TODAY;
  if (day === date(now - 86_400).toDateString()) return YESTERDAY;
  return DAY.format(date(ts));
}

/** Whether two messages are of the same day. */
export const sameDay = (one, other) => date(one).toDateString() === date(other).toDateString();
