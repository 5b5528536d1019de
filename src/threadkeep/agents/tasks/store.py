"""The contract of every back end that keeps tasks.

A task stands in a queue, under an id that the client chose, and in a lane of that queue. The open tasks of a lane are
run one after the other, in the order in which they were admitted: only the first may be claimed. Whoever claims one
begins an attempt, whose name each later change has to bear, and holds a lease, which is to be renewed. Nothing happens
by itself when a lease ends: another worker lists what has expired, and takes it by a change that names the attempt it
saw, so that one of them wins.

A change is made or not, by one statement; that it was not is no error. Each has a name, its `request`: if the last
change of a task had the same name, this one is a repeat, and counts as made.
"""

from typing import Protocol

from threadkeep.agents.tasks.models import Admission, Changed, Lane, LaneChange, Renewed, Task, TaskPage
from threadkeep.agents.tasks.records import ChangeRecord, TaskQuery, TaskRecord
from threadkeep.errors import Conflict, NotFound, TooLarge

NOTE_TOO_LARGE = "note: It would have more than 262,144 bytes when it is merged. Keep more of it in a journal."


class TaskStore(Protocol):
    """The tasks of one user."""

    async def admit_task(self, record: TaskRecord) -> tuple[Admission, bool]:
        """Admit a task; return it as it is now, and whether it is new.

        What is decided, in this order: there is a receipt of this id, which is returned as it is; the lane is closed:
        Conflict `lane_closed`; the id is taken by another payload, kind, target or lane: Conflict `conflict`; it was
        admitted before, and is returned as it is.
        """

    async def get_task(self, queue: str, task: str) -> Task:
        """The task, or the receipt of it. Raises NotFound."""

    async def list_tasks(self, queue: str, query: TaskQuery) -> TaskPage:
        """Tasks of a view in order of `seq`, after one.

        - `runnable`: those that may be claimed: queued, ready, and the first open one of its lane
        - `unready`: queued, and not ready
        - `running`; `expired`: those of them whose lease has ended; `settling`
        - `joined`: those that have joined a host, or are joining it
        - `open`: all that is neither settled nor a receipt
        - `lane`: all of a lane; `all`: all of the queue

        A page has at most `limit` rows (1 to 1,000), and fewer where they are large, but always one if there is any.
        """

    async def change_task(self, queue: str, task: str, record: ChangeRecord) -> Changed:
        """Change a task if it is in the state that this needs; return whether it was, and the task as it is now.

        | change | needs | sets |
        |---|---|---|
        | ready | queued | `readyAt`, once |
        | claim | queued, ready, no earlier open task in the lane | running, with attempt, holder and lease; one
          attempt more, and a timeout if there is none. With `restart` it is the first, and the timeout is set anew |
        | applied | running, attempt | `appliedAt`, and with it the budget, once |
        | recover | running, attempt | `recoveryAt`, once |
        | replace | running, attempt | the next attempt, which counts; holder and lease if given |
        | requeue | running, attempt, not applied if so asked | queued, without attempt, holder and lease |
        | settle, drop | running, attempt; queued | settled, with or without an error |
        | reserve | no settlement, and running, attempt and held; or joined, and its host running under the attempt |
          settling, under this attempt, with the settlement |
        | finalize | settling, attempt, settlement | settled; the error, if it was reserved with one |
        | join, leave | joining this host, which is running under the attempt | joined; queued |
        | note | attempt, and what `if` says of the note | the note, by a merge patch |

        When a task is settled, what has joined it is settled with the same error, and what is joining it is queued.
        A reservation of just what is reserved is a repeat. Raises TooLarge where the note would be.
        """

    async def absorb_tasks(self, queue: str, host: str, attempt: str, target: str | None, *, request: str) -> TaskPage:
        """Have the next queued tasks of the host's lane join it, if it is running under the attempt; return them.

        They are joining it then. It ends before the first that is not ready, is to be given up, or has another target;
        and where a page is full, which then says that there is more. A repeat returns those of them that are still
        joining it, whatever has become of the host's last change.
        """

    async def renew_leases(self, queue: str, holder: str, tasks: list[str], until: int) -> Renewed:
        """Renew the leases of running tasks that this holder has; return which those are."""

    async def has_open_tasks(self, queue: str) -> bool:
        """Whether any task of a queue is open."""

    async def change_lane(self, queue: str, lane: str, change: LaneChange) -> Lane:
        """Change a lane; return it as it is now.

        `abort` stamps each open task that is not settling, once, and changes no state. `close` raises Conflict
        `lane_busy` while any is open. `clear`, of a lane that is closed, makes receipts of the settled tasks of the
        kind `keep`, removes the others, and opens it; of one that is open, it does nothing.
        """


# The words in which every back end refuses.


def no_task(queue: str, task: str) -> NotFound:
    """There is none under this id, or it is somebody else's."""
    return NotFound(f"There is no task {task[:80]} in the queue {queue[:80]}. Admit it first.")


def task_conflict(task: str) -> Conflict:
    """A task to admit is there already, and is another one."""
    return Conflict(
        f"The task {task[:80]} exists already, with another payload, kind, target or lane. Take another id.",
        {"reason": "conflict"},
    )


def lane_closed(lane: str) -> Conflict:
    """A lane admits nothing."""
    return Conflict(
        f"The lane {lane[:80]} is closed. Try again when whoever closed it has opened it.", {"reason": "lane_closed"}
    )


def lane_busy(lane: str) -> Conflict:
    """A lane cannot be closed."""
    return Conflict(
        f"The lane {lane[:80]} has tasks that are not settled. Settle them, then close it.", {"reason": "lane_busy"}
    )


def note_too_large() -> TooLarge:
    """A note would be too large when it is merged."""
    return TooLarge(NOTE_TOO_LARGE, {"path": "note"})
