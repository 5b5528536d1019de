"""How many round trips each method of a store takes, where a batch is one: as `conversations/store.py` promises.

What D1 and a Durable Object are asked for a request is counted inside workerd, and what Postgres is, at its socket.
"""

from collections.abc import Sequence
from typing import Any

import pytest
from msgspec import Raw

from support.records import conversation, edit, message, message_edit, new_message
from support.stores import open_sqlite
from threadkeep.conformance.helpers import blobs, tasks
from threadkeep.conformance.helpers.journals import KEY, SPACE, append, patch, put, read
from threadkeep.conversations import export_v1
from threadkeep.conversations.drafts.models import NewDraft, NewParts, Op
from threadkeep.conversations.drafts.records import EndRecord
from threadkeep.conversations.drafts.service import draft_record, parts_record
from threadkeep.conversations.records import ConversationFilter, ForkRecord, SearchQuery
from threadkeep.conversations.store import DatabaseStore
from threadkeep.ids import new_id
from threadkeep.storage.sql.conversations import SqlStore
from threadkeep.storage.sql.executor import Row, Statement
from threadkeep.storage.sqlite.dialect import SQLITE
from threadkeep.storage.sqlite.file import SqliteExecutor
from threadkeep.work import finished

pytestmark = pytest.mark.anyio

DOCUMENT = b'{"version": 1, "conversation": {"title": "Old", "messages": []}}'
EXCEPTIONS = {"settle_draft": 2, "fork_conversation": 3, "sweep": 12, "tidy": 3}
"""Methods that may take more than one, and how many at the most."""


class Counting:
    """An executor that counts the batches."""

    statements = SQLITE
    bookmark: str | None = None

    def __init__(self, executor: SqliteExecutor) -> None:
        self._executor = executor
        self.count = 0

    async def run(self, *statements: Statement) -> list[list[Row]]:
        self.count += 1
        return await self._executor.run(*statements)

    async def clear(self, *statements: Statement) -> None:
        """Everybody is in one database."""


def calls(first: str, second: str, sent: str) -> Sequence[tuple[str, tuple[Any, ...], dict[str, Any]]]:
    """Each method, in an order in which there is something to do for it."""
    begun = [Op(block=0, set=Raw(b'{"type":"text","text":"a"}'))]
    imported = finished(export_v1.import_record(DOCUMENT, None, 0))
    return [
        ("create_conversation", (conversation(new_message(), id=first, title="A"),), {}),
        ("create_conversation", (conversation(new_message(), id=second),), {}),
        ("put_conversation", (conversation(new_message(), id=new_id(), title="C"),), {"expected_message_count": 0}),
        ("put_conversation", (conversation(new_message(), id=first, title="C"),), {"expected_message_count": 1}),
        ("import_conversations", ([imported],), {}),
        ("get_conversation", (first,), {}),
        ("list_conversations", (), {}),
        ("list_conversations", (), {"cursor": first}),
        ("list_conversations", (), {"cursor": first, "is_archived": None}),
        ("list_conversations", (), {"only": ConversationFilter(model="m", metadata=("a", "1"))}),
        ("update_conversation", (first, edit(title="B", metadata={"a": 1})), {}),
        ("append_messages", (first, [message(id=sent), message()]), {}),
        ("get_message", (first, sent), {}),
        ("update_message", (first, sent, message_edit({"a": 1})), {}),
        ("update_message", (first, sent, message_edit()), {"expected_version": 2}),
        ("list_messages", (first,), {}),
        ("list_messages", (first,), {"branch": sent}),
        ("list_messages", (first,), {"branch": "active", "after": 0}),
        ("append_messages", (first, [message(siblingOf=sent)]), {}),
        ("list_branches", (first, sent), {}),
        ("select_leaf", (first, sent), {"descend": False}),
        ("delete_branch", (first, sent), {}),
        ("restore_branch", (first, sent), {}),
        ("fork_conversation", (first, ForkRecord(id=new_id(), message_id=sent, title=None, digest="")), {}),
        ("start_draft", (first, draft_record(NewDraft(id="draft"))), {}),
        ("write_parts", ("draft", parts_record(NewParts(fence=1, first=0, parts=[begun]))), {}),
        ("write_parts", ("draft", parts_record(NewParts(fence=1, first=0, parts=[begun]))), {}),
        ("get_draft", ("draft",), {}),
        ("list_drafts", (first,), {}),
        ("list_messages", (first,), {}),
        ("take_draft", ("draft",), {}),
        ("stop_draft", ("draft",), {}),
        ("settle_draft", ("draft", EndRecord(fence=2, state="complete")), {}),
        ("settle_draft", ("draft", EndRecord(fence=2, state="complete")), {}),
        ("settle_overdue_drafts", (), {}),
        ("list_messages", (first,), {"cursor": sent}),
        ("list_messages", (first,), {"cursor": "WyJiIiwyXQ"}),  # a cursor as they were, which may be an id
        ("search", (SearchQuery(text="hello"),), {}),
        ("changes", (), {}),
        ("changes", ("0",), {}),
        ("delete_conversation", (first,), {}),
        ("restore_conversation", (first,), {}),
        ("delete_conversation", (second,), {}),
        ("oldest_append", (), {}),
        ("expire", (2**52,), {}),
        ("delete_conversations", (2**52,), {}),
        ("purge", (2**52,), {}),
        *[("sweep", (), {})] * 4,
        *[("tidy", (), {})] * 4,
        ("erase", (), {}),
        *[("sweep", (), {})] * 4,
    ]


