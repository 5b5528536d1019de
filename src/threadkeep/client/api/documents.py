"""Conversations as documents: out of Threadkeep, and in again."""

from collections.abc import AsyncIterator, Iterable
from typing import BinaryIO

import msgspec
from msgspec.structs import replace

from threadkeep.client.models import Document, ImportReport
from threadkeep.client.transport import Transport, lines, read
from threadkeep.ids import new_id

BATCH_BYTES = 4_000_000
"""Roughly how much of an import is sent at once, so that little has to be sent again if the answer is lost."""


async def one_document(transport: Transport, path: str) -> Document:
    """The document of one conversation."""
    return read(await transport.send("GET", path), Document)


class AsyncDocuments:
    """What a client can do with documents."""

    _transport: Transport

    async def export_documents(self) -> AsyncIterator[Document]:
        """Every conversation that is not deleted, as a document. It is complete if it ends without an error."""
        async with self._transport.stream("/api/export") as response:
            async for line in lines(response):
                yield msgspec.json.decode(line)

    async def export_to(self, file: BinaryIO) -> int:
        """Write every conversation to a file, a document a line. Return how many bytes they were."""
        written = 0
        async with self._transport.stream("/api/export") as response:
            async for piece in response.aiter_bytes():
                written += file.write(piece)
        return written

    async def import_documents(self, documents: Iterable[Document | bytes], *, key: str | None = None) -> ImportReport:
        """Import documents: dicts, or the lines of a file that is open as bytes. Those that are wrong are skipped.

        Under one `key`, the same documents in the same order are imported once, however often they are sent; choose one
        where the whole import may have to be repeated.
        """
        report = ImportReport([], [])
        key = key or new_id()
        batch: list[bytes] = []
        first = 0
        for count, document in enumerate(documents, 1):
            batch.append(document.strip() if isinstance(document, bytes) else msgspec.json.encode(document))
            if sum(map(len, batch)) >= BATCH_BYTES:
                await self._import(batch, first, key, report)
                batch, first = [], count
        if batch:
            await self._import(batch, first, key, report)
        return report

    async def _import(self, batch: list[bytes], first: int, key: str, report: ImportReport) -> None:
        response = await self._transport.send(
            "POST",
            "/api/import",
            b"\n".join(batch),
            headers={"Content-Type": "application/x-ndjson", "Idempotency-Key": f"{key}-{first}"},
            is_repeatable=True,
        )
        of_batch = read(response, ImportReport)
        for imported in of_batch.imported:
            report.imported.append(replace(imported, index=first + imported.index))
        for skipped in of_batch.skipped:
            report.skipped.append(replace(skipped, index=first + skipped.index))
