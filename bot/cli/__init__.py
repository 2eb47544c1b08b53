"""The command `threadpilot` and its subcommands."""
