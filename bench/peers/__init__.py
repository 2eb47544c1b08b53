"""Other bots that answer a mention in Slack by a Copilot session, for comparison."""
