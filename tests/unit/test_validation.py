"""Reading JSON: what is refused, and where the message says it is."""

import contextlib
import time
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from threadkeep.conversations.models import ConversationChanges, Id, NewConversation, NewMessage, NewMessages, Title
from threadkeep.errors import Invalid
from threadkeep.validation import check_nesting, convert, convert_texts, decode, join, parse, parse_one_of
from threadkeep.work import finished

ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


def refusal(text: str | bytes, into: Any = Any) -> Invalid:
    with pytest.raises(Invalid) as raised:
        decode(text.encode() if isinstance(text, str) else text, into)
    return raised.value


PATHS: dict[str, tuple[Any, str, str, str]] = {
    "an unknown field": (NewConversation, '{"titel":"x"}', "titel", "Unknown field `titel`. Did you mean `title`?"),
    "an unknown field of a message": (
        NewMessages,
        '{"messages":[{"role":"user","content":[],"text":"x"}]}',
        "messages[0].text",
        "Unknown field `text`.",
    ),
    "a missing field": (
        NewMessages,
        '{"messages":[{"role":"user"}]}',
        "messages[0].content",
        "The field `content` is missing.",
    ),
    "a wrong type": (NewConversation, '{"title":1}', "title", "control characters, or null, not a number."),
    "a wrong choice": (
        NewMessages,
        '{"messages":[{"role":"user","content":[]},{"role":"robot","content":[]}]}',
        "messages[1].role",
        "Must be `assistant`, `developer`, `system`, `tool` or `user`, not `robot`.",
    ),
    "not an object": (NewConversation, "[]", "body", "Must be an object, not an array."),
    "too long": (ConversationChanges, f'{{"title":"{"x" * 301}"}}', "title", "of 1 to 300 characters"),
    "an integer beyond what is exact": (
        NewMessages,
        '{"messages":[{"role":"user","content":[]}],"expectedMessageCount":9007199254740992}',
        "expectedMessageCount",
        "Must be a whole number from 0 to 9007199254740991, or null.",
    ),
    "an id": (NewConversation, '{"id":"a b"}', "id", "an id: 1 to 128 characters, each a letter"),
    "an id with a line break": (NewConversation, f'{{"id":"{ID}\\n"}}', "id", "an id: 1 to 128 characters"),
    "the id of a message": (
        NewMessages,
        '{"messages":[{"id":"x/y","role":"user","content":[]}]}',
        "messages[0].id",
        "and no word that this API uses itself, such as `search`",
    ),
    "the id of the message before": (
        NewMessages,
        '{"messages":[{"id":"x","role":"user","content":[],"parentId":".."}]}',
        "messages[0].parentId",
        "an id: 1 to 128 characters",
    ),
    "a blank title": (NewConversation, '{"title":" "}', "title", "one line of 1 to 300 characters, not blank"),
    "an empty title": (NewConversation, '{"title":""}', "title", "one line of 1 to 300 characters, not blank"),
    "a title of two lines": (NewConversation, '{"title":"a\\nb"}', "title", "without control characters"),
    "a title that ends in a line break": (NewConversation, '{"title":"a\\n"}', "title", "without control characters"),
    "a title with NUL": (NewConversation, '{"title":"a\\u0000b"}', "title", "without control characters"),
    "a title with a control character beyond ASCII": (
        NewConversation,
        '{"title":"a\\u0085b"}',
        "title",
        "without control characters",
    ),
    "a model with delete": (NewConversation, '{"model":"a\\u007f"}', "model", "without control characters"),
}


@pytest.mark.parametrize(
    ("into", "text", "path", "message"), [pytest.param(*values, id=case) for case, values in PATHS.items()]
)
def test_what_does_not_fit_is_refused_with_its_path(into: Any, text: str, path: str, message: str) -> None:
    error = refusal(text, into)
    assert (error.path, error.details) == (path, {"path": path})
    assert error.message.startswith(f"{path}: ")
    assert message in error.message
    assert error.message.endswith(".")
    assert "$" not in error.message


