"""Frozen values of the domain: messages, turns, sessions, commands, users, cards."""
