"""Content and metadata: what is well formed, what counts as the same, and which title it gives."""

import hashlib
from contextlib import closing
from fractions import Fraction
from typing import Any

import apsw
import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import UNSET, Raw, Struct, UnsetType

from support.examples import examples
from threadkeep.conversations import content
from threadkeep.conversations.content import (
    as_blocks,
    canonical,
    digest,
    later_fields,
    merged,
    read_content,
    read_metadata,
)
from threadkeep.conversations.models import BLOCKS, METADATA_BYTES_MAX
from threadkeep.errors import Invalid, TooLarge


def raw(value: Any) -> Raw:
    return Raw(value.encode() if isinstance(value, str) else msgspec.json.encode(value))


def read(block: Any) -> Any:
    return read_content(raw([{"type": "text", "text": "before"}, block]), "content")[1]


WELL_FORMED = {
    "text": {"type": "text", "text": ""},
    "text with NUL": {"type": "text", "text": "a\x00b"},
    "text with more": {"type": "text", "text": "x", "citations": [{"url": "y"}], "cache": None},
    "thinking": {"type": "thinking", "thinking": "hm"},
    "thinking, signed": {"type": "thinking", "thinking": "", "signature": "abc="},
    "thinking, not signed": {"type": "thinking", "thinking": "hm", "signature": None},
    "a tool's use": {"type": "tool_use", "id": "call_1", "name": "search", "input": {}},
    "a tool's use, in full": {"type": "tool_use", "id": "", "name": "", "input": {"a": [1, None, {"b": True}]}, "x": 1},
    "a tool's use, with the text of its input": {"type": "tool_use", "id": "x", "name": "x", "input": '{"a":'},
    "a tool's use without anything in it": {"type": "tool_use", "id": "x", "name": "x", "input": None},
    "a tool's result as Anthropic has it": {"type": "tool_result", "tool_use_id": "x", "content": "", "is_error": True},
    "a tool's result in both ways": {"type": "tool_result", "tool_use_id": "x", "toolUseId": "x", "isError": False},
    "a tool's result without content": {"type": "tool_result", "toolUseId": "x"},
    "a tool's error": {"type": "tool_result", "toolUseId": "call_1", "content": "no", "isError": True},
    "a tool's result, error or not": {
        "type": "tool_result",
        "toolUseId": "1",
        "content": 1,
        "isError": None,
    },
    "an image": {"type": "image"},
    "an image by source": {"type": "image", "source": {"type": "base64", "data": "AAAA"}, "alt": "x"},
    "an image by address": {"type": "image", "url": "https://images.example/1.png", "source": None},
    "a file": {"type": "file", "source": {"id": "file_1"}},
    "a file, as others have it": {"type": "file", "file": {"file_id": "x"}, "url": None},
    "a type of next year": {"type": "hologram", "text": 1, "input": [], "x": {"y": None}},
    "a type in capitals": {"type": "TEXT"},
    "a type with a space": {"type": " "},
}


@pytest.mark.parametrize("block", [pytest.param(block, id=case) for case, block in WELL_FORMED.items()])
def test_a_block_is_read_as_it_came(block: dict[str, Any]) -> None:
    assert read(block) == block


@pytest.mark.parametrize("content", [None, True, 0, -1, "", "x", [], [[]], {}, {"type": "text"}, [{"type": 1}]])
def test_the_content_of_a_tools_result_is_any_json(content: Any) -> None:
    block = {"type": "tool_result", "toolUseId": "call_1", "content": content}
    assert read(block) == block


def test_every_known_type_is_among_those_tested() -> None:
    assert {block["type"] for block in WELL_FORMED.values()} >= set(BLOCKS)


