"""The demo: the bot in the Slack emulator with a local model."""
