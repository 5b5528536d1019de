"""The part of the walk that is about blobs. Everybody has those of these keys."""

from collections.abc import Iterable
from itertools import chain, count
from typing import Any

from owner_proof.walk.steps import SPACE, Step, raw, requests, state
from owner_proof.walk.sweeping import purge, sweep
from threadkeep.agents.blobs.records import BlobRecord
from threadkeep.storage.sql.agents import SqlStateStore
from threadkeep.storage.sql.conversations import SqlStore


def put_blob(key: str, content: bytes, group: str | None = None, **fields: Any) -> Step:
    """Put a blob, and have its pieces bear this name."""
    record = {"space": SPACE, "key": key, "content": content, "digest": content[:9].decode(), **fields}
    record = {"media_type": "text/plain", "meta": raw({"meta": key}), **record}
    # Ids of its own, so that those of everything else are what they would be without it.
    number = next(requests)

    async def step(store: SqlStore) -> Any:
        own = (f"0B{number:012d}{place:012d}" for place in count())
        ids = own if group is None else chain([group], own)  # the first is that of the pieces
        blobs = SqlStateStore(store._executor, store._user_id, store._clock, lambda: next(ids))
        return await blobs.put_blob(BlobRecord(**record))

    return step


def get_blob(key: str) -> Step:
    return state(lambda store: store.get_blob(SPACE, key))


def delete_blob(key: str) -> Step:
    return state(lambda store: store.delete_blob(SPACE, key))


def blobs_held() -> list[Step]:
    """What others have of what `BLOBS` is about: other bytes, of the same names."""
    return [
        put_blob("mine", b"held" * 500),
        put_blob("taken", b"held", expires_in=400_000_000_000_000),
        put_blob("gone", b"held" * 500),
        delete_blob("gone"),
        put_blob("gone", b"held"),
        put_blob("expired", b"held", expires_in=5),
    ]


def pieces_called(names: Iterable[str]) -> list[Step]:
    """What others have of the names that the walker gives to pieces, of whatever they are."""
    return [put_blob(f"of {name}", b"called" * 200, group=name) for name in sorted(names)]


# What the walker does with blobs.
BLOBS: list[Step] = [
    put_blob("mine", b"mine" * 500),
    put_blob("mine", b"mine" * 500),
    put_blob("mine", b"other"),
    get_blob("mine"),
    get_blob("taken"),
    get_blob("gone"),
    state(lambda store: store.find_blob(SPACE, "mine")),
    put_blob("expired", b"expired", expires_in=2),
    get_blob("mine"),
    get_blob("expired"),
    put_blob("expired", b"anew", expires_in=400_000_000_000_000),
    get_blob("expired"),
    delete_blob("expired"),
    delete_blob("taken"),
    put_blob("gone", b"gone" * 500),
    delete_blob("gone"),
    put_blob("late", b"late", expires_in=400_000_000_000_000),
    put_blob("soon", b"soon", expires_in=3),
    get_blob("mine"),
    purge(),
    sweep(1),
    get_blob("soon"),
    sweep(),
    get_blob("mine"),
    get_blob("late"),
]

LATER_BLOBS: list[Step] = [
    put_blob("mine", b"later" * 300),
    state(lambda store: store.list_journals(SPACE, order="updated", limit=1)),
    state(lambda store: store.list_journals(SPACE, order="updated")),
]
