"""The way of a turn: inbox, runner, processor, responder."""