SENTENCES = [
    "Expected `str` matching regex 'x'",
    'x`, got `y`: Expected `str` matching regex "x"',
    "x` - at `$.title`",
    "$",
    "`",
    "'",
    "\x00",
]


def shown(name: str) -> str:
    """A name in a message."""
    return name.replace("\0", "\\u0000")


FORGING = [" - at `$", "x - at `$.title", "x` - at `$.title", " - at `$.messages[0].id"]


@pytest.mark.parametrize("name", [*SENTENCES, *FORGING])
def test_the_name_of_an_unknown_field_is_only_a_name(name: str) -> None:
    text = msgspec.json.encode({"messages": [{"role": "user", "content": [], name: 1}]})
    error = refusal(text, NewMessages)
    assert error.path == "messages[0]"
    assert f"Unknown field `{shown(name)}`" in error.message


@pytest.mark.parametrize(
    "name",
    [*SENTENCES, *FORGING],
)
def test_the_name_of_an_unknown_field_of_a_body_or_a_query_is_no_place(name: str) -> None:
    error = refusal(msgspec.json.encode({name: 1}), NewConversation)
    assert (error.path, error.details) == ("body", {"path": "body"})
    assert f"Unknown field `{shown(name)}`" in error.message
    with pytest.raises(Invalid) as raised:
        convert_texts({name: "1"}, Query)
    assert raised.value.path == "query"
    assert f"Unknown query parameter `{shown(name)}`" in raised.value.message


@pytest.mark.parametrize("length", [200, 400, 1_000_000])
def test_a_sentence_is_cut_where_what_was_sent_makes_it_long(length: int) -> None:
    for text, into in (
        ({"x" * length: 1}, NewConversation),
        ({"messages": [{"role": "x" * length, "content": []}]}, NewMessages),
    ):
        message = refusal(msgspec.json.encode(text), into).message
        assert "x" * 61 not in message
        assert len(message) <= 200


def test_the_patterns_of_our_types_are_told_in_words() -> None:
    for into, words in ((Id, "an id: 1 to 128 characters"), (Title, "one line of 1 to 300")):
        error = refusal('"\\n"', into)
        assert words in error.message
        assert "regex" not in error.message


NOT_JSON = {
    "nothing": "",
    "white space": " ",
    "half": "{",
    "two": "1 2",
    "a comma too many": "[1,]",
    "a comment": "// x\n1",
    "single quotes": "{'a':1}",
    "no number": "NaN",
    "no number either": "Infinity",
    "a zero before": "01",
    "a byte order mark alone": "\ufeff",
    "two byte order marks": "\ufeff\ufeff{}",
    "a byte order mark after white space": " \ufeff{}",
    "no brackets to close": "[1]]",
    "brackets the wrong way round": "][",
    "brackets that cross": "[{]}",
    "no escape": '"\\u00g0"',
    "a line break in a text": '"a\nb"',
    "NUL in a text": '"a\x00b"',
    "a text without end": '"a',
}


@pytest.mark.parametrize("text", [pytest.param(text, id=case) for case, text in NOT_JSON.items()])
def test_what_is_not_json_is_refused(text: str) -> None:
    error = refusal(text)
    assert error.message.startswith("body: This is not JSON: ")
    assert error.path == "body"


def test_a_byte_order_mark_before_json_means_nothing_and_moves_no_place() -> None:
    assert decode('\ufeff{"a":"\ufeff"}'.encode(), dict[str, str]) == {"a": "\ufeff"}
    assert "at byte 8, " in refusal('\ufeff{"a":x}').message


@pytest.mark.parametrize("text", ['"\\ud800"', '"\\uDBFFx"', '"\\udc00"', '"\\udc00\\ud800"', '["\\ud83d", "\\ude00"]'])
def test_half_of_a_character_is_refused_and_named(text: str) -> None:
    error = refusal(text)
    assert error.message.startswith(r"body: A string holds half of a character, such as \ud83d alone.")
    assert error.path == "body"


