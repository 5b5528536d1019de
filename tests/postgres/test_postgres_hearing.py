"""Two servers on one Postgres, in this process: each hears of the other, again when that breaks, and for no query."""

from typing import Any

import asyncpg
import pytest

from support.in_process import VARIABLES
from support.postgres import ask, new_schema, new_url, server
from support.postgres_proxy import Proxy, proxy
from support.streams import Stream, create, followed, serving, until
from threadkeep import signals as signals_module
from threadkeep.http import events
from threadkeep.server import application
from threadkeep.server.application import Application
from threadkeep.storage.postgres import pool

pytestmark = pytest.mark.anyio

LISTENERS = 50
END = "SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity AS a WHERE a.query LIKE '%pg_notify($1, told)%' AND"
"""Ends the connections by which servers hear of each other, of those for which the rest holds."""


def on(url: str) -> dict[str, str]:
    return {**VARIABLES, "AGENT_CONVERSATION_STORE": "postgres", "DATABASE_URL": url}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "HEAR_AGAIN_SECONDS", 0.05)
    monkeypatch.setattr(signals_module, "DEAF_SECONDS", 0.05)


async def hears(stream: Stream, writer: Application) -> None:
    """Hold that a write through one server is told by another."""
    created = await create(writer)
    assert [row["id"] for row in (await stream.next())["conversations"]] == [created]


async def test_each_server_hears_of_the_other() -> None:
    url = new_url()
    async with serving(on(url), on(url)) as (one, other), followed(one, "ada", "grace") as (stream, grace):
        for writer in (other, one, other):
            await hears(stream, writer)
        before = one._signals.count
        await create(other, "grace")
        assert (await grace.next())["conversations"]
        assert one._signals.count == before + 1
        assert not one._signals.is_deaf


@pytest.mark.parametrize("how", ["the server ends it", "the network breaks"])
async def test_a_connection_that_is_lost_is_made_again_and_everybody_is_woken_once(
    how: str, caplog: pytest.LogCaptureFixture
) -> None:
    schema = new_schema()
    async with (
        proxy() as between,
        serving(on(between.url(schema)), on(server().url(schema=schema))) as (one, other),
        followed(one, "ada") as (stream,),
    ):
        before = one._signals.count
        if how == "the network breaks":
            for connection in between.connections:
                connection.close()
        else:
            await ask(f"{END} client_port = ANY($1)", ports_of(between))
        await until(lambda: one._signals.hearings == 2)
        assert one._signals.count == before + 1
        assert not one._signals.is_deaf
        await hears(stream, other)
    assert "is not heard just now" in caplog.text


async def test_what_was_written_while_others_were_not_heard_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = new_schema()
    async with proxy() as between, serving(on(between.url(schema)), on(server().url(schema=schema))) as (one, other):
        monkeypatch.setattr(application, "HEAR_AGAIN_SECONDS", 1.0)
        async with followed(one, "ada") as (stream,):
            for connection in between.connections:
                connection.close()
            await hears(stream, other)
            assert one._signals.hearings == 2


async def test_a_connection_that_says_nothing_any_more_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "HEARD_SECONDS", 0.05)
    monkeypatch.setattr(pool, "_TOLD_SECONDS", 0.1)
    schema = new_schema()
    async with proxy() as between, serving(on(between.url(schema, connect_timeout=1))) as (one,):
        between.flows.clear()
        await until(lambda: one._signals.is_deaf)
        between.flows.set()
        await until(lambda: one._signals.hearings == 2)
        assert not one._signals.is_deaf


async def test_what_could_not_be_told_is_told_as_soon_as_that_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = new_schema()
    async with proxy() as between, serving(on(between.url(schema)), on(server().url(schema=schema))) as (one, other):
        for many in (False, True):
            monkeypatch.setattr(pool, "_UNTOLD_MAX", 1 if many else 100)
            hearings = one._signals.hearings
            async with followed(other, "ada", "grace") as streams:
                monkeypatch.setattr(application, "HEAR_AGAIN_SECONDS", 0.5)
                await ask(f"{END} client_port = ANY($1)", ports_of(between))
                for user in ("ada", "grace"):
                    await create(one, user)
                assert one._signals.hearings == hearings
                for stream in streams:
                    assert (await stream.next())["conversations"]
                assert one._signals.hearings == hearings + 1


async def test_what_was_being_told_when_the_connection_was_lost_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    fetch, lost = asyncpg.Connection.fetch, 0

    async def fetch_once_it_is_lost(self: Any, text: str, *values: Any, **options: Any) -> Any:
        nonlocal lost
        if text == pool._TELL and values[1] == ["ada"] and not lost:
            lost += 1
            self.terminate()
        return await fetch(self, text, *values, **options)

    monkeypatch.setattr(asyncpg.Connection, "fetch", fetch_once_it_is_lost)
    url = new_url()
    async with serving(on(url), on(url)) as (one, other), followed(one, "ada") as (stream,):
        await hears(stream, other)
        assert (lost, other._signals.hearings) == (1, 2)


def ports_of(between: Proxy) -> list[int]:
    """The ports by which what comes through a proxy reaches the server."""
    return [connection.get_extra_info("sockname")[1] for connection in between.connections]


async def test_behind_a_pooler_of_transactions_everybody_asks_now_and_then() -> None:
    schema = new_schema()
    async with (
        proxy(parts_transactions=True) as between,
        serving(on(between.url(schema, pgbouncer="true")), on(server().url(schema=schema))) as (one, other),
        followed(one, "ada") as (stream,),
    ):
        assert one._signals.is_deaf
        await hears(stream, other)
        assert one._signals.hearings == 0


async def test_nobody_who_listens_costs_a_query_while_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.05)
    async with (
        proxy() as between,
        serving(on(between.url(new_schema()))) as (one,),
        followed(one, *["ada"] * LISTENERS) as streams,
    ):
        before, beats = between.round_trips, [stream.heartbeats for stream in streams]
        await until(lambda: min(now.heartbeats - beat for now, beat in zip(streams, beats, strict=True)) >= 5)
        assert between.round_trips == before
        await create(one)
        for stream in streams:
            assert (await stream.next())["conversations"]
        assert between.round_trips > before
