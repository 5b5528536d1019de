"""What is said of a value that does not fit: in the words of JSON, whatever msgspec has said of it."""

import enum
import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from time import process_time as time_used
from typing import Annotated, Any, Literal, NamedTuple, TypedDict, get_args
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Raw, Struct

from threadkeep.common_mistakes import ABOUT_FIELDS, ABOUT_VALUES, APPEND, MEANT_ROLES
from threadkeep.conversations import models
from threadkeep.conversations.export_v1 import Document
from threadkeep.errors import Invalid
from threadkeep.http.routes import ROUTES
from threadkeep.validation import convert, convert_texts, decode


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Strict(Struct, forbid_unknown_fields=True, rename="camel"):
    is_old: bool = False
    size: int = 0


class Empty(Struct, forbid_unknown_fields=True):
    pass


class Pair(Struct, array_like=True):
    left: int
    right: int


class Single(Struct, array_like=True, forbid_unknown_fields=True):
    left: int


class Left(Struct, array_like=True, tag="left"):
    n: int


class Right(Struct, array_like=True, tag="right"):
    n: int


class Cat(Struct, tag="cat", tag_field="kind", forbid_unknown_fields=True):
    lives: int


class Dog(Struct, tag="dog", tag_field="kind", forbid_unknown_fields=True):
    name: str


class One(Struct, tag=1):
    pass


class Two(Struct, tag=2):
    pass


class Row(NamedTuple):
    n: int
    m: int = 0


class Typed(TypedDict):
    n: int


@dataclass
class Data:
    n: int


class Tree(Struct):
    name: str
    children: "list[Tree]" = []


