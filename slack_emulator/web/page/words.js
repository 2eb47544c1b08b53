/** Everything that the page says in its own words, in one place. */

export const APP_TITLE = "Slack emulator";
export const PINGS_EVERYONE = "pings everyone";
export const COPY = "Copy";
export const COPIED = "Copied";

export const ACTING_AS = "You are";
export const CHANNELS = "Channels";
export const DIRECT = "Direct messages";
export const APPS = "App";
export const HOME = "Home";
export const GUEST = "other workspace";
export const ADMIN = "admin";
export const APP_MARK = "App";

export const CONNECTING = "Connecting to the emulator…";
export const CUT = "The connection to the emulator is lost. Reconnecting…";
export const CLOSE = "Close";
export const CANCEL = "Cancel";
export const SAVE = "Save";
export const OPEN_MENU = "Show channels";

export const THREAD = "Thread";
export const CLOSE_THREAD = "Close thread";
export const REPLY_IN_THREAD = "Reply in thread";
export const ADD_REACTION = "Add a reaction";
export const REACTED = (who, name) => `${who} reacted with :${name}:`;
export const REACTION = (name, count, who) => `${name}, ${count}, by ${who}`;
export const MORE_ACTIONS = "More actions";
export const EDIT = "Edit message";
export const DELETE = "Delete message";
export const DELETE_SURE = "Delete this message? This can't be undone.";
export const COPY_TEXT = "Copy text";
export const EDITED = "(edited)";
export const DELETED = "This message was deleted.";
export const ONLY_YOU = "Only visible to you";
export const DISMISS = "Dismiss";
export const STOP = "Stop";
export const STOPPED_BY_USER = "Stopped";
export const STREAM_EXPIRED =
  "Slack closed this stream after its five minutes; the app has not put in the whole text yet.";
export const ANSWERING = "is answering…";
export const WORKING = "is working…";
export const WAITING_FOR_PERSON = "is waiting for input";
export const JUMP = "Newest messages";
export const EARLIER = "Show earlier messages";
export const UNREAD = "new messages";
export const CHOOSE = "Choose…";
export const UNKNOWN_BLOCK = (type) => `A “${type}” block, which this page does not draw.`;
export const IMAGE_LINK = (title) => `Image: ${title}`;
export const TASK_WAITS = "waiting";
export const TASK_RUNS = "in progress";
export const TASK_DONE = "done";
export const TASK_FAILED = "failed";
export const TO_DO = "to do";
export const OPTIONAL = " (optional)";
export const OK = "OK";
export const HELPFUL = "Helpful";
export const NOT_HELPFUL = "Not helpful";

export const EMPTY_CHANNEL = (name) => `This is the very beginning of #${name}.`;
export const EMPTY_CHANNEL_HINT = (bot) =>
  `Mention @${bot} and ask something: the answer comes in a thread.`;
export const EMPTY_DIRECT = (name) => `This is your conversation with ${name}.`;
export const EMPTY_DIRECT_HINT = "Each message that you write here starts a thread of its own.";
export const NOT_SEEN = "That message is in a channel that you are not in.";
export const NO_HOME = "This app has not published a Home tab yet.";

export const WRITE_TO = (place) => `Message ${place}`;
export const REPLY = "Reply…";
export const SEND = "Send";
export const SEND_HINT =
  "Enter sends · Shift+Enter starts a new line · @ mentions · / runs a command";
export const REPLIES = (count) => (count === 1 ? "1 reply" : `${count} replies`);
export const VIEW_THREAD = "View thread";
export const NEW_TODAY = "Today";
export const YESTERDAY = "Yesterday";

export const INSPECTOR = "App's API calls";
export const INSPECTOR_EMPTY = "Nothing yet. Every Web API call that the app makes appears here.";
export const INSPECTOR_COUNT = (count) => (count === 1 ? "1 call" : `${count} calls`);

const ERRORS = {
  __proto__: null,
  command_not_supported_in_threads:
    "Slash commands can't be used in threads. Try it in the channel.",
  invalid_command: "That is not a command that any app here knows.",
  session_not_processing: "There is nothing to stop any more.",
  action_not_found: "The app has changed this message meanwhile.",
  view_not_found: "This window is closed already.",
  operation_timeout: "The app did not answer within three seconds.",
  dispatch_failed: "No app is listening just now.",
  no_text: "There is nothing to send yet.",
  msg_too_long: "That is too long for one message.",
  not_in_channel: "You are not in this channel.",
  channel_not_found: "That channel is not here (any more).",
  thread_not_found: "That thread is not here any more.",
  message_not_found: "That message is not here any more.",
  cant_update_message: "Only your own messages can be changed.",
  cant_delete_message: "Only your own messages can be deleted.",
  already_reacted: "You have reacted with that already.",
  ratelimited: "Slack is being asked too much at once. Try again in a moment.",
  unreachable: "The emulator can't be reached at the moment.",
};

/** A sentence for one of Slack's error codes. */
export function errorSentence(code) {
  return ERRORS[code] ?? `That did not work (${String(code).replaceAll("_", " ")}).`;
}
