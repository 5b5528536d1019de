"""Cursors: they lead back to where they were made, and nowhere else."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from threadkeep.cursors import (
    AfterConversation,
    AfterMessage,
    BeforeMessage,
    MessageCursor,
    decode_conversation,
    decode_message,
    encode,
)
from threadkeep.errors import Invalid
from threadkeep.models import INTEGER_MAX

ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
MESSAGE_CURSORS: list[MessageCursor] = [
    BeforeMessage(1),
    BeforeMessage(INTEGER_MAX),
    AfterMessage(0),
    AfterMessage(INTEGER_MAX),
]


@pytest.mark.parametrize("updated_at", [0, 1_700_000_000_000, INTEGER_MAX])
def test_a_cursor_of_conversations_comes_back(updated_at: int) -> None:
    cursor = AfterConversation(updated_at, ID)
    assert decode_conversation(encode(cursor)) == cursor


@pytest.mark.parametrize("cursor", MESSAGE_CURSORS, ids=str)
def test_a_cursor_of_messages_comes_back(cursor: MessageCursor) -> None:
    assert decode_message(encode(cursor)) == cursor


@pytest.mark.parametrize("cursor", [AfterConversation(INTEGER_MAX, ID), *MESSAGE_CURSORS], ids=str)
def test_a_cursor_fits_into_a_url_as_it_is(cursor: AfterConversation | MessageCursor) -> None:
    text = encode(cursor)
    assert text.replace("-", "").replace("_", "").isalnum()
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
    "an id in lower case": text_of(["c", 1, ID.lower()]),
    "an id with a line break": text_of(["c", 1, f"{ID}\n"]),
    "without an id": text_of(["c", 1]),
    "nested without end": urlsafe_b64encode(b"[" * 100_000).decode(),
}


@pytest.mark.parametrize("decode", [decode_conversation, decode_message])
@pytest.mark.parametrize("text", [pytest.param(text, id=case) for case, text in GARBAGE.items()])
def test_garbage_is_no_cursor(decode: Callable[[str], Any], text: str) -> None:
    with pytest.raises(Invalid) as raised:
        decode(text)
    assert raised.value.path == "cursor"


MADE = encode(BeforeMessage(7))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"{MADE}=", id="padding"),
        pytest.param(f"{MADE[:-1]}{chr(ord(MADE[-1]) + 1)}", id="bits that nobody reads"),
        pytest.param(urlsafe_b64encode(b'["b",7.0]').decode(), id="another form of its number"),
        pytest.param(urlsafe_b64encode(b'["\\u0062",7]').rstrip(b"=").decode(), id="an escape"),
        pytest.param(f"{MADE[:4]}!!!!{MADE[4:]}", id="characters that base64 skips"),
        pytest.param(f"{MADE}\n\n\n\n", id="line breaks"),
        pytest.param(urlsafe_b64encode(b'["b", 7]').rstrip(b"=").decode(), id="white space"),
        pytest.param(text_of(["b", 7, "more"]), id="more than there is"),
    ],
)
def test_a_text_that_was_not_made_as_it_is_is_no_cursor(text: str) -> None:
    with pytest.raises(Invalid):
        decode_message(text)


def test_a_cursor_of_the_other_list_is_no_cursor() -> None:
    with pytest.raises(Invalid):
        decode_message(encode(AfterConversation(1, ID)))
    for cursor in MESSAGE_CURSORS:
        with pytest.raises(Invalid):
            decode_conversation(encode(cursor))


@settings(deadline=None)
@given(st.text() | st.binary().map(lambda data: urlsafe_b64encode(data).decode()))
def test_any_text_is_a_cursor_or_invalid(text: str) -> None:
    try:
        assert isinstance(decode_message(text), BeforeMessage | AfterMessage)
    except Invalid as error:
        assert error.code == "invalid"  # noqa: PT017