@pytest.mark.parametrize("text", ['{"a":"\\ud83d\\ude00",}', '["\\ud83d\\ude00"', '["\\\\ud800",]'])
def test_a_whole_character_is_not_to_blame_for_what_is_not_json(text: str) -> None:
    assert "This is not JSON: " in refusal(text).message


def test_json_may_be_read_into_another_type_later() -> None:
    text = b'{"messages":[{"role":"user","content":[]}]}'
    assert list(decode(text, dict[str, msgspec.Raw])) == ["messages"]
    assert parse(text, NewMessages).messages[0].role == "user"
    with pytest.raises(Invalid, match="Unknown field `messages`"):
        parse(text, Query)
    with pytest.raises(Invalid, match="body: This is not JSON: "):
        parse(text[:-1], NewMessages)


MESSAGE = '{"role":"user","content":[{"type":"text","text":"Hello"}]}'


@pytest.mark.parametrize(
    ("text", "into"),
    [
        pytest.param(MESSAGE, NewMessage, id="a message"),
        pytest.param(f'{{"messages":[{MESSAGE}]}}', NewMessages, id="several"),
        pytest.param(f'{{"expectedMessageCount":1,"mess\\u0061ges":[{MESSAGE}]}}', NewMessages, id="several, escaped"),
        pytest.param(f"\ufeff{MESSAGE}", NewMessage, id="a message after a byte order mark"),
    ],
)
def test_json_that_may_be_of_several_types_is_read_into_the_one_that_it_fits(text: str, into: type[Struct]) -> None:
    assert parse_one_of(text.encode(), NewMessage, NewMessages) == parse(text.encode(), into)


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        pytest.param('{"role":"robot","content":[]}', "role", "not `robot`.", id="a message"),
        pytest.param('{"messages":[{"role":"robot"}]}', "messages[0].role", "not `robot`.", id="several"),
        pytest.param('{"role":"user","content":[],"messages":[]}', "role", "Unknown field `role`.", id="both"),
        pytest.param("{}", "role", "The field `role` is missing.", id="neither"),
        pytest.param('{"text":"Hello"}', "text", "Unknown field `text`.", id="something else"),
        pytest.param("[]", "body", 'Send several messages as {"messages": [...]}.', id="no object"),
        pytest.param(
            '{"role":"user",', "body", "This is not JSON: it ends before it is complete.", id="a message, cut off"
        ),
        pytest.param(
            '{"messages":[{"role":"us',
            "body",
            "This is not JSON: it ends before it is complete.",
            id="several, cut off",
        ),
        pytest.param('{"messages":[],"role":"user"', "body", "This is not JSON", id="both, cut off"),
    ],
)
def test_json_that_fits_none_of_several_types_is_refused_as_what_it_was_meant_to_be(
    text: str, path: str, message: str
) -> None:
    with pytest.raises(Invalid) as raised:
        parse_one_of(text.encode(), NewMessage, NewMessages)
    assert raised.value.path == path
    assert message in raised.value.message


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b'"\xff"', id="in a text"),
        pytest.param(b'{"content":["\xc3"]}', id="cut in a text"),
        pytest.param(b'"\xed\xa0\x80"', id="half of a character"),
        pytest.param(b'"\xc0\x80"', id="NUL in two bytes"),
        pytest.param(b"{}\xff", id="behind"),
        pytest.param('"é"'.encode("latin-1"), id="Latin-1"),
        pytest.param('"a"'.encode("utf-16"), id="UTF-16"),
    ],
)
def test_what_is_not_utf_8_is_refused(text: bytes) -> None:
    assert "is not UTF-8: see byte" in refusal(text, dict[str, Any]).message


