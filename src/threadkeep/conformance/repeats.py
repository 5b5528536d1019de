"""A write whose answer was lost is sent again under its name, after others have written: it is still known."""

from typing import Any

import pytest

from threadkeep.agents.journals import service
from threadkeep.agents.journals.models import Journal, NewProducer
from threadkeep.agents.store import StateStore
from threadkeep.conformance import Backend
from threadkeep.conformance.helpers.journals import KEY, SPACE, append, contents, patch, plain, put
from threadkeep.errors import Stale

pytestmark = pytest.mark.anyio

REMEMBERED = 8
"""So many writes are known at least, however long their names are."""


async def claim(store: StateStore, request: str, producer: str = "p") -> Journal:
    return await service.acquire_producer(store, SPACE, KEY, NewProducer(producer=producer), request=request)


async def test_an_append_for_a_version_that_was_made_is_not_told_that_it_is_stale(backend: Backend) -> None:
    store = await backend.state()
    await put(store)
    await append(store, "kept", "popped")
    pop: dict[str, Any] = {"cut": 1, "expected": 2, "request": "pop"}
    assert (await append(store, **pop))[1]
    await append(store, "from somebody else")
    appended, is_new = await append(store, **pop)
    assert (appended.first, appended.version, is_new) == (None, 4, False)
    assert await contents(store) == ["kept", "from somebody else"]
    with pytest.raises(Stale):
        await append(store, **pop | {"request": "another"})


async def test_an_append_without_ids_is_kept_once_and_told_its_place(backend: Backend) -> None:
    store = await backend.state()
    await put(store)
    names = [f"{number}".rjust(64, "x") for number in range(REMEMBERED)]
    for number, name in enumerate(names):
        appended, is_new = await append(store, number, "end", request=name)
        assert (appended.first, appended.last, is_new) == (2 * number, 2 * number + 1, True)
    for number, name in enumerate(names):
        appended, is_new = await append(store, number, "end", request=name)
        assert (appended.first, appended.last, is_new) == (2 * number, 2 * number + 1, False)
    assert len(await contents(store)) == 2 * REMEMBERED


async def test_an_append_to_a_place_is_told_that_place_again(backend: Backend) -> None:
    store = await backend.state()
    for at in (0, 7):
        for is_first in (True, False):
            appended, is_new = await append(store, at, at=at, create=True, request=f"{at}")
            assert (appended.first, is_new) == (at, is_first)


async def test_a_name_that_is_a_part_of_another_is_another(backend: Backend) -> None:
    store = await backend.state()
    await put(store)
    for name in ("a.b", "b", "a", "a.", ".b", "1", "11", "0"):
        assert (await append(store, name, request=name))[1]
    assert await contents(store) == ["a.b", "b", "a", "a.", ".b", "1", "11", "0"]


async def test_what_sets_heads_and_labels_does_not_take_back_what_came_later(backend: Backend) -> None:
    store = await backend.state()
    await put(store, head={"by": "first"}, request="put")
    await patch(store, head={"by": "second"}, expected=1, request="patch")
    await put(store, mode="save", head={"by": "third"}, request="save")
    await put(store, mode="save", head={"by": "last"}, expected=3)
    await put(store, head={"by": "first"}, request="put")
    await put(store, mode="replace", head={"by": "first"}, request="put")
    await patch(store, head={"by": "second"}, expected=1, request="patch")
    await put(store, mode="save", head={"by": "third"}, request="save")
    journal = await store.get_journal(SPACE, KEY)
    assert (plain(journal.head), journal.version) == ({"by": "last"}, 4)


async def test_a_claim_is_known_until_somebody_else_has_claimed(backend: Backend) -> None:
    store = await backend.state()
    await put(store)
    assert (await claim(store, "one")).epoch == 1
    await patch(store, status="other")
    assert (await claim(store, "one")).epoch == 1
    assert (await claim(store, "two")).epoch == 2
    # Both call themselves the same. If the first were told of epoch 2, both would append under it.
    assert (await claim(store, "one")).epoch == 3
