"""Each store beside the memory store as its model: whatever is done to both, both say the same.

Clocks differ, so times are compared only for their order; ids come from the test.
"""

import asyncio
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    multiple,
    rule,
    run_state_machine_as_test,
)

from support.backends import BACKENDS, NATIVE, Backend, opening
from support.examples import examples
from support.records import conversation, edit, message_edit, message_records, new_message, plain
from support.replica import Replica, everything_in
from support.stores import new_memory, open_memory
from threadkeep.conversations.records import MessageRecord, SearchQuery
from threadkeep.conversations.store import Store
from threadkeep.errors import Invalid, ThreadkeepError
from threadkeep.ids import new_id

STEPS = 30
TIMES = {"createdAt", "updatedAt", "deletedAt"}

words = st.sampled_from(["flight", "flights", "Café", "to", "漢字", "が", "42", "-", "\n"])
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=80) | st.lists(words, max_size=6).map(" ".join)
queries = st.sampled_from(["fli", '"flight"', '"to flight"', "flight to", "CAFE", "漢", '"漢字"', "か", "4", '"', "a"])
keys = st.sampled_from(["a", "b", "c"])
json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=5,
)
# Few, so that they meet; and some that differ in case alone.
ids = st.none() | st.sampled_from(["x", "X", "a.b", "A.b", "user@example:1", "WyJiIiwxXQ"])
titles = st.none() | st.text("abc é漢", min_size=1, max_size=20).filter(lambda title: title.strip() != "")
metadata = st.dictionaries(keys, json, max_size=3)
roles = st.sampled_from(["user", "assistant", "system", "tool"])
edits = st.fixed_dictionaries(
    {},
    optional={
        "title": titles,
        "is_archived": st.none() | st.booleans(),
        "model": st.none() | st.sampled_from(["m", "n"]),
        "metadata": st.none() | metadata,
        # Long ago on every clock, so that its order does not depend on one.
        "edited_at": st.integers(1, 5),
    },
)


def without_times(value: Any) -> Any:
    """A value with its times replaced by whether they are there."""
    if isinstance(value, dict):
        return {
            name: item is not None if name in TIMES else without_times(item)
            for name, item in value.items()
            if name not in ("userId", "nextCursor", "changes")
        }
    return [without_times(item) for item in value] if isinstance(value, list) else value


