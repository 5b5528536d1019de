"""What is said of the operations on tasks. Their examples are one story, too."""

from typing import Any

from threadkeep.http.descriptions.operation import AGENT_STATE, Operation

_AT = 1795176819164
_LEASE = 1795176849164
_admitted: dict[str, Any] = {
    "queue": "agents",
    "id": "turn-1",
    "seq": 1,
    "lane": "alice/1",
    "kind": None,
    "target": None,
    "state": "queued",
    "acceptedAt": _AT,
    "readyAt": _AT,
    "attempt": None,
    "attempts": 0,
    "attemptsMax": 10,
    "timeoutAt": 0,
    "holder": None,
    "leaseUntil": 0,
    "startedAt": None,
    "appliedAt": None,
    "recoveryAt": None,
    "abortAt": None,
    "settledAt": None,
    "host": None,
    "error": None,
    "settlementId": None,
    "settlement": None,
    "note": None,
    "noteRevision": 0,
    "notedAt": None,
    "payload": {"text": "What is a monad?"},
}
_claim = {"do": "claim", "attempt": "attempt-1", "holder": "worker-1", "leaseUntil": _LEASE}
_claimed = {
    **_admitted,
    "state": "running",
    "attempt": "attempt-1",
    "attempts": 1,
    "holder": "worker-1",
    "leaseUntil": _LEASE,
    "startedAt": _AT,
}

FIELDS_OF_TASKS = {
    "abortAt": "Since when it is to be given up; null unless it is.",
    "absorbed": "After `absorb`: what is joining the task from now on.",
    "aborted": "After `abort`: the ids of the open tasks that are to be given up.",
    "acceptedAt": "When it was accepted.",
    "applied": "Whether the change was made, now or when it was sent before.",
    "appliedAt": "When its input took effect; null for not yet.",
    "attempt": "Who works on it, or did last: a name that the worker makes, and sends with every change.",
    "attempts": "How often it was tried.",
    "attemptsMax": "How often it may be tried. Whoever works on it goes by that; the queue does not.",
    "guard": "The task that has to be at work for the append to be made; `unauthorized` if it is not.",
    "hasOpenTasks": "Whether any task is neither settled nor a receipt.",
    "holder": "Who holds the lease.",
    "host": "The task that it has joined, or is joining.",
    "if": "What the note must have, by name. What is absent counts as null.",
    "joined": "The ids of tasks that must have joined it, or be joining it.",
    "keep": "With `clear`: the kind of tasks of which a receipt is kept.",
    "lane": "Of the open tasks of a lane, only the first may be claimed.",
    "nextAttempt": "The name of the attempt that goes on with it.",
    "note": "What its attempts have noted, merged one into the other.",
    "notedAt": "When something was noted last.",
    "noteRevision": "Counts what was noted.",
    "readyAt": "Since when it may be claimed; null for not yet.",
    "recoveryAt": "Since when it is to be recovered; null unless it is.",
    "restart": "Whether to count attempts from 1 again, and to take `timeoutAt` in any case.",
    "settledAt": "When it ended; null for not yet.",
    "settlement": "What is reserved as its end.",
    "settlementId": "The id of what is reserved as its end.",
    "startedAt": "When the attempt began.",
    "target": "Whose it is to do, where that matters.",
    "timeoutAt": "When it has taken too long; 0 for never. Whoever works on it goes by that; the queue does not.",
    "unlessApplied": "Only if its input has not taken effect.",
}
"""What each field of a task and its changes is."""

TASKS: dict[str, Operation] = {
    "admit_task": Operation(
        tag=AGENT_STATE,
        answers={
            201: "The task is new: it, as stored.",
            200: "It was admitted before: the task as it is now, or the receipt that was kept of it.",
        },
        request={"id": "turn-1", "lane": "alice/1", "payload": {"text": "What is a monad?"}},
        response={"kind": "task", "task": _admitted},
    ),
    "list_tasks": Operation(
        tag=AGENT_STATE,
        answers={200: "A page of tasks."},
        query="view=runnable",
        response={"tasks": [_admitted], "more": False},
    ),
    "change_task": Operation(
        tag=AGENT_STATE,
        answers={200: "Whether the change was made, and the task as it is now; of `absorb`, what is joining it."},
        request=_claim,
        response={"applied": True, "task": _claimed},
    ),
    "get_task": Operation(tag=AGENT_STATE, answers={200: "The task, as stored."}, response=_claimed),
    "renew_leases": Operation(
        tag=AGENT_STATE,
        answers={200: "The tasks whose leases were renewed."},
        request={"holder": "worker-1", "tasks": ["turn-1"], "leaseUntil": _LEASE},
        response={"tasks": ["turn-1"]},
    ),
    "change_lane": Operation(
        tag=AGENT_STATE,
        answers={200: "The lane, as it is now."},
        request={"do": "abort"},
        response={"lane": "alice/1", "closedAt": None, "aborted": ["turn-1"]},
    ),
    "get_queue": Operation(
        tag=AGENT_STATE,
        answers={200: "Whether any task is open."},
        response={"queue": "agents", "hasOpenTasks": True},
    ),
}
