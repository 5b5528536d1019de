"""Two users who have threads of the same names: neither sees, changes, blocks or reveals the other's."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from asking import check_refusal
from test_two_users_of_state import Keeper

from support.backends import Backend
from support.routes import USER_ROUTES
from threadkeep.conformance.helpers.threads import encoded
from threadkeep.ids import new_id

pytestmark = pytest.mark.anyio

THREADS = "/api/threads"
SHARED = f"{THREADS}/shared"
HERS = f"{THREADS}/hers"
THREAD = "/api/threads/{thread}"
NEVER = "nothing that is there"


async def keep(user: Keeper, place: str) -> None:
    """A thread full of the word."""
    word = user.secret
    for id_, parent in (("1", None), ("2", "1")):
        checkpoint = {
            "id": id_,
            "parent": parent,
            "metadata": {"run_id": "run", "word": word},
            "stored": {"a": id_, "inline": None},
            "values": [{"channel": "a", "version": id_, **encoded(word)}],
            **encoded(word),
        }
        assert (await user.ask("POST", f"{place}/checkpoints", checkpoint)).status_code == 200
        writes = {"checkpoint": id_, "task": "t", "path": word, "writes": [{"idx": 0, "channel": "a", **encoded(word)}]}
        assert (await user.ask("POST", f"{place}/writes", writes)).status_code == 200


async def everything(user: Keeper) -> Any:
    return [
        (await user.ask("GET", path)).json()
        for path in (THREADS, "/api/checkpoints", f'{SHARED}/deltas?channels=["a"]', f"{HERS}/checkpoints")
    ]


@pytest.fixture
async def pair(backend: Backend) -> tuple[Keeper, Keeper]:
    """Alice and Bob, who both have a thread called shared; she has another."""
    secrets = [f"secret{new_id()}" for _ in range(2)]
    alice, bob = (
        Keeper(name, secret, backend.client_of(name), str(encoded(other)["data"]))
        for name, secret, other in zip((f"alice-{new_id()}", f"bob-{new_id()}"), secrets, secrets[::-1], strict=True)
    )
    for keeper in (alice, bob):
        await keep(keeper, SHARED)
    await keep(alice, HERS)
    return alice, bob


Question = Callable[[Keeper, str], Awaitable[httpx.Response]]


def new(user: Keeper, **fields: Any) -> dict[str, Any]:
    return {"id": "1", **encoded(user.secret), **fields}


QUESTIONS: dict[tuple[str, str], list[Question]] = {
    ("GET", THREADS): [lambda user, place: user.ask("GET", THREADS)],
    ("GET", "/api/checkpoints"): [
        lambda user, place: user.ask("GET", "/api/checkpoints?limit=1"),
        lambda user, place: user.ask("GET", '/api/checkpoints?filter={"run_id":"run"}&before=2'),
    ],
    ("GET", f"{THREAD}/checkpoints"): [
        lambda user, place: user.ask("GET", f"{place}/checkpoints"),
        lambda user, place: user.ask("GET", f"{place}/checkpoints?ns=&checkpoint=2"),
    ],
    ("GET", f"{THREAD}/deltas"): [lambda user, place: user.ask("GET", f'{place}/deltas?channels=["a","inline"]')],
    ("POST", f"{THREAD}/checkpoints"): [
        lambda user, place: user.ask("POST", f"{place}/checkpoints", new(user, stored={"a": "1"})),
        lambda user, place: user.ask("POST", f"{place}/checkpoints", new(user, epoch=1)),
    ],
    ("POST", f"{THREAD}/writes"): [
        lambda user, place: user.ask("POST", f"{place}/writes", {"checkpoint": "1", "task": "t", "writes": []}),
    ],
    ("POST", f"{THREAD}/owner"): [lambda user, place: user.ask("POST", f"{place}/owner")],
    ("POST", f"{THREAD}/copy"): [lambda user, place: user.ask("POST", f"{place}/copy", {"source": "absent"})],
    ("POST", "/api/checkpoints/prune"): [
        lambda user, place: user.ask("POST", "/api/checkpoints/prune", {"threads": ["hers"], "keep": "latest"}),
        lambda user, place: user.ask("POST", "/api/checkpoints/prune", {"updatedBefore": 2**52, "keep": "none"}),
    ],
    ("POST", "/api/checkpoints/delete"): [
        lambda user, place: user.ask("POST", "/api/checkpoints/delete", {"runs": ["run"]})
    ],
    ("DELETE", THREAD): [lambda user, place: user.ask("DELETE", place)],
}
"""What each route is asked with, of a thread."""


def test_every_route_of_threads_is_asked() -> None:
    routes = {(route.method, route.path) for route in USER_ROUTES}
    assert {each for each in routes if each[1].startswith((THREADS, "/api/checkpoints"))} == {*QUESTIONS}


async def test_whatever_one_user_asks_the_other_keeps_what_they_have(pair: tuple[Keeper, Keeper]) -> None:
    for asking, other in (pair[::-1], pair):
        before = await everything(other)
        for questions in QUESTIONS.values():
            for question in questions:
                for place in (SHARED, HERS):
                    await question(asking, place)
        assert await everything(other) == before
        await keep(asking, SHARED)


async def test_what_another_user_has_is_what_never_was(pair: tuple[Keeper, Keeper]) -> None:
    _, bob = pair
    for (method, path), questions in QUESTIONS.items():
        for question in questions:
            theirs, never = await question(bob, HERS), await question(bob, f"{THREADS}/nope")
            assert theirs.status_code == never.status_code, (method, path)
            if theirs.is_error:
                assert theirs.json() == never.json()
            for place in (HERS, f"{THREADS}/nope"):
                await bob.ask("DELETE", place)
    check_refusal(await bob.ask("POST", f"{SHARED}/copy", {"source": "hers"}), "not_found")


async def test_a_cursor_and_an_epoch_of_another_user_lead_only_to_ones_own(pair: tuple[Keeper, Keeper]) -> None:
    alice, bob = pair
    before = await everything(alice)
    cursor = (await alice.ask("GET", "/api/checkpoints?limit=1")).json()["nextCursor"]
    bob.others_secret = NEVER
    listed = await bob.ask("GET", f"/api/checkpoints?cursor={cursor}")
    assert alice.secret not in listed.text
    assert [each["id"] for each in listed.json()["checkpoints"]] == ["1"]
    assert (await alice.ask("POST", f"{THREADS}/claimed/owner")).json()["epoch"] == 1
    check_refusal(await bob.ask("POST", f"{THREADS}/claimed/checkpoints", new(bob, epoch=1)), "stale")
    await alice.ask("DELETE", f"{THREADS}/claimed")
    assert await everything(alice) == before


async def test_one_user_erases_everything_and_the_other_keeps_the_same_names(pair: tuple[Keeper, Keeper]) -> None:
    alice, bob = pair
    before = await everything(bob)
    erased = (await alice.ask("DELETE", f"/api/me?confirm={alice.name}")).json()
    assert (erased["conversations"], erased["messages"], erased["threads"]) == (0, 0, 2)
    assert (await alice.ask("GET", THREADS)).json()["threads"] == []
    assert (await alice.ask("GET", "/api/checkpoints")).json()["checkpoints"] == []
    assert await everything(bob) == before
