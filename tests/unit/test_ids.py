"""Ids: which texts are some, how new ones are made, and that no address of ours is one."""

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ulid import ULID, ULIDGenerator

from threadkeep import ids
from threadkeep.clock import now
from threadkeep.conversations.models import Id
from threadkeep.http.routes import ROUTES
from threadkeep.ids import ID_PATTERN, RESERVED, RESERVED_FOR_ROUTES, RESERVED_FOR_VALUES, is_id, new_id


def test_a_new_id_is_a_ulid_that_carries_its_time() -> None:
    made = new_id()
    assert is_id(made)
    assert abs(ULID.from_str(made).milliseconds - now()) < 1000


def test_ids_sort_in_the_order_they_were_made_within_a_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids, "_generator", ULIDGenerator(lambda: 1_700_000_000_000))
    made = [new_id() for _ in range(1000)]
    assert made == sorted(set(made))
    assert len({one[:10] for one in made}) == 1


def test_ids_sort_in_the_order_they_were_made_as_time_goes_on() -> None:
    made = [new_id() for _ in range(1000)]
    assert made == sorted(set(made))


GOOD = {
    "a ULID": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "a ULID in lower case": "01arz3ndektsv4rrffq69g5fav",
    "more time than a ULID has": "8" + "Z" * 25,
    "a UUID": "550e8400-e29b-41d4-a716-446655440000",
    "a UUID in upper case": "550E8400-E29B-41D4-A716-446655440000",
    "of nanoid": "V1StGXR8_Z5jdHi6B-myT",
    "of nanoid, beginning with a hyphen": "-1StGXR8_Z5jdHi6B-my_",
    "of the AI SDK": "msg-aZ09aZ09aZ09aZ09",
    "of Anthropic": "msg_01XFDUDYJgAACzvnptvVoYEL",
    "of OpenAI": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
    "of LangChain": "run--9f6f5b1e-6b4b-4b0e-8f5c-4f6f5b1e6b4b-0",
    "of Slack": "C024BE91L:1355517523.000005",
    "an address": "alice@example.com",
    "one character": "x",
    "a digit": "0",
    "three dots": "...",
    "a dot before": ".hidden",
    "a reserved word in another case": "Search",
    "that begins with a reserved word": "search-1",
    "that ends with a reserved word": "re-search",
    "128 characters": "x" * 128,
}
BAD = {
    "nothing": "",
    "129 characters": "x" * 129,
    "a line break behind": "abc\n",
    "a line break as the 128th": "x" * 127 + "\n",
    "a reserved word and a line break": "search\n",
    "a space within": "a b",
    "a space before": " a",
    "a slash": "a/b",
    "a backslash": "a\\b",
    "a percent sign": "a%41",
    "a plus": "a+b",
    "a question mark": "a?b",
    "a number sign": "a#b",
    "a comma": "a,b",
    "a semicolon": "a;b",
    "an equals sign": "a=",
    "a star": "*",
    "a quote": 'a"b',
    "the mark of cursors": "~a",
    "NUL": "a\0",
    "a control character": "a\x1b",
    "DEL": "a\x7f",
    "a Cyrillic letter": "\u0430bc",
    "a letter of full width": "\uff21",
    "an Arabic digit": "\u0661",
    "a composed letter": "\u00e9",
    "an emoji": "\U0001f600",
    "half of a character": "\ud83d",
    **{f"the word {word}": word for word in RESERVED},
}


def takes(text: str) -> bool:
    """Whether a field of a request takes a text as an id."""
    try:
        msgspec.convert(text, Id)
    except msgspec.ValidationError:
        return False
    return True


def described(text: str) -> bool:
    """Whether a text is an id by the JSON Schema that the OpenAPI document has."""
    schema: dict[str, Any] = msgspec.json.schema(Id)
    return re.search(schema["pattern"], text) is not None and len(text) <= schema["maxLength"]


@pytest.mark.parametrize("text", [pytest.param(text, id=case) for case, text in GOOD.items()])
def test_whatever_a_framework_brings_is_an_id(text: str) -> None:
    assert is_id(text)
    assert takes(text)
    assert described(text)


@pytest.mark.parametrize("text", [pytest.param(text, id=case) for case, text in BAD.items()])
def test_nothing_else_is_an_id(text: str) -> None:
    assert not is_id(text)
    assert not takes(text)
    assert not described(text)


@given(st.text(st.sampled_from("aZ09._:@-~ /\n") | st.characters(), max_size=140))
def test_any_text_is_an_id_or_not_alike_for_all_who_look(text: str) -> None:
    expected = re.fullmatch("[A-Za-z0-9._:@-]{1,128}", text) is not None and text not in RESERVED
    assert is_id(text) == takes(text) == described(text) == expected


def test_the_reserved_words_are_those_of_the_routes() -> None:
    """A word that stands where an id could is none, since `/api/conversations/search` would be two things."""
    below = [route.path.split("/")[3:] for route in ROUTES if route.path.startswith("/api/conversations/")]
    ids = {tuple(steps[:place]) for steps in below for place, step in enumerate(steps) if step.startswith("{")}
    places = {(step, tuple(steps[:place])) for steps in below for place, step in enumerate(steps)}
    words = {step for step, before in places if before in ids and not step.startswith("{")}
    assert words
    assert words <= set(RESERVED_FOR_ROUTES)
    assert {*RESERVED_FOR_ROUTES, *RESERVED_FOR_VALUES, ".", ".."} == set(RESERVED)
    assert len(RESERVED) == len(set(RESERVED))


def test_the_pattern_is_one_that_javascript_reads_alike() -> None:
    """It has what both know: lookaheads, classes and repetitions, and no flags."""
    assert not re.search(r"\(\?[^!:]|\\[^n.]", ID_PATTERN)
