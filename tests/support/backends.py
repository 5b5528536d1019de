"""The back ends that every test of the contract runs over.

Those of servers are all that are listed, connected to as a server does it. Each is a factory beside the exceptions that
it claims, `{test name: reason}`; today there are none.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from in_worker.entries import probes

from support.in_process import SERVICE_KEY, VARIABLES, ApiTransport, as_user
from support.postgres import new_url
from support.stores import ProcessPlace, open_sql, open_sqlite
from threadkeep.agents.store import StateStore
from threadkeep.client import RemoteState, RemoteStore
from threadkeep.client.transport import Transport
from threadkeep.conversations.store import DatabaseStore, Store
from threadkeep.http.api import connect
from threadkeep.ids import new_id
from threadkeep.settings import NAMES
from threadkeep.storage.backends import BACKENDS as ALL
from threadkeep.storage.backends import built_for, named
from threadkeep.storage.base import Capability
from threadkeep.storage.sql.database import SqlDatabase
from threadkeep.storage.sql.executor import Executor, write
from threadkeep.storage.sqlite.dialect import SQLITE
from tools.local.server import LocalServer
from tools.local.worker import LocalWorker

REQUEST_SECONDS = 60
CHECK = write("INSERT INTO search_index_2 (search_index_2, rank) VALUES ('integrity-check', 1)")
ENTRIES = Path(__file__).parents[1] / "in_worker" / "entries"


@dataclass
class Backend:
    """A back end under test: the contract for a user, and the HTTP API for anybody."""

    name: str
    client: httpx.AsyncClient
    """Speaks to the API over this back end, as nobody in particular."""
    open_natively: Callable[[str], Awaitable[DatabaseStore]] | None = None
    """Opens the store itself, where it can be had in this process."""
    executor: Executor | None = None
    """What the store works on, where it is SQLite in this process."""
    is_worker: bool = False
    """Whether it runs in workerd."""

    async def purge(self, user_id: str, until: int, *, parts: int = 1_000) -> int | None:
        """`Upkeep.purge` of a user, and `Upkeep.sweep` as often as it takes, or at the most so often."""
        if self.open_natively is None:
            response = await self.client.post("/purge", json={"user_id": user_id, "until": until, "parts": parts})
            earliest: int | None = response.raise_for_status().json()
            return earliest
        store = await self.open_natively(user_id)
        earliest = await store.purge(until)
        await self.sweep(store, parts=parts)
        return earliest

    async def expire(self, user_id: str, before: int, *spares: str) -> tuple[bool, int | None]:
        """`Upkeep.expire` of a user, once, and what `Upkeep.oldest_append` says then."""
        if self.open_natively is None:
            order = {"user_id": user_id, "before": before, "spares": spares}
            more, oldest = (await self.client.post("/expire", json=order)).raise_for_status().json()
            return more, oldest
        store = await self.open_natively(user_id)
        return await store.expire(before, spares), await store.oldest_append(spares)

    async def able(self, user_id: str) -> list[Capability]:
        """What the store of a user can do, whether the back end claims it or not."""
        if self.open_natively is not None:
            return await probes.able(await self.open_natively(user_id))
        response = await self.client.post("/able", json={"user_id": user_id})
        found: list[Capability] = response.raise_for_status().json()
        return found

    async def check(self, user_id: str) -> None:
        """Fail where the index that a user is in is not what it should be, once all is swept."""
        if self.executor is not None:
            await self.executor.run(CHECK())
        elif self.open_natively is None:
            (await self.client.post("/check", json={"user_id": user_id})).raise_for_status()

    async def sweep(self, store: Store, *, parts: int = 1_000) -> None:
        """`Upkeep.sweep` as often as it takes, or at the most so often; a server elsewhere does so by itself."""
        if isinstance(store, RemoteStore):
            return
        for _ in range(parts):
            if not await store.sweep():
                break
        while await store.tidy():
            pass

    async def store(self, user_id: str | None = None) -> Store:
        """The store of a user: of a new one, unless it is named."""
        user_id = user_id or f"user-{new_id()}"
        if self.open_natively is not None:
            return await self.open_natively(user_id)
        return RemoteStore(self.client_of(user_id), user_id)

    async def state(self, user_id: str | None = None) -> StateStore:
        """The store of the state of a user's agents: of a new one, unless it is named."""
        user_id = user_id or f"user-{new_id()}"
        if self.open_natively is not None:
            return (await self.open_natively(user_id)).state
        return RemoteState(Transport(self.client_of(user_id)))

    def client_of(self, user_id: str) -> httpx.AsyncClient:
        """A client that speaks to the API as this user. It borrows its connections from `client`."""
        return httpx.AsyncClient(
            base_url=self.client.base_url,
            headers=as_user(user_id),
            transport=_Borrowed(self.client),
            timeout=self.client.timeout,
        )


