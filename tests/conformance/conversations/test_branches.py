"""Branches: edits, regenerations, choosing, deleting and restoring, on every back end."""

import asyncio
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from support.backends import BACKENDS, NATIVE, Backend, opening
from support.examples import examples
from support.records import all_messages, conversation, message, message_records, new_message, plain
from support.trees import Tree
from threadkeep.conversations.models import Message, MessagePage
from threadkeep.conversations.records import ConversationRecord, MessageRecord
from threadkeep.conversations.store import Store
from threadkeep.errors import Conflict, Invalid, NotFound, Stale
from threadkeep.ids import new_id

pytestmark = pytest.mark.anyio


async def begun(store: Store, *texts: str) -> tuple[str, list[str]]:
    """A conversation with these messages, one after the other, and their ids."""
    sent = [new_message(text, id=new_id()) for text in texts]
    record = conversation(*sent)
    await store.create_conversation(record)
    return record.id, [str(each.id) for each in sent]


async def append(store: Store, conversation_id: str, text: str, **fields: Any) -> str:
    sent = message(text, **fields)
    await store.append_messages(conversation_id, [sent])
    return sent.id


def texts(page: MessagePage | list[Message]) -> list[str]:
    messages = page if isinstance(page, list) else page.messages
    return [plain(each.content)[0]["text"] for each in messages]


async def path(store: Store, conversation_id: str, **options: Any) -> list[str]:
    return texts(await store.list_messages(conversation_id, **options))


async def test_an_edit_is_a_sibling_of_the_question_and_takes_its_place(backend: Backend) -> None:
    store = await backend.store()
    id_, (question, _) = await begun(store, "question", "answer")
    edited = await append(store, id_, "edited", siblingOf=question)
    await append(store, id_, "another answer")
    page = await store.list_messages(id_)
    assert texts(page) == ["edited", "another answer"]
    assert plain(page.branches) == [{"follows": 0, "seqs": [1, 3], "current": 3}]
    assert [(each.seq, each.follows) for each in page.messages] == [(3, 0), (4, 3)]
    assert await path(store, id_, branch="all") == ["question", "answer", "edited", "another answer"]
    assert await path(store, id_, branch=edited) == ["edited"]


async def test_a_regenerated_answer_is_a_sibling_of_the_first_and_both_can_be_chosen(backend: Backend) -> None:
    store = await backend.store()
    id_, (_, answer) = await begun(store, "question", "answer")
    again = await append(store, id_, "again", siblingOf=answer)
    await append(store, id_, "go on")
    assert await path(store, id_) == ["question", "again", "go on"]
    chosen = await store.select_leaf(id_, answer)
    assert (chosen.leaf_id, chosen.message_count, chosen.version) == (answer, 4, 1)
    assert await path(store, id_) == ["question", "answer"]
    await append(store, id_, "go on here")
    assert await path(store, id_) == ["question", "answer", "go on here"]
    found = await store.list_branches(id_, again)
    assert [(each.preview, each.message_count, each.is_current) for each in found.siblings] == [
        ("answer", 2, True),
        ("again", 2, False),
    ]
    assert (await store.select_leaf(id_, again)).leaf_id == found.siblings[1].leaf_id
    assert await path(store, id_) == ["question", "again", "go on"]


async def test_two_who_regenerate_at_once_both_succeed_and_the_later_is_selected(backend: Backend) -> None:
    stores = [await backend.store("ada"), await backend.store("ada")]
    id_, (_, answer) = await begun(stores[0], "question", "answer")
    both = [message(text, siblingOf=answer) for text in ("one", "two")]
    await asyncio.gather(*(store.append_messages(id_, [sent]) for store, sent in zip(stores, both, strict=True)))
    page = await stores[0].list_messages(id_)
    assert [each.seq for each in page.messages] == [1, 4]
    assert plain(page.branches) == [{"follows": 1, "seqs": [2, 3, 4], "current": 4}]


