"""Searching in one conversation and over branches, and what a hit says of where it stands."""

import random

import pytest

from support.backends import Backend
from support.records import conversation, message, new_message
from support.trees import Tree
from threadkeep.conversations.models import HitPage
from threadkeep.conversations.records import SearchQuery
from threadkeep.conversations.store import Store
from threadkeep.errors import NotFound
from threadkeep.ids import new_id

pytestmark = pytest.mark.anyio


def places(page: HitPage) -> dict[int, tuple[bool, int | None, int | None]]:
    """What the hits say of where they stand, by `seq`; titles by 0."""
    return {
        0 if hit.message is None else hit.message.seq: (hit.is_active, hit.previous_seq, hit.next_seq)
        for hit in page.hits
    }


async def search(store: Store, **options: object) -> HitPage:
    return await store.search(SearchQuery(text="heron", **options), limit=100)


async def test_one_conversation_can_be_searched_and_hits_name_their_neighbours(backend: Backend) -> None:
    store = await backend.store()
    first, second = (
        conversation(*(new_message(f"heron {number}") for number in range(3)), title=f"Heron {title}")
        for title in ("one", "two")
    )
    for record in (first, second):
        await store.create_conversation(record)
    assert len((await search(store)).hits) == 8
    page = await search(store, conversation_id=second.id)
    assert {hit.conversation.id for hit in page.hits} == {second.id}
    assert places(page) == {1: (True, None, 2), 2: (True, 1, 3), 3: (True, 2, None)}
    assert places(await search(store, conversation_id=second.id, role="tool")) == {}


async def test_a_conversation_to_search_in_has_to_be_there(backend: Backend) -> None:
    store, other = await backend.store(), await backend.store("other")
    record = conversation(new_message("heron"))
    await store.create_conversation(record)
    for each, conversation_id in ((store, new_id()), (other, record.id)):
        for text in ("heron", "!"):
            with pytest.raises(NotFound):
                await each.search(SearchQuery(text=text, conversation_id=conversation_id))
    await store.delete_conversation(record.id)
    with pytest.raises(NotFound):
        await search(store, conversation_id=record.id)


@pytest.mark.parametrize("seed", range(6))
async def test_hits_of_a_random_tree_say_where_they_stand(backend: Backend, seed: int) -> None:
    chance = random.Random(seed)
    store = await backend.store()
    ids = [new_id()]
    record = conversation(new_message("heron", id=ids[0]), title="Birds")
    await store.create_conversation(record)
    tree = Tree()
    tree.append()
    for _ in range(14):
        kept, action = tree.kept(), chance.random()
        at = chance.choice(kept)
        if action < 0.15 and at > 1:
            await store.delete_branch(record.id, ids[at - 1])
            tree.delete(at)
        elif action < 0.3:
            await store.select_leaf(record.id, ids[at - 1])
            tree.select(at, descend=True)
        else:
            parent = at if action < 0.7 else None
            sent = message("heron", **({"parentId": ids[at - 1]} if parent else {}))
            await store.append_messages(record.id, [sent])
            tree.append(parent)
            ids.append(sent.id)
    path = tree.path(tree.leaf)
    expected = {}
    for seq in tree.kept():
        following = [each for each in tree.children(seq) if seq not in path or each in path]
        expected[seq] = (seq in path, tree.parent(seq) or None, max(following, default=None))
    assert places(await search(store)) == expected
    assert places(await search(store, only_active=True)) == {seq: expected[seq] for seq in path}
    assert places(await search(store, only_active=True, conversation_id=record.id)) == {
        seq: expected[seq] for seq in path
    }
