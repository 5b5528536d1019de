"""What the OpenAPI document says about each operation beyond its types: its tag, its answers in words, and examples.

The examples tell one story, in this order: a test sends each request, and compares what it gets with the answer.
"""

from typing import Any

from threadkeep.http.descriptions.blobs import BLOBS
from threadkeep.http.descriptions.branches import FIELDS_OF_BRANCHES, branches
from threadkeep.http.descriptions.context import CONTEXT
from threadkeep.http.descriptions.drafts import FIELDS_OF_DRAFTS, drafts
from threadkeep.http.descriptions.journals import JOURNALS
from threadkeep.http.descriptions.openai import CONVERSATION, ITEM, OF_OPENAI, TAG
from threadkeep.http.descriptions.operation import AGENT_STATE, Operation
from threadkeep.http.descriptions.tasks import FIELDS_OF_TASKS, TASKS
from threadkeep.http.descriptions.threads import THREADS

TAGS = {
    "Conversations": "Create conversations, list and edit them, delete and restore them.",
    "Messages": "Append messages, read them page by page, and keep votes and notes in their metadata. Edit and "
    "regenerate them as branches.",
    "Drafts": "Keep a message while it is written, read it as it comes, and make it a message when it is whole.",
    "Search": "Find messages and titles by their words.",
    "Changes": "Keep several devices in sync.",
    "Export and import": "Take conversations out as documents that anybody can read, and bring them in again.",
    AGENT_STATE: "What agents keep: journals, each a head and an ordered list of entries, tasks, in queues with lanes, "
    "blobs, of any bytes, and threads of checkpoints.",
    TAG: "For OpenAI's own clients, whose base URL is the address of this server with /api/openai/v1.",
    "Account": "Everything that belongs to the current user.",
    "Server": "Whether the server is up, what it keeps, and how it is used. No credentials needed.",
}

CODES = {
    "invalid": "The request is wrong. `details.path` names the place.",
    "unauthenticated": "The credentials are missing or wrong.",
    "not_found": "There is no such thing, or it belongs to somebody else.",
    "method_not_allowed": "The path exists, but not for this method.",
    "conflict": "An id is taken: by other content, in another conversation, or by something deleted. Of the state of "
    "agents, `details.reason` says what is in the way.",
    "cursor_expired": "It can no longer be followed from this cursor. Start again, the changes with `since=0`.",
    "stale": "It has changed since you looked. `details` says what it is now.",
    "too_large": "Something is over a limit. The message says which.",
    "unsupported_media_type": "The body is not JSON in UTF-8, or it is compressed.",
    "internal": "Something went wrong on the server. Report `details.requestId`.",
    "unsupported": "This server does not offer it.",
    "unavailable": "The database cannot be reached, or is busy. Send it again after `Retry-After` seconds.",
}
"""What each code means that an operation may fail with."""

REASONS = (
    *("exists", "deleted", "purging"),  # the id of a conversation
    *("conflict", "closed", "stale", "status", "fenced", "gap", "older", "unauthorized"),  # journals and blobs
    *("lane_closed", "lane_busy"),  # tasks
    "parent_deleted",  # branches
    *("draft_open", "settled", "part", "drafts"),  # drafts
)
"""What may stand in `details.reason`."""