async def test_rolling_back_ends_the_path_and_loses_nothing(backend: Backend) -> None:
    store = await backend.store()
    id_, ids = await begun(store, "one", "two", "three", "four")
    before = await store.get_conversation(id_)
    after = await store.select_leaf(id_, ids[1], descend=False)
    assert plain(after) == {**plain(before), "leafId": ids[1]}
    assert await path(store, id_) == ["one", "two"]
    assert (await store.select_leaf(id_, ids[1])).leaf_id == ids[3]
    assert await path(store, id_) == ["one", "two", "three", "four"]


async def test_a_background_writer_leaves_the_path_where_it_is(backend: Backend) -> None:
    store = await backend.store()
    id_, (first, last) = await begun(store, "one", "two")
    await append(store, id_, "aside", parentId=first, select=False)
    await append(store, id_, "note", select=False)
    assert (await store.get_conversation(id_)).leaf_id == last
    assert await path(store, id_) == ["one", "two"]
    await append(store, id_, "three")
    page = await store.list_messages(id_)
    assert texts(page) == ["one", "two", "three"]
    assert plain(page.branches) == [
        {"follows": 1, "seqs": [2, 3], "current": 2},
        {"follows": 2, "seqs": [4, 5], "current": 5},
    ]


async def test_messages_that_are_sent_together_follow_one_another_or_what_they_name(backend: Backend) -> None:
    store = await backend.store()
    id_, (question, answer) = await begun(store, "question", "answer")
    ids = [new_id() for _ in range(6)]
    sent = message_records(
        [
            new_message("edited", id=ids[0], siblingOf=question),
            new_message("a", id=ids[1]),
            new_message("b", id=ids[2], siblingOf=ids[1]),
            new_message("c", id=ids[3], parentId=answer),
            new_message("d", id=ids[4], siblingOf=ids[3]),
            new_message("e", id=ids[5], isRoot=True),
        ]
    )
    for is_new in (True, False):
        assert (await store.append_messages(id_, sent))[1] is is_new
        kept = await all_messages(store, id_)
        assert [each.follows for each in kept] == [0, 1, 0, 3, 3, 2, 2, 0]
        assert (await store.get_conversation(id_)).leaf_id == ids[5]


async def test_a_conversation_is_created_with_branches(backend: Backend) -> None:
    store = await backend.store()
    ids = [new_id() for _ in range(3)]
    sent = [
        new_message("question", id=ids[0]),
        new_message("answer", id=ids[1], parentId=ids[0]),
        new_message("again", id=ids[2], siblingOf=ids[1]),
    ]
    record = conversation(*sent)
    assert (await store.create_conversation(record))[1] is True
    assert (await store.create_conversation(record))[1] is False
    assert await path(store, record.id) == ["question", "again"]
    put = conversation(*sent[:1], new_message("edited", siblingOf=ids[0]), id=record.id)
    await store.put_conversation(put)
    assert await path(store, record.id) == ["edited"]


async def test_what_a_message_follows_is_part_of_what_it_is_and_selecting_is_not(backend: Backend) -> None:
    store = await backend.store()
    id_, (question, _) = await begun(store, "question", "answer")
    sent = {"id": new_id(), "siblingOf": question}
    await append(store, id_, "edited", **sent)
    assert (await store.append_messages(id_, [message("edited", **sent, select=False)]))[1] is False
    for other in ({"siblingOf": None, "isRoot": True}, {"siblingOf": None, "parentId": question}):
        with pytest.raises(Conflict):
            await store.append_messages(id_, [message("edited", **{**sent, **other})])


