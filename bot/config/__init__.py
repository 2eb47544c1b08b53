"""The settings: definitions, parsers, and the values read from the environment."""
