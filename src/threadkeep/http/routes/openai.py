"""OpenAI's Conversations API, for its own clients: `base_url` is this server's address with `/api/openai/v1`."""

from typing import Annotated

from msgspec import Meta, Struct

from threadkeep.agents.openai import service
from threadkeep.agents.openai.models import (
    ITEMS_MAX,
    NewOpenAIConversation,
    NewOpenAIItems,
    OpenAIConversation,
    OpenAIConversationChanges,
    OpenAIConversationDeleted,
    OpenAIItem,
    OpenAIItemList,
    Order,
)
from threadkeep.agents.values import Name
from threadkeep.http.messages import Response, json_response
from threadkeep.http.problems import OPENAI
from threadkeep.http.routes.base import IDEMPOTENCY_KEY, Call, Header, Route

_CONVERSATIONS = f"{OPENAI}conversations"
_CONVERSATION = f"{_CONVERSATIONS}/{{conversation}}"
_ITEMS = f"{_CONVERSATION}/items"
_ITEM = f"{_ITEMS}/{{item}}"

RETRY_COUNT = Header(
    "X-Stainless-Retry-Count",
    {
        "type": "string",
        "examples": ["0"],
        "description": "How often this has been sent before. OpenAI's clients count it.",
    },
)
_IGNORED = ("include", "include[]")


class ItemsQuery(Struct, forbid_unknown_fields=True):
    """Which items to list."""

    after: Annotated[Name, Meta(description="Go on after the item of this id, in the same order.")] | None = None
    order: Annotated[Order, Meta(description="`asc` for the oldest first.")] = "desc"
    limit: Annotated[int, Meta(ge=1, le=ITEMS_MAX)] = 20


@Route(
    "POST",
    _CONVERSATIONS,
    answers={200: OpenAIConversation},
    fails=("conflict",),
    body=NewOpenAIConversation,
    headers=(IDEMPOTENCY_KEY,),
    needs="agents",
)
async def create_openai_conversation(call: Call) -> Response:
    """Create a conversation for OpenAI's clients.

    It may have metadata and first items. Its id is made here.
    """
    return json_response(200, await service.create_conversation(call.state, call.body, call.request_name))


@Route("GET", _CONVERSATION, answers={200: OpenAIConversation}, fails=("not_found",), needs="agents")
async def get_openai_conversation(call: Call) -> Response:
    """Get a conversation of OpenAI's clients.

    It comes without its items.
    """
    return json_response(200, await service.get_conversation(call.state, call.path["conversation"]))


@Route(
    "POST",
    _CONVERSATION,
    answers={200: OpenAIConversation},
    fails=("not_found",),
    body=OpenAIConversationChanges,
    headers=(IDEMPOTENCY_KEY,),
    needs="agents",
)
async def update_openai_conversation(call: Call) -> Response:
    """Replace the metadata of a conversation.

    What was there before is gone.
    """
    id_ = call.path["conversation"]
    return json_response(200, await service.update_conversation(call.state, id_, call.body, call.request_name))


@Route("DELETE", _CONVERSATION, answers={200: OpenAIConversationDeleted}, needs="agents")
async def delete_openai_conversation(call: Call) -> Response:
    """Delete a conversation of OpenAI's clients.

    It cannot be restored. If there is none, nothing is to be done, and the answer is the same.
    """
    return json_response(200, await service.delete_conversation(call.state, call.path["conversation"]))


@Route(
    "POST",
    _ITEMS,
    answers={200: OpenAIItemList},
    fails=("not_found", "conflict"),
    body=NewOpenAIItems,
    headers=(IDEMPOTENCY_KEY, RETRY_COUNT),
    ignores=_IGNORED,
    needs="agents",
)
async def create_openai_items(call: Call) -> Response:
    """Add items to a conversation, all or none.

    An item without an id gets one. The content of a message that is a text becomes a part of the type `input_text`, or
    `output_text` from an assistant. A retry adds nothing twice: it is known by its `Idempotency-Key`, or, if it is
    counted as one, by being the same as the newest items. `include` is ignored.
    """
    id_ = call.path["conversation"]
    added = await service.add_items(call.state, id_, call.body, call.request_name, is_retry=_is_retry(call))
    return json_response(200, added)


@Route(
    "GET",
    _ITEMS,
    answers={200: OpenAIItemList},
    fails=("not_found",),
    query=ItemsQuery,
    ignores=_IGNORED,
    needs="agents",
)
async def list_openai_items(call: Call) -> Response:
    """List the items of a conversation, the newest first unless `order` is `asc`.

    A page may be shorter than `limit` if items are large; only `has_more` tells whether there are more. `include` is
    ignored: items come with all that they have.
    """
    query: ItemsQuery = call.query
    id_ = call.path["conversation"]
    page = await service.list_items(call.state, id_, after=query.after, order=query.order, limit=query.limit)
    return json_response(200, page)


@Route("GET", _ITEM, answers={200: OpenAIItem}, fails=("not_found",), ignores=_IGNORED, needs="agents")
async def get_openai_item(call: Call) -> Response:
    """Get an item of a conversation.

    It comes as it was added. `include` is ignored.
    """
    return json_response(200, await service.get_item(call.state, call.path["conversation"], call.path["item"]))


@Route(
    "DELETE",
    _ITEM,
    answers={200: OpenAIConversation},
    fails=("not_found",),
    headers=(RETRY_COUNT,),
    needs="agents",
)
async def delete_openai_item(call: Call) -> Response:
    """Delete an item of a conversation.

    The answer is its conversation. A retry of what has happened already is answered the same.
    """
    id_, item = call.path["conversation"], call.path["item"]
    return json_response(200, await service.delete_item(call.state, id_, item, is_retry=_is_retry(call)))


def _is_retry(call: Call) -> bool:
    """Whether the client says that it has sent this before."""
    return (call.request.header("x-stainless-retry-count") or "0").strip("0") != ""
