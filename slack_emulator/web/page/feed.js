/**
 * The live feed: Server-Sent Events of what one person sees happen.
 *
 * A cut is told at once and mended by connecting again, a little later each time.
 */

const EVENTS = [
  "snapshot",
  "message",
  "message_changed",
  "message_deleted",
  "stream",
  "status",
  "prompts",
  "reaction",
  "ephemeral",
  "view_opened",
  "view_updated",
  "view_closed",
  "home",
  "channel_joined",
  "app",
  "call",
  "clock",
  "reset",
];
const FIRST_WAIT = 500;
const LONGEST_WAIT = 8_000;

/** One person's feed. */
export class Feed {
  /**
   * @param {string} user id of the person
   * @param {(name: string, data: object) => void} onEvent
   * @param {(link: "live"|"cut") => void} onLink
   */
  constructor(user, onEvent, onLink) {
    this.user = user;
    this.onEvent = onEvent;
    this.onLink = onLink;
    this.wait = FIRST_WAIT;
    this.timer = 0;
    this.connect();
  }

  connect() {
    this.source = new EventSource(`/sandbox/feed?user=${encodeURIComponent(this.user)}`);
    for (const name of EVENTS) {
      this.source.addEventListener(name, (event) => this.receive(name, JSON.parse(event.data)));
    }
    this.source.addEventListener("error", () => this.again());
  }

  receive(name, data) {
    if (name === "snapshot") {
      this.wait = FIRST_WAIT;
      this.onLink("live");
    }
    this.onEvent(name, data);
    if (name === "reset") this.again(0);
  }

  again(wait = this.wait) {
    this.source.close();
    clearTimeout(this.timer);
    if (wait > 0) {
      this.onLink("cut");
      this.wait = Math.min(this.wait * 2, LONGEST_WAIT);
    }
    this.timer = setTimeout(() => this.connect(), wait);
  }

  close() {
    clearTimeout(this.timer);
    this.source.close();
  }
}
