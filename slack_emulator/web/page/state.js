/**
 * What the page knows: one person's view of the workspace, kept true by the feed.
 *
 * Events come in by `apply`; the panes read; whoever listens hears that something has changed.
 */

const MOST_CALLS = 300;

/** Where a thread's own facts (status, prompts) are kept: a thread, or a whole channel. */
export const threadKey = (channel, threadTs) => `${channel}/${threadTs ?? ""}`;

/** Whether a message stands in a thread and not in the channel itself. */
export const isReply = (message) => Boolean(message.thread_ts) && message.thread_ts !== message.ts;

/** Whether a message also stands in the channel's list. */
export const inChannelList = (message) =>
  !isReply(message) || message.subtype === "thread_broadcast";

/** One person's view of the workspace. */
export class State {
  constructor(userId) {
    this.userId = userId;
    this.listeners = new Set();
    this.link = "connecting";
    this.forget();
  }

  /** Reset: before the first snapshot, and after a reset of the emulator. */
  forget() {
    this.me = null;
    this.team = { id: "", name: "" };
    this.users = new Map();
    this.channels = new Map();
    this.app = { name: "", user_id: "", commands: [], shortcuts: [] };
    this.notice = "";
    this.messages = new Map();
    this.told = new Map();
    this.moment = 0;
    this.ephemerals = new Map();
    this.loaded = new Set();
    this.more = new Set();
    this.statuses = new Map();
    this.prompts = new Map();
    this.views = [];
    this.home = null;
    this.calls = [];
    this.unread = new Set();
    this.clock = { at: Date.now() / 1000, seen: Date.now() };
  }