async def test_a_deleted_branch_is_gone_until_it_is_restored(backend: Backend) -> None:
    store = await backend.store()
    id_, (question, answer) = await begun(store, "question", "answer")
    again = await append(store, id_, "again", siblingOf=answer)
    last = await append(store, id_, "go on")
    deleted = await store.delete_branch(id_, again)
    assert (deleted.deleted, deleted.conversation.leaf_id, deleted.conversation.message_count) == (2, answer, 4)
    assert plain(deleted.conversation) == plain(await store.get_conversation(id_))
    assert (await store.delete_branch(id_, last)).deleted == 0
    for options in ({}, {"branch": "all"}, {"after": 0}):
        page = await store.list_messages(id_, **options)
        assert texts(page) == ["question", "answer"]
        assert page.branches == []
    for gone in (again, last):
        with pytest.raises(NotFound):
            await store.select_leaf(id_, gone)
        with pytest.raises(NotFound):
            await store.list_branches(id_, gone)
        with pytest.raises(NotFound):
            await store.get_message(id_, gone)
        with pytest.raises(Invalid, match=r"^branch: "):
            await store.list_messages(id_, branch=gone)
        with pytest.raises(Invalid, match=r"^messages\[0\]\.parentId: "):
            await store.append_messages(id_, [message("lost", parentId=gone)])
    assert len((await store.list_branches(id_, answer)).siblings) == 1
    assert (await store.restore_branch(id_, last)).leaf_id == answer
    assert len((await store.list_branches(id_, answer)).siblings) == 2
    assert await path(store, id_, branch=last) == ["question", "again", "go on"]
    assert (await store.restore_branch(id_, question)).leaf_id == answer


async def test_what_was_deleted_last_comes_back_as_it_was(backend: Backend) -> None:
    store = await backend.store()
    id_, ids = await begun(store, "one", "two", "three")
    assert (await store.delete_branch(id_, ids[2])).conversation.leaf_id == ids[1]
    assert (await store.delete_branch(id_, ids[0])).conversation.leaf_id is None
    assert await path(store, id_) == []
    assert (await store.delete_branch(id_, ids[0])).deleted == 0
    with pytest.raises(Conflict) as refused:
        await store.restore_branch(id_, ids[2])
    assert refused.value.details["reason"] == "parent_deleted"
    assert (await store.restore_branch(id_, ids[1])).leaf_id == ids[1]
    assert (await store.restore_branch(id_, ids[2])).leaf_id == ids[2]
    assert await path(store, id_) == ["one", "two", "three"]
    await store.delete_branch(id_, ids[0])
    await append(store, id_, "begun again")
    page = await store.list_messages(id_)
    assert [(each.seq, each.follows) for each in page.messages] == [(4, 0)]


async def test_an_append_is_for_the_leaf_that_was_seen(backend: Backend) -> None:
    store = await backend.store()
    id_, (question, answer) = await begun(store, "question", "answer")
    await append(store, id_, "again", siblingOf=answer)
    leaf_id = (await store.get_conversation(id_)).leaf_id
    sent = [message("late", id=new_id())]
    with pytest.raises(Stale) as stale:
        await store.append_messages(id_, sent, expected_leaf_id=answer)
    assert stale.value.details == {"leafId": leaf_id}
    with pytest.raises(Stale):
        await store.select_leaf(id_, question, expected_leaf_id=answer)
    assert (await store.get_conversation(id_)).message_count == 3
    for is_new in (True, False):
        assert (await store.append_messages(id_, sent, expected_leaf_id=leaf_id))[1] is is_new
    assert (await store.select_leaf(id_, answer, expected_leaf_id=sent[0].id)).leaf_id == answer


async def test_a_cursor_leads_along_the_same_path_whatever_is_chosen_meanwhile(backend: Backend) -> None:
    store = await backend.store()
    id_, ids = await begun(store, *"abcdef")
    newest = await store.list_messages(id_, limit=2)
    oldest = await store.list_messages(id_, branch="active", after=0, limit=2)
    assert (texts(newest), texts(oldest)) == (["e", "f"], ["a", "b"])
    await append(store, id_, "x", siblingOf=ids[2])
    assert texts(await store.list_messages(id_, cursor=newest.next_cursor, limit=9)) == ["a", "b", "c", "d"]
    assert texts(await store.list_messages(id_, cursor=oldest.next_cursor, limit=9)) == ["c", "d", "e", "f"]
    assert texts(await store.list_messages(id_, cursor=ids[4], limit=9)) == ["a", "b", "c", "d"]
    assert texts(await store.list_messages(id_, branch="active", after=1, limit=9)) == ["b", "x"]
    assert texts(await store.list_messages(id_, branch=ids[4], after=2)) == ["c", "d", "e"]


