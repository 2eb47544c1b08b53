"""Slack: what people say comes in, what the model says goes out."""
