"""What is said of the operations of OpenAI's Conversations API. Their examples are one story, too."""

from typing import Any

from threadkeep.http.descriptions.operation import Operation

TAG = "OpenAI Conversations"
CONVERSATION = "conv_a1b3e14251a7b7170918f0b7b9980b03df7d685b790b2330"
ITEM = "msg_1"
_REQUEST = "01KAGQ3W6ZJ8Y0V4M2T7N5C9XB"
_conversation: dict[str, Any] = {
    "id": CONVERSATION,
    "object": "conversation",
    "created_at": 1795176819,
    "metadata": {"topic": "monads"},
}
_updated = {**_conversation, "metadata": {"topic": "monoids"}}
_item = {
    "id": ITEM,
    "type": "message",
    "role": "user",
    "content": [{"type": "input_text", "text": "What is a monad?"}],
    "status": "completed",
}
_list = {"object": "list", "data": [_item], "first_id": ITEM, "last_id": ITEM, "has_more": False}

OF_OPENAI: dict[str, Operation] = {
    "create_openai_conversation": Operation(
        tag=TAG,
        answers={200: "The conversation, as stored."},
        name=_REQUEST,
        request={"metadata": {"topic": "monads"}},
        response=_conversation,
    ),
    "get_openai_conversation": Operation(
        tag=TAG, answers={200: "The conversation, as stored."}, response=_conversation
    ),
    "update_openai_conversation": Operation(
        tag=TAG,
        answers={200: "The conversation, with its new metadata."},
        request={"metadata": {"topic": "monoids"}},
        response=_updated,
    ),
    "create_openai_items": Operation(
        tag=TAG,
        answers={200: "The items, as stored."},
        request={"items": [{"id": ITEM, "role": "user", "content": "What is a monad?"}]},
        response=_list,
    ),
    "list_openai_items": Operation(tag=TAG, answers={200: "A page of items."}, query="order=asc", response=_list),
    "get_openai_item": Operation(tag=TAG, answers={200: "The item, as stored."}, response=_item),
    "delete_openai_item": Operation(
        tag=TAG, answers={200: "The item is deleted. This is its conversation."}, response=_updated
    ),
    "delete_openai_conversation": Operation(
        tag=TAG,
        answers={200: "There is no such conversation any more."},
        response={"id": CONVERSATION, "object": "conversation.deleted", "deleted": True},
    ),
}
