"""SqlStateStore: the state of agents over any database that speaks SQL."""

from threadkeep.storage.sql.agents.blobs import SqlBlobs, sweep_blobs
from threadkeep.storage.sql.agents.journals import SqlJournals, sweep_journals
from threadkeep.storage.sql.executor import Executor


class SqlStateStore(SqlJournals, SqlBlobs):
    """A `StateStore` over an executor. See `agents/store.py` for what each method promises."""


async def sweep_state(executor: Executor, user_id: str) -> bool:
    """Overwrite and remove a part of what is deleted, of any kind; return whether there may be more to do."""
    return await sweep_journals(executor, user_id) or await sweep_blobs(executor, user_id)
