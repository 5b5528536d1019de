"""The rules before a store is asked: records of conversations, messages and edits."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from msgspec import UNSET, Raw

from support.records import conversation_record, message, message_records, new_message
from threadkeep.conversations.models import (
    APPEND_MESSAGES_MAX,
    MESSAGE_BYTES_MAX,
    METADATA_BYTES_MAX,
    Appended,
    ConversationChanges,
    NewConversation,
    NewMessage,
    NewMessages,
)
from threadkeep.conversations.records import ConversationRecord, MessageRecord
from threadkeep.conversations.service import append_messages, conversation_edit
from threadkeep.errors import Invalid, TooLarge
from threadkeep.ids import is_id

ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
OTHER_ID = "01BX5ZZKBKACTAV9WEVGEMMVRZ"
THIRD_ID = "01CX5ZZKBKACTAV9WEVGEMMVRZ"


def ids() -> Callable[[], str]:
    made = iter(f"0{number:025d}" for number in range(10_000))
    return lambda: next(made)


def new_conversation(**fields: Any) -> NewConversation:
    return msgspec.json.decode(msgspec.json.encode(fields), type=NewConversation)


def record_of(*messages: NewMessage, **fields: Any) -> ConversationRecord:
    new = new_conversation(**fields)
    new.messages = list(messages)
    return conversation_record(new, ids())


def test_a_conversation_of_nothing_is_complete() -> None:
    record = record_of()
    assert (record.id, record.title, record.model) == ("0" * 26, None, None)
    assert (bytes(record.metadata), record.messages) == (b"{}", [])


def test_a_conversation_keeps_what_the_caller_brings() -> None:
    record = record_of(new_message(id=OTHER_ID), id=ID, title="Mine", model="m", metadata={"b": 1.50, "a": None})
    assert (record.id, record.title, record.model, bytes(record.metadata)) == (ID, "Mine", "m", b'{"b":1.5,"a":null}')
    assert [message.id for message in record.messages] == [OTHER_ID]


def test_ids_are_made_where_the_caller_brings_none() -> None:
    record = conversation_record(NewConversation(messages=[new_message(id=None), new_message(id=None)]))
    made = [record.id, *(message.id for message in record.messages)]
    assert len(set(made)) == 3
    assert all(map(is_id, made))


def test_metadata_of_a_conversation_is_kept_with_its_numbers_as_they_were_written() -> None:
    record = conversation_record(NewConversation(metadata=Raw(b'{ "b": 1.50, "\\u0061": [1e400, -0.0] }')))
    assert bytes(record.metadata) == b'{"b":1.50,"a":[1e400,-0.0]}'


HELLO = {"id": ID, "title": "Mine", "model": "m", "metadata": {"a": 1}}


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"id": OTHER_ID}, id="another id of the conversation"),
        pytest.param({"metadata": {"a": 1.0}}, id="the same metadata"),
    ],
)
def test_a_request_to_create_is_the_same_by_its_digest(fields: dict[str, Any]) -> None:
    first = record_of(new_message(id=ID), **HELLO)
    assert record_of(new_message(id=ID), **HELLO | fields).digest == first.digest


def test_no_metadata_null_and_an_empty_object_create_the_same() -> None:
    digests = {record_of(**fields).digest for fields in ({}, {"metadata": None}, {"metadata": {}})}
    assert len(digests) == 1


def test_ids_that_we_made_do_not_count_towards_the_digest() -> None:
    new = NewConversation(messages=[new_message(id=None)])
    assert conversation_record(new).digest == conversation_record(new).digest


@pytest.mark.parametrize(
    ("messages", "fields"),
    [
        pytest.param([{"id": ID}], {"title": "Yours"}, id="another title"),
        pytest.param([{"id": ID}], {"title": None}, id="no title"),
        pytest.param([{"id": ID}], {"model": "n"}, id="another model"),
        pytest.param([{"id": ID}], {"metadata": {"a": 2}}, id="other metadata"),
        pytest.param([{"id": ID}], {"metadata": {"a": 1, "b": None}}, id="more metadata"),
        pytest.param([{"id": OTHER_ID}], {}, id="another id of a message"),
        pytest.param([{"id": None}], {}, id="no id of a message"),
        pytest.param([{"id": ID, "text": "Bye"}], {}, id="another text"),
        pytest.param([], {}, id="no message"),
        pytest.param([{"id": ID}, {"id": OTHER_ID}], {}, id="one more message"),
    ],
)
def test_another_request_to_create_has_another_digest(messages: list[dict[str, Any]], fields: dict[str, Any]) -> None:
    first = record_of(new_message(id=ID), **HELLO)
    assert record_of(*(new_message(**message) for message in messages), **HELLO | fields).digest != first.digest


MESSAGE = {
    "id": ID,
    "role": "assistant",
    "content": [{"type": "text", "text": "Hello"}, {"type": "x", "a": 1}],
    "tokenCount": 2,
    "model": "m",
    "parentId": OTHER_ID,
    "metadata": {"a": 1},
}


def test_a_message_is_carried_as_it_came_with_its_metadata_in_one_form() -> None:
    content, metadata = b' [ {"type":"text", "text":"a\\u0000b", "n":1.0} ] ', b'{ "a": 1.0 }'
    (record,) = message_records([NewMessage(role="tool", content=Raw(content), metadata=Raw(metadata))], ids())
    assert bytes(record.message.content) == content
    assert isinstance(record.message.metadata, Raw)
    assert bytes(record.message.metadata) == b'{"a":1.0}'  # by itself, since an edit is merged into it
    assert record.size == len(content) + len(b'{"a":1.0}')
    assert (record.id, record.message.role) == ("0" * 26, "tool")
    said = record.message
    assert (said.token_count, said.model, said.parent_id) == (None, None, None)


@pytest.mark.parametrize("metadata", [UNSET, Raw(b"null"), Raw(b" null ")], ids=["left out", "null", "null in space"])
def test_metadata_that_is_left_out_or_null_is_none(metadata: Any) -> None:
    (record,) = message_records([NewMessage(role="user", content=Raw(b'[{"type":"x"}]'), metadata=metadata)])
    (without,) = message_records([NewMessage(role="user", content=Raw(b'[{"type":"x"}]'))])
    assert record.message.metadata is UNSET
    assert record.size == without.size + (0 if metadata is UNSET else len(bytes(metadata)))
    assert record.digest == without.digest


@pytest.mark.parametrize(
    "change",
    [
        {"role": "system"},
        {"content": [{"type": "text", "text": "Hello"}, {"type": "x", "a": 2}]},
        {"content": [{"type": "text", "text": "Hello"}]},
        {"tokenCount": 3},
        {"tokenCount": None},
        {"tokenCount": 0},
        {"model": "n"},
        {"model": None},
        {"parentId": THIRD_ID},
        {"parentId": None},
        {"metadata": {"a": 2}},
        {"metadata": {}},
        {"metadata": None},
    ],
    ids=str,
)
def test_a_message_is_another_where_any_part_of_it_is(change: dict[str, Any]) -> None:
    assert message(**MESSAGE | change).digest != message(**MESSAGE).digest


@pytest.mark.parametrize(
    "change",
    [
        {"id": THIRD_ID},
        {"content": [{"text": "Hello", "type": "text"}, {"a": 1.0, "type": "x"}]},
        {"metadata": {"a": 1.0}},
    ],
    ids=str,
)
def test_a_message_is_the_same_by_what_it_says(change: dict[str, Any]) -> None:
    assert message(**MESSAGE | change).digest == message(**MESSAGE).digest


@pytest.mark.parametrize(("role", "title"), [("user", "Hello"), ("assistant", None), ("system", None), ("tool", None)])
def test_only_a_user_gives_a_title(role: str, title: str | None) -> None:
    assert message("Hello", role=role).title == title


def sized(size: int) -> NewMessage:
    """A message of so many bytes as JSON."""
    around = b'[{"type":"text","text":""}]'
    return NewMessage(role="user", content=Raw(around.replace(b'""', b'"' + b"x" * (size - len(around)) + b'"')))


def test_a_message_may_be_as_large_as_its_limit_and_no_larger() -> None:
    (record,) = message_records([sized(MESSAGE_BYTES_MAX)])
    assert record.size == MESSAGE_BYTES_MAX
    with pytest.raises(
        TooLarge, match=r"^messages\[1\]\.content: A message may have 1500000 bytes as JSON; .* has 1500001\."
    ):
        message_records([sized(100), sized(MESSAGE_BYTES_MAX + 1)])


def test_metadata_counts_towards_the_size_of_a_message() -> None:
    most = sized(MESSAGE_BYTES_MAX - 7)
    most.metadata = Raw(b'{"a":1}')
    assert message_records([most])[0].size == MESSAGE_BYTES_MAX
    most.metadata = Raw(b'{"a":12}')
    with pytest.raises(TooLarge) as raised:
        message_records([most])
    assert raised.value.details == {"path": "messages[0].content"}


def test_a_message_that_is_too_large_is_not_even_read() -> None:
    broken = b"[" * (MESSAGE_BYTES_MAX + 1)
    with pytest.raises(TooLarge, match=r"^messages\[0\]\.content: A message may have"):
        message_records([NewMessage(role="user", content=Raw(broken))])
    with pytest.raises(TooLarge, match=r"^messages\[0\]\.metadata: A message may have"):
        message_records([NewMessage(role="user", content=Raw(b"["), metadata=Raw(broken[1:]))])


def test_messages_that_are_sent_together_are_bounded() -> None:
    records = message_records([new_message(id=None)] * APPEND_MESSAGES_MAX)
    assert len({record.id for record in records}) == APPEND_MESSAGES_MAX
    with pytest.raises(TooLarge, match="messages: At most 1000 can be sent together") as raised:
        message_records([new_message(id=None)] * (APPEND_MESSAGES_MAX + 1))
    assert raised.value.details == {"path": "messages"}
    with pytest.raises(TooLarge, match="messages: At most 1000 can be sent together"):
        record_of(*[new_message(id=None)] * (APPEND_MESSAGES_MAX + 1))


def test_an_id_that_is_there_twice_is_named_with_both_places() -> None:
    with pytest.raises(Invalid) as raised:
        message_records([new_message(id=OTHER_ID), new_message(id=ID), new_message(), new_message(id=ID)])
    assert raised.value.path == "messages[3].id"
    assert f"{ID} is also the id of messages[1]" in raised.value.message


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"content": []}, "messages[1].content"),
        ({"content": [{"type": "text"}]}, "messages[1].content[0].text"),
        ({"metadata": [1]}, "messages[1].metadata"),
        ({"metadata": {"a": "x" * METADATA_BYTES_MAX}}, "messages[1].metadata"),
    ],
)
def test_what_is_wrong_with_a_message_is_named_by_its_path(fields: dict[str, Any], path: str) -> None:
    with pytest.raises((Invalid, TooLarge)) as raised:
        record_of(new_message(), new_message(**fields))
    assert raised.value.details == {"path": path}


def test_what_is_wrong_with_a_conversation_is_named_by_its_path() -> None:
    with pytest.raises(Invalid, match="metadata: Metadata must be a JSON object"):
        record_of(metadata=[1])
    with pytest.raises(TooLarge, match="metadata: Metadata may have 16384 bytes"):
        record_of(metadata={"a": "x" * METADATA_BYTES_MAX})


def changes(text: str) -> ConversationChanges:
    return msgspec.json.decode(text, type=ConversationChanges)


def test_an_edit_of_nothing_leaves_everything_alone() -> None:
    edit = conversation_edit(changes("{}"))
    assert (edit.title, edit.is_archived, edit.model, edit.metadata) == (UNSET, UNSET, UNSET, UNSET)
    assert edit.edited_at is None


def test_an_edit_clears_what_is_null() -> None:
    edit = conversation_edit(changes('{"title":null,"isArchived":null,"model":null,"metadata":null,"editedAt":null}'))
    assert (edit.title, edit.is_archived, edit.model, edit.metadata, edit.edited_at) == (None, None, None, None, None)


def test_an_edit_sets_what_is_given() -> None:
    edit = conversation_edit(
        changes('{"title":"Mine","isArchived":false,"model":"m","metadata":{ "a":1.0,"b":null },"editedAt":0}')
    )
    assert (edit.title, edit.is_archived, edit.model, edit.edited_at) == ("Mine", False, "m", 0)
    assert isinstance(edit.metadata, Raw)
    assert bytes(edit.metadata) == b'{"a":1.0,"b":null}'


def test_an_edit_with_empty_metadata_is_not_one_that_clears_it() -> None:
    edit = conversation_edit(changes('{"metadata":{}}'))
    assert isinstance(edit.metadata, Raw)
    assert bytes(edit.metadata) == b"{}"


def test_an_edit_is_checked_like_a_conversation() -> None:
    with pytest.raises(Invalid, match="metadata: Metadata must be a JSON object"):
        conversation_edit(changes('{"metadata":[]}'))
    with pytest.raises(TooLarge, match="metadata: "):
        conversation_edit(ConversationChanges(metadata=Raw(msgspec.json.encode({"a": "x" * METADATA_BYTES_MAX}))))


class Asked:
    """A store that only remembers what it was asked to append."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def append_messages(self, conversation_id: str, messages: list[MessageRecord], **options: Any) -> Any:
        self.asked.append((conversation_id, [message.id for message in messages], options))
        return Appended([], None), True  # type: ignore[arg-type]


@pytest.mark.anyio
async def test_one_message_is_appended_like_several_but_expects_nothing() -> None:
    store: Any = Asked()
    await append_messages(store, ID, new_message(id=OTHER_ID))
    await append_messages(store, ID, NewMessages(messages=[new_message(id=ID)], expected_message_count=3))
    expected = {"expected_message_count": 3, "expected_leaf_id": None}
    assert store.asked == [
        (ID, [OTHER_ID], {"interrupts": False}),
        (ID, [ID], {**expected, "interrupts": False}),
    ]


@pytest.mark.anyio
async def test_what_is_wrong_with_one_message_is_named_as_in_its_body() -> None:
    store: Any = Asked()
    with pytest.raises(Invalid, match=r"^content\[0\]\.text: The field `text` is missing") as raised:
        await append_messages(store, ID, new_message(content=[{"type": "text"}]))
    assert raised.value.path == "content[0].text"
    with pytest.raises(TooLarge, match=r"^content: A message may have") as too_large:
        await append_messages(store, ID, sized(MESSAGE_BYTES_MAX + 1))
    assert too_large.value.details == {"path": "content"}
    assert store.asked == []