async def test_large_messages_of_a_path_come_a_few_at_a_time(backend: Backend) -> None:
    store = await backend.store()
    id_, (first,) = await begun(store, "a")
    for letter in "bcd":
        await append(store, id_, letter * 600_000)
    await append(store, id_, "x" * 600_000, parentId=first)
    await append(store, id_, "y" * 600_000)
    for options, expected in (({}, ["y", "x", "a"]), ({"branch": "active", "after": 0}, ["a", "x", "y"])):
        read = []
        page = await store.list_messages(id_, **options)
        read += texts(page)
        while page.next_cursor is not None:
            page = await store.list_messages(id_, cursor=page.next_cursor)
            read += texts(page)[::-1] if options == {} else texts(page)
        # The first page has two messages: the small one and the next, or else one that is large.
        assert sorted(text[0] for text in read) == sorted(expected)


async def test_what_a_message_follows_has_to_be_there(backend: Backend) -> None:
    store = await backend.store()
    id_, (question, _) = await begun(store, "question", "answer")
    _, (elsewhere,) = await begun(store, "elsewhere")
    for unknown in (new_id(), elsewhere):
        for name in ("parentId", "siblingOf"):
            with pytest.raises(Invalid) as refused:
                await store.append_messages(id_, message_records([new_message(), new_message(**{name: unknown})]))
            assert refused.value.details == {"path": f"messages[1].{name}"}
            with pytest.raises(Invalid):
                await store.put_conversation(conversation(new_message(**{name: unknown})))
        with pytest.raises(NotFound):
            await store.select_leaf(id_, unknown)
        with pytest.raises(NotFound):
            await store.delete_branch(id_, unknown)
        with pytest.raises(NotFound):
            await store.restore_branch(id_, unknown)
        with pytest.raises(NotFound):
            await store.list_branches(id_, unknown)
        with pytest.raises(Invalid, match=r"^branch: "):
            await store.list_messages(id_, branch=unknown)
    assert (await store.get_conversation(id_)).message_count == 2
    for missing in (new_id(),):
        with pytest.raises(NotFound):
            await store.select_leaf(missing, question)
        with pytest.raises(NotFound):
            await store.delete_branch(missing, question)
        with pytest.raises(NotFound):
            await store.restore_branch(missing, question)
        with pytest.raises(NotFound):
            await store.list_branches(missing, question)
        with pytest.raises(NotFound):
            await store.list_messages(missing, branch=question)


async def test_devices_that_follow_by_seq_miss_nothing(backend: Backend) -> None:
    store = await backend.store()
    id_, (_, answer) = await begun(store, "question", "answer")
    await append(store, id_, "again", siblingOf=answer)
    assert texts(await store.list_messages(id_, after=1)) == ["answer", "again"]


# Random trees against the plain model.

_step = st.tuples(
    st.sampled_from(["append", "append", "parent", "sibling", "root", "aside", "select", "end", "delete", "restore"]),
    st.integers(0, 10_000),
)