def test_characters_of_any_length_come_through() -> None:
    assert decode('"a\u00e9\u6f22\U0001f600\\ud83d\\ude00\\u0000"'.encode(), str) == (
        "a\u00e9\u6f22\U0001f600\U0001f600\x00"
    )


def nested(levels: int, opening: str = "[", closing: str = "]", inside: str = "") -> str:
    return opening * levels + inside + closing * levels


@pytest.mark.parametrize("shape", ["[", '{"a":'])
def test_json_may_be_nested_100_levels_deep_and_no_deeper(shape: str) -> None:
    closing, inside = ("]", "") if shape == "[" else ("}", "1")
    decode(nested(100, shape, closing, inside).encode(), Any)
    assert "nested more than 100 levels deep" in refusal(nested(101, shape, closing, inside)).message


@pytest.mark.parametrize("levels", [101, 10_000, 2_000_000])
@pytest.mark.parametrize("closed", [True, False], ids=["closed", "left open"])
def test_json_that_is_nested_without_end_is_refused_before_it_is_read(levels: int, closed: bool) -> None:
    assert "nested more than" in refusal("[" * levels + "]" * levels * closed).message


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[" * 100 + "]" * 99 + ",[]" + "]", id="beside the deepest"),
        pytest.param("[" + ",".join([nested(99)] * 20) + "]", id="many that are deep"),
        pytest.param("[" + ",".join(["[]"] * 10_000) + "]", id="many that are not"),
        pytest.param("[" + ",".join(['{"a":[{}]}'] * 1000) + "]", id="mixed"),
        pytest.param('"' + "[" * 1000 + '"', id="in a text"),
        pytest.param('{"' + "[{" * 1000 + '":"' + "}]" * 1000 + '"}', id="in a name and a text"),
        pytest.param('["\\"' + "[" * 1000 + '\\"' + "[" * 1000 + '"]', id="after an escaped quote"),
        pytest.param('["\\\\",' + "[" * 98 + '"' + "[" * 1000 + '"' + "]" * 99, id="after an escaped backslash"),
        pytest.param('["\\\\\\"' + "[" * 1000 + '"]', id="after an escaped backslash and an escaped quote"),
        pytest.param('["",' + "[" * 99 + "]" * 100, id="after an empty text"),
    ],
)
def test_brackets_that_do_not_nest_are_not_counted(text: str) -> None:
    decode(text.encode(), Any)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('["\\\\",' + nested(100) + "]", id="after an escaped backslash"),
        pytest.param('["",' + nested(100) + "]", id="after an empty text"),
        pytest.param('{"]]]":' + nested(100) + "}", id="after brackets in a name"),
        pytest.param("[" + "[]," * 1000 + nested(100) + "]", id="after many that are not deep"),
        pytest.param("[" * 101 + '"', id="before a text without end"),
        pytest.param("[{" * 50 + "[", id="of two kinds"),
        pytest.param("[" * 99 + "{}" * 100 + "[[" + "]" * 100, id="beside others"),
    ],
)
def test_brackets_that_nest_too_deep_are_refused(text: str) -> None:
    assert "The JSON is nested more than 100 levels deep." in refusal(text).message


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[]" * 101 + "]", id="one closing too many"),
        pytest.param("][" * 101, id="the wrong way round"),
        pytest.param("[" * 100 + "]" * 99 + "[]" * 101, id="left open"),
        pytest.param("[" * 100 + "]" * 50 + "}" * 50, id="of two kinds"),
        pytest.param('"' + "[" * 101, id="in a text without end"),
    ],
)
def test_brackets_that_do_not_match_are_not_json_and_no_nesting(text: str) -> None:
    assert "body: This is not JSON: " in refusal(text).message


@pytest.mark.parametrize("part", ["[]", "][", "[[]", '"[', '"\\', "[[]]{}", '"",['])
def test_nesting_is_measured_in_time_in_proportion_to_the_text(part: str) -> None:
    text = (part * 4_000_000).encode()[:4_000_000]
    begin = time.process_time()
    with contextlib.suppress(Invalid):
        finished(check_nesting(text))
    assert time.process_time() - begin < 3  # 0.2 is usual; what backtracks takes minutes