# Each with a text that does not fit, the path, and the sentence.
IN_WORDS: list[tuple[Any, str, str, str]] = [
    (str, "5", "body", "Must be a string, not a number."),
    (int, '"5"', "body", "Must be a whole number, not a string."),
    (int, "1.5", "body", "Must be a whole number, not one with a fraction or an exponent."),
    (float, "null", "body", "Must be a number, not null."),
    (bool, "[]", "body", "Must be true or false, not an array."),
    (None, "{}", "body", "Must be null, not an object."),
    (list[int], "true", "body", "Must be an array, not a boolean."),
    (dict[str, int], "[]", "body", "Must be an object, not an array."),
    (int | str | None, "[]", "body", "Must be a whole number, a string, or null, not an array."),
    (Annotated[int, Meta(ge=1, le=9)], "10", "body", "Must be a whole number from 1 to 9."),
    (Annotated[int, Meta(ge=1)], "0", "body", "Must be a whole number of 1 or more."),
    (Annotated[int, Meta(le=9)], "10", "body", "Must be a whole number of 9 or less."),
    (Annotated[int, Meta(gt=1, lt=9)], "9", "body", "Must be a whole number above 1 below 9."),
    (Annotated[int, Meta(multiple_of=5)], "6", "body", "Must be a whole number that is a multiple of 5."),
    (Annotated[float, Meta(ge=0.5)], "0.25", "body", "Must be a number of 0.5 or more."),
    (Annotated[float, Meta(le=0.5)], "0.75", "body", "Must be a number of 0.5 or less."),
    (Annotated[float, Meta(gt=0.5)], "0.5", "body", "Must be a number above 0.5."),
    (Annotated[float, Meta(lt=0.5)], "0.5", "body", "Must be a number below 0.5."),
    (Annotated[float, Meta(multiple_of=0.5)], "0.75", "body", "Must be a number that is a multiple of 0.5."),
    (float, "1e999", "body", "Must be a number."),
    (int, "1" * 5_000, "body", "Must be a whole number."),
    (Annotated[str, Meta(min_length=1)], '""', "body", "Must be a string of at least 1 character."),
    (Annotated[str, Meta(max_length=2)], '"abc"', "body", "Must be a string of at most 2 characters."),
    (Annotated[str, Meta(min_length=2, max_length=3)], '"a"', "body", "Must be a string of 2 to 3 characters."),
    (Annotated[str, Meta(pattern="^a+$")], '"b"', "body", "Must be a string that matches ^a+$."),
    (Annotated[bytes, Meta(min_length=1)], '""', "body", "Must be a string in base64 of at least 1 byte."),
    (Annotated[bytes, Meta(max_length=1)], '"YWI="', "body", "Must be a string in base64 of at most 1 byte."),
    (bytes, '"!"', "body", "Must be a string in base64."),
    (bytearray, "5", "body", "Must be a string in base64, not a number."),
    (Annotated[list[int], Meta(min_length=1)], "[]", "body", "Must be an array of at least 1 item."),
    (Annotated[list[int], Meta(max_length=1)], "[1,2]", "body", "Must be an array of at most 1 item."),
    (Annotated[set[int], Meta(max_length=1)], "[1,2]", "body", "Must be an array of at most 1 item."),
    (Annotated[frozenset[int], Meta(min_length=1)], "[]", "body", "Must be an array of at least 1 item."),
    (Annotated[tuple[int, ...], Meta(min_length=1)], "[]", "body", "Must be an array of at least 1 item."),
    (Annotated[dict[str, int], Meta(min_length=1)], "{}", "body", "Must be an object of at least 1 field."),
    (Annotated[dict[str, int], Meta(max_length=1)], '{"a":1,"b":2}', "body", "Must be an object of at most 1 field."),
    (tuple[int, str], "[1]", "body", "Must be an array of 2 items."),
    (tuple[int, str], "[1,2]", "[1]", "Must be a string, not a number."),
    (list[int], '[1,"2"]', "[1]", "Must be a whole number, not a string."),
    (set[int], "[null]", "[0]", "Must be a whole number, not null."),
    (dict[str, int], '{"a":"b"}', "[...]", "Must be a whole number, not a string."),
    (dict[Literal["a", "b"], int], '{"c":1}', "body", "Must be `a` or `b`, not `c`."),
    (dict[Annotated[str, Meta(max_length=1)], int], '{"ab":1}', "body", "Must be a string of at most 1 character."),
    (Literal["a", "b"], '"c"', "body", "Must be `a` or `b`, not `c`."),
    (Literal["a", "b"], "5", "body", "Must be `a` or `b`, not a number."),
    (Literal[1, 2], "3", "body", "Must be `1` or `2`."),
    (Literal[1], '"1"', "body", "Must be `1`, not a string."),
    (Color, '"green"', "body", "Must be `red` or `blue`, not `green`."),
    (Color, '"RED"', "body", "Must be `red` or `blue`, not `RED`. Did you mean `red`?"),
    (Level, "3", "body", "Must be `1` or `2`."),
    (datetime, '"yesterday"', "body", "Must be a date and time such as 2026-11-20T09:30:00Z."),
    (datetime, "5", "body", "Must be a date and time such as 2026-11-20T09:30:00Z, not a number."),
    (Annotated[datetime, Meta(tz=True)], '"2026-11-20T09:30:00"', "body", "Must be a date and time such as 20"),
    (Annotated[datetime, Meta(tz=False)], '"2026-11-20T09:30:00Z"', "body", "Must be a date and time such as 20"),
    (date, '"2026-13-01"', "body", "Must be a date such as 2026-11-20."),
    (time, '"25:00"', "body", "Must be a time such as 09:30:00."),
    (timedelta, '"P"', "body", "Must be a duration such as PT1H30M."),
    (timedelta, '"P99999999999D"', "body", "Must be a duration such as PT1H30M."),
    (UUID, '"x"', "body", "Must be a UUID."),
    (Decimal, '"x"', "body", "Must be a decimal number."),
    (Pair, "[]", "body", "Must be an array of at least 2 items."),
    (Pair, "[1]", "body", "Must be an array of at least 2 items."),
    (Pair, "{}", "body", "Must be an array of at least 2 items, not an object."),
    (Pair, '[1,"2"]', "[1]", "Must be a whole number, not a string."),
    (Single, "[]", "body", "Must be an array of 1 item."),
    (Single, "[1,2]", "body", "Must be an array of 1 item."),
    (Row, "[]", "body", "Must be an array of 1 to 2 items."),
    (Row, "{}", "body", "Must be an array of 1 to 2 items, not an object."),
    (Row, '["1"]', "[0]", "Must be a whole number, not a string."),
    (Left | Right, '["up",1]', "[0]", "Must be `left` or `right`, not `up`."),
    (Left, '["left","1"]', "[1]", "Must be a whole number, not a string."),
    (Left, '["left"]', "body", "Must be an array of at least 2 items."),
    (Typed, "{}", "n", "The field `n` is missing. It must be a whole number."),
    (Typed, '{"n":"1"}', "n", "Must be a whole number, not a string."),
    (Data, "[]", "body", "Must be an object, not an array."),
    (Data, "{}", "n", "The field `n` is missing. It must be a whole number."),
    (
        Tree,
        '{"name":"a","children":[{"name":"b","children":[{}]}]}',
        "children[0].children[0].name",
        "The field `name`",
    ),
    (Cat | Dog, '{"kind":"cow"}', "kind", "Must be `cat` or `dog`, not `cow`."),
    (Cat | Dog, '{"kind":5}', "kind", "Must be `cat` or `dog`."),
    (Cat | Dog, "{}", "kind", "The field `kind` is missing. It must be `cat` or `dog`."),
    (Cat | Dog, '{"kind":"cat"}', "lives", "The field `lives` is missing. It must be a whole number."),
    (
        Cat,
        '{"kind":"cat","livs":1}',
        "livs",
        "Unknown field `livs`. Did you mean `lives`? The fields here are `kind` and",
    ),
    (One | Two, '{"type":3}', "type", "Must be `1` or `2`."),
    (One | Two, '{"type":-3}', "type", "Must be `1` or `2`."),
    (One | Two, '{"type":18446744073709551615}', "type", "Must be `1` or `2`."),
    (
        Strict,
        '{"is_old":true}',
        "is_old",
        "Unknown field `is_old`. Did you mean `isOld`? The fields here are `isOld` and `size`.",
    ),
    (Strict, '{"x y":1}', "body", "Unknown field `x y`. The fields here are `isOld` and `size`."),
    (
        list[Strict],
        '[{},{"weight":1}]',
        "[1].weight",
        "Unknown field `weight`. The fields here are `isOld` and `size`.",
    ),
    (Empty, '{"a":1}', "a", "Unknown field `a`. There are no fields here."),
]


