"""What a model is sent of a conversation."""

from typing import Annotated

from msgspec import Meta, Struct, field

from threadkeep.conversations.context import service
from threadkeep.conversations.context.parts import Dialect
from threadkeep.conversations.context.service import BYTES_DEFAULT, BYTES_MAX, Context
from threadkeep.errors import Invalid
from threadkeep.http.messages import Response, json_response
from threadkeep.http.routes.base import Call, Route

Branch = Annotated[
    str,
    Meta(
        pattern="^[A-Za-z0-9._:@-]{1,128}$",
        description="`active`, for the active path, or the id of the message with which a path ends.",
        extra={"words": "`active`, or the id of a message"},
    ),
]


class ContextQuery(Struct, forbid_unknown_fields=True):
    """For whom, and how much of it."""

    dialect: Annotated[Dialect, Meta(description="Whose API it is sent to.")]
    max_bytes: Annotated[
        int, Meta(ge=1, le=BYTES_MAX, description="How many bytes of JSON the messages may have together.")
    ] = field(default=BYTES_DEFAULT, name="maxBytes")
    branch: Branch = "active"
    repair: Annotated[
        bool, Meta(description="Whether to repair what does not fit; otherwise that is a `conflict`.")
    ] = True


@Route(
    "GET",
    "/api/conversations/{id}/context",
    answers={200: Context},
    fails=("not_found", "conflict", "too_large"),
    query=ContextQuery,
)
async def get_context(call: Call) -> Response:
    """Get what a model is sent of a conversation, in the form of a provider.

    Every call of a tool has its result, right behind it, and no result stands alone; `repairs` says where that is not
    so in what is stored, which stays as it is. If not everything fits into `maxBytes`, the newest messages are sent,
    from one of a user on, after what `system` messages say at the beginning.
    """
    query: ContextQuery = call.query
    if query.branch == "all":
        raise Invalid("branch: A model is sent one path. Name the message with which it ends, or `active`.", "branch")
    seen = await service.context(
        call.store, call.id, query.dialect, branch=query.branch, max_bytes=query.max_bytes, repair=query.repair
    )
    return json_response(200, seen)