  /** Hear of changes; returns how to stop hearing. */
  listen(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  changed(name = "", data = {}) {
    for (const listener of this.listeners) listener(name, data);
  }

  setLink(link) {
    this.link = link;
    this.changed("link");
  }

  /** Take in one event of the feed. Events that the page does not know change nothing. */
  apply(name, data) {
    const handler = HANDLERS[name];
    if (!handler) return;
    handler(this, data);
    this.changed(name, data);
  }

  /**
   * Take in messages that were read, not announced. What the feed told after `asked` (the
   * `moment` at which the reading began) is newer than what was read.
   */
  read(channel, messages, asked) {
    const known = this.messagesOf(channel);
    for (const message of messages) {
      const told = this.told.get(`${channel}/${message.ts}`) ?? 0;
      if (told <= asked) known.set(message.ts, message);
    }
    this.changed("read");
  }

  /** Take in a message that the feed told of; null when it is gone. */
  tell(channel, ts, message) {
    this.moment += 1;
    this.told.set(`${channel}/${ts}`, this.moment);
    if (message) this.messagesOf(channel).set(ts, message);
    else this.messagesOf(channel).delete(ts);
  }

  messagesOf(channel) {
    if (!this.messages.has(channel)) this.messages.set(channel, new Map());
    return this.messages.get(channel);
  }

  /** What a channel's list shows, oldest first: its messages and what only this person sees. */
  channelList(channel) {
    const messages = [...this.messagesOf(channel).values()].filter(inChannelList);
    return this.withEphemerals(messages, channel, (whisper) => !whisper.thread_ts);
  }

  /** What a thread shows, its root first. */
  threadList(channel, threadTs) {
    const messages = [...this.messagesOf(channel).values()].filter(
      (message) => message.ts === threadTs || message.thread_ts === threadTs,
    );
    return this.withEphemerals(messages, channel, (whisper) => whisper.thread_ts === threadTs);
  }

  withEphemerals(messages, channel, fits) {
    const whispers = [...(this.ephemerals.get(channel)?.values() ?? [])].filter(fits);
    return [...messages, ...whispers].sort((one, other) => Number(one.ts) - Number(other.ts));
  }

  status(channel, threadTs) {
    return this.statuses.get(threadKey(channel, threadTs)) ?? null;
  }

  /** Whether the app has begun to answer in a thread. */
  isTakenUp(channel, threadTs) {
    const status = this.status(channel, threadTs);
    return (
      Boolean(status?.status) ||
      status?.session === "processing" ||
      this.threadList(channel, threadTs).some((message) => message.bot_id && isReply(message))
    );
  }

  /** Who is behind an id, for mentions. */
  get names() {
    return {
      user: (id) => {
        const user = this.users.get(id);
        return user ? { name: user.name, me: id === this.me?.id } : null;
      },
      channel: (id) => this.channels.get(id)?.name ?? null,
    };
  }

  /** The app's bot, or undefined before the first snapshot. */
  get bot() {
    return this.users.get(this.app.user_id);
  }

  /** What people call the app. */
  get appTitle() {
    return this.bot?.real_name || this.app.name;
  }

  /** The users that the page can act as, in the emulator's order. */
  get people() {
    return [...this.users.values()].filter((user) => !user.is_bot && user.token);
  }

  /** The emulator's time in seconds; it can be advanced. */
  get now() {
    return this.clock.at + (Date.now() - this.clock.seen) / 1000;
  }

  /** What a channel is called, with its sign. */
  titleOf(channelId) {
    const channel = this.channels.get(channelId);
    if (!channel) return "";
    return channel.is_im ? (this.users.get(channel.user)?.real_name ?? "") : `#${channel.name}`;
  }
}

const HANDLERS = {
  __proto__: null,
  snapshot(state, data) {
    const { calls, unread } = state;
    state.forget();
    Object.assign(state, {
      calls,
      unread,
      me: data.me,
      team: data.team,
      app: data.app,
      notice: data.notice ?? "",
    });
    state.clock = { at: data.clock, seen: Date.now() };
    for (const user of data.users) state.users.set(user.id, user);
    for (const channel of data.channels) state.channels.set(channel.id, channel);
    for (const im of data.ims) state.channels.set(im.id, { ...im, is_im: true });
    for (const status of data.statuses ?? []) HANDLERS.status(state, status);
    for (const prompts of data.prompts ?? []) HANDLERS.prompts(state, prompts);
    for (const whisper of data.ephemerals ?? []) HANDLERS.ephemeral(state, whisper);
    for (const opened of data.views ?? []) HANDLERS.view_opened(state, opened);
  },
  message: (state, { channel, message }) => state.tell(channel, message.ts, message),
  message_changed: (state, { channel, message }) => state.tell(channel, message.ts, message),
  message_deleted: (state, { channel, ts }) => state.tell(channel, ts, null),
  stream: (state, { channel, message }) => state.tell(channel, message.ts, message),
  reaction: (state, { channel, message }) => state.tell(channel, message.ts, message),
  status(state, data) {
    state.statuses.set(threadKey(data.channel, data.thread_ts), data);
  },
  prompts(state, data) {
    state.prompts.set(threadKey(data.channel, data.thread_ts), data);
  },
  ephemeral(state, data) {
    if (!state.ephemerals.has(data.channel)) state.ephemerals.set(data.channel, new Map());
    const whispers = state.ephemerals.get(data.channel);
    if (data.deleted) whispers.delete(data.ts);
    else whispers.set(data.ts, { ...data, ephemeral: true });
  },
  view_opened(state, { view }) {
    state.views = [...state.views.filter((other) => other.id !== view.id), view];
  },
  view_updated(state, { view }) {
    if (view.type === "home") state.home = view;
    state.views = state.views.map((other) => (other.id === view.id ? view : other));
  },
  view_closed(state, { view_id: id }) {
    state.views = state.views.filter((view) => view.id !== id);
  },
  home(state, { view }) {
    state.home = view;
  },
  channel_joined(state, { channel }) {
    if (channel.is_im || channel.members.includes(state.me.id))
      state.channels.set(channel.id, channel);
    else state.channels.delete(channel.id);
  },
  app(state, { app }) {
    state.app = app;
  },
  call(state, call) {
    state.calls = [...state.calls.slice(1 - MOST_CALLS), call];
  },
  clock(state, { clock }) {
    state.clock = { at: clock, seen: Date.now() };
  },
  reset(state) {
    state.forget();
  },
};