@pytest.mark.parametrize(("into", "text", "path", "sentence"), IN_WORDS)
def test_what_does_not_fit_is_said_in_the_words_of_json(into: Any, text: str, path: str, sentence: str) -> None:
    with pytest.raises(Invalid) as raised:
        decode(text.encode(), into)
    assert raised.value.details == {"path": path}
    assert raised.value.message.startswith(f"{path}: {sentence}")
    assert raised.value.message == f"{path}: {sentence}" or not sentence.endswith(".")
    check_words(raised.value.message)


# Of MessagePack, of protocols that are not JSON, and of how types are made, which no request can reach.
_OF_NO_JSON = re.compile(
    r"MessagePack|UUID bytes|epoch timestamp|Timestamp is|Expected (__|_|`rename|calling|to be)|decimal_format"
    r"|must be|is invalid|not supported|Ext expected"
)
# Of plain values: see below.
_ONLY_FROM_OBJECTS = {
    "Expected `array` of at most length %zd, got %zd",
    "Expected `array` of length %zd, got %zd",
    "Expected `array` of length %zd to %zd, got %zd",
}


def test_every_sentence_of_msgspec_is_among_these() -> None:
    """They stand in its library, as texts with holes for what was sent."""
    library = next(Path(msgspec.__file__).parent.glob("_core.*.so")).read_bytes()
    texts = {
        text.decode()
        for text in re.findall(rb"(?:Expected|Invalid|Object|Integer|Number|Duration)[ -~]{5,}(?=%U)", library)
    }
    sentences = {text for text in texts if not _OF_NO_JSON.search(text)}
    assert len(sentences) > 30
    said = {_said(into, text) for into, text, *_ in IN_WORDS}
    left = {sentence for sentence in sentences if not any(_pattern(sentence).match(each) for each in said)}
    assert left - _ONLY_FROM_OBJECTS == set()


