"""What the OpenAPI document says about branches, beyond their types."""

from typing import Any

from threadkeep.http.descriptions.operation import Operation

FIELDS_OF_BRANCHES = {
    "current": "The `seq` of the one on this page.",
    "deleted": "How many messages were deleted. 0 where they were deleted before.",
    "descend": "Go on below the message, to what was said last there, instead of ending with it.",
    "expectedLeafId": "With which message the active path ended when you looked. It fails with `stale` if it ends "
    "elsewhere by now.",
    "forkedFrom": "The conversation and the message that it was forked from; null where it was not.",
    "follows": "The `seq` of the message that it follows; 0 where it follows none.",
    "isCurrent": "Whether it is on the active path.",
    "isRoot": "It follows nothing, and begins a branch.",
    "leafId": "The message with which the active path ends; null where there is none.",
    "messageId": "The message to choose, or the last to copy.",
    "parentId": "The message that it follows, where that is not the end of the active path.",
    "preview": "The words that it begins with.",
    "select": "Whether the active path now ends with it.",
    "seqs": "The `seq` of each of them.",
    "siblingOf": "The message whose place it takes: it is an edit of that question, or another answer.",
}


def branches(message: dict[str, Any], rolled_back: dict[str, Any], whole: dict[str, Any]) -> dict[str, Operation]:
    """The operations, told of a message, and of its conversation without it and with it."""
    sibling = {
        **{name: message[name] for name in ("id", "seq", "role", "createdAt")},
        "preview": message["content"][0]["text"],
        "leafId": message["id"],
        "messageCount": 1,
        "isCurrent": True,
    }
    return {
        "list_branches": Operation(
            tag="Messages",
            answers={200: "The messages that follow the same one, in order."},
            response={"follows": message["follows"], "siblings": [sibling]},
        ),
        "select_leaf": Operation(
            tag="Messages",
            answers={200: "The conversation, with the leaf that was chosen."},
            request={"messageId": message["id"]},
            response=whole,
        ),
        "delete_message": Operation(
            tag="Messages",
            answers={200: "How many messages were deleted, and the conversation without them."},
            response={"deleted": 1, "conversation": rolled_back},
        ),
        "restore_message": Operation(
            tag="Messages",
            answers={200: "The conversation, with the messages."},
            response=whole,
        ),
    }
