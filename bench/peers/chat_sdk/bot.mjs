// A bot on Vercel's Chat SDK as its documentation shows one: a mention subscribes to its thread, and
// is answered by a stream. What answers is that thread's Copilot session, by the Copilot SDK for
// JavaScript; sessions and everything else are kept in memory. It connects to Slack by Socket Mode, as
// all bots of the bench do; the adapter takes Slack's address and its tokens from the environment.
//
// COPILOT is JSON: how the runtime is started and what its sessions are given, which is the same for
// all bots of the bench (see bench/peers/programs.py).

import { createSlackAdapter } from "@chat-adapter/slack";
import { createMemoryState } from "@chat-adapter/state-memory";
import { CopilotClient, RuntimeConnection } from "@github/copilot-sdk";
import { Chat, ConsoleLogger } from "chat";

const { runtime, state, work, env, session: given } = JSON.parse(process.env.COPILOT);

const copilot = new CopilotClient({
  connection: RuntimeConnection.forStdio({ path: runtime }),
  baseDirectory: state,
  workingDirectory: work,
  mode: "empty",
  env,
  useLoggedInUser: false,
  logLevel: "none",
});
const sessions = new Map();

function sessionOf(thread) {
  if (!sessions.has(thread)) {
    sessions.set(
      thread,
      copilot.createSession({
        ...given,
        onPermissionRequest: () => ({ kind: "reject", feedback: "There are no tools here." }),
      }),
    );
  }
  return sessions.get(thread);
}

// The session's answer, piece by piece as it comes.
async function* answer(session, prompt) {
  const pieces = [];
  let ended = false;
  let wake = () => {};
  const stopListening = session.on((event) => {
    if (event.type === "assistant.message_delta") {
      pieces.push(event.data.deltaContent);
    } else if (event.type === "session.error") {
      pieces.push(`Something went wrong: ${event.data.message}`);
      ended = true;
    } else if (event.type === "session.idle") {
      ended = true;
    } else {
      return;
    }
    wake();
  });
  try {
    await session.send({ prompt });
    while (pieces.length > 0 || !ended) {
      if (pieces.length > 0) {
        yield pieces.shift();
      } else {
        await new Promise((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    stopListening();
  }
}

const logger = new ConsoleLogger("warn");
const bot = new Chat({
  userName: "threadpilot",
  adapters: { slack: createSlackAdapter({ mode: "socket", logger }) },
  state: createMemoryState(),
  concurrency: "queue", // what its documentation advises for AI chatbots; else messages are dropped
  logger,
});

async function reply(thread, message) {
  await thread.post(answer(await sessionOf(thread.id), message.text));
}

bot.onNewMention(async (thread, message) => {
  await thread.subscribe();
  await reply(thread, message);
});
bot.onSubscribedMessage(reply);

await copilot.start();
await bot.initialize();
console.log("Chat SDK is connected to Slack");

process.on("SIGTERM", async () => {
  await copilot.forceStop();
  process.exit(0);
});
