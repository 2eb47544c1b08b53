/** What the panes of one person's page share: what is known, what can be done, where to go. */

import { go } from "./place.js";
import { Person } from "./person.js";

/** One person's desk. */
export class Desk {
  /**
   * @param {import("./state.js").State} state
   * @param {import("./api.js").Api} api
   * @param {(sentence: string) => void} tell
   */
  constructor(state, api, tell) {
    this.state = state;
    this.person = new Person(state, api, tell);
    /** Whether the thread that opens next takes the focus: it was asked for by hand. */
    this.focusThread = false;
  }

  openThread(ts, { focus = true } = {}) {
    this.focusThread = focus;
    go({ thread: ts });
  }

  closeThread() {
    go({ thread: null });
  }

  openChannel(channel) {
    go({ channel });
  }

  /** What blocks need: names, what selects choose from, and how a press reaches the app. */
  blockContext(press, form) {
    const { state } = this;
    const users = [...state.users.values()].map(({ id, real_name: name }) => ({ id, name }));
    const channels = [...state.channels.values()].filter(({ is_im: im }) => !im);
    return { names: state.names, lists: { users, channels }, press, form };
  }
}
