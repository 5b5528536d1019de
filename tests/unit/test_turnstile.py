"""The turnstile: one is in at a time, nobody waits for long, and whoever is gone keeps nobody out."""

import asyncio

import pytest

from threadkeep.errors import Unavailable
from threadkeep.worker import turnstile
from threadkeep.worker.turnstile import Turnstile

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turnstile, "_LOOK_SECONDS", 0)


async def test_one_is_in_at_a_time_and_all_have_their_turn() -> None:
    turns = Turnstile()
    inside: set[int] = set()
    served: list[int] = []

    async def visit(who: int) -> None:
        await turns.enter(who)
        inside.add(who)
        for _ in range(3):
            await asyncio.sleep(0)
            assert inside == {who}
        inside.remove(who)
        served.append(who)
        turns.leave(who)

    await asyncio.gather(*map(visit, range(1, 9)))
    assert sorted(served) == list(range(1, 9))


async def test_whoever_waits_for_five_seconds_is_told_to_come_again() -> None:
    times = iter(range(0, 100_000, 1_000))
    turns = Turnstile(lambda: next(times))
    await turns.enter("ada")
    with pytest.raises(Unavailable, match="Send the same again"):
        await turns.enter("bob")
    turns.leave("bob")  # who never was in
    turns.leave("ada")
    await turns.enter("bob")


async def test_whoever_has_not_left_for_a_minute_is_gone() -> None:
    time = [0]
    turns = Turnstile(lambda: time[0])
    await turns.enter("ada")
    time[0] = 60_001
    await turns.enter("bob")
    turns.leave("ada")
    with pytest.raises(Unavailable):
        await _late(turns, time)


async def test_whoever_is_in_may_enter_again_and_stays_no_longer_for_it() -> None:
    time = [0]
    turns = Turnstile(lambda: time[0])
    await turns.enter("ada")
    time[0] = 60_000
    await turns.enter("ada")
    time[0] = 60_001
    await turns.enter("bob")


async def _late(turns: Turnstile, time: list[int]) -> None:
    waiting = asyncio.create_task(turns.enter("eve"))
    await asyncio.sleep(0)
    time[0] += 5_000
    await waiting
