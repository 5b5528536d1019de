"""A value for each field that clients or documents may have, other than what stands there if it is left out.

The tests that need one fail for a field that has none here, and so for each that is added and forgotten on its way.
"""

from typing import Any

from msgspec import Struct
from msgspec.structs import fields

from threadkeep.conversations.export_v1 import DocumentConversation, DocumentMessage
from threadkeep.conversations.models import NewConversation, NewMessage

ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
TEXT = [{"type": "text", "text": "Hello"}]
TIME = "2024-05-18T02:40:00.000Z"

_MESSAGE = {
    "role": "tool",
    "content": [{"type": "text", "text": "Bye"}],
    "tokenCount": 1,
    "model": "m",
    "metadata": {"a": 1},
}
_CONVERSATION = {"title": "Title", "model": "m", "metadata": {"a": 1}}
_PLACES = {"siblingOf": ID, "isRoot": True, "select": False}
"""What says where a message goes. It can have no more than one of the first two and `parentId`."""
OTHERWISE: dict[type[Struct], dict[str, Any]] = {
    NewMessage: {**_MESSAGE, **_PLACES, "id": ID, "parentId": ID},
    NewConversation: {**_CONVERSATION, "id": ID, "messages": [{"role": "user", "content": TEXT}]},
    DocumentMessage: {**_MESSAGE, "id": "theirs", "parentId": "first", "createdAt": TIME, "isRoot": True},
    DocumentConversation: {
        **_CONVERSATION,
        "id": "theirs",
        "createdAt": TIME,
        "isArchived": True,
        "leafId": "theirs",
        "forkedFrom": {"conversationId": "c", "messageId": "m", "seq": 2, "at": 1},
        "messages": [{"role": "user", "content": TEXT}],
    },
}


def every_field(kind: type[Struct], **others: Any) -> dict[str, Any]:
    """What a client or a document can say at the most: a value for each field of this kind, but where it goes."""
    missing = {field.encode_name for field in fields(kind)} ^ set(OTHERWISE[kind])
    assert not missing, f"tests/support/fields.py has to have a value for each of {kind.__name__}: {sorted(missing)}."
    said = {name: value for name, value in OTHERWISE[kind].items() if name not in _PLACES}
    return {**said, **others}