async def test_a_method_is_one_round_trip_with_the_exceptions_that_the_contract_names() -> None:
    opened = await open_sqlite(":memory:")
    executor = Counting(opened)
    store = SqlStore(executor, "ada")
    first, second, sent = (conversation().id for _ in range(3))
    counts: dict[str, list[int]] = {}
    for name, arguments, options in calls(first, second, sent):
        executor.count = 0
        await getattr(store, name)(*arguments, **options)
        counts.setdefault(name, []).append(executor.count)
    opened.close()
    methods = {name for each in DatabaseStore.__mro__ for name, it in vars(each).items() if callable(it)}
    assert set(counts) == {name for name in methods if not name.startswith("_")}
    assert {name: found for name, found in counts.items() if name not in EXCEPTIONS and set(found) != {1}} == {}
    assert all(max(counts[name]) <= most for name, most in EXCEPTIONS.items())
    assert max(counts["sweep"]) > 1


async def test_a_page_of_messages_that_are_too_large_together_takes_two() -> None:
    opened = await open_sqlite(":memory:")
    executor = Counting(opened)
    store = SqlStore(executor, "ada")
    record = conversation(*(new_message("x" * 900_000) for _ in range(3)))
    await store.create_conversation(record)
    executor.count = 0
    assert len((await store.list_messages(record.id)).messages) == 1
    opened.close()
    assert executor.count == 2


async def test_whatever_is_done_to_a_journal_is_one_round_trip() -> None:
    opened = await open_sqlite(":memory:")
    executor = Counting(opened)
    state = SqlStore(executor, "ada").state
    large = "x" * 2_000_000
    counts = []
    for act in (
        lambda: put(state, head={"a": 1}),
        lambda: put(state, mode="save", head={"a": 1}),
        lambda: put(state, mode="replace", head={"a": 1}),
        lambda: patch(state, head={"a": None}),
        lambda: append(state, large, ("id", large), head=1),
        lambda: append(state, "new", cut=1, remove=["id"]),
        lambda: append(state, "new", key="another", create=True),
        lambda: read(state, with_head=True),
        lambda: read(state, newest=True),
        lambda: read(state, only="new"),
        lambda: read(state, beyond="new"),
        lambda: state.get_journal(SPACE, KEY),
        lambda: state.list_journals(SPACE, limit=1),
        lambda: state.pop_entry(SPACE, KEY),
        lambda: state.acquire_producer(SPACE, KEY, "p", request="r"),
        lambda: state.delete_journal(SPACE, KEY, expected=6),
    ):
        executor.count = 0
        await act()
        counts.append(executor.count)
    opened.close()
    assert set(counts) == {1}


async def test_whatever_is_done_to_a_task_is_one_round_trip() -> None:
    opened = await open_sqlite(":memory:")
    executor = Counting(opened)
    state = SqlStore(executor, "ada").state
    large = "x" * 2_000_000
    counts = []
    for act in (
        lambda: tasks.admit(state, "a", payload=large),
        lambda: tasks.admit(state, "a", payload=large),
        lambda: tasks.admit(state, "b", payload=large),
        lambda: tasks.claim(state, "a", lease=5),
        lambda: tasks.change(state, "a", "note", attempt="a1", note={"a": 1}),
        lambda: tasks.absorb(state, "a"),
        lambda: tasks.change(state, "b", "join", host="a", attempt="a1"),
        lambda: tasks.renew(state, "a", "b"),
        lambda: tasks.listed(state, "open"),
        lambda: tasks.listed(state, "joined", host="a"),
        lambda: state.has_open_tasks(tasks.QUEUE),
        lambda: tasks.change(state, "a", "reserve", attempt="a1", settlementId="s", settlement=large),
        lambda: tasks.get(state, "a"),
        lambda: tasks.change(state, "a", "finalize", attempt="a1", settlementId="s"),
        lambda: tasks.change_lane(state, "abort"),
        lambda: tasks.change_lane(state, "close"),
        lambda: tasks.change_lane(state, "clear"),
    ):
        executor.count = 0
        await act()
        counts.append(executor.count)
    opened.close()
    assert set(counts) == {1}


async def test_whatever_is_done_to_a_blob_is_one_round_trip() -> None:
    opened = await open_sqlite(":memory:")
    executor = Counting(opened)
    state = SqlStore(executor, "ada").state
    counts = []
    for act in (
        lambda: blobs.put(state, b"large" * 500_000),
        lambda: blobs.put(state, b"large" * 500_000),
        lambda: state.get_blob(SPACE, blobs.KEY),
        lambda: state.find_blob(SPACE, blobs.KEY),
        lambda: state.delete_blob(SPACE, blobs.KEY),
    ):
        executor.count = 0
        await act()
        counts.append(executor.count)
    opened.close()
    assert set(counts) == {1}
