"""Threadpilot: every Slack thread is one GitHub Copilot session."""

__version__ = "0.1.0"
