"""What makes two messages, conversations or documents the same: each of their fields, or a reason why not.

A digest is kept with what it is of. If it were made in another way, old retries would become conflicts: see
docs/decisions/0006-sameness.md.
"""

from typing import Any

import msgspec
import pytest
from msgspec import Struct

from support.fields import OTHERWISE
from threadkeep.conversations.export_v1 import DocumentConversation, DocumentMessage, import_record
from threadkeep.conversations.models import NewConversation, NewMessage
from threadkeep.conversations.service import conversation_record, message_record
from threadkeep.work import finished

TEXT = [{"type": "text", "text": "Hello"}]


def digest(kind: type[Struct], fields: dict[str, Any] | bytes) -> str:
    """The digest of what a client sends."""
    body = fields if isinstance(fields, bytes) else msgspec.json.encode(fields)
    if kind is NewMessage:
        return finished(message_record(msgspec.json.decode(body, type=NewMessage), "")).digest
    if kind is NewConversation:
        return finished(conversation_record(msgspec.json.decode(body, type=NewConversation))).digest
    document = b'{"version": 1, "conversation": %b}'
    if kind is DocumentMessage:
        body = b'{"messages": [{"id": "first", "role": "user", "content": [{"type": "x"}]}, %b]}' % body
    return finished(import_record(document % body, "key", 0)).digest


# What each has to have.
LEAST: dict[type[Struct], dict[str, Any]] = {
    NewMessage: {"role": "user", "content": TEXT},
    NewConversation: {},
    DocumentMessage: {"role": "user", "content": TEXT},
    DocumentConversation: {"messages": []},
}
NO_PART_OF_IT = {
    (NewMessage, "id"): "What is known under an id is what the digest is compared with.",
    (NewMessage, "select"): "It says what to do with the conversation.",
    (NewConversation, "id"): "What is known under an id is what the digest is compared with.",
    (DocumentMessage, "id"): "It is a name within the document: where it is referred to, the place counts.",
    (DocumentConversation, "id"): "It is what it was called elsewhere; an import gives it another.",
}
"""What may differ between two that are the same, each with its reason."""

FIELDS = [
    pytest.param(kind, field, id=f"{kind.__name__}.{field.encode_name}")
    for kind in LEAST
    for field in msgspec.structs.fields(kind)
]


@pytest.mark.parametrize(("kind", "field"), FIELDS)
def test_another_value_of_a_field_makes_another_digest(kind: type[Struct], field: msgspec.structs.FieldInfo) -> None:
    name = field.encode_name
    assert name in OTHERWISE[kind], f"tests/support/fields.py has to say another value of {name}."
    is_same = digest(kind, {**LEAST[kind], name: OTHERWISE[kind][name]}) == digest(kind, LEAST[kind])
    assert is_same == ((kind, name) in NO_PART_OF_IT), f"{name} has to be part of the digest, or of NO_PART_OF_IT."


@pytest.mark.parametrize(("kind", "field"), [one for one in FIELDS if not one.values[1].required])
def test_a_field_that_is_left_out_is_as_one_with_its_default(
    kind: type[Struct], field: msgspec.structs.FieldInfo
) -> None:
    default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    sent = {**LEAST[kind], field.encode_name: None if default is msgspec.UNSET else default}
    assert digest(kind, sent) == digest(kind, LEAST[kind])