class StoreMachine(RuleBasedStateMachine):
    """Does the same to a store and to its model. A subclass says how the store is opened."""

    conversations = Bundle("conversations")
    sent = Bundle("sent")

    runner: asyncio.Runner
    backend: Backend

    @initialize()
    def begin(self) -> None:
        self.user_id = f"machine-{new_id()}"
        self.store: Store = self.runner.run(self.backend.store(self.user_id))
        self.model: Store = open_memory(new_memory(), "model")
        self.ids: list[str] = []
        self.devices = [Replica(), Replica()]

    def both(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Call both, and answer what both said."""
        outcomes = [
            self.runner.run(self.outcome(store, method, arguments, options)) for store in (self.store, self.model)
        ]
        assert outcomes[0] == outcomes[1], method
        return outcomes[1]

    @staticmethod
    async def outcome(store: Store, method: str, arguments: Any, options: Any) -> Any:
        try:
            return without_times(plain(await getattr(store, method)(*arguments, **options)))
        except ThreadkeepError as error:
            return error.code, sorted(error.details or {})

    @rule(target=conversations, id_=ids, title=titles, metadata=metadata, words=st.lists(texts, max_size=3))
    def create(self, id_: str | None, title: str | None, metadata: Any, words: list[str]) -> Any:
        new = [new_message(text) for text in words]
        record = conversation(*new, id=id_ or new_id(), title=title, metadata=metadata)
        self.ids.append(record.id)
        self.both("create_conversation", record)
        return record

    @rule(
        target=conversations,
        id_=ids,
        title=titles,
        words=st.lists(texts, max_size=3),
        expected=st.none() | st.integers(0, 6),
    )
    def put(self, id_: str | None, title: str | None, words: list[str], expected: int | None) -> Any:
        record = conversation(*(new_message(text) for text in words), id=id_ or new_id(), title=title)
        self.ids.append(record.id)
        self.both("put_conversation", record, expected_message_count=expected)
        return record

    @rule(record=conversations, expected=st.none() | st.integers(0, 6))
    def put_again(self, record: Any, expected: int | None) -> None:
        self.both("put_conversation", record, expected_message_count=expected)

    @rule(
        target=sent,
        record=conversations,
        id_=ids,
        new=st.lists(st.tuples(roles, texts), min_size=1, max_size=4),
        title=titles,
        expected=st.none() | st.integers(0, 6),
    )
    def put_more(
        self, record: Any, id_: str | None, new: list[tuple[str, str]], title: str | None, expected: int | None
    ) -> Any:
        messages = [new_message(text, role=role) for role, text in new]
        messages[0].id = id_ or messages[0].id
        more = conversation(*messages, id=record.id, title=title)
        self.both("put_conversation", more, expected_message_count=expected)
        return multiple(*((record.id, message) for message in more.messages))

    @rule(record=conversations)
    def create_again(self, record: Any) -> None:
        self.both("create_conversation", record)

    @rule(record=conversations, title=titles)
    def create_another_under_the_same_id(self, record: Any, title: str | None) -> None:
        self.both("create_conversation", conversation(id=record.id, title=title))

    @rule(
        target=sent,
        record=conversations,
        new=st.lists(st.tuples(roles, texts), min_size=1, max_size=4),
        expected=st.none() | st.integers(0, 6),
    )
    def append(self, record: Any, new: list[tuple[str, str]], expected: int | None) -> Any:
        records = message_records([new_message(text, role=role) for role, text in new])
        self.both("append_messages", record.id, records, expected_message_count=expected)
        return multiple(*((record.id, message) for message in records))

    @rule(
        earlier=st.lists(sent, min_size=1, max_size=4, unique_by=lambda pair: pair[1].id), to=conversations, text=texts
    )
    def append_some_again(self, earlier: list[tuple[str, MessageRecord]], to: Any, text: str) -> None:
        records = [*(message for _, message in earlier), *message_records([new_message(text)])]
        self.both("append_messages", to.id, records)

    @rule(earlier=sent, expected=st.none() | st.integers(0, 6))
    def retry(self, earlier: tuple[str, MessageRecord], expected: int | None) -> None:
        self.both("append_messages", earlier[0], [earlier[1]], expected_message_count=expected)

    @rule(earlier=sent, text=texts)
    def append_another_under_the_same_id(self, earlier: tuple[str, MessageRecord], text: str) -> None:
        self.both("append_messages", earlier[0], message_records([new_message(text, id=earlier[1].id, role="tool")]))

    @rule(record=conversations, changes=edits, expected=st.none() | st.integers(1, 4))
    def edit(self, record: Any, changes: dict[str, Any], expected: int | None) -> None:
        self.both("update_conversation", record.id, edit(**changes), expected_version=expected)

    @rule(
        earlier=sent,
        changes=st.none() | metadata,
        edited_at=st.none() | st.integers(1, 5),
        expected=st.none() | st.integers(1, 3),
    )
    def edit_message(
        self, earlier: tuple[str, MessageRecord], changes: Any, edited_at: int | None, expected: int | None
    ) -> None:
        edit = message_edit(changes, edited_at)
        self.both("update_message", earlier[0], earlier[1].id, edit, expected_version=expected)

    @rule(earlier=sent, record=conversations)
    def get_message(self, earlier: tuple[str, MessageRecord], record: Any) -> None:
        for conversation_id in (earlier[0], record.id):
            self.both("get_message", conversation_id, earlier[1].id)

    @rule(record=conversations)
    def delete(self, record: Any) -> None:
        self.both("delete_conversation", record.id)

    @rule(record=conversations)
    def restore(self, record: Any) -> None:
        self.both("restore_conversation", record.id)

    @rule(record=consumes(conversations))
    def delete_for_good(self, record: Any) -> None:
        self.both("delete_conversation", record.id)

    @rule(record=conversations, limit=st.integers(1, 4))
    def page_back(self, record: Any, limit: int) -> None:
        self.pages("list_messages", record.id, limit=limit)

    @rule(record=conversations, after=st.integers(0, 5), limit=st.integers(1, 4))
    def page_forward(self, record: Any, after: int, limit: int) -> None:
        self.pages("list_messages", record.id, after=after, limit=limit)

    @rule(record=conversations, earlier=sent)
    def page_from_a_message(self, record: Any, earlier: tuple[str, MessageRecord]) -> None:
        self.both("list_messages", record.id, cursor=earlier[1].id, limit=2)

    # Seldom, or there would be nothing much to purge or erase.
    @rule(dice=st.integers(0, 5))
    def purge(self, dice: int) -> None:
        if dice == 5:
            self.runner.run(self.backend.purge(self.user_id, 2**52))
            self.runner.run(self.model.purge(2**52))

    @rule(dice=st.integers(0, 9))
    def erase(self, dice: int) -> None:
        if dice == 9:
            self.both("erase")
            self.runner.run(self.backend.sweep(self.store))

    @rule(is_archived=st.booleans(), limit=st.integers(1, 4))
    def list(self, is_archived: bool, limit: int) -> None:
        # Clocks differ, so which of two comes first may too: the sets are compared, and the order by itself.
        found = [self.runner.run(self.listed(store, is_archived, limit)) for store in (self.store, self.model)]
        assert found[0] == found[1]

    @staticmethod
    async def listed(store: Store, is_archived: bool, limit: int) -> dict[str, Any]:
        rows = []
        cursor = None
        while True:
            page = await store.list_conversations(is_archived=is_archived, cursor=cursor, limit=limit)
            rows += page.conversations
            assert page.next_cursor != cursor or cursor is None
            cursor = page.next_cursor
            if cursor is None:
                break
        places = [(row.updated_at, row.id) for row in rows]
        assert places == sorted(places, reverse=True)
        assert len({row.id for row in rows}) == len(rows)
        return {row.id: without_times(plain(row)) for row in rows}

    @rule(query=queries | texts, role=st.none() | roles, limit=st.integers(1, 4))
    def search(self, query: str, role: Any, limit: int) -> None:
        # Back ends may score differently, so only what is found is compared.
        found = [self.runner.run(self.found(store, query, role, limit)) for store in (self.store, self.model)]
        assert found[0] == found[1]

    @staticmethod
    async def found(store: Store, query: str, role: Any, limit: int) -> Any:
        hits: list[tuple[str, str | None]] = []
        cursor = None
        while True:
            try:
                page = await store.search(SearchQuery(text=query, role=role), cursor=cursor, limit=limit)
            except Invalid as error:
                return error.code, error.path
            assert len(page.hits) <= limit
            hits += [(hit.conversation.id, hit.message.id if hit.message else None) for hit in page.hits]
            cursor = page.next_cursor
            if cursor is None:
                assert len(hits) == len(set(hits))
                return set(hits)

    @rule(limit=st.integers(1, 6))
    def follow(self, limit: int) -> None:
        for device, store in zip(self.devices, (self.store, self.model), strict=True):
            self.runner.run(self.followed(device, store, limit))
        ours, models = self.devices
        assert without_times(ours.conversations) == without_times(models.conversations)
        assert without_times(ours.messages) == without_times(models.messages)

    @staticmethod
    async def followed(device: Replica, store: Store, limit: int) -> None:
        await device.follow_or_begin_again(store, limit)
        device.assert_equals(*await everything_in(store))

    def pages(self, method: str, conversation_id: str, **options: Any) -> None:
        found = [
            self.runner.run(self.all_pages(store, method, conversation_id, options))
            for store in (self.store, self.model)
        ]
        assert found[0] == found[1]

    @staticmethod
    async def all_pages(store: Store, method: str, conversation_id: str, options: dict[str, Any]) -> Any:
        pages = []
        try:
            page = await getattr(store, method)(conversation_id, **options)
            pages.append(without_times(plain(page)))
            while page.next_cursor is not None:
                page = await getattr(store, method)(conversation_id, cursor=page.next_cursor, limit=options["limit"])
                pages.append(without_times(plain(page)))
        except ThreadkeepError as error:
            return error.code
        return pages

    def teardown(self) -> None:
        for conversation_id in getattr(self, "ids", []):
            self.both("get_conversation", conversation_id)
            self.both("list_messages", conversation_id, after=0, limit=200)
        self.runner.run(self.backend.check(self.user_id))


@pytest.mark.parametrize("name", [name for name in BACKENDS if name != "memory"])  # which is the model
def test_a_store_does_what_its_model_does(name: str, request: pytest.FixtureRequest, tmp_path: Any) -> None:
    with asyncio.Runner() as runner:
        opened = opening(name, request, tmp_path)
        backend = runner.run(opened.__aenter__())
        machine = type("Machine", (StoreMachine,), {"runner": runner, "backend": backend})
        try:
            run_state_machine_as_test(
                machine,
                settings=settings(
                    max_examples=examples(100 if name in NATIVE else 20),
                    stateful_step_count=STEPS,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(opened.__aexit__(None, None, None))
