"""Keeps one session of the OpenAI Agents SDK, with Threadkeep or with the SDK's own `SQLiteSession`.

    openai_sessions.py NAME PLACE

A place is a SQLite file, or the URL of a Threadkeep, for which THREADKEEP_KEY and THREADKEEP_USER are read.
"""

import asyncio
import sys
from typing import Any

from agents.memory import Session, SQLiteSession
from frameworks import items_of
from jobs import Messages, do_jobs

from threadkeep.adapters.openai_agents import ThreadkeepSession

LOADED = 50
NAME = "conversation"


class Conversation:
    """A session whose newest items are loaded."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def prepared(self, turn: Messages) -> list[Any]:
        return [item for message in turn for item in items_of(message)]

    async def fill(self, turn: list[Any]) -> None:
        await self.append(turn)

    async def append(self, turn: list[Any]) -> None:
        await self._session.add_items(turn)

    async def load(self) -> None:
        if len(await self._session.get_items(limit=LOADED)) != LOADED:
            sys.exit(f"it does not load {LOADED} items")


async def main() -> None:
    """Opens the session, and does the jobs."""
    name, place = sys.argv[1:]
    session = SQLiteSession(NAME, place) if name == "SQLiteSession" else ThreadkeepSession(NAME, place)
    await do_jobs(Conversation(session))


if __name__ == "__main__":
    asyncio.run(main())
