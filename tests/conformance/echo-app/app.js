'use strict';

/*
 * An ordinary Slack app: it echoes mentions as a stream, has a slash command, a button, a modal,
 * a message shortcut and a Home tab. Nothing in it is made for the emulator: the one setting that
 * a Slack developer would not have is SLACK_API_URL, given to Bolt's own `slackApiUrl` option.
 */

const { App, LogLevel } = require('@slack/bolt');

const overHttp = process.env.SLACK_MODE === 'http';

const app = new App({
  token: process.env.SLACK_BOT_TOKEN,
  signingSecret: process.env.SLACK_SIGNING_SECRET,
  appToken: overHttp ? undefined : process.env.SLACK_APP_TOKEN,
  socketMode: !overHttp,
  logLevel: LogLevel.WARN,
  clientOptions: { slackApiUrl: process.env.SLACK_API_URL },
});

function echoForm(initial) {
  return {
    type: 'modal',
    callback_id: 'echo_form',
    title: { type: 'plain_text', text: 'Echo' },
    submit: { type: 'plain_text', text: 'Send' },
    close: { type: 'plain_text', text: 'Cancel' },
    private_metadata: JSON.stringify({ channel: initial.channel }),
    blocks: [
      {
        type: 'input',
        block_id: 'words',
        label: { type: 'plain_text', text: 'What shall be echoed?' },
        element: {
          type: 'plain_text_input',
          action_id: 'text',
          initial_value: initial.text,
        },
      },
    ],
  };
}

function echoWithButton(text) {
  return [
    { type: 'section', text: { type: 'mrkdwn', text } },
    {
      type: 'actions',
      block_id: 'echo_actions',
      elements: [
        {
          type: 'button',
          action_id: 'louder',
          text: { type: 'plain_text', text: 'Louder' },
          value: text,
        },
      ],
    },
  ];
}

app.event('app_mention', async ({ event, sayStream, setStatus }) => {
  await setStatus({ status: 'is listening...' });
  const words = event.text.replace(/<@[^>]+>/g, '').trim();
  const stream = sayStream({ buffer_size: 1 });
  await stream.append({ markdown_text: 'You said: ' });
  for (const word of words.split(' ')) {
    await stream.append({ markdown_text: `${word} ` });
  }
  await stream.stop({ markdown_text: '(end)' });
});

app.message('hello', async ({ message, say }) => {
  await say({ text: `Hello, <@${message.user}>`, thread_ts: message.thread_ts ?? message.ts });
});

app.command('/echo', async ({ command, ack }) => {
  await ack(`You typed: ${command.text}`);
});

app.command('/button', async ({ command, ack, say }) => {
  await ack();
  await say({ text: command.text, blocks: echoWithButton(command.text) });
});

app.command('/later', async ({ command, ack, respond }) => {
  await ack();
  await respond({ text: `Only for you: ${command.text}` });
  await respond({ text: `For everyone: ${command.text}`, response_type: 'in_channel' });
});

app.command('/form', async ({ command, ack, client }) => {
  await ack();
  await client.views.open({
    trigger_id: command.trigger_id,
    view: echoForm({ channel: command.channel_id, text: command.text || 'hello' }),
  });
});

app.action('louder', async ({ action, ack, body, client }) => {
  await ack();
  const shouted = action.value.toUpperCase();
  await client.chat.update({
    channel: body.channel.id,
    ts: body.message.ts,
    text: shouted,
    blocks: echoWithButton(shouted),
  });
});

app.view('echo_form', async ({ ack, body, view, client }) => {
  const text = view.state.values.words.text.value ?? '';
  if (text.length < 3) {
    await ack({ response_action: 'errors', errors: { words: 'Please write at least 3 letters.' } });
    return;
  }
  await ack();
  const { channel } = JSON.parse(view.private_metadata);
  await client.chat.postMessage({ channel, text: `<@${body.user.id}> sent: ${text}` });
});

app.shortcut('echo_message', async ({ shortcut, ack, client }) => {
  await ack();
  await client.views.open({
    trigger_id: shortcut.trigger_id,
    view: echoForm({ channel: shortcut.channel.id, text: shortcut.message.text }),
  });
});

app.event('app_home_opened', async ({ event, client }) => {
  if (event.tab !== 'home') {
    return;
  }
  await client.views.publish({
    user_id: event.user,
    view: {
      type: 'home',
      blocks: [{ type: 'section', text: { type: 'mrkdwn', text: 'The echo app is at home.' } }],
    },
  });
});

app.error(async (error) => {
  console.error(error);
});

async function main() {
  if (overHttp) {
    const server = await app.start({ port: Number(process.env.PORT ?? 0), host: '127.0.0.1' });
    console.log(`listening on ${server.address().port}`);
  } else {
    await app.start();
    console.log('connected');
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
