"""Keeps the checkpoints of one thread, with Threadkeep or with a checkpointer of LangGraph's own.

    langgraph_savers.py NAME PLACE

A place is a SQLite file, the URL of a Postgres, or that of a Threadkeep, for which THREADKEEP_KEY and THREADKEEP_USER
are read. Each turn is a step of a graph: its checkpoint has all messages that there were, and those of the turn.
"""

import asyncio
import os
import sys
from contextlib import AsyncExitStack
from typing import Any

from frameworks import message_of
from jobs import Messages, do_jobs
from langgraph.checkpoint.base import BaseCheckpointSaver, empty_checkpoint
from langgraph.checkpoint.base.id import uuid6

USER = "bench"
THREAD = {"configurable": {"thread_id": "conversation", "checkpoint_ns": ""}}


class Thread:
    """The state of a graph, which is one list of messages. What is measured does not make it longer."""

    def __init__(self, saver: BaseCheckpointSaver[Any]) -> None:
        self._saver = saver
        self._messages: list[Any] = []
        self._config: Any = THREAD
        self._version: Any = None
        self._step = 0
        self._latest = 0

    def prepared(self, turn: Messages) -> list[Any]:
        return [message_of(message) for message in turn]

    async def fill(self, turn: list[Any]) -> None:
        self._messages += turn
        await self._put(self._messages)

    async def append(self, turn: list[Any]) -> None:
        await self._put([*self._messages, *turn])

    async def load(self) -> None:
        latest = await self._saver.aget_tuple(THREAD)
        if latest is None or len(latest.checkpoint["channel_values"]["messages"]) != self._latest:
            sys.exit(f"the latest checkpoint does not have {self._latest} messages")

    async def _put(self, messages: list[Any]) -> None:
        self._step += 1
        self._version = self._saver.get_next_version(self._version, None)
        checkpoint = empty_checkpoint()
        checkpoint["id"] = str(uuid6(clock_seq=self._step))
        checkpoint["channel_values"] = {"messages": messages}
        checkpoint["channel_versions"] = {"messages": self._version}
        metadata: Any = {"source": "loop", "step": self._step, "parents": {}}
        self._config = await self._saver.aput(self._config, checkpoint, metadata, {"messages": self._version})
        self._latest = len(messages)


async def opened(name: str, place: str, ending: AsyncExitStack) -> BaseCheckpointSaver[Any]:
    """The checkpointer of that name."""
    if name == "AsyncSqliteSaver":
        from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

        return await ending.enter_async_context(AsyncSqliteSaver.from_conn_string(place))
    if name == "AsyncPostgresSaver":
        from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

        saver = await ending.enter_async_context(AsyncPostgresSaver.from_conn_string(place))
        await saver.setup()
        return saver
    from threadkeep.adapters.langgraph import ThreadkeepSaver

    if not place.startswith("postgresql:"):
        return ThreadkeepSaver(place, user=USER)
    from threadkeep.storage.postgres.migrations import MIGRATIONS
    from threadkeep.storage.postgres.pool import open_pool
    from threadkeep.storage.postgres.url import parse_url
    from threadkeep.storage.sql.conversations import SqlStore

    pool = await open_pool(parse_url(place), MIGRATIONS)
    return ThreadkeepSaver(lambda _user: SqlStore(pool, USER).state, user=USER)


async def main() -> None:
    """Opens the checkpointer, and does the jobs."""
    name, place = sys.argv[1:]
    async with AsyncExitStack() as ending:
        await do_jobs(Thread(await opened(name, place, ending)))
        os._exit(0)  # aiosqlite's thread does not end by itself


if __name__ == "__main__":
    asyncio.run(main())
