"""What people often send instead of what the API takes, and what to tell them.

Names of fields are compared without case, `_` and `-`. What is only spelled a little differently needs no entry here:
the field that is near it is named by itself.
"""

_CREDENTIALS = "The user comes from the credentials, and is not sent."
_SERVER_TIME = "The server sets this time. To keep the times of old messages, use POST /api/import."
_CURSOR = "For the next page, send the `nextCursor` of this one as `cursor`."
_ORDER = "The order is fixed: the latest comes first."
_CONTENT = 'Send what the message says as `content`, such as [{"type": "text", "text": "Hello"}].'
_TOOL_USE = 'Send it in `content`, as a block such as {"type": "tool_use", "id": "1", "name": "search", "input": {}}.'
_PATH_NAMES_IT = "The path names the conversation."
_MESSAGES = "Send messages as `messages`, each with its `role` and `content`."
_WITHIN = "It belongs in each of `messages`."
_PAGES = {**dict.fromkeys(("page", "offset", "skip", "pagetoken", "startingafter"), _CURSOR)}
_LIMITS = dict.fromkeys(
    ("pagesize", "perpage", "size", "count", "first", "max", "maxresults", "top"), "Did you mean `limit`?"
)
_ORDERS = dict.fromkeys(("sort", "sortby", "order", "orderby", "direction"), _ORDER)
_PARENTS = dict.fromkeys(("conversation", "conversationid", "chatid", "threadid", "sessionid"), _PATH_NAMES_IT)
_TIMES = dict.fromkeys(("createdat", "updatedat", "timestamp", "created", "date", "time"), _SERVER_TIME)
_TITLES = dict.fromkeys(("name", "subject", "topic"), "Did you mean `title`?")

ABOUT_FIELDS: dict[str, dict[str, str]] = {
    "": dict.fromkeys(("user", "userid", "owner", "ownerid"), _CREDENTIALS),
    "NewMessage": {
        **_TIMES,
        **_PARENTS,
        **dict.fromkeys(("text", "parts", "body"), _CONTENT),
        **dict.fromkeys(("toolcalls", "toolcallid", "toolinvocations", "functioncall"), _TOOL_USE),
        **dict.fromkeys(("sender", "author", "from", "type"), "Did you mean `role`?"),
        "message": "Send the fields of one message by themselves, or several messages as `messages`.",
        "expectedmessagecount": "It goes beside `messages`: send the message in an array there.",
        "seq": "The server numbers messages in the order in which they come.",
        "title": "It belongs to the conversation: send it by PATCH /api/conversations/{id}.",
    },
    "NewMessages": {**_PARENTS, **dict.fromkeys(("role", "content", "id", "metadata", "model"), _WITHIN)},
    "NewConversation": {
        **_TIMES,
        **_TITLES,
        **dict.fromkeys(("conversationid", "chatid", "threadid", "sessionid"), "Did you mean `id`?"),
        **dict.fromkeys(("role", "content", "text", "history"), _MESSAGES),
        **dict.fromkeys(("system", "systemprompt", "instructions"), "Send it as a message with the role `system`."),
        **dict.fromkeys(
            ("archived", "isarchived"), "A new conversation is not archived: send `isArchived` by PATCH afterwards."
        ),
    },
    "ConversationChanges": {
        **_TITLES,
        **dict.fromkeys(("version", "etag"), "Send the version in the header `If-Match`."),
        **dict.fromkeys(
            ("deleted", "isdeleted", "deletedat"),
            "DELETE /api/conversations/{id} deletes it, and POST /api/conversations/{id}/restore restores it.",
        ),
        **dict.fromkeys(("message", "messages"), "To append messages, use POST /api/conversations/{id}/messages."),
    },
    "MessageChanges": {
        **dict.fromkeys(("version", "etag"), "Send the version in the header `If-Match`."),
        **dict.fromkeys(
            ("role", "content", "model", "tokencount", "parentid", "text", "parts"),
            "Of a message, only `metadata` can be edited. To say something else, append another message.",
        ),
        **dict.fromkeys(("vote", "rating", "feedback", "note", "tags"), 'Send it in `metadata`: {"metadata": {…}}.'),
    },
    "ListQuery": {
        **_PAGES,
        **_LIMITS,
        **_ORDERS,
        **dict.fromkeys(("after", "before"), _CURSOR),
        **dict.fromkeys(("q", "query", "search"), "To search, use GET /api/conversations/search."),
    },
    "MessagesQuery": {
        **_PAGES,
        **_LIMITS,
        "before": "The newest page comes first, and its `nextCursor`, sent as `cursor`, leads to older messages.",
        **dict.fromkeys(("since", "afterseq", "fromseq"), "Did you mean `after`?"),
        **dict.fromkeys(("sort", "sortby", "order", "orderby", "direction"), "The order is fixed: that of `seq`."),
    },
    "SearchFields": {
        **_PAGES,
        **_LIMITS,
        **dict.fromkeys(("query", "text", "search", "keyword", "term"), "Did you mean `q`?"),
        **dict.fromkeys(("since", "after", "start"), "Did you mean `from`?"),
        **dict.fromkeys(("until", "before", "end"), "Did you mean `to`?"),
        **dict.fromkeys(("sort", "sortby", "order", "orderby"), "The order is fixed: the best match comes first."),
    },
    "ChangesQuery": {
        **_LIMITS,
        **dict.fromkeys(
            ("cursor", "after", "from", "next"), "Did you mean `since`? Send the `next` of the last answer."
        ),
    },
}
"""What to say of a field that there is not, by the type that has it not, or any, and by the field."""

MEANT_ROLES = {
    "human": "user",
    "customer": "user",
    **dict.fromkeys(("ai", "bot", "model", "agent", "llm", "gpt", "chatgpt", "claude"), "assistant"),
    **dict.fromkeys(("function", "toolresult", "data"), "tool"),
}
"""What others call the roles."""

_TWICE = "It seems to be encoded as JSON twice: send the object itself."

APPEND = "dict[str, msgspec.Raw]"
"""What an append is, until it is known whether it is of one message or of several."""

ABOUT_VALUES: dict[tuple[str, str, str], str] = {
    **{
        (body, "", "str"): _TWICE
        for body in (APPEND, "NewConversation", "PutConversation", "ConversationChanges", "Document")
    },
    (APPEND, "", "array"): 'Send several messages as {"messages": [...]}.',
    ("NewConversation", "", "array"): 'Send messages as {"messages": [...]}.',
    ("NewMessages", "messages", "object"): "Put one message into an array, or send it without `messages`.",
    ("NewConversation", "messages", "object"): "Put one message into an array.",
    ("PutConversation", "", "array"): 'Send messages as {"messages": [...]}.',
    ("PutConversation", "messages", "object"): "Put one message into an array.",
    ("Document", "", "array"): "Send several documents as lines, with `Content-Type: application/x-ndjson`.",
    ("", "limit", "int"): "To get more, send the cursor of this answer with the next request.",
}
"""What to say of a value, by the type that it is in, or any, by the path, and by the kind of what was sent instead."""
