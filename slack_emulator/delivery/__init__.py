"""Delivers events and interactions to the app: Socket Mode, HTTP, retries."""
