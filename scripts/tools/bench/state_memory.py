"""Measures the memory that a long session takes while it is read page by page: in the server, and in the client."""

import asyncio
import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw

from threadkeep.agents.journals import service as journals
from threadkeep.agents.journals.models import NewEntries, NewEntry, PutJournal
from threadkeep.client import AsyncClient
from tools.bench.http_client import SERVICE_KEY, USER
from tools.bench.process_info import forget_peak, is_supported, peak_bytes, resident_bytes, worker_process
from tools.bench.rounds import Lab
from tools.bench.state_seeds import JOURNAL, SPACE
from tools.checkout import ROOT, Problem
from tools.local.server import LocalServer
from tools.local.worker import LocalWorker

STORES = ("sqlite", "durable-object")
ENTRIES, _ENTRY_BYTES, _TOGETHER = 1_000, 100_000, 40
_MEBIBYTE = 2**20
Row = dict[str, Any]


def memory_of_session(lab: Lab) -> list[Row]:
    """Megabytes that a session of 100 MB adds when it is read in pages, at the most, and when it is read again."""
    rows = []
    for store in STORES if is_supported() else ():
        lab.progress.expect(1)
        entries = max(_TOGETHER, round(ENTRIES * lab.effort.scale))
        with _service(store, lab.folder / f"session-{store}") as running:
            asyncio.run(_write(running.url, entries))
            pid = worker_process(running) if isinstance(running, LocalWorker) else running.group.id
            row: Row = {"store": store, "server": [], "client": []}
            for _ in range(2):
                before = resident_bytes(pid)
                with suppress(OSError):  # not every container lets us; then the peak since the start counts
                    forget_peak(pid)
                row["bytes"], client = _read_elsewhere(running.url)
                row["server"].append(_megabytes(peak_bytes(pid) - before))
                row["client"].append(_megabytes(client))
        if row["bytes"] < entries * _ENTRY_BYTES:
            raise Problem(f"the session on {store} has {row['bytes']:,} bytes, and not {entries * _ENTRY_BYTES:,}")
        rows.append(row)
        lab.progress.step(f"memory of a session, {store}")
    return rows


def _service(store: str, folder: Path) -> LocalServer | LocalWorker:
    if store == "sqlite":
        return LocalServer(folder, store=store, service_key=SERVICE_KEY)
    return LocalWorker(folder, store=store, service_key=SERVICE_KEY)


async def _write(url: str, entries: int) -> None:
    text = Raw(msgspec.json.encode("x" * _ENTRY_BYTES))
    async with AsyncClient(url, key=SERVICE_KEY, user=USER) as client:
        await journals.put_journal(client.state, SPACE, JOURNAL, PutJournal(), expected=None, request=None)
        for first in range(0, entries, _TOGETHER):
            numbers = range(first, min(first + _TOGETHER, entries))
            new = NewEntries(entries=[NewEntry(id=f"{number}", data=text) for number in numbers])
            await journals.append_entries(client.state, SPACE, JOURNAL, new, request=None)


def _read_elsewhere(url: str) -> tuple[int, int]:
    paths = os.pathsep.join(str(ROOT / part) for part in ("src", "scripts"))
    done = subprocess.run(
        [sys.executable, "-m", "tools.bench.read_session", url],
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Problem("the session cannot be read; what the client said is above")
    size, added = json.loads(done.stdout)
    return size, added


def _megabytes(size: int) -> float:
    return round(size / _MEBIBYTE, 1)
