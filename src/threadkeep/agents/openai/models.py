"""What clients of OpenAI's Conversations API send, and what they get back, in its own words."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Raw, Struct

from threadkeep.agents.journals.models import ENTRIES_MAX

ITEMS_MAX = 100
"""How many items a page has. OpenAI's own pages have no more either."""

Order = Literal["asc", "desc"]
OpenAIMetadata = Annotated[
    dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]],
    Meta(max_length=16, description="At most 16 names of 64 characters, each with a text of 512."),
]
Item = Annotated[
    Raw,
    Meta(
        description="An item as OpenAI's Responses API has them: a message, a call of a tool, its output, reasoning.",
        extra_json_schema={"type": "object"},
    ),
]
NewItems = Annotated[list[Item], Meta(extra_json_schema={"maxItems": ENTRIES_MAX})]


class NewOpenAIConversation(Struct, kw_only=True, forbid_unknown_fields=True):
    """A conversation to create."""

    items: NewItems | None = None
    metadata: OpenAIMetadata | None = None


class OpenAIConversationChanges(Struct, kw_only=True, forbid_unknown_fields=True):
    """What is to stand in the place of its metadata."""

    metadata: OpenAIMetadata | None = None


class NewOpenAIItems(Struct, kw_only=True, forbid_unknown_fields=True):
    """Items to add."""

    items: NewItems


class OpenAIConversation(Struct, kw_only=True):
    """A conversation, without its items."""

    id: str
    object: Literal["conversation"] = "conversation"
    created_at: Annotated[int, Meta(description="When it was created. In Unix seconds.")]
    metadata: dict[str, Any]


class OpenAIConversationDeleted(Struct, kw_only=True):
    """That there is no conversation of this id."""

    id: str
    object: Literal["conversation.deleted"] = "conversation.deleted"
    deleted: bool = True


class OpenAIItem(Struct, kw_only=True):
    """An item. It has all else that its type has."""

    id: str
    type: str


class OpenAIItemList(Struct, kw_only=True):
    """A page of items."""

    object: Literal["list"] = "list"
    data: list[Item]
    first_id: str | None
    last_id: Annotated[str | None, Meta(description="For `after`, to get the next page.")]
    has_more: Annotated[bool, Meta(description="Whether there is another page.")]