# Bodies as clients have sent them, and the digests that are kept with what was made of them: none of these may change.
KNOWN = [
    pytest.param(
        NewMessage,
        '{"role": "user", "content": [{"type": "text", "text": "Hello"}]}',
        "baeee7f348e2d47c5d41cb8fc71e12ca674a018c96b4f6daa53fa379ac028777",
        id="the least of a message",
    ),
    pytest.param(
        NewMessage,
        '{"role": "user", "content": "Hello"}',
        "baeee7f348e2d47c5d41cb8fc71e12ca674a018c96b4f6daa53fa379ac028777",
        id="the same with a string",
    ),
    pytest.param(
        NewMessage,
        """{
            "id": null, "role": "user", "content": [{"type": "text", "text": "Hello"}],
            "tokenCount": null, "model": null, "parentId": null, "metadata": null
        }""",
        "baeee7f348e2d47c5d41cb8fc71e12ca674a018c96b4f6daa53fa379ac028777",
        id="null wherever it may be",
    ),
    pytest.param(
        NewMessage,
        """{
            "id": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "role": "assistant", "content": [{"type": "text", "text": "Hello"}],
            "tokenCount": 0, "model": "a-model-1", "parentId": "01BX5ZZKBKACTAV9WEVGEMMVRZ",
            "metadata": {"b": [1, {}], "a": null}
        }""",
        "cf112efe5dcb0442ab76f10c65d2b8cf386bd2d99b883001716fd2ade2838647",
        id="every field of a message",
    ),
    pytest.param(
        NewMessage,
        r"""{
            "role": "user",
            "content": [{
                "type": "text",
                "text": "é e\u0301 \u00e9 😀 \ud83d\ude00 مرحبا \u0000 \u2028 \/ \" \n"
            }]
        }""",
        "8764ad6bf2eeb58de9af43eeb4dafda424d1dc2f9c28f75ab93afe7a172ec8d2",
        id="characters of many kinds",
    ),
    pytest.param(
        NewMessage,
        """{
            "role": "tool",
            "content": [{
                "type": "x",
                "n": [
                    0, -0, -0.0, 1, 1.0, 1e0, 10e-1, 0.1, 1e-7, -2.5E+3, 1e21, 1e22, 1e400, 9007199254740993,
                    123456789012345678901234567890, 0.30000000000000004, 3.141592653589793238462643
                ]
            }]
        }""",
        "d032233b55b78282d324a986cbe84a14372722891fc3e457070255302bcee096",
        id="numbers of many forms",
    ),
    pytest.param(
        NewMessage,
        """{
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
                {
                    "type": "tool_use", "id": "call_1", "name": "weather",
                    "input": {"where": "Hanoi", "days": 3, "hourly": false}
                }
            ]
        }""",
        "958228ff2ad2c5792332ef512369840cde50d55d950125c70ad8c4603510ec20",
        id="a call of a tool",
    ),
    pytest.param(
        NewMessage,
        """{
            "content": [
                {"isError": true, "toolUseId": "call_1", "type": "tool_result", "content": [{"z": 1, "a": []}]},
                {"cache": {"ttl": "5m"}, "type": "hologram"}
            ],
            "metadata": {},
            "role": "tool"
        }""",
        "96feaee447177ac1e3743df4d4e0783be1d7a5edacd1ad55591d22d822851e0a",
        id="the result of a tool, and a block that nobody knows",
    ),
    pytest.param(
        NewMessage,
        f'{{"role": "user", "content": [{{"type": "text", "text": "{"0123456789abcdef" * 90_000}"}}]}}',
        "5bdd694675df3c0522951bfb1044a4e417475776053e6251fa2ca9e5ed2a99b2",
        id="a large message",
    ),
    pytest.param(
        NewConversation,
        "{}",
        "475c95c046d182bdd7dbf4412eaec4098bc7bc662919656aca8fe5e023c0f6fd",
        id="a conversation of nothing",
    ),
    pytest.param(
        NewConversation,
        """{
            "id": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "title": "A title", "model": "a-model-1",
            "metadata": {"pinned": true, "rank": 1.50},
            "messages": [
                {
                    "id": "01BX5ZZKBKACTAV9WEVGEMMVRZ", "role": "user",
                    "content": [{"type": "text", "text": "Hello"}]
                },
                {"role": "assistant", "content": [{"type": "text", "text": "Hello"}], "tokenCount": 2}
            ]
        }""",
        "f88f2e771c2f3053c633e1293ff2b8d1ab81d85dc4744f18334a60ccb0d4a245",
        id="every field of a conversation",
    ),
    pytest.param(
        DocumentConversation,
        """{
            "id": "theirs", "title": "A title", "model": "a-model-1", "createdAt": "2024-05-18T02:40:00.000Z",
            "isArchived": true, "metadata": {"pinned": true},
            "messages": [
                {
                    "id": "1", "role": "user", "content": [{"type": "text", "text": "Hello"}],
                    "createdAt": "2024-05-18T02:40:00.000Z"
                },
                {"role": "assistant", "content": [{"type": "x"}], "parentId": "1"}
            ]
        }""",
        "dcbdb68fa41611e151223a5d3cc94d481727ea1a1418c7c57a3c20570e343e96",
        id="a conversation of a document",
    ),
]


@pytest.mark.parametrize(("kind", "body", "known"), KNOWN)
def test_what_was_sent_to_an_earlier_release_has_the_digest_that_it_had(
    kind: type[Struct], body: str, known: str
) -> None:
    assert digest(kind, body.encode()) == known
