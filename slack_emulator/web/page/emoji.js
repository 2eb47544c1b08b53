/** The emoji that the page knows by their Slack names; all others are shown as `:name:`. */

const KNOWN = {
  "+1": "👍",
  thumbsup: "👍",
  "-1": "👎",
  thumbsdown: "👎",
  heart: "❤️",
  tada: "🎉",
  eyes: "👀",
  white_check_mark: "✅",
  heavy_check_mark: "✔️",
  x: "❌",
  warning: "⚠️",
  rocket: "🚀",
  fire: "🔥",
  smile: "😄",
  smiley: "😃",
  grinning: "😀",
  grin: "😁",
  joy: "😂",
  wink: "😉",
  blush: "😊",
  slightly_smiling_face: "🙂",
  thinking_face: "🤔",
  cry: "😢",
  sob: "😭",
  sweat_smile: "😅",
  pray: "🙏",
  clap: "👏",
  wave: "👋",
  raised_hands: "🙌",
  ok_hand: "👌",
  muscle: "💪",
  point_right: "👉",
  point_left: "👈",
  point_up: "☝️",
  point_down: "👇",
  100: "💯",
  bulb: "💡",
  memo: "📝",
  books: "📚",
  mag: "🔍",
  hourglass: "⌛",
  hourglass_flowing_sand: "⏳",
  alarm_clock: "⏰",
  stopwatch: "⏱️",
  lock: "🔒",
  key: "🔑",
  bug: "🐛",
  gear: "⚙️",
  wrench: "🔧",
  hammer: "🔨",
  link: "🔗",
  paperclip: "📎",
  pushpin: "📌",
  star: "⭐",
  sparkles: "✨",
  zap: "⚡",
  robot_face: "🤖",
  snake: "🐍",
  question: "❓",
  exclamation: "❗",
  information_source: "ℹ️",
  no_entry: "⛔",
  no_entry_sign: "🚫",
  octagonal_sign: "🛑",
  stop_sign: "🛑",
  speech_balloon: "💬",
  inbox_tray: "📥",
  outbox_tray: "📤",
  package: "📦",
  calendar: "📅",
  coffee: "☕",
  bell: "🔔",
  mute: "🔇",
  arrow_right: "➡️",
  arrow_left: "⬅️",
  arrow_up: "⬆️",
  arrow_down: "⬇️",
  arrows_counterclockwise: "🔄",
  recycle: "♻️",
  red_circle: "🔴",
  large_green_circle: "🟢",
  large_yellow_circle: "🟡",
  large_blue_circle: "🔵",
  black_circle: "⚫",
  white_circle: "⚪",
};

/** What people can react with from the page, in the order of the picker. */
export const PICKER = [
  "+1",
  "heart",
  "tada",
  "eyes",
  "white_check_mark",
  "thinking_face",
  "joy",
  "rocket",
  "fire",
  "pray",
  "-1",
  "x",
];

/**
 * Whether this machine draws emoji in colour. Where it has no font for them, they would be empty
 * boxes: their names say more.
 */
export const DRAWABLE = isDrawable();

function isDrawable() {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 24;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) return true;
  context.textBaseline = "top";
  context.font = "20px sans-serif";
  context.fillText(KNOWN.tada, 0, 0);
  const { data } = context.getImageData(0, 0, 24, 24);
  return data.some(
    (value, at) => at % 4 === 0 && (value !== data[at + 1] || value !== data[at + 2]),
  );
}

/** What is shown for a Slack emoji name: its character, or its name between colons. */
export function emojiText(name) {
  return (DRAWABLE && emoji(name)) || `:${name}:`;
}

/** The character for a Slack emoji name, or null. */
export function emoji(name) {
  return Object.hasOwn(KNOWN, name) ? KNOWN[name] : null;
}
