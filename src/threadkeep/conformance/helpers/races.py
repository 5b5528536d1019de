"""What must hold where many ask at once: races, each over the store of a user, however many processes serve it."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from threadkeep.agents.journals import service
from threadkeep.agents.journals.models import Guard, NewProducer, Producer
from threadkeep.agents.store import StateStore
from threadkeep.agents.threads import service as service_of_threads
from threadkeep.conformance.helpers import blobs, tasks, threads
from threadkeep.conformance.helpers.journals import KEY, SPACE, append, contents, plain, put, read, read_all
from threadkeep.errors import Conflict, Stale

T = TypeVar("T")
Race = Callable[[StateStore], Awaitable[None]]

APPENDS = 64
CREATORS = 20
CLAIMS = 10
CLAIMS_OF_A_TASK = PUTS = 64
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
    """Each claim of a journal gets an epoch of its own, and only the last one may append, whatever their names."""
    await put(store)
    claims = await asyncio.gather(*(claimed(store, "producer") for _ in range(CLAIMS)))
    assert sorted(claim["epoch"] for claim in claims) == [*range(1, CLAIMS + 1)]

    sends = (append(store, claim["epoch"], producer=Producer(**claim, seq=0)) for claim in claims)
    outcomes = await asyncio.gather(*map(or_reason, sends))
    assert outcomes.count("fenced") == CLAIMS - 1
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
            outcome = await or_reason(append(store, [claim["id"], seq], producer=Producer(**claim, seq=seq)))
            if not isinstance(outcome, str):
                return outcome[0].first
            if outcome == "fenced":
                return None
            assert outcome == "gap"  # the one before it is still under way
            await asyncio.sleep(0)

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
                saving = put(store, mode="save", head=plain(journal.head) + 1, expected=journal.version)
                outcome = await or_reason(saving)
                if outcome != "stale":
                    break

    await asyncio.gather(*(count() for _ in range(writers)))
    journal = await store.get_journal(SPACE, KEY)
    assert (plain(journal.head), journal.version) == (writers * turns, writers * turns + 1)


# Tasks


async def many_claim_one_task(store: StateStore) -> None:
    """Of those who claim a task at once one gets it, and nobody else can do anything to it."""
    await tasks.admit(store, "t")
    attempts = [f"attempt {number}" for number in range(CLAIMS_OF_A_TASK)]
    claims = await asyncio.gather(*(tasks.claim(store, "t", attempt, holder=attempt) for attempt in attempts))
    winners = [attempt for attempt, claim in zip(attempts, claims, strict=True) if claim.applied]
    task = await tasks.get(store, "t")
    assert winners == [task.attempt] == [task.holder]
    assert (task.state, task.attempts) == ("running", 1)
    ends = await asyncio.gather(
        *(tasks.change(store, "t", "settle", attempt=attempt, error=attempt) for attempt in attempts[::4] + winners)
    )
    assert {end.task.error for end in ends if end.applied and end.task is not None} == {*winners}
    assert (await tasks.get(store, "t")).error == winners[0]


async def many_take_what_has_expired(store: StateStore) -> None:
    """A lease that has ended is taken by one of those who look, and the one who had it can do nothing any more."""
    leases = 4
    for number in range(leases):
        await tasks.admit(store, f"t{number}", lane=f"lane {number}")
        assert (await tasks.claim(store, f"t{number}", "slow", holder="slow", lease=1)).applied
    assert await tasks.listed(store, "expired") == [f"t{number}" for number in range(leases)]

    async def take(taker: str) -> list[str]:
        as_mine = {"nextAttempt": taker, "holder": taker, "leaseUntil": 10**15}
        ids = [f"t{number}" for number in range(leases)]
        changes = [await tasks.change(store, id_, "replace", attempt="slow", **as_mine) for id_ in ids]
        return [id_ for id_, change in zip(ids, changes, strict=True) if change.applied]

    late = [tasks.change(store, f"t{number}", "note", attempt="slow", note={}) for number in range(leases)]
    *taken, _ = await asyncio.gather(*(take(f"taker {number}") for number in range(8)), asyncio.gather(*late))
    assert sorted(itertools.chain.from_iterable(taken)) == [f"t{number}" for number in range(leases)]
    assert await tasks.listed(store, "expired") == []
    for number, ids in enumerate(taken):
        for id_ in ids:
            assert not (await tasks.change(store, id_, "settle", attempt="slow")).applied
            assert (await tasks.get(store, id_)).holder == f"taker {number}"
            assert (await tasks.change(store, id_, "settle", attempt=f"taker {number}")).applied


async def a_lane_is_run_in_order_by_many(store: StateStore) -> None:
    """However many workers claim whatever they can, the tasks of a lane run one by one, in order, and each once."""
    ids = [f"t{number}" for number in range(8)]
    admitted = await asyncio.gather(*(tasks.admit(store, id_) for id_ in ids for _ in range(2)))
    assert sorted(task.seq for _, task, is_new in admitted if is_new) == [*range(1, len(ids) + 1)]
    ids = await tasks.listed(store)
    done: list[str] = []
    now_running: set[str] = set()

    async def work(worker: str) -> None:
        while waiting := await tasks.listed(store, "open", limit=2):
            claims = (tasks.claim(store, id_, f"{worker} {id_}", holder=worker) for id_ in waiting)
            outcomes = zip(waiting, await asyncio.gather(*claims), strict=True)
            mine = [id_ for id_, claim in outcomes if claim.applied]
            if not mine:
                await asyncio.sleep(0)  # the first runs already
                continue
            (id_,) = mine
            assert not now_running
            now_running.add(id_)
            await asyncio.sleep(0)
            now_running.remove(id_)
            done.append(id_)
            assert (await tasks.change(store, id_, "settle", attempt=f"{worker} {id_}")).applied

    await asyncio.gather(*(work(f"worker {number}") for number in range(4)))
    assert done == ids
    assert [(await tasks.get(store, id_)).attempts for id_ in ids] == [1] * len(ids)


async def a_task_and_its_journal_end_together(store: StateStore) -> None:
    """An append that a task guards is kept while its attempt runs, and not after another has taken it over."""
    await tasks.admit(store, "t")
    assert (await tasks.claim(store, "t", "0")).applied
    await put(store, lane=tasks.LANE)
    kept: list[int] = []
    attempts = 5

    async def write(attempt: int) -> None:
        guard = {"queue": tasks.QUEUE, "task": "t", "attempt": f"{attempt}"}
        for number in range(6):
            sending = append(store, (f"{attempt}/{number}", attempt), guard=Guard(**guard))
            outcome = await or_reason(sending)
            if isinstance(outcome, str):
                assert outcome == "unauthorized"
                return
            kept.append(attempt)

    async def replace() -> None:
        for attempt in range(attempts):
            for _ in range(3):
                await asyncio.sleep(0)
                await tasks.get(store, "t")
            as_next = {"attempt": f"{attempt}", "nextAttempt": f"{attempt + 1}"}
            assert (await tasks.change(store, "t", "replace", **as_next)).applied
            writers.append(asyncio.create_task(write(attempt + 1)))

    writers = [asyncio.create_task(write(0))]
    await replace()
    await asyncio.gather(*writers)
    found = await contents(store)
    assert found == sorted(found)
    assert sorted(kept) == found
    assert found[-1] == attempts


# Blobs


async def many_put_one_blob(store: StateStore) -> None:
    """Of those who put the same blob at once one is told that it is new, and it is there once."""
    content = bytes(range(256)) * 16
    outcomes = await asyncio.gather(*(blobs.put(store, content) for _ in range(PUTS)))
    assert [is_new for _, is_new in outcomes].count(True) == 1
    assert len({blob.created_at for blob, _ in outcomes}) == 1
    assert await blobs.content_of(store) == content


async def many_put_another_blob(store: StateStore) -> None:
    """Of those who put different blobs under one key one is kept whole, and the others are told."""
    contents_ = [bytes([number]) * 100 for number in range(PUTS // 4)]
    outcomes = await asyncio.gather(*(or_reason(blobs.put(store, content)) for content in contents_))
    (winner,) = (number for number, outcome in enumerate(outcomes) if outcome != "conflict")
    assert await blobs.content_of(store) == contents_[winner]


# Threads


async def many_claim_one_thread(store: StateStore) -> None:
    """Each claim of a thread gets an epoch of its own; of all who write at once, only the last one does."""
    claims = await asyncio.gather(
        *(service_of_threads.claim_thread(store, threads.THREAD, request=None) for _ in range(CREATORS))
    )
    epochs = [claim.epoch for claim in claims]
    assert sorted(epochs) == [*range(1, CREATORS + 1)]
    puts = (threads.put(store, f"{epoch:02}", epoch=epoch, values={("a", f"{epoch}"): epoch}) for epoch in epochs)
    writes = (threads.write(store, "20", ("a", epoch), task=f"{epoch}", epoch=epoch) for epoch in epochs)
    outcomes = await asyncio.gather(*map(or_reason, [*puts, *writes]))
    assert outcomes.count("fenced") == 2 * (CREATORS - 1)
    page = await threads.page(store)
    assert [each.id for each in page.checkpoints] == ["20"]
    assert [write.task for write in page.checkpoints[0].writes] == ["20"]
    assert threads.valued(page) == {("a", "20"): 20}


async def a_writer_takes_a_thread_over_from_one_that_still_writes(store: StateStore) -> None:
    """From the claim on the older writer forks nothing: its checkpoints end where those of the newer begin."""
    epochs = {"a": (await service_of_threads.claim_thread(store, threads.THREAD, request=None)).epoch}
    is_due = asyncio.Event()
    kept: list[str] = []
    steps = 12

    async def write(name: str, parent: str | None, first: int) -> None:
        for step in range(first, first + steps):
            id_ = f"{step:03}{name}"
            values = {("channel", id_): step}
            outcome = await or_reason(threads.put(store, id_, parent, epoch=epochs[name], values=values))
            if outcome == "fenced":
                return
            kept.append(id_)
            parent = id_
            if len(kept) == steps // 3:
                is_due.set()

    async def take_over() -> None:
        await is_due.wait()
        epochs["b"] = (await service_of_threads.claim_thread(store, threads.THREAD, request=None)).epoch
        latest = await threads.latest(store)
        await write("b", latest.id, int(latest.id[:3]) + 1)

    await asyncio.gather(write("a", None, 0), take_over())
    page = await threads.page(store, limit=100)
    chain = [each.id for each in reversed(page.checkpoints)]
    assert [each.parent for each in reversed(page.checkpoints)] == [None, *chain[:-1]]
    names = [id_[-1] for id_ in chain]
    assert names == ["a"] * (len(chain) - steps) + ["b"] * steps
    assert {*kept} == {*chain}


async def or_reason(write: Awaitable[T]) -> T | str:
    """Await a write; return what it returns, or the reason why it is refused."""
    try:
        return await write
    except (Conflict, Stale) as error:
        reason: str = (error.details or {})["reason"]
        return reason


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
        many_claim_one_task,
        many_take_what_has_expired,
        a_lane_is_run_in_order_by_many,
        a_task_and_its_journal_end_together,
        many_put_one_blob,
        many_put_another_blob,
        many_claim_one_thread,
        a_writer_takes_a_thread_over_from_one_that_still_writes,
    )
}
"""By what happens in them."""
