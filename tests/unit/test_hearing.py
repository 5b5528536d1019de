"""Two servers on one SQLite file, in this process: each hears of the other, and says so where it cannot."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import apsw
import httpx
import pytest

from support.in_process import VARIABLES, as_user
from support.streams import API, Stream, create, followed, serving, until
from threadkeep import signals as signals_module
from threadkeep.http import events
from threadkeep.server import application
from threadkeep.server.limits import Limits
from threadkeep.storage.memory.store import MemoryStore
from threadkeep.storage.sqlite import file
from threadkeep.storage.sqlite.file import SqliteExecutor, SqliteFile

pytestmark = pytest.mark.anyio

LISTENERS = 50


@pytest.fixture
def on_file(tmp_path: Path) -> dict[str, str]:
    return {**VARIABLES, "AGENT_CONVERSATION_STORE": "sqlite", "SQLITE_PATH": str(tmp_path / "kept.sqlite")}


async def test_each_server_on_a_file_hears_of_the_other(on_file: dict[str, str]) -> None:
    async with serving(on_file, on_file) as (one, other), followed(one, "ada") as (stream,):
        for writer in (other, one, other):
            created = await create(writer)
            assert [row["id"] for row in (await stream.next())["conversations"]] == [created]


async def test_a_file_that_cannot_be_looked_at_is_asked_now_and_then_and_looked_at_again(
    on_file: dict[str, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(application, "HEAR_AGAIN_SECONDS", 0.05)
    monkeypatch.setattr(signals_module, "DEAF_SECONDS", 0.05)
    look, is_broken = SqliteExecutor.version_now, False

    def version_now(executor: SqliteExecutor) -> int:
        if is_broken:
            raise apsw.IOError("disk I/O error")
        return look(executor)

    monkeypatch.setattr(SqliteExecutor, "version_now", version_now)
    async with serving(on_file, on_file) as (one, other), followed(one, "ada") as (stream,):
        is_broken = True
        await until(lambda: one._signals.is_deaf)
        created = await create(other)
        assert [row["id"] for row in (await stream.next())["conversations"]] == [created]
        assert one._hearing is not None
        assert not one._hearing.done()
        is_broken = False
        await until(lambda: not one._signals.is_deaf)
        created = await create(other)
        assert [row["id"] for row in (await stream.next())["conversations"]] == [created]
    told = [record for record in caplog.records if "is not heard just now" in record.getMessage()]
    assert {record.levelno for record in told} == {logging.WARNING}
    assert "disk I/O error" in caplog.text


async def test_nobody_looks_at_a_file_while_nobody_waits(
    on_file: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file, "LOOK_SECONDS", 0.01)
    looks = 0
    look = SqliteExecutor.version_now

    def version_now(executor: SqliteExecutor) -> int:
        nonlocal looks
        looks += 1
        return look(executor)

    monkeypatch.setattr(SqliteExecutor, "version_now", version_now)
    async with serving(on_file) as (app,):
        await asyncio.sleep(0.1)
        assert looks == 1
        async with followed(app, "ada"):
            await until(lambda: looks >= 5)


@pytest.mark.parametrize("store", ["sqlite", "memory"])
async def test_nobody_who_listens_asks_while_nothing_happens(
    on_file: dict[str, str], monkeypatch: pytest.MonkeyPatch, store: str
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.05)
    questions = 0

    def counted(asked: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        def ask(*arguments: Any, **options: Any) -> Awaitable[Any]:
            nonlocal questions
            questions += 1
            return asked(*arguments, **options)

        return ask

    monkeypatch.setattr(SqliteFile, "run", counted(SqliteFile.run))
    monkeypatch.setattr(MemoryStore, "changes", counted(MemoryStore.changes))
    async with serving({**on_file, "AGENT_CONVERSATION_STORE": store}) as (app,):
        await create(app)
        questions = 0
        async with followed(app, *["ada"] * LISTENERS) as streams:
            assert questions == LISTENERS
            await until(lambda: min(stream.heartbeats for stream in streams) >= 5)
            assert questions == LISTENERS
            await create(app, "grace")
            written = questions
            await asyncio.sleep(0.1)
            assert questions == written
            await create(app)
            for stream in streams:
                await stream.next()


async def test_of_those_who_come_and_go_nothing_is_left(on_file: dict[str, str]) -> None:
    users = [f"user{number}" for number in range(200)]
    async with serving(on_file) as (app,):
        await create(app)  # which starts the threads, and whatever else stays
        before = asyncio.all_tasks()
        for _ in range(2):
            async with followed(app, *users):
                assert app._load.streams.total() == len(users)
                await until(lambda: len(app._signals._waiting) == len(users))
        assert asyncio.all_tasks() == before
        assert (app._load.streams, app._load.requests) == ({}, 0)
        assert not app._signals.anybody_waits


async def test_whoever_leaves_gives_way_at_once(on_file: dict[str, str]) -> None:
    limits = Limits(streams=3, streams_of_user=2)
    async with serving(on_file, limits=limits) as (app,):
        async with followed(app, "ada", "ada") as (first, _):
            third = Stream(app, "ada")
            assert await third.status() == 429
            async with followed(app, "grace"):
                fourth = Stream(app, "eve")
                assert await fourth.status() == 503
            await first.leave()
            async with followed(app, "ada", "eve"):
                pass
        await asyncio.gather(third.end(), fourth.end())


async def test_streams_end_at_once_when_the_server_stops(on_file: dict[str, str]) -> None:
    async with serving(on_file) as (app,), followed(app, "ada", "grace") as streams:
        app.end_streams()
        for stream in streams:
            await stream.end()
            assert stream.ended
        late = Stream(app, "ada", "since=0")  # of somebody who was connected already
        await late.end()
        assert (await late.status(), late.ended) == (200, True)


async def test_an_application_that_was_closed_and_is_asked_again_lets_others_follow(on_file: dict[str, str]) -> None:
    async with serving(on_file) as (app,):
        async with followed(app, "ada") as (stream,):
            await app.close()
            await stream.end()
        async with followed(app, "ada") as (stream,):
            created = await create(app)
            assert [row["id"] for row in (await stream.next())["conversations"]] == [created]


async def test_the_stream_of_somebody_who_erases_everything_ends(on_file: dict[str, str]) -> None:
    async with serving(on_file) as (app,), followed(app, "ada", query="since=0") as (stream,):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x", headers=as_user("ada")) as client:
            (await client.post(API, json={})).raise_for_status()
            assert (await stream.next())["conversations"]
            (await client.delete("/api/me?confirm=ada")).raise_for_status()
        assert (await stream.next())["code"] == "cursor_expired"
        await stream.end()
        assert stream.ended
