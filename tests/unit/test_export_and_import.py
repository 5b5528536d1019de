"""Export and import where they meet the edges: many conversations, some that go meanwhile, and what is too long."""

import json
from collections.abc import AsyncIterator

import httpx
import pytest

from support.drafts import conversation, edit, message, messages, new_message
from threadkeep.backends import new_memory, open_memory, open_sqlite
from threadkeep.drafts import SearchQuery
from threadkeep.errors import TooLarge, Unsupported
from threadkeep.sql import store as sql_store
from threadkeep.sql.sqlite import SqliteExecutor
from threadkeep.sql.store import SqlStore
from threadkeep.store import Store
from threadkeep.stores.remote import RemoteStore
from threadkeep.transfer import DOCUMENT_BYTES_MAX, DOCUMENT_MESSAGES_MAX, draft_import, export_everything, lines

pytestmark = pytest.mark.anyio


@pytest.fixture
def store() -> Store:
    return open_memory(new_memory(), "ada")


async def ids_in(pieces: AsyncIterator[bytes]) -> list[str]:
    body = b"".join([piece async for piece in pieces])
    return [json.loads(line)["conversation"]["id"] for line in body.splitlines()]


async def test_more_conversations_than_a_page_holds_are_exported_each_once(store: Store) -> None:
    drafts = [conversation(title=str(number)) for number in range(150)]
    for draft in drafts:
        await store.create_conversation(draft)
    assert sorted(await ids_in(await export_everything(store))) == sorted(draft.id for draft in drafts)


async def test_what_is_deleted_before_its_turn_is_left_out(store: Store) -> None:
    drafts = [conversation(title=str(number)) for number in range(3)]
    for draft in drafts:
        await store.create_conversation(draft)
    pieces = await export_everything(store)
    first = await anext(pieces)
    for draft in drafts:
        await store.delete_conversation(draft.id)
    rest = b"".join([piece async for piece in pieces])
    assert len((first + rest).splitlines()) == 1


async def test_what_moves_from_list_to_list_while_it_is_read_is_exported_once(store: Store) -> None:
    drafts = [conversation(title=str(number)) for number in range(3)]
    for draft in drafts:
        await store.create_conversation(draft)
    pieces = await export_everything(store)
    body = await anext(pieces)
    for draft in drafts:
        await store.update_conversation(draft.id, edit(is_archived=True))
        await store.append_messages(draft.id, messages(300))
    body += b"".join([piece async for piece in pieces])
    exported = [json.loads(line)["conversation"]["id"] for line in body.splitlines()]
    assert sorted(exported) == sorted(draft.id for draft in drafts)


async def test_content_of_several_lines_is_exported_on_one(store: Store) -> None:
    draft = conversation()
    await store.create_conversation(draft)
    sent = message("x")
    sent.content = type(sent.content)(b'[\n{"type": "text",\r\n"text": "a b", "n": 1e400}\n]')
    await store.append_messages(draft.id, [sent])
    body = b"".join([piece async for piece in await export_everything(store)])
    assert body.count(b"\n") == 1
    assert b'[{"type":"text","text":"a b","n":1e400}]' in body


def test_a_document_of_too_many_messages_is_too_large() -> None:
    sent = [{"role": "user", "content": [{"type": "x"}]}] * (DOCUMENT_MESSAGES_MAX + 1)
    text = json.dumps({"version": 1, "conversation": {"messages": sent}}).encode()
    with pytest.raises(TooLarge, match="may have 20000 messages"):
        draft_import(text, None, 0)


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


async def test_words_that_unfold_into_many_do_not_outgrow_the_index() -> None:
    executor = await open_sqlite(":memory:")
    store = SqlStore(executor, "ada")
    draft = conversation(new_message("begins " + "\ufdfa" * 15_000, role="assistant"))
    await store.create_conversation(draft)
    assert len((await store.search(SearchQuery(text="begins"))).hits) == 1
    close(executor)


async def test_more_words_than_can_be_indexed_at_once_are_too_large_and_nothing_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sql_store, "_WORDS_OF_REQUEST_MAX", 50)
    executor = await open_sqlite(":memory:")
    store = SqlStore(executor, "ada")
    draft = conversation()
    await store.create_conversation(draft)
    with pytest.raises(TooLarge, match="too many words"):
        await store.append_messages(draft.id, messages(9))
    assert (await store.get_conversation(draft.id)).message_count == 0
    close(executor)


async def test_an_import_through_a_remote_store_says_how_it_is_done() -> None:
    async with httpx.AsyncClient(base_url="http://threadkeep") as client:
        with pytest.raises(Unsupported, match="POST /api/import"):
            await RemoteStore(client, "ada").import_conversations([])


def close(executor: object) -> None:
    assert isinstance(executor, SqliteExecutor)
    executor.close()
