"""Parses events, watches for gaps, and fetches what was missed."""
