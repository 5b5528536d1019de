"""What must hold where many ask at once: races, each over the store of a user, however many processes serve it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from support.journals import KEY, SPACE, append, contents, plain, put, read, read_all
from threadkeep.agents.journals import service
from threadkeep.agents.journals.models import NewProducer, Producer
from threadkeep.agents.store import StateStore
from threadkeep.errors import Stale

Race = Callable[[StateStore], Awaitable[None]]

APPENDS = 64
CREATORS = 20
CLAIMS = 10
TAKEOVER = 8
"""So many appends the older producer has made when the newer one claims the journal."""


async def many_create_one_journal(store: StateStore) -> None:
    """Of those who create a journal at once one is told that it is new, and all get the same one."""
    outcomes = await asyncio.gather(*(put(store, head={"a": 1}) for _ in range(CREATORS)))
    assert [is_new for _, is_new in outcomes].count(True) == 1
    assert len({journal.incarnation for journal, _ in outcomes}) == 1


async def many_create_one_journal_by_appending(store: StateStore) -> None:
    """Those who append at once to what is not there yet create it once, and each entry is kept."""
    sends = (append(store, (f"{number}", number), create=True) for number in range(CREATORS))
    outcomes = await asyncio.gather(*sends)
    assert sorted(appended.first for appended, _ in outcomes) == [*range(CREATORS)]
    page = await read(store, limit=100)
    assert [entry.seq for entry in page.entries] == [*range(CREATORS)]
    assert {appended.first: number for number, (appended, _) in enumerate(outcomes)} == {
        entry.seq: plain(entry.data) for entry in page.entries
    }
    assert page.journal.version == CREATORS


async def many_append_each_twice(store: StateStore) -> None:
    """What is sent twice at once is kept once, and both are told the same place."""
    await put(store)

    async def send(number: int) -> tuple[int | None, bool]:
        appended, is_new = await append(store, (f"{number}", number), (f"{number}'", number))
        return appended.first, is_new

    outcomes = await asyncio.gather(*(send(number) for number in range(APPENDS) for _ in range(2)))
    assert [is_new for _, is_new in outcomes].count(True) == APPENDS
    assert [first for first, _ in outcomes[::2]] == [first for first, _ in outcomes[1::2]]
    entries = await read_all(store)
    assert [entry.seq for entry in entries] == [*range(2 * APPENDS)]
    assert [plain(entry.data) for entry in entries[::2]] == [plain(entry.data) for entry in entries[1::2]]
    assert {plain(entry.data) for entry in entries} == {*range(APPENDS)}


async def many_claim_one_journal(store: StateStore) -> None:
    """Each claim of a journal gets an epoch of its own, and only the last one may append."""
    await put(store)
    claims = await asyncio.gather(*(claimed(store, f"producer {number}") for number in range(CLAIMS)))
    assert sorted(claim["epoch"] for claim in claims) == [*range(1, CLAIMS + 1)]

    async def send(claim: dict[str, Any]) -> int | None:
        try:
            await append(store, claim["epoch"], producer=Producer(**claim, seq=0))
        except Stale as error:
            assert error.details == {"reason": "fenced"}
            return None
        epoch: int = claim["epoch"]
        return epoch

    outcomes = await asyncio.gather(*(send(claim) for claim in claims))
    assert [epoch for epoch in outcomes if epoch is not None] == [CLAIMS]
    assert await contents(store) == [CLAIMS]


async def a_producer_takes_over_from_one_that_still_appends(store: StateStore) -> None:
    """What the older producer was told is kept stays, in order; from the claim on nothing of it comes in between.

    Each append is sent twice at once, and each producer has several under way.
    """
    await put(store)
    older = await claimed(store, "older")
    kept: dict[str, list[int]] = {"older": [], "newer": []}
    is_due = asyncio.Event()

    async def send(claim: dict[str, Any], seq: int) -> int | None:
        while True:
            try:
                appended, _ = await append(store, [claim["id"], seq], producer=Producer(**claim, seq=seq))
            except Stale as error:
                reason = (error.details or {})["reason"]
                if reason == "fenced":
                    return None
                assert reason == "gap"  # the one before it is still under way
                await asyncio.sleep(0)
            else:
                return appended.first

    async def send_all(claim: dict[str, Any]) -> None:
        for start in range(0, APPENDS // 2, 2):
            seqs = range(start, start + 2)
            outcomes = await asyncio.gather(*(send(claim, seq) for seq in seqs for _ in range(2)))
            for seq, first, again in zip(seqs, outcomes[::2], outcomes[1::2], strict=True):
                assert None in (first, again) or first == again
                if (first, again) != (None, None):
                    kept[claim["id"]].append(seq)
            if len(kept["older"]) == TAKEOVER:
                is_due.set()
            if None in outcomes:
                return

    async def take_over() -> None:
        await is_due.wait()
        await send_all(await claimed(store, "newer"))

    await asyncio.gather(send_all(older), take_over())
    entries = await read_all(store)
    assert [entry.seq for entry in entries] == [*range(len(entries))]
    found = [plain(entry.data) for entry in entries]
    of_older = [seq for producer, seq in found if producer == "older"]
    assert found == [["older", seq] for seq in of_older] + [["newer", seq] for seq in range(APPENDS // 2)]
    assert of_older == [*range(len(of_older))]
    assert {*kept["older"]} <= {*of_older}
    assert kept["newer"] == [*range(APPENDS // 2)]
    assert TAKEOVER <= len(of_older) < APPENDS // 2


async def writers_of_one_version_take_turns(store: StateStore) -> None:
    """Of those who write for the same version one succeeds, and what each has read before is not lost."""
    await put(store, head=0)
    writers, turns = 4, 3

    async def count() -> None:
        for _ in range(turns):
            while True:
                journal = await store.get_journal(SPACE, KEY)
                try:
                    await put(store, mode="save", head=plain(journal.head) + 1, expected=journal.version)
                except Stale as error:
                    assert (error.details or {})["reason"] == "stale"
                else:
                    break

    await asyncio.gather(*(count() for _ in range(writers)))
    journal = await store.get_journal(SPACE, KEY)
    assert (plain(journal.head), journal.version) == (writers * turns, writers * turns + 1)


async def claimed(store: StateStore, name: str) -> dict[str, Any]:
    """Claim the journal; return what the producer's appends have in common."""
    journal = await service.acquire_producer(store, SPACE, KEY, NewProducer(producer=name), request=None)
    return {"id": name, "incarnation": journal.incarnation, "epoch": journal.epoch}


RACES: dict[str, Race] = {
    race.__name__.replace("_", " "): race
    for race in (
        many_create_one_journal,
        many_create_one_journal_by_appending,
        many_append_each_twice,
        many_claim_one_journal,
        a_producer_takes_over_from_one_that_still_appends,
        writers_of_one_version_take_turns,
    )
}
"""By what happens in them."""