FIELDS = {
    "acceptEncoding": "Of `unsupported_media_type`: the encodings that are read.",
    "allow": "Of `method_not_allowed`: the methods that this path has.",
    "at": "The `seq` of the first entry, instead of the next one.",
    "changes": "On the first page: the cursor from which to follow the changes.",
    "closedAt": "When it was closed, so that nothing can be appended; null while it is open.",
    "conversation": "The conversation, as it is now.",
    "createdAt": "When it was created.",
    "digest": "SHA-256 of the bytes, in hexadecimal digits.",
    "cut": "Remove the entries from this `seq` on.",
    "deletedAt": "When it was deleted; null unless it is.",
    "editedAt": "When the user made the edit, for edits that arrive late. A later edit is not undone.",
    "enabled": "Whether conversations are kept on this server.",
    "epoch": "Counts the claims. Only the last one holds.",
    "expected": "The version that it must have, 0 for none at all; `stale` if it has another.",
    "expectedMessageCount": "How many messages you have seen. The append fails with `stale` if there are more by now.",
    "expiresAt": "When it is deleted by itself; null for never.",
    "exportedAt": "When it was exported.",
    "generation": "Counts the writes that removed entries.",
    "hasMore": "Whether there are more changes right now.",
    "identity": "By which a repeated creation is known. Without it, kind and head are compared.",
    "ids": "Of a `conflict`: the ids of messages that are taken.",
    "incarnation": "Which one of this key it is: another, once it was deleted or replaced.",
    "index": "Which entry it was, counted from 0.",
    "isArchived": "Whether it is archived. Lists show archived conversations apart.",
    "isComplete": "Whether that was all. Otherwise the same request goes on.",
    "isError": "Whether the tool failed.",
    "match": "Whether this part is what was searched for.",
    "messageCount": "How many messages it has.",
    "model": "The language model, by any name.",
    "more": "Whether there are more in the direction of reading.",
    "next": "The cursor to go on from, now or later.",
    "nextCursor": "Leads to the next page; null on the last.",
    "nextSeq": "The `seq` that the next entry gets.",
    "path": "Where in the request, such as `messages[3].content[0].text`; `body` or `query` if it is all of it.",
    "persistent": "Whether conversations outlive the server's process.",
    "producer": "Who may append, if anybody has claimed it.",
    "reason": "Why, in a sentence.",
    "requestId": "Of `internal`: what to report.",
    "requestedStore": "The back end that the settings ask for.",
    "seq": "Its place in the conversation: 1, 2, 3 and so on, without gaps.",
    "sort": "What lists are sorted by, as text.",
    "statusIs": "The status that it must have; `stale` if it has another.",
    "store": "The back end; `local` where the client keeps conversations itself.",
    "title": "One line of text. Without one, the first message gives it.",
    "titleSource": "Who gave the title.",
    "tokenCount": "How many tokens it has, if you count them.",
    "updatedAt": "When messages were last appended.",
    "userId": "The user it belongs to.",
    **FIELDS_OF_BRANCHES,
    **FIELDS_OF_DRAFTS,
    **FIELDS_OF_TASKS,
}
"""What each field is, wherever it stands, unless its own type says more."""

CONVERSATION_ID = "01KAGQ3W6ZJ8Y0V4M2T7N5C9XB"
_QUESTION_ID = "01KAGQ3WAH5RZ6E1D8K3F0P7QS"
_ANSWER_ID = "01KAGQ4B2XN9T4V7C6H8J3M5WY"
NAMES = {"id": CONVERSATION_ID, "mid": _ANSWER_ID, "space": "sessions", "key": "alice/1", "queue": "agents"}
NAMES |= {"task": "turn-1", "lane": "alice/1", "thread": "alice/1", "conversation": CONVERSATION, "item": ITEM}
"""What stands in the paths of the examples."""
_CREATED_AT = 1795176819164
_APPENDED_AT = 1795176819185
_CURSOR = "~WyJyIiwiMDFLQUdRM1c2WiIsNCw0LDAsMF0"


