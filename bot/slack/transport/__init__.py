"""Receives events from Slack: Socket Mode and HTTP."""
