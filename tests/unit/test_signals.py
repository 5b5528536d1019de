"""Signals: who is woken, that none is missed, and that nobody who has gone is kept."""

import asyncio

import pytest

from threadkeep import signals as module
from threadkeep.signals import Listener, Signals

pytestmark = pytest.mark.anyio


async def waiting(signals: Signals, *users: str, seconds: float = 30) -> list[asyncio.Task[bool]]:
    """Some who wait, once they do."""
    tasks = [asyncio.create_task(signals.wait(user, seconds)) for user in users]
    await asyncio.sleep(0)
    return tasks


async def test_a_signal_wakes_everybody_who_waits_for_the_user_and_nobody_else() -> None:
    signals = Signals()
    first, second, other = await waiting(signals, "alice", "alice", "bob")
    signals.publish("alice")
    signals.publish("alice")
    assert await asyncio.gather(first, second) == [True, True]
    assert not other.done()
    assert signals.anybody_waits
    other.cancel()
    with pytest.raises(asyncio.CancelledError):
        await other
    assert not signals.anybody_waits


async def test_whoever_hears_nothing_is_told_so() -> None:
    signals = Signals()
    (task,) = await waiting(signals, "alice", seconds=0.01)
    signals.publish("bob")
    assert await task is False


async def test_a_signal_between_asking_and_waiting_is_not_missed() -> None:
    signals = Signals()
    listener = Listener(signals, "alice")
    signals.publish("alice")
    assert await listener.wait(30)
    assert not await listener.wait(0)
    signals.wake_all()
    assert await listener.wait(30)
    assert not await listener.wait(0)


async def test_of_many_users_the_oldest_signals_are_forgotten_and_none_is_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_USERS_MAX", 3)
    signals = Signals()
    early = Listener(signals, "alice")
    for user in ("alice", "a", "b", "c"):
        signals.publish(user)
    late = Listener(signals, "alice")
    assert await early.wait(0)
    assert not await late.wait(0)


async def test_a_write_is_carried_to_other_processes_and_what_comes_from_them_is_not_sent_back() -> None:
    signals = Signals()
    carried: list[str] = []
    signals.carry = carried.append
    signals.publish("alice")
    signals.wake("alice")
    signals.wake_all()
    assert carried == ["alice"]


async def test_while_others_cannot_be_heard_whoever_waits_asks_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DEAF_SECONDS", 0.01)
    signals = Signals()
    (task,) = await waiting(signals, "alice")
    signals.go_deaf()
    assert await task
    assert await Listener(signals, "alice").wait(30)
    signals.begin_to_hear()
    assert not await Listener(signals, "alice").wait(0)


async def test_everybody_is_woken_once_when_others_are_heard_no_more_and_once_when_they_are_again() -> None:
    signals = Signals()
    for change in (signals.begin_to_hear, signals.go_deaf, signals.begin_to_hear):
        before = signals.count
        listeners = [Listener(signals, user) for user in ("alice", "bob")]
        change()
        assert [await each.wait(30) for each in listeners] == [True, True]
        assert signals.count == before + 1
    signals.go_deaf()
    before = signals.count
    signals.go_deaf()
    assert (signals.count, signals.hearings) == (before, 2)


async def test_when_it_is_over_nobody_waits_any_more() -> None:
    signals = Signals()
    (task,) = await waiting(signals, "alice")
    listener = Listener(signals, "bob")
    assert not listener.is_over
    signals.end()
    assert await task
    assert listener.is_over
    assert await listener.wait(30)
    assert await listener.wait(30)
