"""Queries and their values: what reaches a driver, and what never does."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from threadkeep.conversations.models import VALUE_BYTES_MAX
from threadkeep.errors import TooLarge
from threadkeep.storage.sql.executor import Query, Statement, answer, read, write
from threadkeep.storage.sqlite.dialect import SQLITE

QUERIES = SQLITE.queries()


@pytest.mark.parametrize(
    ("text", "names", "numbered"),
    [
        ("SELECT 1", (), "SELECT 1"),
        ("SELECT :a", ("a",), "SELECT +?1"),
        ("SELECT :b, :a, :b", ("b", "a"), "SELECT +?1, +?2, +?1"),
        ("SELECT :user_id, :user", ("user_id", "user"), "SELECT +?1, +?2"),
        ("SELECT :user, :user_id", ("user", "user_id"), "SELECT +?1, +?2"),
        ("SELECT :user, :user1, :user", ("user", "user1"), "SELECT +?1, +?2, +?1"),
        ("SELECT :user1, :user", ("user1", "user"), "SELECT +?1, +?2"),
        ("\n SELECT :limit + 1 \n", ("limit",), "SELECT +?1 + 1"),
        (
            " ".join(f":{chr(97 + number)}" for number in range(12)),
            tuple("abcdefghijkl"),
            "+?1 +?2 +?3 +?4 +?5 +?6 +?7 +?8 +?9 +?10 +?11 +?12",
        ),
    ],
)
def test_parameters_are_numbered_in_the_order_they_appear(text: str, names: tuple[str, ...], numbered: str) -> None:
    query = read(text)
    assert (query.names, query.numbered) == (names, numbered)


def test_a_query_without_parameters_is_run_as_it_is_written() -> None:
    query = write(" INSERT INTO a VALUES ('at :noon', '12:30') ", has_parameters=False)
    assert (query.names, query.numbered) == ((), "INSERT INTO a VALUES ('at :noon', '12:30')")
    assert query() == Statement(query, ())
    assert query.writes


@pytest.mark.parametrize("name", QUERIES)
def test_a_statement_of_ours_has_only_parameters_with_numbers(name: str) -> None:
    query = QUERIES[name]
    assert set(re.findall(r"\?(\d+)", query.numbered)) == {str(place + 1) for place in range(len(query.names))}
    assert not re.search(r"\?(?!\d)|[:@$]\w", query.numbered)
    assert query.writes == query.text.startswith(("INSERT", "UPDATE", "DELETE"))


@pytest.mark.parametrize(
    ("make", "writes", "answers"), [(read, False, False), (answer, False, True), (write, True, False)]
)
def test_a_query_knows_whether_it_writes_and_whether_it_answers(
    make: Callable[[str], Query], writes: bool, answers: bool
) -> None:
    query = make("SELECT :a AS answer")
    assert (query.writes, query.answers, query.names) == (writes, answers, ("a",))


@pytest.mark.parametrize("name", QUERIES)
def test_what_answers_has_one_column_of_that_name(name: str) -> None:
    query = QUERIES[name]
    assert query.answers == query.text.rpartition("\nSELECT ")[2].partition("\nFROM ")[0].endswith(" AS answer") or (
        query.answers and " AS answer\nFROM " in query.text
    )


def test_values_come_in_the_order_of_the_parameters_and_others_are_left_out() -> None:
    query = read("SELECT :b, :a, :b")
    assert query(a=1, b="two", c=object()) == Statement(query, ("two", 1))  # type: ignore[arg-type]


def test_a_value_that_is_missing_is_an_error() -> None:
    with pytest.raises(KeyError, match="b"):
        read("SELECT :a, :b")(a=1)


@pytest.mark.parametrize(
    ("value", "bound"),
    [(None, None), (0, 0), (-1, -1), (2**53, 2**53), ("", ""), ("a\x00\u00e9\U0001f600", "a\x00\u00e9\U0001f600")],
)
def test_text_integers_and_none_are_bound_as_they_are(value: Any, bound: Any) -> None:
    assert read("SELECT :a")(a=value).values == (bound,)


@pytest.mark.parametrize(("value", "bound"), [(True, 1), (False, 0)])
def test_a_boolean_is_bound_as_an_integer(value: bool, bound: int) -> None:
    (made,) = read("SELECT :a")(a=value).values
    assert made == bound
    assert type(made) is int


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    "value",
    [1.0, b"x", bytearray(b"x"), [], [1], {}, {"a": 1}, (1,), object(), Text("x"), float("nan")],
    ids=lambda value: f"{type(value).__name__} {str(value)[:8]}",
)
def test_what_drivers_disagree_about_is_not_bound(value: Any) -> None:
    with pytest.raises(TypeError, match=f"{type(value).__name__} cannot be bound"):
        read("SELECT :a")(a=value)


@pytest.mark.parametrize("character", ["x", "\u00e9", "\u6f22", "\U0001f600"])
def test_a_value_is_bounded_by_its_bytes(character: str) -> None:
    count, rest = divmod(VALUE_BYTES_MAX, len(character.encode()))
    most = character * count + "x" * rest
    assert read("SELECT :a")(a=most).values == (most,)
    with pytest.raises(TooLarge, match="may have at most 1900000 bytes"):
        read("SELECT :a")(a=most + "x")
