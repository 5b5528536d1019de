"""A turn of the graph, in a process of its own that a test may kill. Its one argument is JSON:

where, user, thread   of the checkpointer
input                 what the graph is given; null to go on
resume                what a question is answered with, instead of input
stop_in               the node in which it stops and waits, having said so
log                   the file that each node writes its name to
awaits                whether the graph is awaited

It prints `stopped` when it has stopped, or what the graph knows in the end.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from langgraph.types import Command

from support.graphs import build, plain
from threadkeep.adapters.langgraph import ThreadkeepSaver


def main() -> None:
    """Takes the turn."""
    turn = json.loads(sys.argv[1])

    def reached(node: str) -> None:
        with Path(turn["log"]).open("a") as log:
            log.write(f"{node}\n")
        if node == turn.get("stop_in"):
            print("stopped", flush=True)
            sys.stdin.read()  # until it is killed

    given = Command(resume=turn["resume"]) if "resume" in turn else turn.get("input")
    config: Any = {"configurable": {"thread_id": turn["thread"], "user_id": turn["user"]}}
    saver = ThreadkeepSaver(turn["where"], user=lambda config: config["configurable"]["user_id"])
    graph = build(saver, reached)
    if turn["awaits"]:
        result = asyncio.run(graph.ainvoke(given, config, durability="sync"))
    else:
        result = graph.invoke(given, config, durability="sync")
    print(json.dumps(plain({name: value for name, value in result.items() if name != "__interrupt__"})), flush=True)


if __name__ == "__main__":
    main()
