"""The executor for D1: one batch, one session, and failures told apart. D1 itself is met inside workerd."""

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from threadkeep import backends
from threadkeep.errors import NotFound, Unavailable
from threadkeep.sql.executor import Query

pytestmark = pytest.mark.anyio


class JsException(Exception):
    """An exception of JavaScript, as Pyodide shows it."""

    @property
    def message(self) -> str:
        return str(self)


class Session:
    """The binding and its session, which answer every statement alike or fail."""

    def __init__(self, failure: str | None = None) -> None:
        self.failure = failure
        self.calls: list[Any] = []

    def withSession(self, bookmark: str) -> "Session":  # noqa: N802 its name there
        self.calls.append(("session", bookmark))
        return self

    def prepare(self, text: str) -> "Prepared":
        return Prepared(text)

    async def batch(self, prepared: list["Prepared"]) -> list[dict[str, Any]]:
        self.calls.append(("batch", [(one.text, one.values) for one in prepared]))
        if self.failure is not None:
            raise JsException(self.failure)
        return [{"results": [{"n": number}]} for number, _ in enumerate(prepared)]

    def getBookmark(self) -> str:  # noqa: N802 its name there
        return f"after {len(self.calls)} calls"


class Prepared:
    def __init__(self, text: str) -> None:
        self.text = text
        self.values: tuple[Any, ...] = ()

    def bind(self, *values: Any) -> "Prepared":
        self.values = values
        return self


async def nothing(prepared: list[Prepared]) -> list[dict[str, Any]]:
    return [{"results": []} for _ in prepared]


@pytest.fixture(autouse=True)
def pyodide(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the executor imports of the platform."""
    ffi = ModuleType("pyodide.ffi")
    ffi.JsException = JsException  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyodide", ModuleType("pyodide"))
    monkeypatch.setitem(sys.modules, "pyodide.ffi", ffi)
    yield
    sys.modules.pop("threadkeep.sql.d1", None)


def executor(session: Session, bookmark: str | None = None) -> Any:
    from threadkeep.sql.d1 import D1Executor  # noqa: PLC0415 only with the platform in place

    return D1Executor(session, bookmark)


@pytest.mark.parametrize(("bookmark", "begins"), [(None, "first-primary"), ("0-1", "0-1")])
async def test_statements_go_as_one_batch_of_one_session(bookmark: str | None, begins: str) -> None:
    session = Session()
    d1 = executor(session, bookmark)
    rows = await d1.run(Query("SELECT :a, :b, :a")(a="x", b=None), Query("SELECT 1")())
    assert rows == [[{"n": 0}], [{"n": 1}]]
    assert session.calls == [("session", begins), ("batch", [("SELECT ?1, ?2, ?1", ("x", None)), ("SELECT 1", ())])]
    assert d1.bookmark == "after 2 calls"


@pytest.mark.parametrize(
    "message",
    [
        "D1_ERROR: no such table: conversations: SQLITE_ERROR",
        "D1_ERROR: no such table: owners",
    ],
)
async def test_a_database_without_its_tables_says_what_to_do(message: str) -> None:
    with pytest.raises(Unavailable, match=r"wrangler d1 migrations apply") as raised:
        await executor(Session(message)).run(Query("SELECT 1")())
    assert isinstance(raised.value.__cause__, JsException)


@pytest.mark.parametrize(
    "message",
    [
        'D1_ERROR: near "SELEC": syntax error at offset 0: SQLITE_ERROR',
        "D1_ERROR: UNIQUE constraint failed: messages.user_id, messages.id: SQLITE_CONSTRAINT",
        "D1_TYPE_ERROR: Type 'undefined' not supported for value 'undefined'",
    ],
)
async def test_a_statement_of_ours_that_is_wrong_is_a_defect_and_not_unavailable(message: str) -> None:
    with pytest.raises(RuntimeError, match=r"D1_") as raised:
        await executor(Session(message)).run(Query("SELECT 1")())
    assert isinstance(raised.value.__cause__, JsException)


@pytest.mark.parametrize(
    "message",
    [
        "D1_ERROR: Network connection lost.",
        "D1_ERROR: D1 DB is overloaded. Requests queued for too long.",
        "D1_ERROR: D1 DB storage operation exceeded timeout which caused object to be reset.",
        "Internal error in D1 DB storage caused object to be reset.",
    ],
)
async def test_anything_else_is_unavailable_and_tells_nothing_of_the_inside(message: str) -> None:
    with pytest.raises(Unavailable) as raised:
        await executor(Session(message)).run(Query("SELECT 1")())
    assert raised.value.message == "D1 could not be reached or was too busy. Try again."


async def test_a_store_is_opened_where_the_clients_last_request_ended() -> None:
    session = Session()
    session.batch = nothing  # type: ignore[method-assign]
    store = backends.open_d1(session, "ada", "0-1")
    with pytest.raises(NotFound):
        await store.get_conversation("01ARZ3NDEKTSV4RRFFQ69G5FAV")
    assert session.calls == [("session", "0-1")]
    assert store.bookmark == "after 1 calls"