WRONG = {
    "no object": ("text", "content[1]", "A block must be an object with a `type`"),
    "null": (None, "content[1]", "A block must be an object"),
    "an array": ([], "content[1]", "A block must be an object"),
    "no type": ({"text": "x"}, "content[1].type", "A block must have a `type`"),
    "a type that is no text": ({"type": 1}, "content[1].type", "A block must have a `type`"),
    "a type that is nothing": ({"type": ""}, "content[1].type", "A block must have a `type`"),
    "a type that is null": ({"type": None}, "content[1].type", "A block must have a `type`"),
    "no text": ({"type": "text"}, "content[1].text", "The field `text` is missing"),
    "a text that is a number": ({"type": "text", "text": 1}, "content[1].text", "Must be a string, not a number."),
    "a text that is null": ({"type": "text", "text": None}, "content[1].text", "Must be a string, not null."),
    "no thought": ({"type": "thinking"}, "content[1].thinking", "The field `thinking` is missing"),
    "a signature that is a number": (
        {"type": "thinking", "thinking": "", "signature": 1},
        "content[1].signature",
        "Must be a string, or null, not a number.",
    ),
    "a tool's use without an id": (
        {"type": "tool_use", "name": "x", "input": {}},
        "content[1].id",
        "The field `id` is missing",
    ),
    "a tool's use without a name": (
        {"type": "tool_use", "id": "x", "input": {}},
        "content[1].name",
        "The field `name` is missing",
    ),
    "a tool's use without an input": (
        {"type": "tool_use", "id": "x", "name": "x"},
        "content[1].input",
        "The field `input` is missing",
    ),
    "a tool's result without a use": (
        {"type": "tool_result", "content": ""},
        "content[1]",
        "must name its call, as `toolUseId` or as `tool_use_id`",
    ),
    "a tool's result of two uses": (
        {"type": "tool_result", "tool_use_id": "x", "toolUseId": "y", "content": ""},
        "content[1]",
        "must be the same",
    ),
    "a tool's result of null": (
        {"type": "tool_result", "tool_use_id": None, "content": ""},
        "content[1].tool_use_id",
        "Must be a string",
    ),
    "an error of Anthropic's that is a text": (
        {"type": "tool_result", "toolUseId": "x", "is_error": "true"},
        "content[1].is_error",
        "Must be true or false, or null",
    ),
    "an error that is a text": (
        {"type": "tool_result", "toolUseId": "x", "content": "", "isError": "true"},
        "content[1].isError",
        "Must be true or false, or null, not a string.",
    ),
    "the source of an image that is a text": ({"type": "image", "source": "x"}, "content[1].source", "not a string."),
    "the address of an image that is a number": ({"type": "image", "url": 1}, "content[1].url", "not a number."),
    "the source of a file that is an array": ({"type": "file", "source": []}, "content[1].source", "not an array."),
    "the address of a file that is an object": ({"type": "file", "url": {}}, "content[1].url", "not an object."),
}


@pytest.mark.parametrize(("block", "path", "message"), [pytest.param(*row, id=case) for case, row in WRONG.items()])
def test_a_block_that_is_wrong_is_refused_with_its_path(block: Any, path: str, message: str) -> None:
    with pytest.raises(Invalid) as raised:
        read(block)
    assert raised.value.path == path
    assert message in raised.value.message
    assert raised.value.message.startswith(f"{path.removesuffix('.type')}: ")


@pytest.mark.parametrize("content", ["[]", "{}", "null", "1", "true"])
def test_content_is_a_string_or_an_array_of_at_least_one_block(content: str) -> None:
    with pytest.raises(Invalid, match="Content must be a string, or an array of at least one block") as raised:
        read_content(as_blocks(raw(content)), "messages[2].content")
    assert raised.value.path == "messages[2].content"


@pytest.mark.parametrize("content", ["{}", "null", "1", "true"])
def test_an_answer_may_be_empty_and_is_an_array_all_the_same(content: str) -> None:
    assert read_content(raw("[]"), "content", may_be_empty=True) == []
    with pytest.raises(Invalid, match="Content must be"):
        read_content(raw(content), "content", may_be_empty=True)


@pytest.mark.parametrize("text", ['""', '"Hello"', '"é \\u00e9 \\"x\\" \\ud83d\\ude00"'])
def test_a_string_is_one_block_of_text_and_everything_else_stays(text: str) -> None:
    kept = as_blocks(raw(text))
    assert bytes(kept).decode() == f'[{{"type":"text","text":{text}}}]'
    assert as_blocks(kept) is kept


def test_content_with_half_of_a_character_is_refused() -> None:
    for read in (read_content, read_metadata):
        with pytest.raises(Invalid, match=r"^content: A string holds half of a character") as raised:
            read(raw('[{"type":"text","text":"\\ud800"}]'), "content")
        assert raised.value.path == "content"


