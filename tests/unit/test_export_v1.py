"""Export and import where they meet the edges: many conversations, some that go meanwhile, and what is too long."""

import json
from collections.abc import AsyncIterator

import httpx
import pytest
from msgspec import Raw

from support.records import conversation, edit, message, messages, new_message
from support.stores import new_memory, open_memory
from threadkeep.client import RemoteStore
from threadkeep.conversations import service
from threadkeep.conversations.export_v1 import (
    BATCH_BYTES_MAX,
    DOCUMENT_BYTES_MAX,
    DOCUMENT_MESSAGES_MAX,
    export_everything,
    import_documents,
    import_record,
    lines,
)
from threadkeep.conversations.records import ImportRecord
from threadkeep.conversations.store import Store
from threadkeep.errors import ThreadkeepError, TooLarge, Unsupported
from threadkeep.storage.sqlite.file import SqliteExecutor
from threadkeep.work import finished

pytestmark = pytest.mark.anyio


@pytest.fixture
def store() -> Store:
    return open_memory(new_memory(), "ada")


async def ids_in(pieces: AsyncIterator[bytes]) -> list[str]:
    body = b"".join([piece async for piece in pieces])
    return [json.loads(line)["conversation"]["id"] for line in body.splitlines()]


async def test_more_conversations_than_a_page_holds_are_exported_each_once(store: Store) -> None:
    records = [conversation(title=str(number)) for number in range(150)]
    for record in records:
        await store.create_conversation(record)
    assert sorted(await ids_in(await export_everything(store))) == sorted(record.id for record in records)


async def test_what_is_deleted_before_its_turn_is_left_out(store: Store) -> None:
    records = [conversation(title=str(number)) for number in range(3)]
    for record in records:
        await store.create_conversation(record)
    pieces = await export_everything(store)
    first = await anext(pieces)
    for record in records:
        await store.delete_conversation(record.id)
    rest = b"".join([piece async for piece in pieces])
    assert len((first + rest).splitlines()) == 1


async def test_what_moves_from_list_to_list_while_it_is_read_is_exported_once(store: Store) -> None:
    records = [conversation(title=str(number)) for number in range(3)]
    for record in records:
        await store.create_conversation(record)
    pieces = await export_everything(store)
    body = await anext(pieces)
    for record in records:
        await store.update_conversation(record.id, edit(is_archived=True))
        await store.append_messages(record.id, messages(300))
    body += b"".join([piece async for piece in pieces])
    exported = [json.loads(line)["conversation"]["id"] for line in body.splitlines()]
    assert sorted(exported) == sorted(record.id for record in records)


async def test_content_of_several_lines_is_exported_on_one(store: Store) -> None:
    record = conversation()
    await store.create_conversation(record)
    sent = message("x")
    sent.message.content = Raw(b'[\n{"type": "text",\r\n"text": "a b", "n": 1e400}\n]')
    await store.append_messages(record.id, [sent])
    body = b"".join([piece async for piece in await export_everything(store)])
    assert body.count(b"\n") == 1
    assert b'[{"type":"text","text":"a b","n":1e400}]' in body


def test_a_document_of_too_many_messages_is_too_large() -> None:
    sent = [{"role": "user", "content": [{"type": "x"}]}] * (DOCUMENT_MESSAGES_MAX + 1)
    text = json.dumps({"version": 1, "conversation": {"messages": sent}}).encode()
    with pytest.raises(TooLarge, match="may have 20000 messages"):
        finished(import_record(text, None, 0))


@pytest.mark.parametrize("ending", [b"", b"\n", b"x\n"])
async def test_a_line_that_is_too_long_is_told_once_and_the_next_is_read(ending: bytes) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"first\n"
        for _ in range(10):
            yield b"x" * (DOCUMENT_BYTES_MAX // 8)
        yield ending
        if ending:
            yield b"last"

    found = [line async for line in lines(pieces())]
    assert found[0] == b"first"
    assert isinstance(found[1], TooLarge)
    assert found[2:] == ([b"last"] if ending else [])


def test_more_words_than_can_be_indexed_at_once_are_too_large_however_they_are_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service, "INDEXED_MAX", 2 * (len("message 1") + 2 * 8))
    sent = [{"role": "user", "content": [{"type": "text", "text": f"message {number}"}]} for number in range(1, 4)]

    def document(count: int) -> bytes:
        return json.dumps({"version": 1, "conversation": {"messages": sent[:count]}}).encode()

    assert len(messages(2)) == len(conversation(new_message("message 1"), new_message("message 2")).messages) == 2
    assert len(finished(import_record(document(2), None, 0)).messages) == 2
    with pytest.raises(TooLarge, match=r"^messages: There are too many words") as caught:
        messages(3)
    assert caught.value.details == {"path": "messages"}
    with pytest.raises(TooLarge, match=r"^messages: There are too many words"):
        conversation(*[new_message("message 1")] * 3)
    with pytest.raises(TooLarge, match=r"^conversation\.messages: There are too many words"):
        finished(import_record(document(3), None, 0))


async def test_documents_are_kept_by_what_is_indexed_of_them_and_a_large_one_at_once(store: Store) -> None:
    sizes: list[int] = []
    keep = store.import_conversations

    async def keep_and_tell(records: list[ImportRecord]) -> list[ThreadkeepError | None]:
        sizes.append(len(records))
        return await keep(records)

    store.import_conversations = keep_and_tell  # type: ignore[method-assign]

    def document(count: int) -> bytes:
        sent = {"role": "user", "content": [{"type": "text", "text": "a " * 8_000}]}  # of which 80,000 are indexed
        return json.dumps({"version": 1, "conversation": {"messages": [sent] * count}}).encode()

    assert 4 * 96_000 * 2 < BATCH_BYTES_MAX < 60 * 80_000
    few, many = document(4), document(60)
    kept_before: list[int] = []

    async def entries() -> AsyncIterator[bytes | ThreadkeepError]:
        for entry in (few, few, many, few):
            kept_before.append(sum(sizes))
            yield entry

    report = await import_documents(store, entries(), None)
    assert [imported.message_count for imported in report.imported] == [4, 4, 60, 4]
    assert sizes == [2, 1, 1]
    assert kept_before == [0, 0, 0, 3]


async def test_an_import_through_a_remote_store_says_how_it_is_done() -> None:
    async with httpx.AsyncClient(base_url="http://threadkeep") as client:
        with pytest.raises(Unsupported, match="POST /api/import"):
            await RemoteStore(client, "ada").import_conversations([])


def close(executor: object) -> None:
    assert isinstance(executor, SqliteExecutor)
    executor.close()
