"""What clients say of tasks, and what they get back. Payloads, settlements and notes are theirs."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from threadkeep.agents.values import AnyJson, Name, OptionalText
from threadkeep.conversations.models import INTEGER_MAX, TIME_IN_WORDS

TASKS_MAX = 1_000
"""How many ids a renewal names, and tasks a page has."""
NOTE_BYTES_MAX = 262_144
ERROR_BYTES_MAX = 65_536
ATTEMPTS_MAX = 10
"""How often a task may be tried, unless it says otherwise. Whoever works on it goes by that; the queue does not."""

State = Literal["queued", "running", "settling", "joining", "joined", "settled", "receipt"]
View = Literal["runnable", "unready", "running", "expired", "settling", "joined", "open", "lane", "all"]

Error = Annotated[str, Meta(max_length=ERROR_BYTES_MAX, description="Why it failed: at most 65,536 bytes in UTF-8.")]
Object = Annotated[Raw, Meta(extra_json_schema={"type": "object"})]
NUMBER_MAX = INTEGER_MAX - 1
"""What is kept in a column of its own is at most this, which D1 still takes as it is."""
Number = Annotated[int, Meta(ge=0, le=NUMBER_MAX)]
At = Annotated[int, Meta(ge=0, le=NUMBER_MAX, description="Unix milliseconds.", extra=TIME_IN_WORDS)]
Lease = Annotated[int, Meta(ge=0, le=NUMBER_MAX, description="Unix milliseconds until when it is held; 0 for none.")]
Scalar = Annotated[int, Meta(ge=-INTEGER_MAX, le=INTEGER_MAX)] | Annotated[str, Meta(max_length=65_536)] | bool | None


# What is kept


class Task(Struct, rename="camel", kw_only=True):
    """A task of a queue. All times are Unix milliseconds."""

    queue: str
    id: str
    seq: Annotated[int, Meta(description="Its place in the queue.")]
    """Its place in the queue. The tasks of a lane are run in this order."""
    lane: str
    kind: str | None
    target: str | None
    """Whose it is to do, where that matters."""
    state: State
    """`queued`, `running`, `settling`, `joining` and `joined` are open. A `receipt` is what was kept of a settled task
    when its lane was cleared: it has no payload any more."""
    accepted_at: int
    ready_at: int | None
    """Since when it may be claimed; null for not yet."""
    attempt: str | None
    """Who works on it, or did last: whatever a worker calls its attempt."""
    attempts: int
    """How often it was tried."""
    attempts_max: int
    """How often it may be tried, as it was last told."""
    timeout_at: int
    """When it has taken too long; 0 for never, as long as nobody has said."""
    holder: str | None
    """Who holds the lease."""
    lease_until: int
    """Until when; 0 for no lease."""
    started_at: int | None
    """When the attempt began."""
    applied_at: int | None
    """When its input took effect."""
    recovery_at: int | None
    """Since when it is to be recovered."""
    abort_at: int | None
    """Since when it is to be given up. Whoever works on it goes by that; the queue does not."""
    settled_at: int | None
    host: str | None
    """The id of the task that it has joined, or is joining."""
    error: str | None
    """Why it failed; null where it has not."""
    settlement_id: str | None
    """The id of what was reserved as its end; null where nothing was."""
    settlement: AnyJson
    """What was reserved as its end."""
    note: AnyJson
    """What its attempts have noted; null where there is nothing."""
    note_revision: int
    """Counts notes."""
    noted_at: int | None
    payload: AnyJson


# What callers ask for


class NewTask(Struct, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """A task to admit. Sending it again is safe: an id is admitted once."""

    id: Name
    lane: Name
    """Of the open tasks of a lane, only the first may be claimed."""
    kind: OptionalText | None = None
    target: OptionalText | None = None
    payload: AnyJson
    ready: bool = True
    """Whether it may be claimed at once; otherwise from when it is changed by `ready`."""
    accepted_at: At | None = None
    """When it was accepted, where that was before it came here."""
    attempts_max: Number = ATTEMPTS_MAX
    timeout_at: Number = 0


class _Change(Struct, rename="camel", kw_only=True, forbid_unknown_fields=True, tag_field="do"):
    """A change of a task."""


class Ready(_Change, tag="ready"):
    """A queued task may be claimed from now on."""


class Claim(_Change, tag="claim"):
    """Begin an attempt at a task that is queued, ready, and the first open one of its lane."""

    attempt: Name
    holder: Name
    lease_until: Lease
    attempts_max: Number | None = None
    timeout_at: Number | None = None
    """Taken where it has none."""
    restart: bool = False
    """Whether to count attempts from 1 again, and to take `timeoutAt` in any case."""


class Applied(_Change, tag="applied"):
    """The input of a running task has taken effect. The first time, its budget is set."""

    attempt: Name
    attempts_max: Number | None = None
    timeout_at: Number | None = None


class Recover(_Change, tag="recover"):
    """A running task is to be recovered."""

    attempt: Name


class Replace(_Change, tag="replace"):
    """Go on with a running task under another attempt."""

    attempt: Name
    next_attempt: Name
    holder: Name | None = None
    lease_until: Lease | None = None


class Requeue(_Change, tag="requeue"):
    """Put a running task back, as if the attempt had not begun; it stays counted."""

    attempt: Name
    unless_applied: bool = False


class Settle(_Change, tag="settle"):
    """End a running task, and what has joined it. What is still joining goes back to the queue."""

    attempt: Name
    error: Error | None = None


class Drop(_Change, tag="drop"):
    """End a queued task without running it."""

    error: Error | None = None


class Reserve(_Change, tag="reserve"):
    """Fix how a running task will end, or one that has joined a running task. Only the first such end is taken."""

    attempt: Name
    """That of the host, for one that has joined it."""
    settlement_id: Name
    settlement: AnyJson
    error: Error | None = None
    """Why it failed, which is shown once it is finalized; null where it has not."""


class Finalize(_Change, tag="finalize"):
    """End a task as it was reserved. What has joined it ends as well."""

    attempt: Name
    settlement_id: Name
    error: Error | None = None
    """Put in the place of the error that was reserved, if one was."""


class Join(_Change, tag="join"):
    """A task that is joining a running one has joined it."""

    host: Name
    attempt: Name
    """That of the host."""


class Leave(_Change, tag="leave"):
    """A task that is joining a running one goes back to the queue."""

    host: Name
    attempt: Name


# Generated clients have a variable named after each class, and this one has a field `note`.
class NoteTask(_Change, tag="note"):
    """Merge a JSON Merge Patch (RFC 7396) into the note of a task."""

    attempt: Name
    note: Object
    if_: dict[str, Scalar] = field(name="if", default_factory=dict)
    """What the note must have, by name: a text, an integer, true, false or null. What is absent counts as null."""


class Absorb(_Change, tag="absorb"):
    """Have the next tasks of a running one's lane join it: up to the first that is not ready, is to be given up, or has
    another target."""

    attempt: Name
    target: OptionalText | None = None


Change = (
    Ready | Claim | Applied | Recover | Replace | Requeue | Settle | Drop | Reserve | Finalize | Join | Leave | NoteTask
)


class Renewal(Struct, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """Leases to renew."""

    holder: Name
    tasks: Annotated[list[Name], Meta(extra_json_schema={"maxItems": TASKS_MAX})]
    lease_until: Lease


class LaneChange(Struct, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """What to do with a lane."""

    do: Literal["abort", "close", "open", "clear"]
    """`abort` marks its open tasks as to be given up. `close` has it admit nothing, if nothing is open; `open` ends
    that. `clear` removes the settled tasks of a closed lane, and opens it."""
    keep: OptionalText | None = None
    """The kind of settled tasks of which `clear` keeps a receipt."""


# What callers get back


class Admission(Struct, rename="camel"):
    """A task as it is kept, or the receipt that was kept of it."""

    kind: Literal["task", "receipt"]
    task: Task


class TaskPage(Struct, rename="camel"):
    """Tasks in order of `seq`."""

    tasks: list[Task]
    more: bool
    """Whether there are more. To go on, ask for those after the last `seq`; to absorb the rest, ask again."""


class Changed(Struct, rename="camel"):
    """What came of a change."""

    applied: bool
    """Whether it was made, now or when it was sent before."""
    task: Task | UnsetType = UNSET
    """The task as it is now; left out where there is none."""
    absorbed: TaskPage | UnsetType = UNSET
    """After `absorb`: what is joining the task from now on."""


class Renewed(Struct, rename="camel"):
    """The tasks whose leases were renewed. Those left out are held by nobody, or by another."""

    tasks: list[str]


class Lane(Struct, rename="camel"):
    """A lane as it is now."""

    lane: str
    closed_at: int | None
    """Since when it admits nothing; null where it is open."""
    aborted: list[str]
    """The ids of the open tasks that are to be given up, after an `abort`."""


class Queue(Struct, rename="camel"):
    """A queue as it is now."""

    queue: str
    has_open_tasks: bool
    """Whether any task is open: neither settled nor a receipt."""
