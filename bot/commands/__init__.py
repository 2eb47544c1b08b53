"""Commands: what users ask the bot to do apart from questions, and how each is executed.

`registry` is the one table of commands and `parser` finds a command in a text. `router` separates
commands from questions. `dispatcher` checks permissions and runs the handler. The other modules
hold the handlers, one topic each. `texts` has the texts that users read.
"""
