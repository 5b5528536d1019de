"""The part of the walk that is about journals. Everybody has those of these keys."""

from typing import Any

from owner_proof.walk.steps import LARGE, SPACE, Step, raw, requests, state
from owner_proof.walk.sweeping import purge, sweep
from threadkeep.agents.journals.models import Producer
from threadkeep.agents.journals.records import AppendRecord, EntryQuery, EntryRecord, JournalEdit, JournalRecord
from threadkeep.storage.sql.conversations import SqlStore


def put_journal(key: str, **fields: Any) -> Step:
    record = {"space": SPACE, "key": key, "request": f"r{next(requests)}", "identity": "same", **fields}
    return state(lambda store: store.put_journal(JournalRecord(**record)))


def patch_journal(key: str, **fields: Any) -> Step:
    edit = JournalEdit(**{"request": f"r{next(requests)}", **fields})
    return state(lambda store: store.patch_journal(SPACE, key, edit))


def write(key: str, *entries: Any, **fields: Any) -> Step:
    """Append entries to a journal; a pair is an id and what it says."""
    pairs = [each if isinstance(each, tuple) else (None, each) for each in entries]
    records = [EntryRecord(id=id_, digest=str(value)[:20], data=raw(value)) for id_, value in pairs]
    given = {"request": f"r{next(requests)}", "digest": str(pairs)[:20], "entries": records, **fields}
    return state(lambda store: store.append_entries(SPACE, key, AppendRecord(**given)))


def claim(key: str, producer: str) -> Step:
    request = f"r{next(requests)}"
    return state(lambda store: store.acquire_producer(SPACE, key, producer, request=request))


def produce(key: str, seq: int, *entries: Any, epoch: int = 1, incarnation: int = 0) -> Step:
    """Append what a producer does, to the journal as it is, or to another one."""
    request = f"r{next(requests)}"

    async def step(store: SqlStore) -> Any:
        known = (await store.state.get_journal(SPACE, key)).incarnation
        producer = Producer(id="p", incarnation=str(incarnation) if incarnation else known, epoch=epoch, seq=seq)
        return await write(key, *entries, producer=producer, request=request)(store)

    return step


def get_journal(key: str) -> Step:
    return state(lambda store: store.get_journal(SPACE, key))


def read_journal(key: str, **query: Any) -> Step:
    return state(lambda store: store.read_entries(SPACE, key, EntryQuery(**query)))


def list_journals(**query: Any) -> Step:
    return state(lambda store: store.list_journals(SPACE, **query))


def delete_journal(key: str, **options: Any) -> Step:
    return state(lambda store: store.delete_journal(SPACE, key, **options))


def pop(key: str) -> Step:
    return state(lambda store: store.pop_entry(SPACE, key))


# What others have of what `JOURNALS` is about: more, of the same names.
JOURNALS_HELD: list[Step] = [
    put_journal("taken", head=raw("held"), status="s", sort="5", identity="held"),
    write("taken", ("x", "held"), ("y", "held"), "held", LARGE, at=3),
    put_journal("mine", head=raw({"held": 1}), status="s", sort="4", identity="held"),
    write("mine", ("a", "held"), ("b", "held"), ("q", "held"), LARGE, ("z", "held")),
    claim("mine", "p"),
    put_journal("closed", status="s", sort="3", identity="held"),
    write("closed", LARGE, ("c", "held"), close=True),
    put_journal("expired", expires_in=5),
    put_journal("late", expires_in=400_000_000_000_000),
    put_journal("gone", identity="held"),
    write("gone", LARGE, ("d", "held")),
    put_journal("gone", mode="replace", identity="held"),
    write("gone", LARGE, ("d", "held")),
    put_journal("moved", status="s", sort="9"),
    write("moved", 1, 2, 3, at=7),
    claim("moved", "p"),
    write("made", "held", create=True, expires_in=400_000_000_000_000),
]

