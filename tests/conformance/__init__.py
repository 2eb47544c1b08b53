"""Clients that judge the emulator from outside: an ordinary Bolt app, and users of Slack's
client."""
