"""The live feed of the sandbox's page: what one person sees happen, as Server-Sent Events.

`GET /sandbox/feed?user=<id>` (a person's id such as UALICE; 400 otherwise). Each event has a name
(`event:`) and one line of JSON (`data:`). A client that falls too far behind is cut off and
connects again. Nobody is told of channels that they are not a member of.

On connect there is one `snapshot`; history is read by `conversations.history` and
`conversations.replies` with the person's token. A MESSAGE is the same object that these answer with.

    snapshot         {"me": USER, "team": {"id", "name"}, "users": [USER], "notice": str,
                      "channels": [{"id", "name", "is_private", "topic", "members": [id]}],
                      "ims": [{"id", "user"}]  (user: the other side, the bot or a person),
                      "app": {"id", "name", "bot_id", "user_id", "description",
                              "commands": [{"command", "description", "usage_hint"}],
                              "shortcuts": [{"callback_id", "name", "description"}]},
                      "clock": seconds since the epoch,
                      "statuses": [as `status`], "prompts": [as `prompts`],
                      "ephemerals": [as `ephemeral`], "views": [as `view_opened`]}
                     USER = {"id", "name", "real_name", "token" ("" for bots), "team_id", "is_bot",
                             "is_admin", "is_stranger"}
    message          {"channel", "message": MESSAGE}             a new one, also in a thread
    message_changed  {"channel", "message": MESSAGE}             also a root whose reply_count changed
    message_deleted  {"channel", "ts", "thread_ts" or null}
    stream           {"channel", "ts", "thread_ts", "state", "delta", "message": MESSAGE}
                     state: "streaming", "stopped", "stopped_by_user" or "expired"; delta: the text
                     that was added; message: all of it so far. A stream begins with `message`.
                     MESSAGE of a stream has "streaming": {"state", "task_display_mode"} and its
                     "blocks" are what is shown: {"type": "markdown", "text"},
                     {"type": "task_card", "task_id", "title", "status", "details"?, "output"?,
                     "sources"?}, {"type": "plan", "title", "tasks": [task_card]}, and any blocks
                     that the app sent.
    status           {"channel", "thread_ts", "status": free text ("" for none),
                      "loading_messages": [str], "session": "active" | "processing" | "suspended" |
                      "closed" | null, "title": str}             a Stop button while "processing"
    prompts          {"channel", "thread_ts" or null, "title", "prompts": [{"title", "message"}]}
    reaction         {"channel", "ts", "name", "user", "added": bool, "message": MESSAGE}
    ephemeral        {"channel", "ts", "thread_ts" or null, "text", "blocks": [...], "user",
                      "deleted": bool}                           same ts again: replaced
    view_opened      {"view": VIEW}    VIEW is Slack's view object: id, type, title, blocks, state, ...
    view_updated     {"view": VIEW}
    view_closed      {"view_id": id}   the view below it on the stack is shown again
    home             {"view": VIEW}
    channel_joined   {"channel": as in the snapshot}             also when others join or leave; an
                                                                 im comes as {"channel": {"id",
                                                                 "user", "is_im": true}}
    app              {"app": as in the snapshot}                 the app's profile was changed
    call             {"method", "ok", "error" or null, "ts": time, "arguments": {...}}
                                                                 every Web API call of the app
    clock            {"clock": seconds}                          somebody moved it
    reset            {}                                          everything is empty: connect again
"""