def _said(into: Any, text: str) -> str:
    with pytest.raises(msgspec.ValidationError) as raised:
        msgspec.json.decode(text, type=into)
    return str(raised.value)


def _pattern(sentence: str) -> re.Pattern[str]:
    parts = re.split(r"%(?:U|s|R|zd|lld|llu)", sentence)
    return re.compile(".*".join(map(re.escape, parts)), re.DOTALL)


_TYPES = re.compile(r"`(?:str|int|float|bool|bytes|array|object|null|list|dict|datetime|UUID|[a-z]+ \| [a-z |]+)`")


def check_words(message: str) -> None:
    """Hold a message to have no words of Python or of msgspec."""
    assert not _TYPES.search(message), message
    for word in ("Expected", "Object ", "Invalid", "regex", "None", "<=", ">=", "\n", "$"):
        assert word not in message.replace("$.", "."), message


# Plain values, which are not from JSON: rows of a database.
@pytest.mark.parametrize(
    ("into", "value", "sentence"),
    [
        (Row, (1, 2, 3), "x: Must be an array of 1 to 2 items."),
        (tuple[int, str], (1,), "x: Must be an array of 2 items."),
        (Single, (1, 2), "x: Must be an array of 1 item."),
        (Literal[1, 2], 2**70, "x: Must be `1` or `2`."),
        (str, b"x", "x: Must be a string."),
        (str, Raw(b"1e400"), "x: Must be a string."),
        (dict[str, int], 1j, "x: Must be an object."),
    ],
)
def test_plain_values_that_do_not_fit_are_said_in_the_same_words(into: Any, value: Any, sentence: str) -> None:
    with pytest.raises(Invalid) as raised:
        convert(value, into, "x")
    assert raised.value.message == sentence


class Query(Struct, forbid_unknown_fields=True):
    q: Annotated[str, Meta(max_length=5)]
    role: Literal["user", "assistant"] | None = None
    limit: Annotated[int, Meta(ge=1, le=9)] | None = None
    archived: bool = False


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "q: The query parameter `q` is missing. It must be a string of at most 5 characters."),
        ({"q": "abcdef"}, "q: Must be a string of at most 5 characters, not `abcdef`."),
        ({"q": "x" * 1_000}, "q: Must be a string of at most 5 characters."),
        (
            {"q": "a", "limit": "10"},
            (
                "limit: Must be a whole number from 1 to 9, not `10`. "
                "To get more, send the cursor of this answer with the next request."
            ),
        ),
        ({"q": "a", "limit": "1e0"}, "limit: Must be a whole number from 1 to 9, not `1e0`."),
        ({"q": "a", "limit": ""}, "limit: Must be a whole number from 1 to 9, and is empty."),
        ({"q": "a", "limit": "null"}, "limit: Must be a whole number from 1 to 9, not `null`."),
        ({"q": "a", "archived": "yes"}, "archived: Must be true or false, not `yes`."),
        ({"q": "a", "role": "human"}, "role: Must be `assistant` or `user`, not `human`. Did you mean `user`?"),
        ({"q": "a", "role": "a`b"}, "role: Must be `assistant` or `user`."),
        (
            {"q": "a", "archive": "1"},
            (
                "archive: Unknown query parameter `archive`. Did you mean `archived`? "
                "The query parameters here are `q`, `role`, `limit` and `archived`."
            ),
        ),
    ],
)
def test_of_a_query_the_parameters_are_named_and_what_was_sent(fields: dict[str, str], message: str) -> None:
    with pytest.raises(Invalid) as raised:
        convert_texts(fields, Query)
    assert raised.value.message == message
    assert raised.value.details == {"path": message.partition(":")[0]}


