"""Renders and publishes cards (Block Kit messages) and the Home tab."""
