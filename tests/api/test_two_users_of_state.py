"""Two users whose agents keep things under the same names: neither sees, changes, blocks or reveals the other's."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from asking import ask, check_refusal, send

from support.backends import Backend
from support.routes import USER_ROUTES
from threadkeep.ids import new_id

pytestmark = pytest.mark.anyio

SPACES = "/api/journals/{space}"
JOURNAL = f"{SPACES}/{{key}}"
SPACE = "/api/journals/sessions"
NDJSON = "application/x-ndjson"
SHARED = f"{SPACE}/shared"
HERS = f"{SPACE}/hers"


@dataclass
class Keeper:
    """Somebody whose agents keep a word that nobody else knows."""

    name: str
    secret: str
    client: httpx.AsyncClient
    others_secret: str

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """Ask, and see to it that the answer holds nothing of the other's."""
        if body is None:
            response = await ask(self.client, method, path, headers=headers)
        else:
            response = await send(self.client, method, path, body, **headers)
        assert self.others_secret not in f"{response.text} {response.headers}"
        return response

    async def keep(self, place: str) -> dict[str, Any]:
        """A journal full of the word, which this user's own producer writes."""
        new = {"head": {"text": self.secret}, "status": self.secret, "kind": self.secret, "sort": self.secret}
        assert (await self.ask("PUT", place, new)).status_code == 201
        claimed: dict[str, Any] = (await self.ask("POST", f"{place}/producer", {"producer": self.secret})).json()
        producer = {"id": self.secret, "incarnation": claimed["incarnation"], "epoch": claimed["epoch"], "seq": 0}
        entries = [{"id": "1", "data": self.secret}, {"id": self.secret, "data": {"n": 2}}]
        written = await self.ask("POST", f"{place}/entries", {"entries": entries, "producer": producer})
        assert written.status_code == 201
        return claimed

    async def everything(self) -> Any:
        """All that this user's agents keep, with all versions."""
        listed = (await self.ask("GET", SPACE)).json()["journals"]
        return [
            (journal, (await self.ask("GET", f"{SPACE}/{journal['key']}/entries")).json()["entries"])
            for journal in listed
        ]


@dataclass
class Pair:
    """Two who both have a journal called shared, and one of whom has another."""

    alice: Keeper
    bob: Keeper
    hers: dict[str, Any]


@pytest.fixture
async def pair(backend: Backend) -> Pair:
    secrets = [f"secret{new_id()}" for _ in range(2)]
    names = [f"{name}-{new_id()}" for name in ("alice", "bob")]
    alice, bob = (
        Keeper(name, secret, backend.client_of(name), other)
        for name, secret, other in zip(names, secrets, secrets[::-1], strict=True)
    )
    for keeper in (alice, bob):
        await keeper.keep(SHARED)
    return Pair(alice, bob, await alice.keep(HERS))


def row_of(place: str) -> dict[str, Any]:
    return {"id": place.rpartition("/")[2], "data": "{}", "updated_at": 2**53 - 2}


Question = Callable[[Keeper, str], Awaitable[httpx.Response]]

