/** The left pane: the workspace, who one is, channels, direct messages, the app. */

import { avatar } from "./avatar.js";
import { el, fill, icon } from "./dom.js";
import { go } from "./place.js";
import * as words from "./words.js";

/** The sidebar; `opened` is called when something was chosen. */
export class Sidebar {
  /** @param {() => void} opened */
  constructor(opened) {
    this.opened = opened;
    this.host = el("nav", { class: "sidebar", "aria-label": words.CHANNELS });
    this.shown = "";
  }

  /**
   * @param {import("./desk.js").Desk} desk
   * @param {import("./place.js").Place} place
   */
  render(desk, place) {
    const { state } = desk;
    const facts = JSON.stringify([
      state.userId,
      state.team,
      [...state.users.keys()],
      [...state.channels.values()],
      [...state.unread],
      state.appTitle,
      place.channel,
    ]);
    if (facts === this.shown) return;
    this.shown = facts;
    const focused = document.activeElement?.dataset?.goes;
    fill(this.host, this.workspace(state), this.people(state), this.places(state, place, desk));
    if (focused) this.host.querySelector(`[data-goes="${CSS.escape(focused)}"]`)?.focus();
  }

  workspace(state) {
    return el(
      "div",
      { class: "workspace" },
      el("span", { class: "workspace-mark" }, icon("plane")),
      el("span", { class: "workspace-name", text: state.team.name || words.APP_TITLE }),
    );
  }

  people(state) {
    return el(
      "fieldset",
      { class: "people" },
      el("legend", { text: words.ACTING_AS }),
      el(
        "div",
        { class: "people-row" },
        state.people.map((user) => this.person(user, state)),
      ),
    );
  }

  person(user, state) {
    const note = user.is_admin ? words.ADMIN : user.is_stranger ? words.GUEST : "";
    const mine = user.id === state.userId;
    return el(
      "label",
      {
        class: mine ? "person chosen" : "person",
        title: [user.real_name, note].filter(Boolean).join(", "),
      },
      el("input", {
        type: "radio",
        name: "who",
        value: user.id,
        checked: mine,
        data: { goes: user.id },
        on: { change: () => go({ user: user.id }) },
      }),
      avatar(user),
      el("span", { class: "person-name", text: user.name }),
    );
  }

  places(state, place, desk) {
    const all = [...state.channels.values()];
    const channels = all
      .filter((channel) => !channel.is_im)
      .sort((one, other) => order(one) - order(other));
    const { bot } = state;
    const ims = all.filter((channel) => channel.is_im && channel.user !== bot?.id);
    const direct = all.find((channel) => channel.is_im && channel.user === bot?.id);
    const entry = (id, picture, label, more = {}) =>
      this.entry({ id, picture, label, place, state, ...more });
    return [
      group(
        words.CHANNELS,
        channels.map((one) => entry(one.id, icon(one.is_private ? "lock" : "hash"), one.name)),
      ),
      group(words.DIRECT, [
        bot &&
          (direct
            ? entry(direct.id, avatar(bot, "avatar-small"), bot.real_name)
            : entry("direct", avatar(bot, "avatar-small"), bot.real_name, {
                open: () => this.direct(desk, bot),
              })),
        ...ims.map((one) =>
          entry(
            one.id,
            avatar(state.users.get(one.user), "avatar-small"),
            state.users.get(one.user)?.real_name ?? "",
          ),
        ),
      ]),
      group(words.APPS, [entry("home", icon("home"), `${state.appTitle} · ${words.HOME}`)]),
    ];
  }

  entry({ id, picture, label, place, state, open }) {
    const here = place.channel === id;
    const unread = state.unread.has(id) && !here;
    return el(
      "li",
      {},
      el(
        "button",
        {
          type: "button",
          class: ["entry", here && "here", unread && "unread"].filter(Boolean).join(" "),
          "aria-current": here ? "page" : null,
          data: { goes: id },
          on: {
            click: () => {
              this.opened();
              if (open) open();
              else go({ channel: id });
            },
          },
        },
        picture,
        el("span", { class: "entry-name", text: label }),
        unread && el("span", { class: "unread-dot", role: "img", "aria-label": words.UNREAD }),
      ),
    );
  }

  async direct(desk, bot) {
    const answer = await desk.person.attempt("conversations.open", {
      users: bot.id,
      return_im: true,
    });
    if (!answer) return;
    const { id } = answer.channel;
    if (!desk.state.channels.has(id))
      desk.state.channels.set(id, { id, user: bot.id, is_im: true });
    go({ channel: id });
  }
}

/** #general first, then by name. */
function order(channel) {
  return channel.name === "general" ? -1 : channel.name.codePointAt(0);
}

function group(title, entries) {
  return el("section", { class: "group" }, el("h2", { text: title }), el("ul", {}, entries));
}
