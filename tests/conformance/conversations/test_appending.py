"""Appending messages: the heart of it."""

import asyncio

import msgspec
import pytest

from support.backends import Backend
from support.records import conversation, message, messages, new_message, plain
from threadkeep.conversations.models import MESSAGE_BYTES_MAX, Message
from threadkeep.conversations.store import Store
from threadkeep.errors import Conflict, NotFound, Stale
from threadkeep.ids import new_id

pytestmark = pytest.mark.anyio


async def conversation_in(store: Store, *texts: str) -> str:
    record = conversation(*(new_message(text) for text in texts))
    await store.create_conversation(record)
    return record.id


async def test_a_message_comes_back_as_it_was_sent(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_in(store)
    content = [
        {"type": "text", "text": 'é漢😀 \u0000 \u2028 "quoted" \\ </script>'},
        {"type": "thinking", "thinking": "hm", "signature": "abc="},
        {"type": "tool_use", "id": "call_1", "name": "search", "input": {"q": "x", "n": 1.5, "none": None}},
        {"type": "tool_result", "toolUseId": "call_1", "content": [{"type": "text", "text": "y"}], "isError": False},
        {"type": "image", "source": {"type": "base64", "data": "AAAA"}, "alt": "further field"},
        {"type": "of next year", "anything": [[], {}, ""]},
    ]
    parent = message()
    await store.append_messages(conversation_id, [parent])
    sent = message(
        role="assistant",
        content=content,
        tokenCount=9007199254740991,
        model="m",
        parentId=parent.id,
        metadata={"a": [1]},
    )
    appended, is_new = await store.append_messages(conversation_id, [sent])
    assert is_new
    _, kept = (await store.list_messages(conversation_id)).messages
    assert plain(kept) == {
        **dict.fromkeys(Message.__struct_encode_fields__),
        "version": 1,
        "id": sent.id,
        "conversationId": conversation_id,
        "seq": 2,
        "follows": 1,
        "role": "assistant",
        "content": content,
        "createdAt": appended.messages[0].created_at,
        "tokenCount": 9007199254740991,
        "model": "m",
        "parentId": parent.id,
        "metadata": {"a": [1]},
    }


async def test_numbers_in_content_are_kept_to_the_digit(backend: Backend) -> None:
    client = backend.client_of(f"user-{new_id()}")
    digits = b"[1e400,1.10,123456789012345678901234567890,-0.0,1E2]"
    body = b'{"role":"user","content":[{"type":"numbers","values":' + digits + b"}]}"
    created = (await client.post("/api/conversations", json={})).json()
    url = f"/api/conversations/{created['id']}/messages"
    response = await client.post(url, content=body, headers={"content-type": "application/json"})
    assert response.status_code == 201
    assert digits in (await client.get(url)).content


async def test_what_nobody_here_has_heard_of_comes_back_byte_for_byte(backend: Backend) -> None:
    client = backend.client_of(f"user-{new_id()}")
    blocks = (
        '[{"type":"__proto__","__proto__":{"polluted":true},"constructor":{"prototype":[]}}',
        '{"type":"text","text":"a","citations":[{"cited_text":"\\u0000","index":0.10}],"cache_control":null}',
        '{"type":"thinking","thinking":"","signature":"EqQBCkYIBxgCKkA=","":{"":""}}',
        '{"type":"redacted_thinking","data":"EmwKAhgBEgy3va3p"}',
        '{"type":"server_tool_use","id":"s","name":"n","input":{"z":1,"a":2},"caller":{"type":"direct"}}]',
    )
    content = ",".join(blocks)
    body = '{"role":"assistant","content":' + content + "}"
    created = (await client.post("/api/conversations", json={})).json()
    url = f"/api/conversations/{created['id']}/messages"
    response = await client.post(url, content=body, headers={"content-type": "application/json"})
    assert response.status_code == 201
    for page in (
        url,
        f"{url}?after=0",
        f"/api/conversations/{created['id']}/export",
        "/api/conversations/changes?since=0",
    ):
        assert f'"content":{content}' in (await client.get(page)).text, page


async def test_messages_are_numbered_in_the_order_sent_and_receipts_come_in_that_order(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_in(store, "first")
    sent = messages(5)[::-1]
    appended, _ = await store.append_messages(conversation_id, sent)
    assert [(receipt.id, receipt.seq) for receipt in appended.messages] == [
        (record.id, seq) for seq, record in enumerate(sent, start=2)
    ]
    assert appended.conversation.message_count == 6
    assert plain(appended.conversation) == plain(await store.get_conversation(conversation_id))


async def test_an_append_moves_updated_at_and_leaves_the_version(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_in(store)
    before = await store.get_conversation(conversation_id)
    await asyncio.sleep(0.005)
    appended, _ = await store.append_messages(conversation_id, messages(1))
    assert appended.conversation.updated_at > before.updated_at
    assert appended.conversation.created_at == before.created_at
    assert appended.conversation.version == before.version


async def test_a_repeat_gets_the_receipts_of_the_first_time_and_stores_nothing(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_in(store)
    sent = messages(3)
    first, _ = await store.append_messages(conversation_id, sent)
    await asyncio.sleep(0.005)
    again, is_new = await store.append_messages(conversation_id, sent)
    assert not is_new
    assert plain(again) == plain(first)


async def test_of_messages_partly_known_only_the_others_are_stored(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_in(store)
    sent = messages(5)
    await store.append_messages(conversation_id, [sent[1], sent[3]])
    appended, is_new = await store.append_messages(conversation_id, sent)
    assert is_new
    assert [receipt.seq for receipt in appended.messages] == [3, 1, 4, 2, 5]
    assert appended.conversation.message_count == 5


async def test_of_a_whole_history_that_is_sent_with_each_turn_only_what_is_new_is_kept(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_in(store)
    history = messages(9)
    for length in (1, 3, 5, 9, 9):
        appended, is_new = await store.append_messages(conversation_id, history[:length])
        assert appended.conversation.message_count == length
    assert not is_new
    new = messages(2)
    appended, _ = await store.append_messages(conversation_id, [new[0], *history[:4], new[1]])
    assert [receipt.seq for receipt in appended.messages] == [10, 1, 2, 3, 4, 11]


@pytest.mark.parametrize(
    ("first", "again", "status"),
    [
        ("1e17", "100000000000000000", 200),
        ("1.50", "1.5", 200),
        ("1e400", "1E400", 200),
        ("-0.0", "0", 200),
        ("0.1", "0.10000000000000000555", 409),
        ("1e400", "1e401", 409),
        ("12345678901234567890", "12345678901234567891", 409),
        ("1", '"1"', 409),
    ],
)
async def test_equal_numbers_are_the_same_and_others_are_not(
    backend: Backend, first: str, again: str, status: int
) -> None:
    client = backend.client_of(f"user-{new_id()}")
    created = (await client.post("/api/conversations", json={})).json()
    message_id = new_id()
    statuses = []
    for number in (first, again):
        body = f'{{"id":"{message_id}","role":"user","content":[{{"type":"n","n":{number}}}]}}'
        url = f"/api/conversations/{created['id']}/messages"
        response = await client.post(url, content=body, headers={"content-type": "application/json"})
        statuses.append(response.status_code)
    assert statuses == [201, status]


async def test_the_order_of_keys_and_white_space_do_not_make_another_message(backend: Backend) -> None:
    client = backend.client_of(f"user-{new_id()}")
    created = (await client.post("/api/conversations", json={})).json()
    message_id = new_id()
    statuses = []
    for content in (b'[{"type":"text","text":"A","n":1}]', b'[ {"n": 1.0, "text": "\\u0041",\n"type":"text"} ]'):
        body = b'{"id":"%b","role":"user","content":%b}' % (message_id.encode(), content)
        url = f"/api/conversations/{created['id']}/messages"
        response = await client.post(url, content=body, headers={"content-type": "application/json"})
        statuses.append(response.status_code)
    assert statuses == [201, 200]


@pytest.mark.parametrize(
    "other",
    [
        {"text": "B"},
        {"role": "system"},
        {"model": "m"},
        {"tokenCount": 1},
        {"parentId": new_id()},
        {"metadata": {"a": 1}},
    ],
    ids=lambda other: next(iter(other)),
)
async def test_another_message_under_a_known_id_is_a_conflict_and_nothing_is_stored(
    backend: Backend, other: dict[str, object]
) -> None:
    store = await backend.store()
    conversation_id = await conversation_in(store)
    first = message("A")
    await store.append_messages(conversation_id, [first])
    with pytest.raises(Conflict) as caught:
        await store.append_messages(
            conversation_id, [message("new"), message(**{"text": "A", "id": first.id, **other})]
        )
    assert caught.value.details == {"ids": [first.id]}
    kept = (await store.list_messages(conversation_id)).messages
    assert [plain(row.content) for row in kept] == [[{"type": "text", "text": "A"}]]


async def test_an_id_that_is_known_in_another_conversation_is_a_conflict(backend: Backend) -> None:
    store = await backend.store()
    here, elsewhere = await conversation_in(store), await conversation_in(store)
    sent = message("A")
    await store.append_messages(elsewhere, [sent])
    with pytest.raises(Conflict) as caught:
        await store.append_messages(here, [message("new"), sent])
    assert caught.value.details == {"ids": [sent.id]}
    assert (await store.get_conversation(here)).message_count == 0
    assert (await store.get_conversation(elsewhere)).message_count == 1


async def test_an_append_that_expects_the_count_there_is_goes_through(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_in(store, "first")
    appended, _ = await store.append_messages(conversation_id, messages(2), expected_message_count=1)
    assert appended.conversation.message_count == 3


@pytest.mark.parametrize("expected", [0, 2, 2**53 - 1])
async def test_an_append_that_expects_another_count_is_stale_and_stores_nothing(
    backend: Backend, expected: int
) -> None:
    store = await backend.store()
    conversation_id = await conversation_in(store, "first")
    with pytest.raises(Stale) as caught:
        await store.append_messages(conversation_id, messages(2), expected_message_count=expected)
    assert caught.value.details == {"messageCount": 1}
    assert (await store.get_conversation(conversation_id)).message_count == 1


async def test_a_repeat_is_a_success_whatever_count_it_expects(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_in(store)
    sent = messages(2)
    await store.append_messages(conversation_id, sent, expected_message_count=0)
    again, is_new = await store.append_messages(conversation_id, sent, expected_message_count=0)
    assert not is_new
    assert again.conversation.message_count == 2


async def test_a_conflict_comes_before_a_stale_count(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_in(store)
    first = message("A")
    await store.append_messages(conversation_id, [first])
    with pytest.raises(Conflict):
        await store.append_messages(conversation_id, [message("B", id=first.id)], expected_message_count=7)


async def test_an_append_to_a_conversation_that_never_was_or_is_deleted_is_not_found(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_in(store)
    known = message("A")
    await store.append_messages(conversation_id, [known])
    await store.delete_conversation(conversation_id)
    for missing in (conversation_id, new_id()):
        with pytest.raises(NotFound):
            await store.append_messages(missing, [known], expected_message_count=99)
    assert (await store.restore_conversation(conversation_id)).message_count == 1


async def test_the_first_words_of_a_user_become_the_title(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_in(store)
    sent = [message("Be terse.", role="system"), message(" \n\t "), message(f"  {'long ' * 20}\nand more")]
    appended, _ = await store.append_messages(conversation_id, sent)
    assert appended.conversation.title == ("long " * 20)[:57] + "..."
    assert appended.conversation.title_source == "first_message"
    appended, _ = await store.append_messages(conversation_id, [message("Another")])
    assert appended.conversation.title.startswith("long")


async def test_a_picture_alone_gives_no_title_and_the_words_after_it_do(backend: Backend) -> None:
    store = await backend.store()
    picture = new_message(content=[{"type": "image", "url": "https://pictures.example/1.png"}])
    record = conversation(picture)
    made, _ = await store.create_conversation(record)
    assert (made.title, made.title_source) == ("New conversation", "default")
    assert [row.id for row in (await store.list_conversations()).conversations] == [record.id]
    appended, _ = await store.append_messages(record.id, [message("What is this?")])
    assert (appended.conversation.title, appended.conversation.title_source) == ("What is this?", "first_message")


async def test_a_title_that_somebody_gave_stays(backend: Backend) -> None:
    store = await backend.store()
    record = conversation(title="Mine")
    await store.create_conversation(record)
    appended, _ = await store.append_messages(record.id, [message("Hello")])
    assert (appended.conversation.title, appended.conversation.title_source) == ("Mine", "user")


async def test_64_appends_at_once_each_sent_twice_are_all_there_once_without_gaps(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_in(store)
    sent = [message(f"message {number}") for number in range(64)]
    gate = asyncio.Semaphore(16)

    async def append(index: int) -> int:
        async with gate:
            appended, _ = await store.append_messages(conversation_id, [sent[index]])
            return appended.messages[0].seq

    seqs = await asyncio.gather(*(append(index % 64) for index in range(128)))
    assert seqs[:64] == seqs[64:]
    assert sorted(seqs[:64]) == [*range(1, 65)]
    kept = (await store.list_messages(conversation_id, limit=200)).messages
    assert [row.seq for row in kept] == [*range(1, 65)]
    assert {row.id for row in kept} == {record.id for record in sent}
    assert (await store.get_conversation(conversation_id)).message_count == 64


async def test_of_two_writers_that_expect_the_same_count_one_wins(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_in(store)
    results = await asyncio.gather(
        *(store.append_messages(conversation_id, messages(2), expected_message_count=0) for _ in range(4)),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in results) == ["Stale", "Stale", "Stale", "tuple"]
    assert (await store.get_conversation(conversation_id)).message_count == 2


async def test_an_append_larger_than_one_value_of_the_database_is_stored_whole(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_in(store, "first")
    sent = [message("x" * 900_000 + str(number)) for number in range(8)]
    appended, _ = await store.append_messages(conversation_id, sent)
    assert [receipt.seq for receipt in appended.messages] == [*range(2, 10)]
    again, is_new = await store.append_messages(conversation_id, sent)
    assert not is_new
    assert plain(again.messages) == plain(appended.messages)


async def test_a_large_append_with_one_conflict_stores_none_of_it(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_in(store)
    taken = message("A")
    await store.append_messages(conversation_id, [taken])
    sent = [*(message("x" * 900_000) for _ in range(5)), message("B", id=taken.id)]
    with pytest.raises(Conflict):
        await store.append_messages(conversation_id, sent)
    assert (await store.get_conversation(conversation_id)).message_count == 1


async def test_a_message_of_the_largest_size_is_kept(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_in(store)
    frame = len(msgspec.json.encode([{"type": "text", "text": ""}]))
    text = "ü" * ((MESSAGE_BYTES_MAX - frame) // 2)
    await store.append_messages(conversation_id, [message(text)])
    (kept,) = (await store.list_messages(conversation_id)).messages
    assert plain(kept.content) == [{"type": "text", "text": text}]
