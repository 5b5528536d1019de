"""Threads that grow: what is asked at each step of a graph takes as much work in a long thread as in a short one."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from support import stores
from support.threads import THREAD, page, put, write
from threadkeep.agents.store import StateStore
from threadkeep.agents.threads import service
from threadkeep.storage.sqlite.file import SqliteExecutor

pytestmark = pytest.mark.anyio

FILL = """
WITH RECURSIVE numbers (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < {count})
"""
CHECKPOINTS = f"""{FILL}
INSERT INTO checkpoints (user_id, thread, ns, id, parent, metadata, stored, counted, type, bytes, data)
SELECT
  'ada', 1, '', printf('%09d', i), printf('%09d', i - 1),
  '[]', json_array(json_array('a', CAST(i AS TEXT))), '[]', 't', 9, 'd'
FROM numbers
"""
VALUES = f"""{FILL}
INSERT INTO checkpoint_values (user_id, thread, ns, channel, version, type, bytes, data)
SELECT 'ada', 1, '', 'a', i, 't', 9, 'd'
FROM numbers
"""
WRITES = f"""{FILL}
INSERT INTO checkpoint_writes (user_id, thread, ns, checkpoint, task, idx, path, channel, type, bytes, data)
SELECT 'ada', 1, '', printf('%09d', i), 't', 0, '', 'a', 't', 9, 'd'
FROM numbers
"""
ASKED: dict[str, Callable[[StateStore], Awaitable[Any]]] = {
    "latest": lambda store: page(store, ns="", limit=1),
    "latest of all": lambda store: page(store, None, limit=1),
    "by id": lambda store: page(store, ns="", id="000000050"),
    "page": lambda store: page(store, before="000000060", limit=10),
    "deltas": lambda store: service.checkpoint_deltas(store, THREAD, channels=["a"]),
    "put": lambda store: put(store, "999999999", "000000100", values={("a", "new"): 1}),
    "write": lambda store: write(store, "999999999", ("a", 1)),
}


async def steps(count: int) -> dict[str, int]:
    """How many steps SQLite takes for each, in a thread of so many checkpoints."""
    executor = await stores.open_sqlite(":memory:")
    assert isinstance(executor, SqliteExecutor)
    store = stores.open_sql(executor, "ada").state
    await put(store, "000000000")
    database = executor._connection
    for text in (CHECKPOINTS, VALUES, WRITES):
        database.execute(text.format(count=count))
    taken: dict[str, int] = {}
    for name, ask in ASKED.items():
        counted = 0

        def count_one() -> bool:
            nonlocal counted
            counted += 1
            return False

        database.set_progress_handler(count_one, 10)
        await ask(store)
        database.set_progress_handler(None)
        taken[name] = counted
    executor.close()
    return taken


async def test_a_step_takes_as_much_in_a_thread_of_100_000_checkpoints_as_in_one_of_100() -> None:
    short, long = await steps(100), await steps(100_000)
    for name, count in short.items():
        assert count > 0
        assert long[name] <= 1.3 * count, (name, count, long[name])
