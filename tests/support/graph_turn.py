"""A turn of the graph, in a process of its own that a test may kill."""

import asyncio
import threading
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from langgraph.types import Command

from support.graphs import build, plain
from threadkeep.adapters.langgraph import ThreadkeepSaver


def take_turn(turn: dict[str, Any], told: Connection) -> None:
    """Take a turn, and tell `stopped` where it has stopped and waits to be killed, or what the graph knows in the end.

    `where`, `key`, `user` and `thread` are what the checkpointer needs, `awaits` whether the graph is awaited, `input`
    what it is given (None to go on) and `resume` what a question is answered with. Each node writes its name to the
    file `log`; in `stop_in` it stops.
    """

    def reached(node: str) -> None:
        with Path(turn["log"]).open("a") as log:
            log.write(f"{node}\n")
        if node == turn.get("stop_in"):
            told.send("stopped")
            threading.Event().wait()

    given = Command(resume=turn["resume"]) if "resume" in turn else turn.get("input")
    config: Any = {"configurable": {"thread_id": turn["thread"], "user_id": turn["user"]}}
    saver = ThreadkeepSaver(turn["where"], key=turn["key"], user=lambda config: config["configurable"]["user_id"])
    graph = build(saver, reached)
    if turn["awaits"]:
        result = asyncio.run(graph.ainvoke(given, config, durability="sync"))
    else:
        result = graph.invoke(given, config, durability="sync")
    told.send(plain({name: value for name, value in result.items() if name != "__interrupt__"}))
