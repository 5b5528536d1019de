"""Keeps one conversation in a SQLite file, in this process: with Threadkeep, or with what else does that in Python.

    native.py NAME FILE HISTORY

The conversation begins with so many messages. Reads jobs from standard input, a line of JSON each, and answers each
with a line of latencies in milliseconds: {"operation": "append-turn" or "load-50", "count", "seed"}.
All three are given plain Python values, and give plain Python values.
"""

import asyncio
import json
import os
import sys

from frameworks import items_of, message_of
from jobs import Messages, timed

from tools.bench.conversations import BEGIN, Writer

LOADED = 50
ITEMS = LOADED * 5 // 4  # a turn of four messages is five items to the OpenAI Agents SDK
HISTORY_BATCH = 200


class Threadkeep:
    """Validates, knows a message that comes again, and indexes every word for search."""

    async def open(self, file: str) -> None:
        from threadkeep.conversations.models import NewConversation
        from threadkeep.conversations.service import create_conversation
        from threadkeep.storage.sql.conversations import SqlStore
        from threadkeep.storage.sqlite.file import SqliteFile
        from threadkeep.storage.sqlite.migrations import MIGRATIONS

        self._store = SqlStore(await SqliteFile.open(file, MIGRATIONS), "user")
        self._id = Writer("long").new_id(BEGIN)
        await create_conversation(self._store, NewConversation(id=self._id))

    async def append(self, messages: Messages) -> None:
        import msgspec

        from threadkeep.conversations.models import NewMessages
        from threadkeep.conversations.service import append_messages
        from threadkeep.validation import decode

        await append_messages(self._store, self._id, decode(msgspec.json.encode({"messages": messages}), NewMessages))

    async def load(self) -> int:
        import msgspec

        page = await self._store.list_messages(self._id, limit=LOADED)
        return len(
            [{"role": message.role, "content": msgspec.json.decode(message.content)} for message in page.messages]
        )


class OpenAIAgents:
    """`SQLiteSession` of the OpenAI Agents SDK: keeps the items of a session."""

    async def open(self, file: str) -> None:
        from agents import SQLiteSession

        self._session = SQLiteSession("conversation", file)

    async def append(self, messages: Messages) -> None:
        await self._session.add_items([item for message in messages for item in items_of(message)])

    async def load(self) -> int:
        return len(await self._session.get_items(limit=ITEMS)) - ITEMS + LOADED


class LangGraph:
    """LangGraph's `AsyncSqliteSaver`: keeps the state of a graph, all messages of it, after each step."""

    async def open(self, file: str) -> None:
        import aiosqlite
        from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

        self._saver = AsyncSqliteSaver(await aiosqlite.connect(file))
        self._thread = {"configurable": {"thread_id": "conversation", "checkpoint_ns": ""}}

    async def append(self, messages: Messages) -> None:
        from langgraph.checkpoint.base import empty_checkpoint

        latest = await self._saver.aget_tuple(self._thread)
        before = latest.checkpoint["channel_values"]["messages"] if latest else []
        step = (latest.metadata["step"] if latest else 0) + 1
        checkpoint = empty_checkpoint()
        checkpoint["channel_values"] = {"messages": [*before, *map(message_of, messages)]}
        checkpoint["channel_versions"] = {"messages": step}
        config = latest.config if latest else self._thread
        metadata = {"source": "loop", "step": step, "parents": {}}
        await self._saver.aput(config, checkpoint, metadata, {"messages": step})

    async def load(self) -> int:
        latest = await self._saver.aget_tuple(self._thread)
        return len(latest.checkpoint["channel_values"]["messages"][-LOADED:])


CONTESTANTS = {"threadkeep": Threadkeep, "openai-agents": OpenAIAgents, "langgraph": LangGraph}


def with_ids(writer: Writer, messages: Messages) -> Messages:
    """The messages, each with an id."""
    return [{"id": writer.new_id(BEGIN), **message} for message in messages]


async def main() -> None:
    """Makes the conversation, and does the jobs."""
    name, file, history = sys.argv[1:]
    contestant = CONTESTANTS[name]()
    await contestant.open(file)
    writer = Writer("history")
    messages = with_ids(writer, list(writer.messages(int(history))))
    for begin in range(0, len(messages), HISTORY_BATCH):
        await contestant.append(messages[begin : begin + HISTORY_BATCH])
    print("ready", flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        if job["operation"] == "append-turn":
            writer = Writer(job["seed"])
            turns = [with_ids(writer, writer.turn()) for _ in range(job["count"])]
            latencies = [await timed(lambda turn=turn: contestant.append(turn)) for turn in turns]
        else:
            latencies = [await timed(contestant.load) for _ in range(job["count"])]
            if await contestant.load() != LOADED:
                sys.exit(f"{name} does not load {LOADED}")
        print(json.dumps(latencies), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
    os._exit(0)  # aiosqlite's thread does not end by itself
