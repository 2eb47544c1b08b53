"""A Slack workspace on localhost. Knows the wire contract of Slack and nothing of any bot."""
