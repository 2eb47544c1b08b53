"""Processing of turns.

The inbox records messages and claims turns, the runner gives each turn a task and a slot, the
processor takes one turn to its end, and the responder asks the session.
"""
