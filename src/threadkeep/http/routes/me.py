"""The user who asks: erase everything that is kept of them."""

from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import asdict

from threadkeep.conversations import retention
from threadkeep.conversations.models import Erasure
from threadkeep.errors import Invalid
from threadkeep.http.messages import Response, json_response
from threadkeep.http.routes.base import Call, Route


class EraseQuery(Struct, forbid_unknown_fields=True):
    """What makes sure that nobody erases everything by mistake."""

    confirm: Annotated[str, Meta(description="Your own user id.")]


@Route("DELETE", "/api/me", answers={200: Erasure, 202: Erasure}, query=EraseQuery)
async def erase_everything(call: Call) -> Response:
    """Delete all data of the current user, permanently.

    This includes conversations, messages, the search index, and whatever was deleted before. `confirm` must be the id
    of the current user. Nothing can be read or restored afterwards, and every cursor of the changes has expired. The
    response says how much was deleted. 202 means that there was too much to remove at once: the rest is removed in the
    background, or at once if the request is repeated.
    """
    if call.query.confirm != call.user_id:
        raise Invalid("confirm: This is not your user id. Nothing was erased.", "confirm")
    erased, is_complete = await retention.erase(call.store)
    receipt = Erasure(**asdict(erased), user_id=call.user_id, is_complete=is_complete)
    return json_response(200 if is_complete else 202, receipt)
