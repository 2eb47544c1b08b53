"""The store in SQLite: queries by topic, write queue, connection, migrations."""
