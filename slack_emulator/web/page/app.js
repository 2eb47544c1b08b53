/**
 * The page of the emulator: a small chat program on the emulator's own Web API and feed.
 *
 * One person's state comes from one feed; the panes show it, at most once per frame.
 */

import { Api } from "./api.js";
import { ChannelPane } from "./channel.js";
import { Desk } from "./desk.js";
import { el, fill } from "./dom.js";
import { Feed } from "./feed.js";
import { HomePane } from "./home.js";
import { Inspector } from "./inspector.js";
import { closeMenu, iconButton } from "./menu.js";
import { Modal } from "./modal.js";
import { Notices } from "./notices.js";
import { FIRST_PERSON, currentPlace, go, placeOf } from "./place.js";
import { Sidebar } from "./sidebar.js";
import { State, inChannelList, threadKey } from "./state.js";
import { ThreadPane } from "./thread.js";
import { APP_TITLE, NOT_SEEN, OPEN_MENU } from "./words.js";

/** The whole page. */
class App {
  constructor() {
    this.notices = new Notices();
    this.sidebar = new Sidebar(() => this.drawer(false));
    this.inspector = new Inspector();
    this.modal = new Modal();
    this.main = el("main", { class: "main" });
    this.aside = el("aside", { class: "thread", hidden: true });
    this.panes = el(
      "div",
      { class: "panes" },
      this.sidebar.host,
      el("div", { class: "scrim", on: { click: () => this.drawer(false) } }),
      this.main,
      iconButton("menu", OPEN_MENU, () => this.drawer(true), {
        class: "icon-button drawer-button",
      }),
      this.aside,
    );
    document.body.append(
      this.notices.host,
      this.panes,
      this.inspector.host,
      this.notices.toast,
      this.modal.dialog,
    );
    window.addEventListener("hashchange", () => this.moved());
    document.addEventListener("click", (event) => this.followed(event));
    this.moved();
  }

  /** Open or close the channel drawer of narrow windows. */
  drawer(open) {
    this.panes.classList.toggle("drawer-open", open);
  }

  /** The address changed: another person, channel or thread. */
  moved() {
    closeMenu();
    if (this.desk?.state.userId !== currentPlace().user) this.become(currentPlace().user);
    this.render();
  }

  /** A link to a message of this workspace is followed in the page, by whoever one is. */
  followed(event) {
    const address = event.target.closest?.("a[href]")?.href;
    const place = address && placeOf(address);
    if (!place || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (this.state.channels.has(place.channel)) go(place);
    else this.notices.tell(NOT_SEEN);
  }

  /** Be somebody: a fresh view of the workspace from that person's feed. */
  become(user) {
    this.feed?.close();
    this.closePanes();
    const state = new State(user);
    this.desk = null;
    this.state = state;
    state.listen((name, data) => this.changed(name, data));
    this.feed = new Feed(
      user,
      (name, data) => state.apply(name, data),
      (link) => state.setLink(link),
    );
  }

  changed(name, data) {
    if (name === "snapshot") this.begin();
    if (name === "reset") go({ thread: null });
    if (name === "link") this.doubt();
    if (this.desk) this.notice(name, data);
    this.schedule();
  }

  /** An address can name an unknown user: the emulator then sends no events at all. */
  doubt() {
    const { link, me, userId } = this.state;
    if (link === "cut" && !me && userId !== FIRST_PERSON) go({ user: FIRST_PERSON });
  }

  /** After a snapshot everything is read anew: events may have been missed. */
  begin() {
    const { state } = this;
    this.desk ??= new Desk(state, new Api(state.me.token), (sentence) =>
      this.notices.tell(sentence),
    );
    this.closePanes();
    if (!state.channels.has(currentPlace().channel) && currentPlace().channel !== "home") {
      go({ channel: firstChannel(state) });
    }
  }

  /** What new events mean for where one looks. */
  notice(name, { channel, message }) {
    const here = currentPlace();
    if (
      name === "channel_joined" &&
      here.channel &&
      !this.state.channels.has(here.channel) &&
      here.channel !== "home"
    ) {
      go({ channel: firstChannel(this.state) });
    }
    if (
      name === "message" &&
      channel !== here.channel &&
      inChannelList(message) &&
      message.user !== this.state.userId
    ) {
      this.state.unread.add(channel);
    }
    this.follow();
  }

  /** When the app takes up what one wrote last, its thread opens; the focus stays where it is. */
  follow() {
    const { person } = this.desk;
    if (!person.awaiting || !this.state.isTakenUp(person.awaiting.channel, person.awaiting.thread))
      return;
    const { channel, thread } = person.awaiting;
    person.awaiting = null;
    if (currentPlace().channel === channel) this.desk.openThread(thread, { focus: false });
  }

  schedule() {
    if (this.scheduled) return;
    this.scheduled = true;
    requestAnimationFrame(() => {
      this.scheduled = false;
      this.render();
    });
  }

  render() {
    this.notices.render(this.state);
    if (!this.desk || !this.state.me) return;
    const place = currentPlace();
    this.state.unread.delete(place.channel);
    this.sidebar.render(this.desk, place);
    this.showMain(place);
    this.showThread(place);
    this.modal.render(this.desk);
    this.inspector.render(this.state.calls);
    const title =
      place.channel === "home" ? this.state.appTitle : this.state.titleOf(place.channel);
    document.title = `${title} · ${APP_TITLE}`;
  }

  showMain({ channel }) {
    if (channel !== "home" && !this.state.channels.has(channel)) return;
    if (this.mainFor !== channel) {
      this.mainPane?.close();
      this.mainPane =
        channel === "home" ? new HomePane(this.desk) : new ChannelPane(this.desk, channel);
      this.mainFor = channel;
      fill(this.main, this.mainPane.host);
      if (document.activeElement === document.body) this.mainPane.focus();
    }
    this.mainPane.render();
  }

  showThread({ channel, thread }) {
    const wanted = thread && this.state.channels.has(channel) ? threadKey(channel, thread) : null;
    if (this.threadFor !== wanted) {
      this.threadPane?.close();
      this.threadPane = wanted ? new ThreadPane(this.desk, { channel, thread }) : null;
      this.threadFor = wanted;
      this.aside.hidden = !wanted;
      this.panes.classList.toggle("thread-open", Boolean(wanted));
      fill(this.aside, this.threadPane?.host);
    }
    this.threadPane?.render();
    if (this.threadPane && this.desk.focusThread) this.threadPane.focus();
    this.desk.focusThread = false;
  }

  closePanes() {
    this.mainPane?.close();
    this.threadPane?.close();
    Object.assign(this, { mainPane: null, threadPane: null, mainFor: null, threadFor: undefined });
  }
}

/** #general, or whatever there is. */
function firstChannel(state) {
  const channels = [...state.channels.values()];
  return (channels.find(({ name }) => name === "general") ?? channels[0])?.id ?? "home";
}

new App();
