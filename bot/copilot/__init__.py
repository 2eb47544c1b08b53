"""The Copilot runtime: sessions that remember and answer."""
