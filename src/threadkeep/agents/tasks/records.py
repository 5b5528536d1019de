"""What a store is handed: checked, with digests, so that a store only has to keep it."""

from msgspec import UNSET, Raw, Struct, UnsetType

from threadkeep.agents.tasks.models import ATTEMPTS_MAX, Change, View


class TaskRecord(Struct, kw_only=True):
    """A task that passed every check. Two of one id are the same if their digests are the same."""

    queue: str
    id: str
    lane: str
    digest: str
    kind: str | None = None
    target: str | None = None
    payload: Raw = Raw(b"null")
    is_ready: bool = True
    accepted_at: int | None = None
    attempts_max: int = ATTEMPTS_MAX
    timeout_at: int = 0


class ChangeRecord(Struct, kw_only=True):
    """A change of a task that passed every check."""

    request: str
    """The name of this write, by which it is known if it is sent again before anything else is changed."""
    change: Change
    settlement_digest: str | None = None
    """Of the settlement, where the change reserves one."""


class TaskQuery(Struct, kw_only=True):
    """Which tasks of a queue to list: those of a view, after a `seq`."""

    view: View = "all"
    lane: str | None = None
    """Of which lane, where the view is `lane`."""
    host: str | None = None
    """Of which host, where the view is `joined`."""
    after: int = 0
    limit: int = 100


class Guard(Struct, kw_only=True):
    """Who has to be at work for an append to be made."""

    queue: str
    task: str
    attempt: str
    joined: list[str] = []
    settlement_id: str | None = None
    settlement_digest: str | None = None
    sent_settlement: Raw | UnsetType = UNSET
    """What it is the digest of."""
