"""The commands of admins."""
