"""What people tell the bot to do by its verbs, and how each is done.

`verbs` is the one table; `reading` finds an order in what was typed, `access` says who may give it,
`desk` has it carried out, and the other modules do so, a topic each. `words` has what people are
told.
"""
