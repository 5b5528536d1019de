"""Drafts and branches in one process, over HTTP without a network: what a store elsewhere asks, and what goes wrong."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import httpx
import msgspec
import pytest
from msgspec import Raw

from support.backends import Backend
from support.in_process import as_user, over_memory
from support.python_client import KINDS, python_client
from support.records import conversation, message, new_message
from support.stores import open_sqlite
from threadkeep.client import RemoteStore
from threadkeep.conversations import retention
from threadkeep.conversations.drafts import reading, service, streaming
from threadkeep.conversations.drafts.models import DraftEnd, NewDraft, NewParts, Op, PartsWritten
from threadkeep.conversations.forking import fork_conversation
from threadkeep.conversations.models import NewFork
from threadkeep.errors import Conflict, Invalid, Unavailable
from threadkeep.server import application
from threadkeep.server.application import Application
from threadkeep.signals import Signals
from threadkeep.storage.memory.store import MemoryDatabase
from threadkeep.storage.sql.conversations import SqlStore
from threadkeep.storage.sql.database import SharedSqlDatabase
from threadkeep.storage.sql.drafts import DraftsMoved

pytestmark = pytest.mark.anyio

URL = "http://threadkeep.example"
PART = [Op(block=0, set=Raw(b'{"type": "text", "text": "A"}'))]


def part(first: int = 0, *, fence: int = 1) -> NewParts:
    return NewParts(fence=fence, first=first, parts=[PART])


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    transport = over_memory(MemoryDatabase())
    async with httpx.AsyncClient(transport=transport, base_url=URL, headers=as_user("ada")) as client:
        yield client


async def test_a_store_elsewhere_does_with_branches_and_drafts_what_it_is_asked(client: httpx.AsyncClient) -> None:
    store = RemoteStore(client, "ada")
    record = conversation(first := new_message("question"), new_message("answer"))
    await store.create_conversation(record)
    again = message("again", siblingOf=first.id)
    await store.append_messages(record.id, [again])
    siblings = (await store.list_branches(record.id, again.id)).siblings
    assert [(each.id, each.is_current) for each in siblings] == [(first.id, False), (again.id, True)]
    assert (await store.select_leaf(record.id, str(first.id), descend=False)).leaf_id == first.id
    assert (await store.delete_branch(record.id, again.id)).deleted == 1
    assert (await store.restore_branch(record.id, again.id)).message_count == 3
    forked, is_new = await fork_conversation(store, record.id, NewFork(id="fork", message_id=again.id))
    assert (forked.message_count, is_new) == (1, True)
    draft, is_new = await service.start_draft(store, record.id, NewDraft(id="draft"))
    assert (draft.fence, is_new) == (1, True)
    assert (await service.write_parts(store, draft.id, part())).next == 1
    assert (await store.take_draft(draft.id)).fence == 2
    assert (await store.stop_draft(draft.id)).stop
    assert [each.ops for each in (await store.get_draft(draft.id)).parts] == [Raw(msgspec.json.encode(PART))]
    assert [each.id for each in await store.list_drafts(record.id)] == [draft.id]
    appended, is_new = await service.settle_draft(store, draft.id, DraftEnd(fence=2, state="complete"))
    assert is_new
    assert appended is not None
    empty, _ = await service.start_draft(store, record.id, NewDraft(id="empty"))
    assert await service.settle_draft(store, empty.id, DraftEnd(fence=1, state="interrupted")) == (None, False)


async def test_what_shows_no_text_has_an_empty_preview(client: httpx.AsyncClient) -> None:
    store = RemoteStore(client, "ada")
    sent = {"id": "image", "role": "user", "content": [{"type": "image", "url": "a"}]}
    (await client.post("/api/conversations", json={"id": "pictures", "messages": [sent]})).raise_for_status()
    assert [each.preview for each in (await store.list_branches("pictures", "image")).siblings] == [""]


async def test_a_draft_is_followed_to_its_end(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_PARTS_AT_ONCE", 1)
    store = RemoteStore(client, "ada")
    record = conversation(new_message("question"))
    await store.create_conversation(record)
    draft, _ = await service.start_draft(store, record.id, NewDraft(id="draft"))
    for number in range(2):
        await service.write_parts(store, draft.id, part(number))
    path = f"/api/drafts/{draft.id}/events"
    following = [asyncio.create_task(client.get(path, params={"folded": folded})) for folded in ("true", "false")]
    await asyncio.sleep(1.5)  # and asks once more, in vain
    await service.settle_draft(store, draft.id, DraftEnd(fence=1, state="complete"))
    folded, parts = [(await each).text for each in following]
    assert "event: content" in folded
    assert "event: part" not in folded
    assert parts.count("event: part") == 2
    assert all(text.count("event: settled") == text.count("event: caught-up") == 1 for text in (folded, parts))
    last = [line.removeprefix("id: ") for line in parts.splitlines() if line.startswith("id: ")][-1]
    assert (await client.get(path, headers={"Last-Event-ID": last})).status_code == 204
    assert (await client.get(path, headers={"Last-Event-ID": "nonsense"})).status_code == 400
    later = await client.get(path, headers={"Last-Event-ID": "0"})
    assert later.text.count("event: settled") == 1


async def test_whoever_follows_a_draft_is_told_when_its_conversation_goes(client: httpx.AsyncClient) -> None:
    store = RemoteStore(client, "ada")
    record = conversation(new_message("question"))
    await store.create_conversation(record)
    draft, _ = await service.start_draft(store, record.id, NewDraft(id="draft"))
    following = asyncio.create_task(client.get(f"/api/drafts/{draft.id}/events"))
    await asyncio.sleep(0.2)
    await store.delete_conversation(record.id)
    assert (await following).status_code == 200


async def test_a_part_that_no_longer_fits_the_stream_is_refused() -> None:
    store = MemoryDatabase().open_store("ada")
    record = conversation(new_message("question"))
    await store.create_conversation(record)
    draft, _ = await service.start_draft(store, record.id, NewDraft(id="draft"))

    async def pieces() -> AsyncIterator[bytes]:
        for line in (b'{"block": 0, "set": {"type": "text", "text": "A"}}\n', b'{"block": 0, "append": "b"}\n'):
            yield line

    kept: list[int] = []
    how: dict[str, Any] = {"fence": 1, "pace": streaming.LIVELY, "kept": lambda: kept.append(1)}
    written, _ = await streaming.receive(store, draft.id, pieces(), first=0, **how)
    assert isinstance(written, PartsWritten)
    assert written.next == len(kept) > 0
    for first in (0, 5):
        with pytest.raises(Conflict):
            await streaming.receive(store, draft.id, pieces(), first=first, **how)


async def test_a_first_line_that_changes_what_is_not_there_is_refused() -> None:
    store = MemoryDatabase().open_store("ada")
    record = conversation(new_message("question"))
    await store.create_conversation(record)
    draft, _ = await service.start_draft(store, record.id, NewDraft(id="draft"))

    async def pieces() -> AsyncIterator[bytes]:
        yield b'{"block": 3, "append": "b"}\n'

    how: dict[str, Any] = {"fence": 1, "first": None, "pace": streaming.LIVELY, "kept": lambda: None}
    with pytest.raises(Invalid, match="lines"):
        await streaming.receive(store, draft.id, pieces(), **how)
    assert (await store.get_draft(draft.id)).parts == []


async def test_what_came_of_a_stream_that_breaks_between_two_lines_is_kept() -> None:
    store = MemoryDatabase().open_store("ada")
    record = conversation(new_message("question"))
    await store.create_conversation(record)
    draft, _ = await service.start_draft(store, record.id, NewDraft(id="draft"))
    waits = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield b'{"block": 0, "set": {"type": "text", "text": "A"}}\n'
        yield b'{"block": 0, "append": "b"}\n'
        await waits.wait()

    receiving = asyncio.create_task(
        streaming.receive(store, draft.id, pieces(), fence=1, first=None, pace=streaming.Pace(0.05), kept=lambda: None)
    )
    await asyncio.sleep(0.3)
    receiving.cancel()
    with suppress(asyncio.CancelledError):
        await receiving
    _, content = await reading.read_folded(store, draft.id)
    assert b"Ab" in bytes(content.content)


@pytest.mark.parametrize("kind", ["append", "settle"])
async def test_drafts_that_others_write_to_again_and_again_are_busy(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    executor = await open_sqlite(":memory:")
    store = SqlStore(executor, "ada")
    record = conversation(new_message("question"))
    await store.create_conversation(record)
    draft, _ = await service.start_draft(store, record.id, NewDraft(id="draft"))
    await service.write_parts(store, draft.id, part())

    async def moved(*arguments: Any, **options: Any) -> None:
        if kind == "append":
            raise DraftsMoved

    monkeypatch.setattr(store, "_append" if kind == "append" else "_settle", moved)
    writing: Any = store.append_messages(record.id, [message("more")])
    if kind == "settle":
        writing.close()
        writing = service.settle_draft(store, draft.id, DraftEnd(fence=1, state="complete"))
    with pytest.raises(Unavailable, match="again and again"):
        await writing
    executor.close()


async def test_a_repeated_creation_with_more_messages_heeds_drafts_as_an_append_does() -> None:
    executor = await open_sqlite(":memory:")
    store = SqlStore(executor, "ada")
    record = conversation(first := new_message("question"))
    await store.create_conversation(record)
    await service.start_draft(store, record.id, NewDraft(id="draft"))
    with pytest.raises(Conflict) as refused:
        await store.put_conversation(conversation(first, new_message("more"), id=record.id))
    assert refused.value.details["reason"] == "draft_open"
    executor.close()


async def test_an_append_under_the_id_of_a_conversation_settles_drafts_past_their_deadline() -> None:
    executor = await open_sqlite(":memory:")
    store = SqlStore(executor, "ada")
    record = conversation(first := new_message("question"))
    await store.create_conversation(record)
    draft, _ = await service.start_draft(store, record.id, NewDraft(id="draft", lease_seconds=1))
    await service.write_parts(store, draft.id, part())
    await asyncio.sleep(1.2)
    await store.put_conversation(conversation(first, new_message("more"), id=record.id))
    assert (await store.get_message(record.id, draft.id)).seq == 2
    executor.close()


async def test_whoever_follows_a_draft_past_its_deadline_has_it_settled_and_others_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database, signals = MemoryDatabase(), Signals()
    store = database.open_store("ada")
    record = conversation(new_message("question"))
    await store.create_conversation(record)
    draft, _ = await service.start_draft(store, record.id, NewDraft(id="draft", lease_seconds=1))
    await service.write_parts(store, draft.id, part())
    transport = over_memory(database)
    monkeypatch.setattr(transport._api, "handle", partial(transport._api.handle, signals=signals))
    before = signals.count
    async with httpx.AsyncClient(transport=transport, base_url=URL, headers=as_user("ada")) as client:
        told = (await client.get(f"/api/drafts/{draft.id}/events")).text
    assert told.count("event: settled") == 1
    assert signals.count > before


@pytest.mark.parametrize("product", ["memory", "sqlite"])
async def test_drafts_past_their_deadline_are_settled_for_everybody(
    product: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = await open_sqlite(":memory:")
    database: Any = MemoryDatabase() if product == "memory" else SharedSqlDatabase(executor)
    stores = {user: database.open_store(user) for user in ("ada", "bob")}
    for user, store in stores.items():
        record = conversation(new_message("question"), id=f"{user}s")
        await store.create_conversation(record)
        draft, _ = await service.start_draft(store, record.id, NewDraft(id="draft", lease_seconds=1))
        await service.write_parts(store, draft.id, part())
    await asyncio.sleep(1.1)
    with monkeypatch.context() as broken:
        broken.setattr(database, "open_store", lambda user: None)
        with pytest.raises(ExceptionGroup, match="could not be settled"):
            await retention.settle_drafts(database)
    told: list[str] = []
    await retention.settle_drafts(database, told.append)
    assert sorted(told) == ["ada", "bob"]
    for user, store in stores.items():
        assert (await store.get_message(f"{user}s", "draft")).seq == 2
        assert await store.list_drafts(f"{user}s") == []
    executor.close()


async def test_changes_leave_out_drafts_of_a_deleted_conversation() -> None:
    store = MemoryDatabase().open_store("ada")
    record = conversation(new_message("question"))
    await store.create_conversation(record)
    await service.start_draft(store, record.id, NewDraft(id="draft"))
    await store.delete_conversation(record.id)
    assert (await store.changes("0")).drafts == []


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_pending_is_written_before_a_draft_is_settled(client: httpx.AsyncClient, kind: str) -> None:
    ours = python_client(cast("Backend", SimpleNamespace(client=client)), "ada", kind)
    made = await ours.conversations.create(messages=[{"role": "user", "content": "question"}])
    async with made.draft(role="assistant") as draft:
        await draft.write("A")
        await draft.write("B")
        await draft.settle("complete")
    assert [each.content async for each in made.messages()][-1] == [{"type": "text", "text": "AB"}]


async def test_a_server_settles_drafts_on_a_timer_and_goes_on_after_a_failure(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(application, "DRAFTS_SECONDS", 0.01)
    calls: list[int] = []

    async def settle(database: Any, publish: Any) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise Unavailable("not now")
        if len(calls) == 3:
            raise asyncio.CancelledError

    monkeypatch.setattr(retention, "settle_drafts", settle)
    served = Application({"AGENT_CONVERSATION_STORE": "memory"}.get)
    with caplog.at_level(logging.ERROR), pytest.raises(asyncio.CancelledError):
        await served._settle_for_ever(MemoryDatabase())
    assert "drafts could not be settled" in caplog.text
    assert len(calls) == 3
