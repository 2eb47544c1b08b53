/** The middle pane: a channel or a direct message, its messages and its composer. */

import { avatar } from "./avatar.js";
import { Composer } from "./composer.js";
import { el, fill, icon } from "./dom.js";
import { MessageList } from "./list.js";
import { threadKey } from "./state.js";
import * as words from "./words.js";

/** One channel, as one person has it open. */
export class ChannelPane {
  /**
   * @param {import("./desk.js").Desk} desk
   * @param {string} channel
   */
  constructor(desk, channel) {
    this.desk = desk;
    this.channel = channel;
    this.title = desk.state.titleOf(channel);
    this.list = new MessageList(desk, { channel, inThread: false, label: this.title });
    this.composer = new Composer(desk, {
      channel,
      thread: null,
      label: words.WRITE_TO(this.title),
    });
    this.head = el("header", { class: "pane-head" });
    this.host = el(
      "section",
      { class: "pane", "aria-label": this.title },
      this.head,
      this.list.host,
      this.composer.host,
    );
    fill(this.list.top, this.beginning());
  }

  render() {
    const { state, person } = this.desk;
    person.readChannel(this.channel);
    fill(this.head, this.heading());
    this.list.render(state.channelList(this.channel), (message) =>
      state.status(this.channel, message.ts),
    );
    this.composer.suggest(state.prompts.get(threadKey(this.channel, null)) ?? null);
    this.older();
  }

  heading() {
    const { state } = this.desk;
    const channel = state.channels.get(this.channel);
    if (channel?.is_im) {
      const other = state.users.get(channel.user);
      return [
        avatar(other, "avatar-small"),
        el("h1", { text: this.title }),
        other?.is_bot && el("span", { class: "badge", text: words.APP_MARK }),
      ];
    }
    const members = (channel?.members ?? []).map((id) => state.users.get(id)).filter(Boolean);
    return [
      icon(channel?.is_private ? "lock" : "hash"),
      el("h1", { text: channel?.name ?? "" }),
      channel?.topic && el("span", { class: "topic", text: channel.topic }),
      el(
        "span",
        { class: "members", title: members.map(({ real_name: name }) => name).join(", ") },
        members.slice(0, 5).map((user) => avatar(user, "avatar-small")),
        el("span", { text: members.length }),
      ),
    ];
  }

  /** What stands above the first message. */
  beginning() {
    const { state } = this.desk;
    const channel = state.channels.get(this.channel);
    const [title, hint] = channel?.is_im
      ? [words.EMPTY_DIRECT(this.title), words.EMPTY_DIRECT_HINT]
      : [words.EMPTY_CHANNEL(channel?.name ?? ""), words.EMPTY_CHANNEL_HINT(state.bot?.name ?? "")];
    this.more = el("button", {
      type: "button",
      class: "button",
      hidden: true,
      text: words.EARLIER,
      on: { click: () => this.desk.person.readOlder(this.channel) },
    });
    this.intro = el(
      "div",
      { class: "beginning" },
      el("h2", { text: title }),
      el("p", { text: hint }),
    );
    return [this.more, this.intro];
  }

  older() {
    const more = this.desk.state.more.has(this.channel);
    this.more.hidden = !more;
    this.intro.hidden = more;
  }

  focus() {
    this.composer.focus();
  }

  close() {
    this.list.close();
  }
}