def _text(text: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": text}]


_new_question = {"id": _QUESTION_ID, "role": "user", "content": _text("What is a monad?")}
_new_answer = {
    "id": _ANSWER_ID,
    "role": "assistant",
    "content": _text("A monoid in the category of endofunctors."),
    "model": "claude-sonnet-4-5",
}
_created = {
    "id": CONVERSATION_ID,
    "userId": "alice",
    "title": "What is a monad?",
    "titleSource": "first_message",
    "model": None,
    "createdAt": _CREATED_AT,
    "updatedAt": _CREATED_AT,
    "messageCount": 1,
    "isArchived": False,
    "metadata": {"project": "p1"},
    "version": 1,
    "deletedAt": None,
    "leafId": _QUESTION_ID,
    "forkedFrom": None,
}
_appended = {**_created, "updatedAt": _APPENDED_AT, "messageCount": 2, "leafId": _ANSWER_ID}
_renamed = {**_appended, "title": "Monads", "titleSource": "user", "version": 2}
_restored = {**_renamed, "version": 4}  # deleting and restoring are changes, too
_FORK_ID = "01KAGR2T8W4B6N1M9C5X7Z3QDF"
_forked = {
    **_renamed,
    "id": _FORK_ID,
    "createdAt": _APPENDED_AT,
    "version": 1,
    "leafId": "01KAGR2T8W7H2J5K8M1P4R6TVX",
    "forkedFrom": {"conversationId": CONVERSATION_ID, "messageId": _ANSWER_ID, "seq": 2, "at": _APPENDED_AT},
}
_question = {
    "id": _QUESTION_ID,
    "conversationId": CONVERSATION_ID,
    "seq": 1,
    "follows": 0,
    "role": "user",
    "content": _new_question["content"],
    "createdAt": _CREATED_AT,
    "tokenCount": None,
    "model": None,
    "parentId": None,
    "metadata": None,
    "version": 1,
}
_answer = {
    **_question,
    "id": _ANSWER_ID,
    "seq": 2,
    "follows": 1,
    "role": "assistant",
    "content": _new_answer["content"],
    "createdAt": _APPENDED_AT,
    "model": "claude-sonnet-4-5",
}
_voted = {**_answer, "metadata": {"vote": "up"}, "version": 2}
_document = {
    "version": 1,
    "exportedAt": "2026-11-20T12:00:00.000Z",
    "conversation": {
        "id": CONVERSATION_ID,
        "title": "Monads",
        "createdAt": "2026-11-20T12:13:39.164Z",
        "metadata": {"project": "p1"},
        "messages": [
            {**_new_question, "createdAt": "2026-11-20T12:13:39.164Z"},
            {**_new_answer, "createdAt": "2026-11-20T12:13:39.185Z", "metadata": {"vote": "up"}},
        ],
    },
}

OPERATIONS: dict[str, Operation] = {
    "create_conversation": Operation(
        tag="Conversations",
        answers={
            201: "The new conversation, as stored.",
            200: "It was created by an earlier request with this id: the conversation, as it is now.",
        },
        request={"id": CONVERSATION_ID, "messages": [_new_question], "metadata": {"project": "p1"}},
        response=_created,
    ),
    "append_messages": Operation(
        tag="Messages",
        answers={
            201: "What each message was given, in the order sent, and the conversation as it is now.",
            200: "The same. Every message was stored by an earlier request.",
        },
        request=_new_answer,
        response={
            "messages": [{"id": _ANSWER_ID, "seq": 2, "createdAt": _APPENDED_AT}],
            "conversation": _appended,
        },
    ),
    "put_conversation": Operation(
        tag="Conversations",
        answers={
            201: "The conversation is created: what each message was given, and the conversation, as stored.",
            200: "It was there already: what each message was given, and the conversation, as it is now.",
        },
        request={"messages": [_new_question, _new_answer]},
        response={
            "messages": [
                {"id": _QUESTION_ID, "seq": 1, "createdAt": _CREATED_AT},
                {"id": _ANSWER_ID, "seq": 2, "createdAt": _APPENDED_AT},
            ],
            "conversation": _appended,
        },
    ),
    "list_messages": Operation(
        tag="Messages",
        answers={200: "A page of messages, in order."},
        response={"messages": [_question, _answer], "nextCursor": None, "branches": [], "drafts": []},
    ),
    **CONTEXT,
    "update_message": Operation(
        tag="Messages",
        answers={200: "The message, as edited."},
        request={"metadata": {"vote": "up"}},
        response=_voted,
    ),
    "get_message": Operation(
        tag="Messages",
        answers={200: "The message, as stored."},
        response=_voted,
    ),
    **branches(_voted, {**_appended, "leafId": _QUESTION_ID}, _appended),
    "list_conversations": Operation(
        tag="Conversations",
        answers={200: "A page of conversations."},
        response={"conversations": [_appended], "nextCursor": None, "changes": _CURSOR},
    ),
    "update_conversation": Operation(
        tag="Conversations",
        answers={200: "The conversation, as edited."},
        request={"title": "Monads"},
        response=_renamed,
    ),
    "get_conversation": Operation(
        tag="Conversations",
        answers={200: "The conversation, as stored."},
        response=_renamed,
    ),
    "delete_conversations": Operation(
        tag="Conversations",
        answers={
            200: "The conversations are deleted. This is how many they were.",
            202: "So many conversations are deleted, and there are more. Send the request again.",
        },
        query="before=1&archived=any&confirm=alice",
        response={"conversations": 0, "isComplete": True},
    ),
    "delete_conversation": Operation(tag="Conversations", answers={204: "The conversation is deleted."}),
    "restore_conversation": Operation(
        tag="Conversations", answers={200: "The restored conversation."}, response=_restored
    ),
    "search": Operation(
        tag="Search",
        answers={200: "A page of hits, best first."},
        query="q=monoid",
        response={
            "hits": [
                {
                    "conversation": _restored,
                    "message": _voted,
                    "snippet": [
                        {"text": "A ", "match": False},
                        {"text": "monoid", "match": True},
                        {"text": " in the category of endofunctors.", "match": False},
                    ],
                    "isActive": True,
                    "previousSeq": 1,
                    "nextSeq": None,
                }
            ],
            "nextCursor": None,
        },
    ),
    "list_changes": Operation(
        tag="Changes",
        answers={200: "What has changed since the cursor, oldest change first."},
        query="since=0",
        response={
            "conversations": [_restored],
            "messages": [_question, _voted],
            "next": _CURSOR,
            "hasMore": False,
            "removed": [],
            "drafts": [],
        },
    ),
    "stream_changes": Operation(
        tag="Changes",
        answers={200: "What has changed since the cursor, and then what changes, as Server-Sent Events."},
        query="since=0",
    ),
    "export_conversation": Operation(
        tag="Export and import",
        answers={200: "The conversation with all of its messages, as a document."},
        response=_document,
    ),
    "export_everything": Operation(
        tag="Export and import",
        answers={200: "Every conversation: one `Document` a line, as newline-delimited JSON."},
    ),
    "import_conversations": Operation(
        tag="Export and import",
        answers={200: "What was imported, and what was skipped and why."},
        request=_document,
        response={
            "imported": [{"index": 0, "id": "01KAGR0C5M3E7Y9Q2W4T6B8DNF", "title": "Monads", "messageCount": 2}],
            "skipped": [],
        },
    ),
    **drafts(_restored),
    "fork_conversation": Operation(
        tag="Conversations",
        answers={
            201: "The new conversation, with copies of the messages.",
            200: "It was made by an earlier request with this id: the conversation, as it is now.",
        },
        request={"id": _FORK_ID, "messageId": _ANSWER_ID},
        response=_forked,
    ),
    **JOURNALS,
    **BLOBS,
    **TASKS,
    **THREADS,
    **OF_OPENAI,
    "erase_everything": Operation(
        tag="Account",
        answers={
            200: "Everything is deleted. This is how much it was.",
            202: "Everything is hidden, and the rest is being removed. This is how much it was.",
        },
        query="confirm=alice",
        response={"conversations": 3, "messages": 7, "journals": 1, "tasks": 1, "userId": "alice", "isComplete": True},
    ),
    "get_status": Operation(
        tag="Server",
        answers={200: "Where conversations are kept, and why."},
        response={
            "enabled": True,
            "requestedStore": "auto",
            "store": "sqlite",
            "persistent": True,
            "reason": "SQLITE_PATH is set.",
            "server": {"enabled": True, "persistent": True},
            "capabilities": ["search", "changes", "import", "transactions", "agents"],
        },
    ),
    "get_health": Operation(
        tag="Server",
        answers={200: "The server is up, and its settings are right."},
        response={"status": "ok", "store": "sqlite", "version": "0.1.0"},
    ),
    "get_openapi": Operation(tag="Server", answers={200: "This document."}),
    "get_docs": Operation(tag="Server", answers={200: "The page, as HTML."}),
}