class _Borrowed(httpx.AsyncBaseTransport):
    """The connections of another client, which stay open when this one is closed."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._transport = client._transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._transport.handle_async_request(request)


@contextlib.asynccontextmanager
async def connected(name: str, tmp_path: Path) -> AsyncIterator[Backend]:
    """A back end of a server, connected to in this process as a server does it."""
    chosen = named(name)
    variables = dict(VARIABLES)
    if chosen.setting in PLACES:
        variables[NAMES[chosen.setting][0]] = PLACES[chosen.setting](tmp_path)
    database = await chosen.connect(ProcessPlace(variables))

    async def open_store(user_id: str) -> DatabaseStore:
        return database.open_store(user_id)

    try:
        async with _in_process(name, open_store) as backend:
            if isinstance(database, SqlDatabase) and database.executor.statements is SQLITE:
                backend.executor = database.executor
            yield backend
    finally:
        await database.close()


PLACES: dict[str, Callable[[Path], str]] = {
    "sqlite_path": lambda tmp_path: str(tmp_path / "conversations.sqlite"),
    "database_url": lambda _: new_url(),  # a real Postgres, in a schema of its own
}
"""Where a back end keeps what the tests keep, by the setting that says so."""


@contextlib.asynccontextmanager
async def sqlite_in_memory(tmp_path: Path) -> AsyncIterator[Backend]:
    """SQLite in memory: one connection, in the thread that asks."""
    async with over_sql(await open_sqlite(":memory:")) as backend:
        yield backend


@contextlib.asynccontextmanager
async def over_sql(executor: Executor) -> AsyncIterator[Backend]:
    """A database that is open already."""

    async def open_store(user_id: str) -> DatabaseStore:
        return open_sql(executor, user_id)

    async with _in_process("sqlite", open_store) as backend:
        backend.executor = executor
        yield backend


@contextlib.asynccontextmanager
async def _in_process(name: str, open_store: Callable[[str], Awaitable[DatabaseStore]]) -> AsyncIterator[Backend]:
    variables = {**VARIABLES, "AGENT_CONVERSATION_STORE": name, "SQLITE_PATH": "set", "DATABASE_URL": "set"}
    api = connect(variables.get, lambda binding: False, "server")
    async with httpx.AsyncClient(base_url="http://threadkeep", transport=ApiTransport(api, open_store)) as client:
        yield Backend(name, client, open_store)


@contextlib.asynccontextmanager
async def over_http(name: str, url: str, *, is_worker: bool = False) -> AsyncIterator[Backend]:
    """A Worker that runs in workerd, or a server, over HTTP."""
    async with httpx.AsyncClient(base_url=url, timeout=REQUEST_SECONDS, verify=False) as client:
        yield Backend(name, client, is_worker=is_worker)


def worker(store: str, state: Path, main: str = "instrumented_entry", **others: str) -> LocalWorker:
    """A Worker of the project itself, set as the tests need it; see `instrumented_entry.py`.

    It has the code of every back end, so that one snapshot of an entry does for all of them. What a Worker does that
    has only its own code is known from those which start without an entry of the tests. `others` are further variables.
    """
    variables = {**VARIABLES, **others, **({"DATABASE_URL": new_url()} if store == "postgres" else {})}
    return LocalWorker(
        state,
        store=store,
        variables=variables,
        service_key=SERVICE_KEY,
        main=main,
        extra_sources=[ENTRIES],
        other_stores=[backend.name for backend in ALL],
    )


def server(state: Path, **options: Any) -> LocalServer:
    """A plain server in a process of its own, set as the tests need it."""
    variables = {**VARIABLES, **options.pop("variables", {})}
    if options.get("store") == "postgres":
        variables.setdefault("DATABASE_URL", new_url())
    return LocalServer(state, variables=variables, **options)


Opening = Callable[[Path], contextlib.AbstractAsyncContextManager[Backend]]
OF_SERVERS = [each.name for each in built_for("server") if each.keeps_conversations]
NATIVE: dict[str, Opening] = {
    **{name: partial(connected, name) for name in OF_SERVERS},
    "sqlite in memory": sqlite_in_memory,
}
"""What can be had in this process: all back ends of servers, and one that only tests have."""
WORKERS = ("d1", "durable-object")
"""What Workers have of their own."""
WORKER_ON_POSTGRES = "postgres in a Worker"
BACKENDS = (*NATIVE, *WORKERS, WORKER_ON_POSTGRES)
SERVER = "server"
"""The plain server, in a process of its own, on a SQLite file."""
EXCEPTIONS: dict[str, dict[str, str]] = {name: {} for name in BACKENDS}
"""What a back end cannot do: the name of the test, and the reason."""


WORKER_FIXTURES = {
    "d1": "d1_worker",
    "durable-object": "durable_object_worker",
    WORKER_ON_POSTGRES: "postgres_worker",
}


def shared_by_all_tests(request: pytest.FixtureRequest) -> Backend:
    """The back end that a test asks for by name. It is opened once; what a test keeps in it is a new user's."""
    name: str = request.param
    reason = EXCEPTIONS.get(name, {}).get(request.node.originalname)
    if reason is not None:
        pytest.skip(f"{name}: {reason}")  # the product cannot do it, as EXCEPTIONS says; it is empty for all of these
    opened: Backend = request.getfixturevalue(fixture_of(name))
    return opened


def fixture_of(name: str) -> str:
    """The name of the fixture that opens a back end once for all tests."""
    return f"{name.lower().replace('-', '_').replace(' ', '_')}_backend"


def opening(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> contextlib.AbstractAsyncContextManager[Backend]:
    """A back end by its name. A Worker is started once for all."""
    return NATIVE[name](tmp_path) if name in NATIVE else over_worker(running_worker(name, request))


def running_worker(name: str, request: pytest.FixtureRequest) -> LocalWorker:
    """The Worker of a back end that only Workers have."""
    running: LocalWorker = request.getfixturevalue(WORKER_FIXTURES[name])
    return running


def over_worker(running: LocalWorker) -> contextlib.AbstractAsyncContextManager[Backend]:
    """A Worker that runs in workerd, over HTTP."""
    return over_http(running.store, running.url, is_worker=True)