class Run:
    """One random history of a conversation, and the model beside it."""

    def __init__(self, store: Store, record: ConversationRecord) -> None:
        self.store, self.id, self.tree = store, record.id, Tree()
        self.ids: list[str] = []

    def one_of(self, seqs: list[int], number: int) -> int:
        return seqs[number % len(seqs)]

    async def do(self, kind: str, number: int) -> None:
        tree, kept = self.tree, self.tree.kept()
        deleted = sorted(set().union(*tree.cuts))
        if kind == "restore" and deleted:
            seq = self.one_of(deleted, number)
            try:
                await self.store.restore_branch(self.id, self.ids[seq - 1])
            except Conflict:
                assert not tree.restore(seq)
            else:
                assert tree.restore(seq)
        elif kind in ("append", "root", "restore") or not kept:
            await self.append(isRoot=kind == "root")
            tree.append(0 if kind == "root" else None)
        else:
            seq = self.one_of(kept, number)
            id_ = self.ids[seq - 1]
            match kind:
                case "parent":
                    await self.append(parentId=id_)
                    tree.append(seq)
                case "sibling":
                    await self.append(siblingOf=id_)
                    tree.append(tree.parent(seq))
                case "aside":
                    await self.append(parentId=id_, select=False)
                    tree.append(seq, select=False)
                case "select" | "end":
                    await self.store.select_leaf(self.id, id_, descend=kind == "select")
                    tree.select(seq, descend=kind == "select")
                case "delete":
                    assert (await self.store.delete_branch(self.id, id_)).deleted == tree.delete(seq)

    async def append(self, **fields: Any) -> None:
        sent: MessageRecord = message(f"message {len(self.ids) + 1}", **fields)
        await self.store.append_messages(self.id, [sent])
        self.ids.append(sent.id)

    async def check(self, number: int) -> None:
        """Compare the pages of some paths, the siblings of a message, and the leaf."""
        tree = self.tree
        leaf_id = (await self.store.get_conversation(self.id)).leaf_id
        assert leaf_id == (self.ids[tree.leaf - 1] if tree.leaf else None)
        limit = number % 5 + 1
        assert await self.paged(limit) == tree.path(tree.leaf)
        assert await self.paged(limit, branch="all") == tree.kept()
        if tree.kept():
            seq = self.one_of(tree.kept(), number)
            assert await self.paged(limit, branch=self.ids[seq - 1]) == tree.path(seq)
            whole = tree.path(seq)
            after = whole[number % len(whole)]
            ahead = await self.store.list_messages(self.id, branch=self.ids[seq - 1], after=after, limit=limit)
            assert [each.seq for each in ahead.messages] == [each for each in whole if each > after][:limit]
            found = await self.store.list_branches(self.id, self.ids[seq - 1])
            path = tree.path(tree.leaf)
            assert (found.follows, [each.seq for each in found.siblings]) == (
                tree.parent(seq),
                tree.children(tree.parent(seq)),
            )
            for each in found.siblings:
                below = tree.below(each.seq)
                assert (each.message_count, each.is_current) == (len(below), each.seq in path)
                assert each.leaf_id == self.ids[max(below) - 1]

    async def paged(self, limit: int, **options: Any) -> list[int]:
        """The places of all messages of a path, read page by page from its end."""
        page = await self.store.list_messages(self.id, limit=limit, **options)
        seqs: list[int] = []
        while True:
            here = [each.seq for each in page.messages]
            assert [each.follows for each in page.messages] == [self.tree.parent(seq) for seq in here]
            if options.get("branch") != "all":
                branches = [(each.follows, each.seqs, each.current) for each in page.branches]
                assert branches == self.tree.branches(here)
            seqs = here + seqs
            if page.next_cursor is None:
                return seqs
            page = await self.store.list_messages(self.id, cursor=page.next_cursor, limit=limit)


@pytest.mark.parametrize("name", BACKENDS)
def test_random_trees_are_what_a_plain_walk_says(name: str, request: pytest.FixtureRequest, tmp_path: Any) -> None:
    with asyncio.Runner() as runner:
        opened = opening(name, request, tmp_path)
        backend = runner.run(opened.__aenter__())

        @settings(
            max_examples=examples(30 if name in NATIVE else 3),
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(st.lists(_step, min_size=1, max_size=25), st.integers(0, 10_000))
        def walk(steps: list[tuple[str, int]], number: int) -> None:
            async def all_steps() -> None:
                store = await backend.store(f"tree-{new_id()}")
                record = conversation()
                await store.create_conversation(record)
                run = Run(store, record)
                for place, step in enumerate(steps):
                    await run.do(*step)
                    if place % 5 == 4:
                        await run.check(number + place)
                await run.check(number)

            runner.run(all_steps())

        try:
            walk()
        finally:
            runner.run(opened.__aexit__(None, None, None))
