"""SqlStateStore: the state of agents over any database that speaks SQL."""

from threadkeep.storage.sql.agents.blobs import SqlBlobs, sweep_blobs
from threadkeep.storage.sql.agents.journals import SqlJournals, sweep_journals
from threadkeep.storage.sql.agents.tasks import SqlTasks, sweep_tasks
from threadkeep.storage.sql.agents.threads import SqlThreads, sweep_threads
from threadkeep.storage.sql.executor import Executor


class SqlStateStore(SqlJournals, SqlTasks, SqlBlobs, SqlThreads):
    """A `StateStore` over an executor. See `agents/store.py` for what each method promises."""


async def sweep_state(executor: Executor, user_id: str) -> bool:
    """Overwrite and remove a part of what is deleted, of any kind; return whether there may be more to do."""
    for sweep in (sweep_journals, sweep_tasks, sweep_blobs, sweep_threads):
        if await sweep(executor, user_id):
            return True
    return False
