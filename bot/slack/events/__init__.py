"""Parses events, detects gaps, and fetches missed messages."""
