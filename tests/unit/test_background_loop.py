"""An event loop for those who do not await."""

import asyncio
import gc
import os
import subprocess
import sys
import threading

import pytest

from threadkeep.adapters.background import BackgroundLoop
from tools.checkout import ROOT


async def same(value: int) -> int:
    return value


async def fail() -> None:
    raise ZeroDivisionError


def thread_of(loop: BackgroundLoop) -> threading.Thread:
    loop.run(same(1))
    assert loop._thread is not None
    return loop._thread


def test_it_returns_and_raises_what_is_run() -> None:
    loop = BackgroundLoop()
    assert not loop.is_running
    assert loop.run(same(1)) == 1
    with pytest.raises(ZeroDivisionError):
        loop.run(fail())
    assert loop.run(same(2)) == 2
    loop.stop()


def test_it_ends_and_starts_again() -> None:
    loop = BackgroundLoop()
    loop.stop()
    thread = thread_of(loop)
    loop.stop()
    assert not thread.is_alive()
    assert loop.run(same(2)) == 2
    loop.stop()


def test_it_starts_again_where_its_thread_is_gone_as_in_a_process_that_was_forked() -> None:
    loop = BackgroundLoop()
    thread = thread_of(loop)
    assert loop._loop is not None
    loop._loop.call_soon_threadsafe(loop._loop.stop)
    thread.join(60)
    assert not loop.is_running
    assert loop.run(same(2)) == 2
    loop.stop()


def test_it_ends_when_nobody_has_it_any_more() -> None:
    thread = thread_of(BackgroundLoop())
    gc.collect()
    thread.join(60)
    assert not thread.is_alive()


def test_a_process_ends_although_nobody_has_stopped_it() -> None:
    program = """
from threadkeep.adapters.background import BackgroundLoop
async def same(value): return value
loop = BackgroundLoop()
print(loop.run(same(1)))
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


def test_whoever_is_interrupted_while_they_wait_has_the_work_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = BackgroundLoop()
    begun, cancelled = threading.Event(), threading.Event()

    async def wait() -> None:
        begun.set()
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    def interrupted(future: object, timeout: float | None = None) -> None:
        begun.wait(60)
        raise KeyboardInterrupt

    loop.run(same(1))
    monkeypatch.setattr("concurrent.futures.Future.result", interrupted)
    with pytest.raises(KeyboardInterrupt):
        loop.run(wait())
    monkeypatch.undo()
    assert cancelled.wait(60)
    loop.stop()
