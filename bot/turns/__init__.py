"""Processing of turns: inbox, runner, processor, responder, queue notices."""
