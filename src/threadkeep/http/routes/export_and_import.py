"""Export and import of conversations, as documents to keep."""

from collections.abc import AsyncIterator

from msgspec import Struct

from threadkeep.conversations import export_v1
from threadkeep.conversations.branches import ALL
from threadkeep.errors import ThreadkeepError
from threadkeep.http.bodies import JSON, NDJSON, media_type
from threadkeep.http.messages import Response, json_response
from threadkeep.http.routes.base import Call, Header, Route
from threadkeep.http.routes.messages import Branch

IDEMPOTENCY_KEY = Header(
    "Idempotency-Key",
    {
        "type": "string",
        "pattern": export_v1.KEY_PATTERN,
        "examples": ["moved-in-march"],
        "maxLength": 255,
        "description": "A name for this import: nothing is imported twice under it.",
    },
)


class ExportQuery(Struct, forbid_unknown_fields=True):
    """What of a conversation to export."""

    branch: Branch = ALL


@Route(
    "GET",
    "/api/conversations/{id}/export",
    answers={200: export_v1.Document},
    fails=("not_found",),
    query=ExportQuery,
)
async def export_conversation(call: Call) -> Response:
    """Export a conversation as a document.

    It has all of the messages, of all branches, and times in ISO 8601. With `branch=active` it has the active path
    alone. Deleted messages are left out.
    """
    query: ExportQuery = call.query
    pieces = await export_v1.export_conversation(call.store, call.id, query.branch)
    name = call.id.replace(":", "_")  # which the name of a file may not have everywhere
    return Response(200, _download(JSON, f"{name}.json"), pieces)


@Route("GET", "/api/export", answers={200: NDJSON})
async def export_everything(call: Call) -> Response:
    """Export all conversations, one document per line.

    Archived conversations are included; deleted ones are not.
    """
    pieces = await export_v1.export_everything(call.store)
    return Response(200, _download(NDJSON, "conversations.ndjson"), pieces)


@Route(
    "POST",
    "/api/import",
    answers={200: export_v1.ImportReport},
    fails=("too_large",),
    body=export_v1.Document,
    media_types=(JSON, NDJSON),
    reads_body=True,
    headers=(IDEMPOTENCY_KEY,),
    needs="import",
)
async def import_conversations(call: Call) -> Response:
    """Import conversations from exported documents.

    The body is one document, or many as newline-delimited JSON. Everything gets a new id and keeps its times. An
    invalid document is skipped, with the reason, and does not stop the others. With an `Idempotency-Key`, an import
    that was interrupted can be repeated: nothing is imported twice under one key. A `parentId` that names a later
    message is left out, and `repaired` says where.
    """
    key = call.request.header("idempotency-key")
    if key is not None:
        export_v1.check_key(key)
    if media_type(call.request) == NDJSON:
        entries = export_v1.lines(call.request.stream())
    else:
        entries = _one(await call.request.body())
    return json_response(200, await export_v1.import_documents(call.store, entries, key))


async def _one(entry: bytes) -> AsyncIterator[bytes | ThreadkeepError]:
    yield entry


def _download(media: str, name: str) -> dict[str, str]:
    return {"content-type": media, "content-disposition": f'attachment; filename="{name}"'}
