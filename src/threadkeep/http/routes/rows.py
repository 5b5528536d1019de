"""Rows of journals: everything of a space as newline-delimited JSON, out and in."""

from typing import Annotated

from msgspec import Meta, Struct

from threadkeep.agents.journals import rows
from threadkeep.agents.journals.models import Row, RowsReport
from threadkeep.agents.values import NAME_BYTES_MAX
from threadkeep.conversations.export_v1 import lines
from threadkeep.http.bodies import NDJSON
from threadkeep.http.messages import Response, json_response
from threadkeep.http.routes.base import Call, Route

_ROWS = "/api/journals/{space}/rows"


class RowsQuery(Struct, forbid_unknown_fields=True):
    """Where to begin."""

    after: (
        Annotated[
            str,
            Meta(
                max_length=NAME_BYTES_MAX + 20,
                description="Only what comes after this row: its `updated_at` and its `id`, with a comma between.",
                extra_json_schema={"pattern": "^[0-9]+,"},
            ),
        ]
        | None
    ) = None


@Route("GET", _ROWS, answers={200: NDJSON}, query=RowsQuery, item=Row, needs="agents")
async def export_rows(call: Call) -> Response:
    """Take all journals of a space out, one row per line.

    They come in the order in which they were last written, and then by `id`. After a cut, go on after the last whole
    line by `after`. `data` is the text of the JSON of a journal: its head, with its entries in `entries`.
    """
    query: RowsQuery = call.query
    return Response(200, {"content-type": NDJSON}, await rows.rows_of(call.state, call.path["space"], query.after))


@Route(
    "POST",
    _ROWS,
    answers={200: RowsReport},
    fails=("too_large",),
    body=Row,
    media_types=(NDJSON,),
    reads_body=True,
    needs="agents",
)
async def import_rows(call: Call) -> Response:
    """Bring journals into a space, one row per line.

    A row replaces a journal that was last written before its `updated_at`, and keeps that. What is older is skipped,
    and so is what is here already: all may be sent again, and both ways.
    """
    report = await rows.keep_rows(call.state, call.path["space"], lines(call.request.stream()))
    return json_response(200, report)