def test_no_metadata_is_none() -> None:
    assert read_metadata(UNSET, "metadata") is None
    assert read_metadata(raw("null"), "metadata") is None
    assert read_metadata(raw(" null "), "metadata") is None
    assert read_metadata(raw("{}"), "metadata") == {}


@pytest.mark.parametrize("metadata", ["[]", '"x"', "1", "false", "[null]"])
def test_metadata_is_an_object(metadata: str) -> None:
    with pytest.raises(Invalid, match="Metadata must be a JSON object") as raised:
        read_metadata(raw(metadata), "messages[1].metadata")
    assert raised.value.path == "messages[1].metadata"


@pytest.mark.parametrize("character", ["x", "\u00e9", "\u6f22", "\U0001f600", "\x00"])
def test_metadata_has_at_most_16_kib_as_json(character: str) -> None:
    size = len(msgspec.json.encode({"a": character})) - len(msgspec.json.encode({"a": ""}))
    count, rest = divmod(METADATA_BYTES_MAX - len('{"a":""}'), size)
    most = {"a": character * count + "x" * rest}
    assert read_metadata(raw(most), "metadata") == most
    with pytest.raises(TooLarge) as raised:
        read_metadata(raw({"a": most["a"] + "x"}), "metadata")
    assert raised.value.details == {"path": "metadata"}
    assert "16384 bytes" in raised.value.message


def test_metadata_is_not_even_read_over_128_kib(monkeypatch: pytest.MonkeyPatch) -> None:
    most = '{"a":1' + " " * (128 * 1024 - 7) + "}"
    assert read_metadata(raw(most), "metadata") == {"a": 1}
    monkeypatch.setattr(content, "_parse", None)
    for metadata in (most + " ", "[" * 200_000):
        with pytest.raises(TooLarge, match="16384 bytes") as raised:
            read_metadata(raw(metadata), "metadata")
        assert raised.value.details == {"path": "metadata"}


@pytest.mark.parametrize(
    "metadata", ['{"\\u0000":1}', '{"a\\u0000b":1}', '{"a":{"\\u0000":1}}', '{"a":[1,[{"b":{"\\u0000":1}}]]}']
)
def test_nul_in_a_name_of_metadata_is_refused_wherever_it_is(metadata: str) -> None:
    with pytest.raises(Invalid, match=r"^messages\[1\]\.metadata: .* NUL") as raised:
        read_metadata(raw(metadata), "messages[1].metadata")
    assert raised.value.path == "messages[1].metadata"


def test_nul_in_a_text_of_metadata_is_kept() -> None:
    assert read_metadata(raw('{"a":"\\u0000","b":["\\u0000"]}'), "metadata") == {"a": "\0", "b": ["\0"]}


@pytest.mark.parametrize(
    "number",
    [
        "1.0",
        "1e0",
        "1E+2",
        "-0.0",
        "0.10",
        "1e400",
        "-1e-400",
        "0.10000000000000000555",
        f"1e{'5' * 5000}",
        f"1{'0' * 25}",
    ],
)
def test_a_number_in_metadata_stays_as_it_was_written(number: str) -> None:
    metadata = read_metadata(raw(f'{{"a":[{number}]}}'), "metadata")
    assert msgspec.json.encode(metadata) == f'{{"a":[{number}]}}'.encode()


def test_white_space_and_escapes_do_not_count_towards_the_size_of_metadata() -> None:
    assert read_metadata(raw('{"a":' + " " * 20_000 + "1}"), "metadata") == {"a": 1}
    assert read_metadata(raw('{"a":"' + "\\u0078" * 10_000 + '"}'), "metadata") == {"a": "x" * 10_000}


