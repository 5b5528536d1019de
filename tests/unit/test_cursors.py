"""Cursors: they lead back to where they were made, and nowhere else."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threadkeep.conversations.cursors import (
    END_OF_REV,
    HITS_MAX,
    AfterChange,
    AfterConversation,
    AfterHits,
    AfterMessage,
    AfterOnPath,
    BeforeMessage,
    BeforeOnPath,
    Cursor,
    MessageCursor,
    decode_change,
    decode_hits,
    encode,
    invalid,
    start_of_conversations,
    start_of_messages,
)
from threadkeep.conversations.models import INTEGER_MAX
from threadkeep.errors import Invalid

ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
MESSAGE_CURSORS: list[MessageCursor] = [
    BeforeMessage(1),
    BeforeMessage(INTEGER_MAX),
    AfterMessage(0),
    AfterMessage(INTEGER_MAX),
    BeforeOnPath(1),
    BeforeOnPath(INTEGER_MAX),
    AfterOnPath(0, 0),
    AfterOnPath(INTEGER_MAX, INTEGER_MAX),
]
CHANGE_CURSORS = [
    AfterChange("", 0, END_OF_REV, 0, 0),
    AfterChange(ID, 7, 0, 12, 3),
    AfterChange("Z" * 26, INTEGER_MAX - 1, END_OF_REV, INTEGER_MAX - 1, INTEGER_MAX - 1),
]


def decode_conversation(text: str) -> AfterConversation:
    """The place in a text, which may be an id as well. Raises Invalid where there is none."""
    place = start_of_conversations(text).place
    if place is None:
        raise invalid()
    return place


def decode_message(text: str) -> MessageCursor:
    """The place in a text, which may be an id as well. Raises Invalid where there is none."""
    place = start_of_messages(text).place
    if place is None:
        raise invalid()
    return place


@pytest.mark.parametrize("updated_at", [0, 1_700_000_000_000, INTEGER_MAX])
def test_a_cursor_of_conversations_comes_back(updated_at: int) -> None:
    cursor = AfterConversation(updated_at, ID)
    assert decode_conversation(encode(cursor)) == cursor


@pytest.mark.parametrize("cursor", MESSAGE_CURSORS, ids=str)
def test_a_cursor_of_messages_comes_back(cursor: MessageCursor) -> None:
    assert decode_message(encode(cursor)) == cursor


@pytest.mark.parametrize("count", [0, 1, HITS_MAX])
def test_a_cursor_of_hits_comes_back(count: int) -> None:
    assert decode_hits(encode(AfterHits(count))) == AfterHits(count)


@pytest.mark.parametrize("cursor", CHANGE_CURSORS, ids=str)
def test_a_cursor_of_changes_comes_back(cursor: AfterChange) -> None:
    assert decode_change(encode(cursor)) == cursor


def test_the_changes_begin_at_0() -> None:
    assert decode_change("0") == AfterChange("", 0, 0, 0, 0)
    for decode in (decode_conversation, decode_message, decode_hits):
        with pytest.raises(Invalid):
            decode("0")


# As every version before the mark made them.
OLDER: dict[str, Cursor] = {
    "WyJjIiwxNzk1MTc2ODE5MTY0LCIwMUtBR1EzVzZaSjhZMFY0TTJUN041QzlYQiJd": AfterConversation(
        1795176819164, "01KAGQ3W6ZJ8Y0V4M2T7N5C9XB"
    ),
    "WyJiIiwxMl0": BeforeMessage(12),
    "WyJhIiwxMl0": AfterMessage(12),
    "WyJoIiwyMF0": AfterHits(20),
    "WyJyIiwiMDFNN1dIMUJYNlBBN0RXOTlDM05FWUYwUlkiLDMsMiwwLDBd": AfterChange("01M7WH1BX6PA7DW99C3NEYF0RY", 3, 2, 0, 0),
}


@pytest.mark.parametrize("text", OLDER)
def test_a_cursor_of_an_earlier_version_is_taken(text: str) -> None:
    cursor = OLDER[text]
    assert encode(cursor) == f"~{text}"
    if isinstance(cursor, AfterConversation):
        assert start_of_conversations(text) == (text, cursor)  # an id first, if there is a row of it
        assert start_of_conversations(f"~{text}") == (None, cursor)
    elif isinstance(cursor, AfterHits):
        assert decode_hits(text) == cursor
    elif isinstance(cursor, AfterChange):
        assert decode_change(text) == cursor
    else:
        assert start_of_messages(text) == (text, cursor)
        assert start_of_messages(f"~{text}") == (None, cursor)


@pytest.mark.parametrize("text", [ID, ID.lower(), "a", "x" * 128, "550e8400-e29b-41d4-a716-446655440000", "WyJ4Il0"])
def test_what_is_no_cursor_may_be_an_id(text: str) -> None:
    assert start_of_conversations(text) == start_of_messages(text) == (text, None)
    for start in (start_of_conversations, start_of_messages):
        with pytest.raises(Invalid):
            start(f"~{text}")


@pytest.mark.parametrize("text", ["", "~", "search", "..", "a b", "x" * 129, f"{ID}\n", f"~~{encode(AfterMessage(1))}"])
def test_what_is_neither_an_id_nor_a_cursor_begins_no_list(text: str) -> None:
    for start in (start_of_conversations, start_of_messages):
        with pytest.raises(Invalid) as raised:
            start(text)
        assert raised.value.path == "cursor"


@pytest.mark.parametrize(
    "cursor",
    [AfterConversation(INTEGER_MAX, "x" * 128), *MESSAGE_CURSORS, AfterHits(HITS_MAX), *CHANGE_CURSORS],
    ids=str,
)
def test_a_cursor_fits_into_a_url_as_it_is(cursor: Cursor) -> None:
    text = encode(cursor)
    assert text.startswith("~")
    assert text[1:].replace("-", "").replace("_", "").isalnum()
    assert text.isascii()
    assert len(text) <= 500


def text_of(value: Any) -> str:
    return urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).rstrip(b"=").decode()


GARBAGE = {
    "nothing": "",
    "one character": "a",
    "not base64": "!!!!",
    "text beyond ASCII": "\u00e9",
    "NUL": "\x00",
    "half of a character": "\ud800",
    "padding alone": "====",
    "not JSON": urlsafe_b64encode(b"[").decode(),
    "not UTF-8": urlsafe_b64encode(b'["b\xff",1]').decode(),
    "null": text_of(None),
    "a number": text_of(1),
    "an object": text_of({"type": "b", "seq": 1}),
    "an empty array": text_of([]),
    "of no kind": text_of(["x", 1]),
    "without a place": text_of(["b"]),
    "a place below zero": text_of(["b", -1]),
    "a place after one below zero": text_of(["a", -1]),
    "a place before the first": text_of(["b", 0]),
    "a place that is true": text_of(["b", True]),
    "a place that is a fraction": text_of(["b", 1.5]),
    "a place that is a text": text_of(["b", "1"]),
    "a place beyond what is exact": text_of(["b", INTEGER_MAX + 1]),
    "a place beyond 64 bits": text_of(["b", 2**64]),
    "a place beyond all": text_of(["b", 10**400]),
    "a time beyond what is exact": text_of(["c", INTEGER_MAX + 1, ID]),
    "an id of 129 characters": text_of(["c", 1, "x" * 129]),
    "a word that is no id": text_of(["c", 1, "search"]),
    "an id with a line break": text_of(["c", 1, f"{ID}\n"]),
    "without an id": text_of(["c", 1]),
    "hits below zero": text_of(["h", -1]),
    "hits beyond all": text_of(["h", HITS_MAX + 1]),
    "a change without a floor": text_of(["r", ID, 1, 0, 1]),
    "a change below zero": text_of(["r", ID, -1, 0, 1, 0]),
    "a change beyond what is exact": text_of(["r", ID, INTEGER_MAX, 0, 1, 0]),
    "a change of a kind that there is not": text_of(["r", ID, 1, END_OF_REV + 1, 1, 0]),
    "a change of a long epoch": text_of(["r", f"{ID}0", 1, 0, 1, 0]),
    "a change of no epoch": text_of(["r", None, 1, 0, 1, 0]),
    "nested without end": urlsafe_b64encode(b"[" * 100_000).decode(),
}


@pytest.mark.parametrize("decode", [decode_conversation, decode_message, decode_hits, decode_change])
@pytest.mark.parametrize("text", [pytest.param(text, id=case) for case, text in GARBAGE.items()])
def test_garbage_is_no_cursor(decode: Callable[[str], Any], text: str) -> None:
    with pytest.raises(Invalid) as raised:
        decode(text)
    assert raised.value.path == ("since" if decode is decode_change else "cursor")


MADE = encode(BeforeMessage(7))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"{MADE}=", id="padding"),
        pytest.param(f"{MADE[:-1]}{chr(ord(MADE[-1]) + 1)}", id="bits that nobody reads"),
        pytest.param(urlsafe_b64encode(b'["b",7.0]').decode(), id="another form of its number"),
        pytest.param(urlsafe_b64encode(b'["\\u0062",7]').rstrip(b"=").decode(), id="an escape"),
        pytest.param(f"{MADE[:5]}!!!!{MADE[5:]}", id="characters that base64 skips"),
        pytest.param(f"~{MADE}", id="the mark twice"),
        pytest.param(f"{MADE}\n\n\n\n", id="line breaks"),
        pytest.param(urlsafe_b64encode(b'["b", 7]').rstrip(b"=").decode(), id="white space"),
        pytest.param(text_of(["b", 7, "more"]), id="more than there is"),
    ],
)
def test_a_text_that_was_not_made_as_it_is_is_no_cursor(text: str) -> None:
    with pytest.raises(Invalid):
        decode_message(text)


def test_a_cursor_of_another_list_is_no_cursor() -> None:
    lists: list[tuple[Callable[[str], Any], list[Cursor]]] = [
        (decode_conversation, [AfterConversation(1, ID)]),
        (decode_message, [*MESSAGE_CURSORS]),
        (decode_hits, [AfterHits(1)]),
        (decode_change, [*CHANGE_CURSORS]),
    ]
    for decode, own in lists:
        for _, cursors in lists:
            for cursor in cursors if cursors is not own else []:
                with pytest.raises(Invalid):
                    decode(encode(cursor))


@given(st.text() | st.binary().map(lambda data: urlsafe_b64encode(data).decode()))
def test_any_text_is_a_cursor_or_invalid(text: str) -> None:
    try:
        assert any(start_of_messages(text))
    except Invalid as error:
        assert error.code == "invalid"  # noqa: PT017
