/** The emoji that the page knows by their Slack names; all others are shown as `:name:`. */

const KNOWN = {
  "+1": "👍", thumbsup: "👍", "-1": "👎", thumbsdown: "👎", heart: "❤️", tada: "🎉", eyes: "👀",
  white_check_mark: "✅", heavy_check_mark: "✔️", x: "❌", warning: "⚠️", rocket: "🚀", fire: "🔥",
  smile: "😄", smiley: "😃", grinning: "😀", grin: "😁", joy: "😂", wink: "😉", blush: "😊",
  slightly_smiling_face: "🙂", thinking_face: "🤔", cry: "😢", sob: "😭", sweat_smile: "😅",
  pray: "🙏", clap: "👏", wave: "👋", raised_hands: "🙌", ok_hand: "👌", muscle: "💪",
  point_right: "👉", point_left: "👈", point_up: "☝️", point_down: "👇", "100": "💯", bulb: "💡",
  memo: "📝", books: "📚", mag: "🔍", hourglass: "⌛", hourglass_flowing_sand: "⏳",
  alarm_clock: "⏰", stopwatch: "⏱️", lock: "🔒", key: "🔑", bug: "🐛", gear: "⚙️", wrench: "🔧",
  hammer: "🔨", link: "🔗", paperclip: "📎", pushpin: "📌", star: "⭐", sparkles: "✨", zap: "⚡",
  robot_face: "🤖", snake: "🐍", question: "❓", exclamation: "❗", information_source: "ℹ️",
  no_entry: "⛔", no_entry_sign: "🚫", octagonal_sign: "🛑", stop_sign: "🛑", speech_balloon: "💬",
  inbox_tray: "📥", outbox_tray: "📤", package: "📦", calendar: "📅", coffee: "☕", bell: "🔔",
  mute: "🔇", arrow_right: "➡️", arrow_left: "⬅️", arrow_up: "⬆️", arrow_down: "⬇️",
  arrows_counterclockwise: "🔄", recycle: "♻️", red_circle: "🔴", large_green_circle: "🟢",
  large_yellow_circle: "🟡", large_blue_circle: "🔵", black_circle: "⚫", white_circle: "⚪",
};

/** What people can react with from the page, in the order of the picker. */
export const PICKER = [
  "+1", "heart", "tada", "eyes", "white_check_mark", "thinking_face", "joy", "rocket", "fire",
  "pray", "-1", "x",
];

/** The character for a Slack emoji name, or null. */
export function emoji(name) {
  return Object.hasOwn(KNOWN, name) ? KNOWN[name] : null;
}
