/** What a modal's controls hold, kept together while somebody fills them in. */

/** What a modal's controls hold, in the shape of Slack's `view.state`. */
export class Form {
  /** @param {object} [kept] values from before an update: typed text survives it */
  constructor(kept = {}) {
    this.kept = kept;
    this.controls = [];
  }

  add(block, action, read) {
    this.controls.push({ block, action, read });
  }

  was(block, action) {
    return this.kept[block]?.[action] ?? null;
  }

  /** {block_id: {action_id: {type, value or selected_…}}} */
  values() {
    const values = {};
    for (const { block, action, read } of this.controls) (values[block] ??= {})[action] = read();
    return values;
  }
}
