/** The person's side of the Web API: ordinary Slack calls with the person's own token. */

const PATIENCE = 20_000;

/** A call that Slack refused; `code` is Slack's error code, or `unreachable`. */
export class Refused extends Error {
  constructor(code, answer = {}) {
    super(code);
    this.code = code;
    this.answer = answer;
  }
}

/** Calls in one person's name. */
export class Api {
  /** @param {string} token the person's, such as xoxp-alice */
  constructor(token) {
    this.token = token;
  }

  /**
   * Call a method and return Slack's answer.
   *
   * @param {string} method
   * @param {Record<string, unknown>} [args] null and undefined are left away
   * @returns {Promise<object>}
   * @throws {Refused} when the answer is `ok: false` or none comes within 20 seconds
   */
  async call(method, args = {}) {
    const answer = await this.send(method, args);
    if (!answer.ok) throw new Refused(answer.error ?? "unknown_error", answer);
    return answer;
  }

  async send(method, args) {
    try {
      const response = await fetch(`/api/${method}`, {
        method: "POST",
        headers: {
          "Content-Type": "application/json; charset=utf-8",
          Authorization: `Bearer ${this.token}`,
        },
        body: JSON.stringify(args, (_, value) => (value === null ? undefined : value)),
        signal: AbortSignal.timeout(PATIENCE),
      });
      return await response.json();
    } catch {
      throw new Refused("unreachable");
    }
  }
}
