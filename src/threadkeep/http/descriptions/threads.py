"""What is said of the operations on threads. Their examples are one story, too."""

from typing import Any

from threadkeep.http.descriptions.operation import AGENT_STATE, Operation

_AT = 1795176819164
_thread: dict[str, Any] = {
    "thread": "alice/1",
    "epoch": 0,
    "createdAt": _AT,
    "updatedAt": _AT,
    "expiresAt": None,
}
_typed = {"type": "json", "data": "eyJ2IjogNH0="}
_value = {"channel": "messages", "version": "1.5", "type": "json", "data": "WyJoaSJd"}
_write = {"idx": 0, "channel": "messages", "type": "json", "data": "ImhleSI="}
_pending = {"task": "task-1", "path": "", **_write}
_metadata = {"source": "input", "step": -1, "run_id": "run-1"}
_new = {"id": "1", "metadata": _metadata, "stored": {"messages": "1.5"}, **_typed, "values": [_value]}
_checkpoint = {
    "thread": "alice/1",
    "ns": "",
    "id": "1",
    "parent": None,
    "metadata": _metadata,
    "stored": {"messages": "1.5"},
    **_typed,
    "writes": [_pending],
}
_page = {
    "checkpoints": [_checkpoint],
    "values": [{"thread": "alice/1", "ns": "", **_value}],
    "nextCursor": None,
}

THREADS: dict[str, Operation] = {
    "put_checkpoint": Operation(
        tag=AGENT_STATE, answers={200: "It is kept: the thread."}, request=_new, response=_thread
    ),
    "put_writes": Operation(
        tag=AGENT_STATE,
        answers={200: "They are kept: the thread."},
        request={"checkpoint": "1", "task": "task-1", "writes": [_write]},
        response=_thread,
    ),
    "list_checkpoints": Operation(
        tag=AGENT_STATE,
        answers={200: "A page of checkpoints, and the values that they name."},
        query="ns=&limit=1",
        response=_page,
    ),
    "list_all_checkpoints": Operation(
        tag=AGENT_STATE,
        answers={200: "A page of checkpoints, and the values that they name."},
        query="filter=%7B%22step%22%3A-1%7D",
        response=_page,
    ),
    "list_deltas": Operation(
        tag=AGENT_STATE,
        answers={200: "What each channel became."},
        query="channels=%5B%22messages%22%5D&checkpoint=1",
        response={
            "channels": [{"channel": "messages", "seed": None, "checkpoint": None, "writes": []}],
            "nextCursor": None,
        },
    ),
    "claim_thread": Operation(
        tag=AGENT_STATE,
        answers={200: "The thread. Its `epoch` is that of the new claim."},
        response={**_thread, "epoch": 1},
    ),
    "list_threads": Operation(
        tag=AGENT_STATE,
        answers={200: "A page of threads."},
        response={"threads": [{**_thread, "epoch": 1}], "nextCursor": None},
    ),
    "prune_threads": Operation(
        tag=AGENT_STATE,
        answers={200: "Whether there is more to prune."},
        request={"threads": ["alice/1"], "keep": "latest"},
        response={"more": False},
    ),
    "delete_runs": Operation(
        tag=AGENT_STATE,
        answers={200: "Whether there is more to delete."},
        request={"runs": ["run-1"]},
        response={"more": False},
    ),
    "copy_thread": Operation(
        tag=AGENT_STATE,
        answers={200: "Whether there is more to copy."},
        request={"source": "alice/0", "epoch": 1},
        response={"more": False},
    ),
    "delete_thread": Operation(tag=AGENT_STATE, answers={204: "The thread is deleted."}),
}
