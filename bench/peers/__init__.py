"""Other ways to answer a mention in Slack by a Copilot session, which the bot is held against."""
