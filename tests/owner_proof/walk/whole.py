"""A walk through everything that a store does, and what everybody around the walker has done."""

from owner_proof.walk.blobs import BLOBS, LATER_BLOBS, blobs_held
from owner_proof.walk.branches import BRANCHED, BRANCHES, SWEEPING, WITHERED
from owner_proof.walk.conversations import IMPORTS, MORE, OTHERWISE, WALK, create, delete
from owner_proof.walk.drafts import DRAFTS, DRAFTS_LEFT, SWEPT
from owner_proof.walk.erasing import ERASING
from owner_proof.walk.indexing import AGAIN
from owner_proof.walk.journals import JOURNALS, JOURNALS_HELD, LATER_JOURNALS
from owner_proof.walk.steps import Step
from owner_proof.walk.sweeping import erase, purge, sweep
from owner_proof.walk.tasks import LATER_TASKS, TASKS, TASKS_HELD
from owner_proof.walk.threads import LATER_THREADS, THREADS, THREADS_HELD

# What others have of what `ERASING` is about.
HELD: list[Step] = [
    *JOURNALS_HELD,
    *TASKS_HELD,
    *THREADS_HELD,
    create(5, 150, 140, words="held", title="Held", metadata={"held": 1}),
    create(6, 50, 51, 52, 53, words="held"),
    create(7, 54, 141, words="held", title="Held too"),
    create(8, 55, 56, words="held"),
    *(create(number, 100 + number, 160 + number, words="held") for number in (40, 41, 42, 43, 44, 50)),
    *(create(number, 170 + number, 200 + number, 240 + number, words="held") for number in (10, 20)),
    *blobs_held(),
]
_ALL = (1, 2, 3, 4, 5, 6, 7, 8, 10, 20, 40, 41, 42, 43, 44, 50, 90)

DELETED: list[Step] = [
    *(*OTHERWISE, *MORE, *HELD, *WITHERED, *DRAFTS_LEFT),
    *(delete(number) for number in (*BRANCHED, *_ALL)),
]
PURGED: list[Step] = [*DELETED, purge(ago=5)]  # and some are deleted and not yet purged
ERASED: list[Step] = [
    *OTHERWISE,
    *MORE,
    *HELD,
    delete(5),
    erase(),
    *JOURNALS_HELD,
    *blobs_held(),
    *TASKS_HELD,
    *THREADS_HELD,
    sweep(2, messages=9),
    create(9, 180, words="held"),
]


WHOLE_WALK: list[Step] = [
    *(*WALK, *BRANCHES, *DRAFTS, *JOURNALS, *BLOBS, *TASKS, *THREADS, *AGAIN, *IMPORTS, *SWEEPING, *SWEPT, *ERASING),
    *(*LATER_JOURNALS, *LATER_BLOBS, *LATER_TASKS, *LATER_THREADS),
]
"""All that the walker does."""
