/** What an agent does while it answers: task cards and plans, from stream chunks or blocks. */

import { el, icon, link } from "./dom.js";
import { renderMarkdown } from "./render.js";
import { richText } from "./richtext.js";
import { TASK_DONE, TASK_FAILED, TASK_RUNS, TASK_WAITS } from "./words.js";

const STATES = {
  pending: ["circle", TASK_WAITS],
  in_progress: ["circle", TASK_RUNS],
  complete: ["check", TASK_DONE],
  error: ["alert", TASK_FAILED],
};

/** One task with its state, and what it found where there is something. */
export function taskCard(task, names) {
  const status = Object.hasOwn(STATES, task.status) ? task.status : "pending";
  const [picture, word] = STATES[status];
  const more = [
    prose(task.details, names),
    prose(task.output, names),
    sources(task.sources),
  ].filter(Boolean);
  const head = [
    el("span", { class: "task-mark", role: "img", "aria-label": word }, icon(picture)),
    el("span", { class: "task-title", text: task.title ?? "" }),
  ];
  if (!more.length)
    return el("div", { class: `task task-${status}` }, el("div", { class: "task-head" }, head));
  return el(
    "details",
    { class: `task task-${status}`, open: status === "in_progress" || status === "error" },
    el("summary", { class: "task-head" }, head),
    el("div", { class: "task-more" }, more),
  );
}

/** A plan: a title over its tasks. */
export function plan(block, names) {
  const tasks = block.tasks ?? [];
  const done = tasks.filter((task) => task.status === "complete").length;
  return el(
    "div",
    { class: "plan" },
    el(
      "div",
      { class: "plan-head" },
      el("span", { class: "plan-title", text: block.title ?? "" }),
      tasks.length > 0 && el("span", { class: "plan-count", text: `${done} / ${tasks.length}` }),
    ),
    tasks.map((task) => taskCard(task, names)),
  );
}

function prose(text, names) {
  if (!text) return null;
  return typeof text === "string" ? renderMarkdown(text, names) : richText(text, names);
}

function sources(list) {
  if (!list?.length) return null;
  return el(
    "div",
    { class: "task-sources" },
    list.map((source) =>
      link(String(source.url ?? ""), source.text ?? source.title ?? source.url ?? ""),
    ),
  );
}