SAME = {
    "keys in another order": ('[{"type":"x","a":1,"b":{"c":2,"d":3}}]', '[{"b":{"d":3,"c":2},"a":1,"type":"x"}]'),
    "white space": ('[{"type":"x","a":[1,2]}]', ' [ {"type" :\n"x",\t"a":[ 1,2 ]} ]\r\n'),
    "escapes": ('[{"type":"x","a":"\u00e9/\\u0000"}]', '[{"type":"\\u0078","a":"\\u00e9\\/\\u0000"}]'),
    "a character of two halves": ('[{"type":"\U0001f600"}]', '[{"type":"\\ud83d\\ude00"}]'),
    "one": ('[{"type":"x","a":1}]', '[{"type":"x","a":1.0}]'),
    "one by exponent": ('[{"type":"x","a":1}]', '[{"type":"x","a":1e0}]'),
    "a tenth": ('[{"type":"x","a":0.1}]', '[{"type":"x","a":1.0E-1}]'),
    "nothing below zero": ('[{"type":"x","a":0}]', '[{"type":"x","a":-0.0}]'),
    "the largest exact integer": ('[{"type":"x","a":9007199254740991}]', '[{"type":"x","a":9007199254740991.0}]'),
}
OTHER = {
    "more": ('[{"type":"x"}]', '[{"type":"x","a":null}]'),
    "another order of an array": ('[{"type":"x","a":[1,2]}]', '[{"type":"x","a":[2,1]}]'),
    "another order of blocks": ('[{"type":"x"},{"type":"y"}]', '[{"type":"y"},{"type":"x"}]'),
    "a text and a number": ('[{"type":"x","a":1}]', '[{"type":"x","a":"1"}]'),
    "true and a number": ('[{"type":"x","a":1}]', '[{"type":"x","a":true}]'),
    "null and false": ('[{"type":"x","a":null}]', '[{"type":"x","a":false}]'),
    "an empty object and an empty array": ('[{"type":"x","a":{}}]', '[{"type":"x","a":[]}]'),
    "other white space in a text": ('[{"type":"x","a":" "}]', '[{"type":"x","a":"  "}]'),
    "a character and what it looks like": ('[{"type":"x","a":"\u00e9"}]', '[{"type":"x","a":"e\u0301"}]'),
    "a half": ('[{"type":"x","a":1}]', '[{"type":"x","a":1.5}]'),
    "large integers": ('[{"type":"x","a":9007199254740992}]', '[{"type":"x","a":9007199254740993}]'),
    "integers beyond 64 bits": ('[{"type":"x","a":18446744073709551616}]', '[{"type":"x","a":18446744073709551617}]'),
    "integers beyond all floats": (f'[{{"type":"x","a":1{"0" * 400}}}]', f'[{{"type":"x","a":1{"0" * 400}1}}]'),
    "numbers beyond all floats": ('[{"type":"x","a":1e400}]', '[{"type":"x","a":1e401}]'),
    "numbers beyond all floats, below zero": ('[{"type":"x","a":1e400}]', '[{"type":"x","a":-1e400}]'),
    "what no float tells apart": ('[{"type":"x","a":0.1}]', '[{"type":"x","a":0.1000000000000000000001}]'),
    "a number beyond all floats and null": ('[{"type":"x","a":1e400}]', '[{"type":"x","a":null}]'),
}


def digest_of(content: str) -> str:
    return digest(read_content(raw(content), "content"))


@pytest.mark.parametrize(("one", "other"), [pytest.param(*pair, id=case) for case, pair in SAME.items()])
def test_content_that_means_the_same_has_one_digest(one: str, other: str) -> None:
    assert digest_of(one) == digest_of(other)


@pytest.mark.parametrize(("one", "other"), [pytest.param(*pair, id=case) for case, pair in OTHER.items()])
def test_content_that_means_something_else_has_another_digest(one: str, other: str) -> None:
    assert digest_of(one) != digest_of(other)


class Sent(Struct, rename="camel", kw_only=True):
    """What clients send, with fields that came later than its digest."""

    role: str
    sent_note: str | None = None
    is_pinned: bool = False
    labels: Raw | UnsetType = UNSET


LATER = later_fields(Sent, "role")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"sent_note": None},
        {"is_pinned": False},
        {"labels": Raw(b"null")},
    ],
    ids=["left out", "null", "as by default", "null as JSON"],
)
def test_later_fields_that_are_not_given_leave_a_digest_as_it_was(fields: dict[str, Any]) -> None:
    assert digest("user", sent=Sent(role="user", **fields), later=LATER) == digest("user")


