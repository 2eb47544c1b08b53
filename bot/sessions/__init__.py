"""The sessions: pool, model selection, roles, cleanup, maintenance."""
