/**
 * What the person at the page does: each deed is one ordinary call in their name. What Slack
 * refuses is told in one sentence; the feed shows what came of everything else.
 */

import { Refused } from "./api.js";
import { threadKey } from "./state.js";
import { errorSentence } from "./words.js";

const PAGE = 100;
const MOST_PAGES = 10;

/** One person's deeds. */
export class Person {
  /**
   * @param {import("./state.js").State} state
   * @param {import("./api.js").Api} api
   * @param {(sentence: string) => void} tell shows what went wrong
   */
  constructor(state, api, tell) {
    this.state = state;
    this.api = api;
    this.tell = tell;
    /** What this person wrote here last in a channel, until the app takes it up. */
    this.awaiting = null;
  }

  /** Do it; null when it was refused, which the person has then been told. */
  async attempt(method, args) {
    try {
      return await this.api.call(method, args);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.tell(errorSentence(error.code));
      return null;
    }
  }

  /** Write a message; a text that begins with a slash is a command. False when refused. */
  async say(channel, thread, text) {
    if (/^\/[a-z]/i.test(text)) return this.command(channel, thread, text);
    const answer = await this.attempt("chat.postMessage", { channel, thread_ts: thread, text });
    if (answer && !thread) {
      this.awaiting = { channel, thread: answer.ts };
      // The app may have been quicker than the answer to the call.
      this.state.changed("said");
    }
    return answer !== null;
  }

  async command(channel, thread, line) {
    const [command, ...rest] = line.split(" ");
    const args = { channel, command, text: rest.join(" ").trim(), thread_ts: thread };
    return (await this.attempt("chat.command", args)) !== null;
  }

  edit(channel, ts, text) {
    return this.attempt("chat.update", { channel, ts, text });
  }

  remove(channel, ts) {
    return this.attempt("chat.delete", { channel, ts });
  }

  /** Add a reaction, or take one's own back. */
  react(channel, message, name) {
    const mine = message.reactions?.some(
      (one) => one.name === name && one.users.includes(this.state.me.id),
    );
    return this.attempt(mine ? "reactions.remove" : "reactions.add", {
      channel,
      timestamp: message.ts,
      name,
    });
  }

  stop(channel, thread) {
    return this.attempt("agents.sessions.stop", { channel, thread_ts: thread });
  }

  /** Use an interactive element; `place` says where it stands: a message or a view. */
  press(place, action) {
    return this.attempt("blocks.actions", { ...place, ...action });
  }

  shortcut(callbackId, channel, ts) {
    return this.attempt("shortcuts.run", { callback_id: callbackId, channel, message_ts: ts });
  }

  openHome() {
    return this.attempt("apps.home.open", {});
  }

  /** Send a modal in. Returns the app's errors by block id ({} for none), or null if refused. */
  async submit(view, values) {
    const answer = await this.attempt("views.submit", { view_id: view.id, state: { values } });
    return answer && (answer.errors ?? {});
  }

  dismiss(view) {
    return this.attempt("views.submit", { view_id: view.id, close: true });
  }

  /** Read a channel's newest messages, once per connection. */
  readChannel(channel) {
    return this.read(`${channel}/`, channel, () =>
      this.api.call("conversations.history", { channel, limit: PAGE }),
    );
  }

  /** Read what is older than what the page has. */
  async readOlder(channel) {
    const oldest = this.state.channelList(channel).find((message) => !message.ephemeral);
    if (!oldest) return;
    await this.take(channel, () =>
      this.api.call("conversations.history", { channel, limit: PAGE, latest: oldest.ts }),
    );
  }

  /** Read a thread, once per connection. */
  readThread(channel, thread) {
    return this.read(
      threadKey(channel, thread),
      channel,
      (cursor) =>
        this.api.call("conversations.replies", { channel, ts: thread, limit: PAGE, cursor }),
      MOST_PAGES,
    );
  }

  async read(key, channel, ask, pages = 1) {
    if (this.state.loaded.has(key)) return;
    this.state.loaded.add(key);
    let cursor;
    for (let page = 0; page < pages; page += 1) {
      cursor = await this.take(channel, () => ask(cursor));
      if (!cursor) return;
    }
  }

  /** Take in one page of messages; the cursor of the next, if there is one. */
  async take(channel, ask) {
    const asked = this.state.moment;
    try {
      const answer = await ask();
      if (answer.has_more) this.state.more.add(channel);
      else this.state.more.delete(channel);
      this.state.read(channel, answer.messages, asked);
      return answer.response_metadata?.next_cursor || undefined;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.tell(errorSentence(error.code));
      return undefined;
    }
  }
}
