"""What is said of the operations on drafts. Their examples are one story."""

from typing import Any

from threadkeep.http.descriptions.operation import Operation

_AT = 1795176819164
_DRAFT = "01KAGQ3W6ZJ8Y0V4M2T7N5C9XB"
_draft: dict[str, Any] = {
    "id": _DRAFT,
    "conversationId": "01KAGQ3W6ZJ8Y0V4M2T7N5C9XB",
    "follows": 2,
    "role": "assistant",
    "model": "claude-sonnet-4-5",
    "metadata": None,
    "state": "streaming",
    "fence": 1,
    "next": 0,
    "startedAt": _AT,
    "deadline": _AT + 60_000,
    "stop": False,
    "settledAt": None,
}
_ops = [{"block": 0, "set": {"type": "text", "text": ""}}, {"block": 0, "append": "A monoid"}]
_written = {**_draft, "next": 1}
_taken = {**_written, "fence": 2}

FIELDS_OF_DRAFTS = {
    "append": "What comes next in its text, in what it thinks, or in the input of its call as text.",
    "at": "When it was written, of a part.",
    "block": "Which block, from 0.",
    "deadline": "When the draft is interrupted if no further part comes.",
    "drafts": "Messages that are being written, or, of a `conflict`, the ids of those that are in the way.",
    "error": "Why it failed; kept in the metadata of the message.",
    "event": "Anything for readers, which does not become part of the message.",
    "fence": "Counts the producers. Only the last one may write.",
    "from": "The number of the first of these parts.",
    "leaseSeconds": "The draft is interrupted when nothing has come for so long.",
    "part": "Its number, from 0.",
    "set": "The whole block. The first one that is not there yet may be set, too.",
    "settledAt": "When it ended; null while it is open.",
    "startedAt": "When it was started.",
    "state": "`streaming` while it is written, and then how it ended.",
    "stop": "Whether somebody has asked its producer to stop.",
    "usage": "What the provider counted; kept in the metadata of the message.",
}


def drafts(conversation: dict[str, Any]) -> dict[str, Operation]:
    """The operations, told of a conversation of two messages."""
    settled = {**conversation, "updatedAt": _AT, "messageCount": 3, "leafId": _DRAFT}
    return {
        "start_draft": Operation(
            tag="Drafts",
            answers={
                201: "The new draft.",
                200: "It was started by an earlier request with this id: the draft, as it is.",
            },
            request={"id": _DRAFT, "model": "claude-sonnet-4-5"},
            response=_draft,
        ),
        "write_parts": Operation(
            tag="Drafts",
            answers={200: "The parts are kept. This is the number of the next one, and when the draft is interrupted."},
            request={"fence": 1, "from": 0, "parts": [_ops]},
            response={"next": 1, "deadline": _AT + 60_000, "stop": False},
        ),
        "get_draft": Operation(
            tag="Drafts",
            answers={200: "The draft, and parts of it in order."},
            response={"draft": _written, "parts": [{"part": 0, "at": _AT, "ops": _ops}], "more": False},
        ),
        "list_drafts": Operation(
            tag="Drafts", answers={200: "The drafts that are open, oldest first."}, response={"drafts": [_written]}
        ),
        "take_draft": Operation(
            tag="Drafts", answers={200: "The draft, with the fence of its new producer."}, response=_taken
        ),
        "stream_draft": Operation(
            tag="Drafts",
            query="fence=2",
            request=b'{"block": 0, "append": " in the category"}\n',
            answers={
                201: "What the message was given, and the conversation as it is now.",
                200: "The lines ended, and the draft goes on: this is the number of the next part.",
                204: "Nothing had come, and the draft is gone.",
            },
        ),
        "stop_draft": Operation(
            tag="Drafts", answers={200: "The draft. Its producer is asked to stop."}, response={**_taken, "stop": True}
        ),
        "settle_draft": Operation(
            tag="Drafts",
            answers={
                201: "What the message was given, and the conversation as it is now.",
                200: "The same. The draft was settled by an earlier request.",
                204: "Nothing had come, and the draft is gone.",
            },
            request={"fence": 2, "state": "complete"},
            response={"messages": [{"id": _DRAFT, "seq": 3, "createdAt": _AT}], "conversation": settled},
        ),
        "follow_draft": Operation(
            tag="Drafts",
            answers={
                200: "The parts, as events.",
                204: "The draft has ended, and whoever asks has heard of it.",
            },
        ),
    }
