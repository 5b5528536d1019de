"""The clock and the ids."""

import time

import pytest
from ulid import ULID, ULIDGenerator

from threadkeep import clock
from threadkeep.clock import is_id, new_id, now


def test_now_is_unix_time_in_milliseconds() -> None:
    assert abs(now() - time.time() * 1000) < 1000


def test_an_id_is_a_ulid_that_carries_its_time() -> None:
    made = new_id()
    assert is_id(made)
    assert abs(ULID.from_str(made).milliseconds - now()) < 1000


def test_ids_sort_in_the_order_they_were_made_within_a_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_generator", ULIDGenerator(lambda: 1_700_000_000_000))
    made = [new_id() for _ in range(1000)]
    assert made == sorted(set(made))
    assert len({one[:10] for one in made}) == 1


def test_ids_sort_in_the_order_they_were_made_as_time_goes_on() -> None:
    made = [new_id() for _ in range(1000)]
    assert made == sorted(set(made))


GOOD = ["01ARZ3NDEKTSV4RRFFQ69G5FAV", "0" * 26, "7" + "Z" * 25]
BAD = {
    "nothing": "",
    "lower case": "01arz3ndektsv4rrffq69g5fav",
    "one in lower case": "01ARZ3NDEKTSV4RRFFQ69G5FAv",
    "25 characters": "01ARZ3NDEKTSV4RRFFQ69G5FA",
    "27 characters": "01ARZ3NDEKTSV4RRFFQ69G5FAVV",
    "a line break behind": "01ARZ3NDEKTSV4RRFFQ69G5FAV\n",
    "a line break in its place": "01ARZ3NDEKTSV4RRFFQ69G5FA\n",
    "a space before": " 1ARZ3NDEKTSV4RRFFQ69G5FAV",
    "more time than there is": "8" + "Z" * 25,
    "the letter I": "01ARZ3NDEKTSV4RRFFQ69G5FAI",
    "the letter L": "01ARZ3NDEKTSV4RRFFQ69G5FAL",
    "the letter O": "O1ARZ3NDEKTSV4RRFFQ69G5FAV",
    "the letter U": "01ARZ3NDEKTSV4RRFFQ69G5FAU",
    "a Cyrillic letter": "01\u0410RZ3NDEKTSV4RRFFQ69G5FAV",
    "an Arabic digit": "0\u0661ARZ3NDEKTSV4RRFFQ69G5FAV",
    "a UUID": "550e8400-e29b-41d4-a716-446655",
}


@pytest.mark.parametrize("text", GOOD)
def test_26_characters_of_crockford_base32_are_an_id(text: str) -> None:
    assert is_id(text)


@pytest.mark.parametrize("text", [pytest.param(text, id=case) for case, text in BAD.items()])
def test_nothing_else_is_an_id(text: str) -> None:
    assert not is_id(text)
