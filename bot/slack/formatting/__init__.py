"""Converts between the model's Markdown and Slack's mrkdwn, and escapes both."""
