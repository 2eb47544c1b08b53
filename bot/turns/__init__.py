"""Processing of turns.

The inbox records messages and claims turns. The runner gives each turn a task and a slot. The
processor takes one turn to its end; the responder asks the session.
"""