def test_later_fields_that_are_given_count_in_a_digest_each_by_its_name() -> None:
    each = [
        {"sent_note": ""},
        {"sent_note": "a"},
        {"is_pinned": True},
        {"labels": Raw(b"[1]")},
        {"labels": Raw(b'"a"')},
        {"sent_note": "a", "labels": Raw(b"[1]")},
    ]
    digests = {digest("user", sent=Sent(role="user", **fields), later=LATER) for fields in each}
    assert len(digests | {digest("user")}) == len(each) + 1
    assert digest("user", sent=Sent(role="user", labels=Raw(b"[1.0]")), later=LATER) in digests
    noted = Sent(role="user", sent_note="a")
    assert digest("user", sent=noted, later=LATER) == digest("user", {"sentNote": "a"})
    assert digest("user", sent=noted, later=later_fields(Sent, "role", "sent_note")) == digest("user")


def test_a_digest_tells_where_one_value_ends_and_the_next_begins() -> None:
    assert digest("ab", "c") != digest("a", "bc")
    assert digest(None, "a") != digest("a", None)
    assert digest("a") != digest("a", None)
    assert digest([1, 2]) != digest(1, 2)


def test_a_digest_stays_what_it_is_from_release_to_release() -> None:
    canonical = '["user",[{"text":"Hé","type":"text"}],null,{"a":0.5,"b":[]}]'
    made = digest("user", [{"type": "text", "text": "Hé"}], None, {"b": [], "a": 0.5})
    assert made == hashlib.sha256(canonical.encode()).hexdigest()


def test_an_integer_may_have_as_many_digits_as_python_reads() -> None:
    most = f'[{{"type":"x","a":{"9" * 4300}}}]'
    assert digest_of(most) != digest_of(most.replace("9", "8"))
    with pytest.raises(Invalid, match="A number has too many digits"):
        digest_of(most.replace(":9", ":99"))


EQUAL = [
    ["1", "1.0", "1e0", "1E+0", "10e-1", "0.1e1", "1.00000000000000000000000"],
    ["0", "-0", "0.0", "-0.0", "0e5", "0.000e-5", "-0E+99"],
    ["-1", "-1.0", "-10e-1"],
    ["1.5", "1.50", "15e-1", "0.15E1"],
    ["0.1", "1e-1", "0.10"],
    ["0.10000000000000000555"],
    ["100000000000000000", "1e17", "1.0E+17", "1000e14"],
    ["100000000000000001", "1.00000000000000001e17"],
    ["18446744073709551616", "1.8446744073709551616e19"],
    ["1" + "0" * 400, "1e400", "1E400", "10e399", "1.0e+400"],
    ["-1" + "0" * 400, "-1e400"],
    ["1e401", "10e400", "0.1e402"],
    ["1e-400", "0.1E-399", "10e-401", "0." + "0" * 399 + "1"],
    ["1e-401", "0." + "0" * 400 + "1"],
    ["1e999999999", "10e999999998"],
    ["1e-9999999", "10e-10000000"],
]


def number_of(text: str) -> bytes:
    """The canonical form of a number."""
    return msgspec.json.encode(canonical(raw(text)))


def test_equal_numbers_have_one_form_and_others_have_another() -> None:
    forms = [{number_of(number) for number in numbers} for numbers in EQUAL]
    assert [len(form) for form in forms] == [1] * len(EQUAL)
    assert len(set().union(*forms)) == len(EQUAL)


@pytest.mark.parametrize(
    ("number", "form"),
    [
        ("1.0", "1"),
        ("1e17", "100000000000000000"),
        ("-0.0", "0"),
        ("-1.50", "-1.5"),
        ("0.0010", "0.001"),
        ("1e-1", "0.1"),
        ("123456.789e-2", "1234.56789"),
        ("10e400", "1e401"),
        ("1.5e999999999", "15e999999998"),
        ("9007199254740993.0", "9007199254740993"),
    ],
)
def test_the_form_of_a_number_stays_what_it_is_from_release_to_release(number: str, form: str) -> None:
    assert number_of(number) == form.encode()


@pytest.mark.parametrize("exponent", ["1000000000", "0000000001", "-100000000", "5" * 5000, f"-{'5' * 5000}"])
def test_a_number_with_an_exponent_that_is_absurd_is_kept_as_text(exponent: str) -> None:
    assert len(exponent) >= 10
    assert number_of(f"1.0e{exponent}") == f"1.0e{exponent}".encode()


