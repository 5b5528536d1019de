"""Reads a session page by page, in a process of its own: python -m tools.bench.read_session URL

Prints how many bytes its entries have, and how many of memory reading them has added at the most, after the first page.
"""

import asyncio
import json
import os
import sys
from contextlib import suppress

from threadkeep.agents.journals.records import EntryQuery
from threadkeep.client import AsyncClient
from tools.bench.http_client import SERVICE_KEY, USER
from tools.bench.process_info import forget_peak, peak_bytes, resident_bytes
from tools.bench.state_seeds import JOURNAL, SPACE


async def _read(url: str) -> tuple[int, int]:
    pid = os.getpid()
    size, cursor, before = 0, None, 0
    async with AsyncClient(url, key=SERVICE_KEY, user=USER) as client:
        while True:
            page = await client.state.read_entries(SPACE, JOURNAL, EntryQuery(cursor=cursor, limit=100))
            size += sum(len(memoryview(entry.data)) for entry in page.entries)
            if cursor is None:
                before = resident_bytes(pid)
                with suppress(OSError):  # not every container lets us; then the peak since the start counts
                    forget_peak(pid)
            if not page.more:
                return size, peak_bytes(pid) - before
            cursor = page.next_cursor


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_read(sys.argv[1]))))