QUESTIONS: dict[tuple[str, str], list[Question]] = {
    ("GET", SPACES): [
        lambda user, place: user.ask("GET", SPACE),
        lambda user, place: user.ask("GET", f"{SPACE}?status={user.secret}&limit=1"),
    ],
    ("GET", f"{SPACES}/rows"): [lambda user, place: user.ask("GET", f"{SPACE}/rows")],
    ("POST", f"{SPACES}/rows"): [
        lambda user, place: user.ask("POST", f"{SPACE}/rows", row_of(place), **{"Content-Type": NDJSON}),
    ],
    ("PUT", JOURNAL): [
        lambda user, place: user.ask("PUT", place, {"head": 1}),
        lambda user, place: user.ask("PUT", place, {"head": 1, "mode": "save"}),
        lambda user, place: user.ask("PUT", place, {"head": 1, "mode": "save"}, **{"If-Match": '"3"'}),
        lambda user, place: user.ask("PUT", place, {"head": 1, "mode": "replace"}),
    ],
    ("PATCH", JOURNAL): [
        lambda user, place: user.ask("PATCH", place, {"head": {"a": user.secret}, "status": "s"}),
        lambda user, place: user.ask("PATCH", place, {"sort": "0"}, **{"If-Match": '"3"', "Idempotency-Key": "k"}),
    ],
    ("GET", JOURNAL): [lambda user, place: user.ask("GET", place)],
    ("POST", f"{JOURNAL}/producer"): [lambda user, place: user.ask("POST", f"{place}/producer", {"producer": "p"})],
    ("POST", f"{JOURNAL}/entries"): [
        lambda user, place: user.ask("POST", f"{place}/entries", {"entries": [{"id": "1", "data": user.secret}]}),
        lambda user, place: user.ask("POST", f"{place}/entries", {"entries": [{"data": 1}], "create": True}),
        lambda user, place: user.ask("POST", f"{place}/entries", {"cut": 0, "close": True}),
    ],
    ("GET", f"{JOURNAL}/entries"): [
        lambda user, place: user.ask("GET", f"{place}/entries?head=true"),
        lambda user, place: user.ask("GET", f"{place}/entries?newest=true&limit=1"),
    ],
    ("POST", f"{JOURNAL}/pop"): [lambda user, place: user.ask("POST", f"{place}/pop")],
    ("DELETE", JOURNAL): [
        lambda user, place: user.ask("DELETE", place, **{"If-Match": '"9"'}),
        lambda user, place: user.ask("DELETE", place),
    ],
}
"""What each route is asked with, of a journal."""


def test_every_route_of_journals_is_asked() -> None:
    assert {(route.method, route.path) for route in USER_ROUTES if "/journals/" in route.path} == {*QUESTIONS}


async def test_whatever_one_user_asks_the_other_keeps_what_they_have(pair: Pair) -> None:
    for asking, other in ((pair.bob, pair.alice), (pair.alice, pair.bob)):
        before = await other.everything()
        for questions in QUESTIONS.values():
            for question in questions:
                for place in (SHARED, HERS):
                    await question(asking, place)
                    assert await other.everything() == before


async def test_what_another_user_has_is_what_never_was(pair: Pair) -> None:
    for (method, path), questions in QUESTIONS.items():
        for question in questions:
            theirs = await question(pair.bob, HERS)
            never = await question(pair.bob, f"{SPACE}/nope")
            assert theirs.status_code == never.status_code, (method, path)
            if theirs.is_error:
                errors = [response.json()["error"] for response in (theirs, never)]
                assert errors[0]["message"].replace("hers", "nope") == errors[1]["message"]
                assert errors[0].get("details") == errors[1].get("details")
            for place in (HERS, f"{SPACE}/nope"):
                await pair.bob.ask("DELETE", place)


async def test_the_incarnation_and_the_epoch_of_another_user_let_nobody_in(pair: Pair) -> None:
    before = await pair.alice.everything()
    theirs = {"id": pair.alice.secret, "incarnation": pair.hers["incarnation"], "epoch": 1, "seq": 1}
    # Bob knows what he should not; what he says himself may come back.
    pair.bob.others_secret = "nothing that is there"
    for place, code in ((HERS, "not_found"), (SHARED, "stale")):
        refused = await pair.bob.ask("POST", f"{place}/entries", {"entries": [{"data": 1}], "producer": theirs})
        check_refusal(refused, code)
    assert await pair.alice.everything() == before


async def test_a_cursor_of_another_user_leads_only_to_ones_own(pair: Pair) -> None:
    following = (await pair.alice.ask("GET", f"{SHARED}/entries?limit=1")).json()["nextCursor"]
    check_refusal(await pair.bob.ask("GET", f"{SHARED}/entries?cursor={following}"), "cursor_expired")
    page = (await pair.alice.ask("GET", f"{SPACE}?limit=1")).json()["nextCursor"]
    pair.bob.others_secret = "nothing that is there"
    listed = await pair.bob.ask("GET", f"{SPACE}?cursor={page}")
    assert pair.alice.secret not in listed.text
    assert listed.status_code == 200


async def test_one_user_erases_everything_and_the_other_keeps_the_same_names(pair: Pair) -> None:
    before = await pair.bob.everything()
    erased = (await pair.alice.ask("DELETE", f"/api/me?confirm={pair.alice.name}")).json()
    assert (erased["conversations"], erased["messages"], erased["journals"]) == (0, 0, 2)
    assert await pair.alice.everything() == []
    assert await pair.bob.everything() == before
