"""How the failures of D1 and of Durable Objects are told apart.

The databases themselves are met in workerd, by the conformance suite; but no database there can be made to be full, or
out of reach, so their words for it come from here.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from support import platform
from support.platform import JsException
from threadkeep.errors import Unavailable
from threadkeep.storage.sql.executor import read

pytestmark = pytest.mark.anyio


class Failing:
    """A D1 session, or the storage of an object, that fails in these words."""

    def __init__(self, words: str) -> None:
        self._words = words
        self.sql = self

    def withSession(self, bookmark: str) -> "Failing":  # noqa: N802
        return self

    def prepare(self, text: str) -> "Failing":
        return self

    def bind(self, *values: Any) -> "Failing":
        return self

    async def all(self) -> Any:
        raise JsException(self._words)

    def exec(self, text: str, *values: Any) -> Any:
        raise JsException(self._words)

    async def batch(self, statements: Any) -> Any:
        raise JsException(self._words)

    def transactionSync(self, work: Any) -> Any:  # noqa: N802
        raise JsException(self._words)


@pytest.fixture(autouse=True)
def pyodide(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the executors import of the platform."""
    yield from platform.installed(monkeypatch)


async def run_d1(words: str) -> None:
    from threadkeep.storage.sqlite.d1 import D1Executor  # noqa: PLC0415 only with the platform in place

    await D1Executor(Failing(words)).run(read("SELECT 1")())


async def run_durable_object(words: str) -> None:
    from threadkeep.storage.sqlite.durable_object import DurableObjectExecutor  # noqa: PLC0415 only with the platform in place

    await DurableObjectExecutor(Failing(words)).run(read("SELECT 1")())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("D1_ERROR: no such table: owners: SQLITE_ERROR", "lacks its tables"),
        ("D1_ERROR: database or disk is full: SQLITE_FULL", "is full"),
        ("D1_ERROR: Exceeded maximum DB size", "is full"),
        ("D1_ERROR: Network connection lost.", "could not be reached"),
        ("D1_ERROR: D1 DB is overloaded. Requests queued for too long.", "could not be reached"),
        ("D1_ERROR: D1 DB storage operation exceeded timeout which caused object to be reset.", "could not be reached"),
        ("Internal error in D1 DB storage caused object to be reset.", "could not be reached"),
    ],
)
async def test_a_d1_that_cannot_is_unavailable_and_says_what_to_do(words: str, sentence: str) -> None:
    with pytest.raises(Unavailable, match=sentence) as raised:
        await run_d1(words)
    assert isinstance(raised.value.__cause__, JsException)
    assert "D1_ERROR" not in raised.value.message


@pytest.mark.parametrize(
    "words",
    [
        'D1_ERROR: near "SELEC": syntax error at offset 0: SQLITE_ERROR',
        "D1_ERROR: UNIQUE constraint failed: messages.user_id, messages.id: SQLITE_CONSTRAINT",
        "D1_ERROR: string or blob too big: SQLITE_TOOBIG",
        "D1_TYPE_ERROR: Type 'undefined' not supported for value 'undefined'",
    ],
)
async def test_a_statement_of_ours_that_is_wrong_is_a_defect(words: str) -> None:
    with pytest.raises(RuntimeError, match=r"D1_") as raised:
        await run_d1(words)
    assert isinstance(raised.value.__cause__, JsException)


async def test_an_object_whose_database_is_full_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="is full"):
        await run_durable_object("database or disk is full: SQLITE_FULL")


async def test_any_other_failure_of_an_objects_database_is_a_defect() -> None:
    with pytest.raises(JsException):
        await run_durable_object("near SELEC: syntax error: SQLITE_ERROR")