AT_BYTES = {
    '{"a" 1}': "at byte 5, a colon was expected after the name",
    "[1 2]": "at byte 3, a comma or ] was expected",
    '{"a":1 "b"}': "at byte 7, a comma or } was expected",
    "{'a':1}": "at byte 1, a name was expected, in double quotes",
    "[1,]": "at byte 3, a value was expected after the comma, or no comma before ]",
    '{"a":1,}': "at byte 7, a name was expected after the comma, or no comma before }",
    "1 2": "at byte 2, nothing more was expected after the first value",
    "[01]": "at byte 2, this is not how JSON writes a number",
    '"\\u00g0"': "at byte 5, four hexadecimal digits were expected after \\u",
    '"\\x41"': 'at byte 2, only \\" \\\\ \\/ \\b \\f \\n \\r \\t and \\u are escapes',
    "[None]": "at byte 1, an object, an array, a string in double quotes, a number, true, false or null was expected",
    '"a\nb"': "at byte 2, a control character was found in a string, and must be escaped, such as \\n",
    '{"a":1': "it ends before it is complete",
    "": "there is nothing in it",
    " \n": "there is nothing in it",
}


@pytest.mark.parametrize("text", AT_BYTES)
def test_what_is_not_json_is_told_by_its_byte_and_by_what_was_expected(text: str) -> None:
    with pytest.raises(Invalid) as raised:
        decode(text.encode(), Any)
    assert raised.value.message == f"body: This is not JSON: {AT_BYTES[text]}."
    assert raised.value.details == {"path": "body"}


@pytest.mark.parametrize("into", [models.NewMessages, dict[str, Raw], Any])
def test_an_object_that_javascript_made_a_string_of_is_known(into: Any) -> None:
    with pytest.raises(Invalid) as raised:
        decode(b"[object Object]", into)
    assert raised.value.message == (
        "body: This is not JSON but what JavaScript makes of an object. Send JSON.stringify(object)."
    )


@pytest.mark.parametrize(
    "part", ["k", ".a", "[0]", " - at `$", " - at `$.a", "`", "` - at `$.messages[0]", "\0", "Object contains unknown "]
)
@pytest.mark.parametrize("around", [' - at `$%s"', "%s", "Expected `int`, got `str` - at `$%s"])
def test_a_long_name_or_value_is_explained_in_time_in_proportion_to_it(part: str, around: str) -> None:
    name = around % (part * (2_000_000 // len(part)))
    message = {"role": name, "content": []}
    begin = time_used()
    for value, into in (({name: 1}, models.NewMessages), ({"messages": [message]}, models.NewMessages)):
        with pytest.raises(Invalid) as raised:
            decode(msgspec.json.encode(value), into)
        assert len(raised.value.message) < 700
    with pytest.raises(Invalid):
        convert_texts({"q": "a", name: name}, Query)
    assert time_used() - begin < 3  # 0.1 is usual; a step for each part takes many


@given(st.text(), st.sampled_from([Strict, Cat, Cat | Dog, models.NewMessages, Document]))
def test_nothing_that_is_sent_is_told_in_words_of_python(text: str, into: Any) -> None:
    for value in ({text: 1}, {"kind": text}, {"messages": [{text: text}]}, [text], text):
        with pytest.raises(Invalid) as raised:
            decode(msgspec.json.encode(value), into)
        message = raised.value.message.replace(f"`{text}`", "")
        assert raised.value.path
        assert "Expected" not in message
        assert "Object " not in message


KNOWN = {
    *("", APPEND, "NewMessage", "NewMessages", "Document"),
    *(route.query.__name__ for route in ROUTES),
    *(route.body.__name__ for route in ROUTES if isinstance(route.body, type)),
}


def test_a_mistake_is_known_of_a_type_that_there_is_and_of_a_field_that_it_lacks() -> None:
    assert ABOUT_FIELDS.keys() <= KNOWN
    assert {owner for owner, *_ in ABOUT_VALUES} <= KNOWN
    types: dict[str, Any] = {**vars(models), **{route.query.__name__: route.query for route in ROUTES}}
    for owner, hints in ABOUT_FIELDS.items():
        assert all(re.fullmatch("[a-z]+", name) for name in hints)
        if owner:
            fields = {name.casefold() for name in types[owner].__struct_encode_fields__}
            assert fields
            assert not fields & set(hints)
    roles = get_args(models.Role)
    assert not set(MEANT_ROLES) & set(roles)
    assert set(MEANT_ROLES.values()) <= set(roles)