@given(st.recursive(st.text('[]{}"\\'), lambda inner: st.lists(inner) | st.dictionaries(st.text('[]{}"\\'), inner)))
def test_the_depth_is_that_of_the_json(value: Any) -> None:
    def depth(value: Any) -> int:
        inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
        return 0 if inside is None else 1 + max(map(depth, inside), default=0)

    text = msgspec.json.encode(value)
    around = 100 - depth(value)
    filler = b"[" + b"[]," * 100  # so that it is looked at closely
    finished(check_nesting(filler + b"[" * (around - 1) + text + b"]" * around))
    with pytest.raises(Invalid):
        finished(check_nesting(filler + b"[" * around + text + b"]" * (around + 1)))


class Query(Struct, forbid_unknown_fields=True, rename="camel"):
    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    archived: bool = False
    updated_after: Annotated[int, Meta(ge=0, le=100)] | None = None
    cursor: str | None = None


def test_plain_values_are_checked_under_a_path() -> None:
    with pytest.raises(Invalid) as raised:
        convert({"limit": "x"}, Query, "messages[3].content[0]")
    assert raised.value.path == "messages[3].content[0].limit"
    with pytest.raises(Invalid) as raised:
        convert(1, Query, "messages[3]")
    assert raised.value.path == "messages[3]"


def test_values_from_text_count_as_what_they_say() -> None:
    assert convert_texts({}, Query) == Query()
    texts = {"limit": "5", "archived": "true", "updatedAfter": "0", "cursor": "null"}
    assert convert_texts(texts, Query) == Query(5, True, 0, "null")
    assert convert_texts({"limit": "100", "archived": "0", "cursor": ""}, Query) == Query(100, False, None, "")
    with pytest.raises(Invalid, match="limit: "):
        convert({"limit": "5"}, Query)


NO_NUMBER = ["null", "None", "-1", "", " 5", "5 ", "5\n", "+5", "-0", "05", "1.5", "5.0", "1e1", "1E1", "0x5", "5_0"]
NO_NUMBER += ["5,0", "NaN", "true", "\u0665", "5\u0665", "\u00b2", "9" * 5000]


@pytest.mark.parametrize("text", [*NO_NUMBER, "101"])
@pytest.mark.parametrize("field", ["limit", "updatedAfter"])
def test_a_number_in_a_query_is_a_whole_number_within_its_bounds(field: str, text: str) -> None:
    with pytest.raises(Invalid) as raised:
        convert_texts({"archived": "true", field: text}, Query)
    assert raised.value.path == field
    assert raised.value.message.startswith(f"{field}: ")


@pytest.mark.parametrize("text", ["", "null", "maybe", "2", "yes", " true"])
def test_a_boolean_in_a_query_is_true_or_false(text: str) -> None:
    with pytest.raises(Invalid, match=r"^archived: Must be true or false"):
        convert_texts({"archived": text}, Query)


@pytest.mark.parametrize("field", ["x", "Limit", "updated_after", "", "limit "])
def test_a_field_of_a_query_that_is_not_known_is_named(field: str) -> None:
    with pytest.raises(Invalid, match=f"Unknown query parameter `{field}`") as raised:
        convert_texts({"limit": "5", field: "5"}, Query)
    assert raised.value.path == (field if field.isidentifier() else "query")


@pytest.mark.parametrize(
    ("path", "step", "joined"),
    [
        ("", "", ""),
        ("", "role", "role"),
        ("messages[0]", "role", "messages[0].role"),
        ("messages", "[0].role", "messages[0].role"),
        ("messages", "", "messages"),
    ],
)
def test_paths_are_joined(path: str, step: str, joined: str) -> None:
    assert join(path, step) == joined