# What the walker does with journals.
JOURNALS: list[Step] = [
    put_journal("mine", head=raw({"a": 1}), kind="k", status="s", sort="1"),
    put_journal("mine", head=raw({"a": 1}), kind="k", status="s", sort="1"),
    put_journal("mine", identity="other"),
    put_journal("mine", identity="other", expected=7),
    put_journal("absent", mode="save", expected=7),
    get_journal("mine"),
    get_journal("taken"),
    get_journal("gone"),
    list_journals(),
    list_journals(status="s"),
    list_journals(limit=1),
    put_journal("mine", mode="save", head=raw({"a": {"b": 2}}), kind="k", status="s", sort="2"),
    put_journal("mine", mode="save", expected=9),
    patch_journal("mine", head=raw({"a": {"b": None, "c": 3}}), status="t", sort="3"),
    patch_journal("mine", head=raw({"z": 1}), expected=9),
    patch_journal("mine", head=raw({"z": 1}), status_is="s"),
    patch_journal("mine", head=raw({"z": "z" * 1_000_000})),
    patch_journal("mine", status="s", status_is="t", expected=3),
    patch_journal("taken", head=raw({"z": 1})),
    write("mine", ("a", 1), ("b", 2), 3, ("l", LARGE), ("c", 5), head=raw({"h": 1}), status="u"),
    write("mine", ("a", 1), ("b", 2)),
    write("mine", ("a", "other")),
    write("mine", ("a", 1), ("new", 2)),
    write("mine", ("x", 1), ("y", 2), ("z", 3), ("q", 3)),
    write("mine", "n", expected=9),
    write("taken", "n"),
    write("taken", "n", create=True, expected=4),
    write("made", "made", create=True),
    write("made", "more", create=True),
    write("mine", "at", at=20),
    write("mine", "at", at=20),
    write("mine", "other", at=20),
    write("mine", "at 3", "at 4", at=30),
    read_journal("mine", with_head=True),
    read_journal("mine", after=2, limit=1),
    read_journal("mine", after=4, before=8),
    read_journal("mine", newest=True, limit=2),
    read_journal("mine", newest=True, before=4, limit=2),
    read_journal("mine", only="c"),
    read_journal("mine", only="l"),
    read_journal("mine", only="c", newest=True),
    read_journal("mine", only="l", newest=True),
    read_journal("mine", beyond="b"),
    read_journal("mine", beyond="c", newest=True),
    read_journal("mine", only="y"),
    read_journal("mine", beyond="y"),
    read_journal("taken"),
    read_journal("taken", newest=True),
    write("mine", ("b", "again"), remove=["b", "x"]),
    write("mine", "cut", cut=32),
    read_journal("mine", newest=True),
    pop("mine"),
    write("mine", cut=3),
    read_journal("mine"),
    pop("taken"),
    claim("taken", "p"),
    produce("mine", 0, "early"),
    claim("mine", "p"),
    produce("mine", 0, ("p", "first"), "second"),
    produce("mine", 0, ("p", "first"), "second"),
    produce("mine", 0, "other"),
    produce("mine", 5, "gap"),
    produce("mine", 1, "other", epoch=2),
    produce("mine", 1, "elsewhere", incarnation=9),
    produce("mine", 1, "third"),
    pop("mine"),
    put_journal("closed"),
    pop("closed"),
    write("closed", ("c", 1), close=True),
    write("closed", ("d", 1)),
    write("closed", ("c", 1)),
    delete_journal("closed", expected=9),
    delete_journal("taken"),
    put_journal("expired", expires_in=2),
    list_journals(),
    get_journal("expired"),
    put_journal("expired"),
    get_journal("expired"),
    put_journal("moved", mode="replace", head=raw(1)),
    write("moved", ("m", LARGE), 2),
    put_journal("moved", mode="replace", head=raw(2)),
    write("moved", ("m", LARGE), 2),
    delete_journal("moved"),
    put_journal("late", expires_in=400_000_000_000_000),
    put_journal("soon", expires_in=3),
    list_journals(),
    purge(),
    sweep(1),
    list_journals(),
    sweep(),
    list_journals(),
    read_journal("mine"),
    get_journal("moved"),
]

LATER_JOURNALS: list[Step] = [
    put_journal("mine", head=raw("later"), kind="k", status="s"),
    write("mine", ("a", 1), LARGE),
]