@given(
    st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.integers().filter(bool),  # a zero has no digits to move
    st.integers(-300, 300),
    st.integers(0, 50),
)
def test_the_form_of_a_number_is_its_value_exactly(number: str, digits: int, exponent: int, zeros: int) -> None:
    form = number_of(number).decode()
    assert Fraction(form) == Fraction(number)
    assert number_of(form) == form.encode()
    assert number_of(f"{digits}e{exponent}") == number_of(f"{digits}{'0' * zeros}e{exponent - zeros}")


@pytest.mark.parametrize(("integer", "number"), [("1" + "0" * 401, "1e401"), ("123" + "0" * 500, "1.23e502")])
def test_an_integer_of_more_than_400_digits_is_what_it_is_with_an_exponent(integer: str, number: str) -> None:
    assert number_of(integer) == number_of(number)


@pytest.mark.parametrize("number", ["1e400", "1e-400"])
def test_the_canonical_form_is_not_much_longer_than_what_was_sent(number: str) -> None:
    text = f"[{','.join([number] * 1000)}]"
    assert len(number_of(text)) < 20 * len(text)


def test_what_was_read_before_is_made_canonical() -> None:
    assert canonical(UNSET) is None
    assert canonical(raw("null")) is None
    assert canonical(raw('{"b":1.0,"a":[2e0]}')) == {"b": 1, "a": [2]}


# Source: RFC 7396, appendix A. Where target or patch is no object, the pair is one step down in objects.
RFC_7396 = [
    ('{"a":"b"}', '{"a":"c"}', '{"a":"c"}'),
    ('{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'),
    ('{"a":"b"}', '{"a":null}', "{}"),
    ('{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'),
    ('{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'),
    ('{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'),
    ('{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'),
    ('{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'),
    ('{"x":["a","b"]}', '{"x":["c","d"]}', '{"x":["c","d"]}'),
    ('{"x":{"a":"b"}}', '{"x":["c"]}', '{"x":["c"]}'),
    ('{"x":{"a":"foo"}}', '{"x":null}', "{}"),
    ('{"x":{"a":"foo"}}', '{"x":"bar"}', '{"x":"bar"}'),
    ('{"e":null}', '{"a":1}', '{"e":null,"a":1}'),
    ('{"x":[1,2]}', '{"x":{"a":"b","c":null}}', '{"x":{"a":"b"}}'),
    ("{}", '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'),
]


def merge(target: str, patch: str) -> bytes:
    before, change = (read_metadata(raw(text), "metadata") for text in (target, patch))
    assert before is not None
    assert change is not None
    result = msgspec.json.encode(merged(before, change))
    assert msgspec.json.encode(before) == msgspec.json.encode(read_metadata(raw(target), "metadata"))
    return result


@pytest.mark.parametrize(("target", "patch", "result"), RFC_7396)
def test_a_merge_does_what_the_rfc_says(target: str, patch: str, result: str) -> None:
    assert merge(target, patch) == result.encode()


def in_sqlite(target: str, patch: str) -> str:
    with closing(apsw.Connection(":memory:")) as database:
        ((result,),) = database.execute("SELECT json_patch(?, ?)", [target, patch])
    return str(result)


NAMES = st.sampled_from(["a", "b", "c", "\u00e9", "e\u0301", "a.b", "$", "[0]", '"', "\\", "a\x01b", "", "\U0001f600"])
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=10,
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=4).map(
    lambda value: msgspec.json.encode(read_metadata(raw(value), "metadata")).decode()
)


@given(OBJECTS, OBJECTS)
@example('{"a":1e400}', '{"b":-1e400}')
@example('{"a":{"b":1}}', '{"a":{"b":null,"c":{"d":null}}}')
@settings(max_examples=examples(300))
def test_a_merge_is_what_sqlite_makes_of_it_to_the_byte_in_size(target: str, patch: str) -> None:
    made = in_sqlite(target, patch)
    assert digest(read_metadata(raw(made), "metadata")) == digest(
        read_metadata(raw(merge(target, patch).decode()), "metadata")
    )
    assert len(made.encode()) == len(merge(target, patch))
