"""Search over all of a user's conversations."""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from threadkeep.conversations.models import (
    QUERY_CHARACTERS_MAX,
    SEARCH_LIMIT_MAX,
    TIME_IN_WORDS,
    Count,
    HitPage,
    Id,
    Role,
)
from threadkeep.conversations.records import SearchQuery
from threadkeep.errors import Invalid
from threadkeep.http.messages import Response, json_response
from threadkeep.http.routes.base import Call, Cursor, Route


class SearchFields(Struct, forbid_unknown_fields=True):
    """What to search for."""

    q: Annotated[str, Meta(max_length=QUERY_CHARACTERS_MAX, description="Words, and phrases in double quotes.")]
    role: Role | None = None
    since: (
        Annotated[Count, Meta(description="Created then or later, in Unix milliseconds.", extra=TIME_IN_WORDS)] | None
    ) = field(default=None, name="from")
    until: Annotated[Count, Meta(description="Created before, in Unix milliseconds.", extra=TIME_IN_WORDS)] | None = (
        field(default=None, name="to")
    )
    conversation: Annotated[Id, Meta(description="Only messages of this conversation.")] | None = None
    branch: Annotated[
        Literal["active", "all"], Meta(description="`active` leaves out messages that are not on the active path.")
    ] = "all"
    cursor: Cursor | None = None
    limit: Annotated[int, Meta(ge=1, le=SEARCH_LIMIT_MAX)] = 20


@Route(
    "GET", "/api/conversations/search", answers={200: HitPage}, query=SearchFields, fails=("not_found",), needs="search"
)
async def search(call: Call) -> Response:
    """Search messages and titles, best matches first.

    All words and phrases of `q` must be in the same message or title, in any order. Case and diacritics do not matter.
    The last word may be the beginning of one, unless it is in quotes. A hit is a message, or, if `message` is null, a
    conversation that is found by its title. `snippet` is the text around the match, in parts that say whether they
    match.

    Messages are found on all branches, and `isActive` says whether one is on the active path. `previousSeq` and
    `nextSeq` are its neighbours: `branch=<id of the message>` lists the path that leads to it.
    """
    fields: SearchFields = call.query
    if fields.since is not None and fields.until is not None and fields.since >= fields.until:
        raise Invalid("to: `to` must be later than `from`.", "to")
    query = SearchQuery(
        text=fields.q,
        role=fields.role,
        since=fields.since,
        until=fields.until,
        conversation_id=fields.conversation,
        only_active=fields.branch == "active",
    )
    return json_response(200, await call.store.search(query, cursor=fields.cursor, limit=fields.limit))
