"""The database: what has been accepted, and how far each turn got."""
