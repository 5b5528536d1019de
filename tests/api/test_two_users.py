"""Two users who hold the same ids: neither sees, changes, blocks or reveals anything of the other's."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from asking import API, STREAM, ask, check_refusal, everything, import_document, message, send

from support.backends import Backend
from support.routes import USER_ROUTES
from threadkeep.ids import new_id

pytestmark = pytest.mark.anyio


@dataclass
class User:
    """Somebody with conversations full of a word that nobody else knows."""

    name: str
    secret: str
    client: httpx.AsyncClient
    others_secrets: list[str]

    async def ask(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """Ask, and see to it that the answer holds nothing of the other's."""
        if body is None:
            response = await ask(self.client, method, path, **options)
        else:
            response = await send(self.client, method, path, body, **options)
        seen = f"{response.text} {response.headers}"
        assert not [secret for secret in self.others_secrets if secret in seen]
        return response


@dataclass
class Two:
    """Two users, and the ids of what they hold: the same, and each their own."""

    alice: User
    bob: User
    shared: str
    """A conversation of each, under one id, whose two messages have the same ids as well."""
    shared_messages: list[str]
    alices: str
    """A conversation of hers alone, of two messages."""
    alices_messages: list[str]


@pytest.fixture
async def two(backend: Backend) -> Two:
    """Bob holds under the shared ids other things than Alice."""
    secrets = [f"secret{new_id()}" for _ in range(2)]
    names = [f"{name}-{new_id()}" for name in ("alice", "bob")]
    alice, bob = (
        User(name, secret, backend.client_of(name), [other])
        for name, secret, other in zip(names, secrets, secrets[::-1], strict=True)
    )
    two = Two(alice, bob, new_id(), [new_id(), new_id()], new_id(), [new_id(), new_id()])
    for user in (alice, bob):
        await _keep(user, two.shared, two.shared_messages)
    await _keep(alice, two.alices, two.alices_messages)
    # Bob's is archived, at another version, and longer.
    shared = f"{API}/{two.shared}"
    await bob.ask("PATCH", shared, {"isArchived": True})
    await bob.ask("PATCH", shared, {"model": bob.secret})
    await bob.ask("POST", f"{shared}/messages", message(bob.secret))
    return two


async def _keep(user: User, conversation_id: str, message_ids: list[str]) -> None:
    body = {
        "id": conversation_id,
        "title": f"title {user.secret}",
        "model": user.secret,
        "metadata": {user.secret: user.secret},
        "messages": [
            message(user.secret, id=id_, model=user.secret, metadata={"a": user.secret}) for id_ in message_ids
        ],
    }
    assert (await user.ask("POST", API, body)).status_code == 201
    # A message that is being written beside the last one, under the id of its conversation.
    draft = {"id": conversation_id, "parentId": message_ids[0], "model": user.secret}
    assert (await user.ask("POST", f"{API}/{conversation_id}/drafts", draft)).status_code == 201
    parts = {"fence": 1, "from": 0, "parts": [[{"block": 0, "set": {"type": "text", "text": user.secret}}]]}
    assert (await user.ask("POST", f"/api/drafts/{conversation_id}/parts", parts)).status_code == 200


async def history(user: User) -> dict[str, Any]:
    """All that a user has, in one request: each conversation and message, and how far their changes have come.

    So it tells of a change as well that was undone since.
    """
    told: dict[str, Any] = (await user.ask("GET", f"{API}/changes?since=0&limit=500")).json()
    assert not told["hasMore"]
    return told


# What each route is asked with: a path and a body, in terms of a conversation and of one of its messages.
# Everybody searches for all words, by what the secrets of both begin with.

Question = Callable[[User, str, str], tuple[str, Any]]

QUESTIONS: dict[tuple[str, str], list[Question]] = {
    ("GET", "/api/conversations"): [
        lambda user, id_, message_id: (API, None),
        lambda user, id_, message_id: (f"{API}?archived=true", None),
        lambda user, id_, message_id: (f"{API}?archived=any&createdAfter=0&metadata.a=1", None),
    ],
    ("POST", "/api/conversations"): [
        lambda user, id_, message_id: (API, {"title": user.secret}),
        lambda user, id_, message_id: (API, {"id": id_, "title": user.secret}),
        lambda user, id_, message_id: (API, {"messages": [message(user.secret, id=message_id)]}),
        lambda user, id_, message_id: (API, {"id": id_, "messages": [message(user.secret, id=message_id)]}),
    ],
    ("GET", "/api/conversations/search"): [
        lambda user, id_, message_id: (f"{API}/search?q=secret", None),
        lambda user, id_, message_id: (f"{API}/search?q=title+secret", None),
        lambda user, id_, message_id: (f'{API}/search?q="{user.others_secrets[0]}"', None),
        lambda user, id_, message_id: (f"{API}/search?q={id_}", None),
        lambda user, id_, message_id: (f"{API}/search?q=secret&role=user&from=0&to=9007199254740991&limit=100", None),
    ],
    ("GET", "/api/conversations/changes"): [
        lambda user, id_, message_id: (f"{API}/changes", None),
        lambda user, id_, message_id: (f"{API}/changes?since=0", None),
        lambda user, id_, message_id: (f"{API}/changes?since=0&limit=500", None),
    ],
    ("GET", "/api/conversations/changes/stream"): [
        lambda user, id_, message_id: (STREAM, None),
        lambda user, id_, message_id: (f"{STREAM}?since=0&limit=500", None),
    ],
    ("GET", "/api/conversations/{id}"): [lambda user, id_, message_id: (f"{API}/{id_}", None)],
    ("PUT", "/api/conversations/{id}"): [
        lambda user, id_, message_id: (f"{API}/{id_}", {"messages": [message(user.secret)]}),
        lambda user, id_, message_id: (f"{API}/{id_}", {"messages": [message(user.secret, id=message_id)]}),
        lambda user, id_, message_id: (f"{API}/{id_}", {"messages": [message(user.secret)], "expectedMessageCount": 9}),
    ],
    ("PATCH", "/api/conversations/{id}"): [
        lambda user, id_, message_id: (f"{API}/{id_}", {"title": user.secret}),
        lambda user, id_, message_id: (f"{API}/{id_}", {"metadata": {"a": user.secret}, "isArchived": True}),
        lambda user, id_, message_id: (f"{API}/{id_}", {"title": None, "metadata": None, "model": None}),
    ],
    ("DELETE", "/api/conversations/{id}"): [lambda user, id_, message_id: (f"{API}/{id_}", None)],
    ("POST", "/api/conversations/{id}/restore"): [lambda user, id_, message_id: (f"{API}/{id_}/restore", None)],
    ("GET", "/api/conversations/{id}/export"): [lambda user, id_, message_id: (f"{API}/{id_}/export", None)],
    ("GET", "/api/export"): [lambda user, id_, message_id: ("/api/export", None)],
    ("POST", "/api/import"): [
        lambda user, id_, message_id: ("/api/import", import_document(user.secret, id_, message_id)),
    ],
    ("GET", "/api/conversations/{id}/messages"): [
        lambda user, id_, message_id: (f"{API}/{id_}/messages", None),
        lambda user, id_, message_id: (f"{API}/{id_}/messages?after=0", None),
        lambda user, id_, message_id: (f"{API}/{id_}/messages?cursor={message_id}", None),
    ],
    ("GET", "/api/conversations/{id}/context"): [
        lambda user, id_, message_id: (f"{API}/{id_}/context?dialect=anthropic", None),
        lambda user, id_, message_id: (f"{API}/{id_}/context?dialect=openai-responses&maxBytes=150", None),
    ],
    ("POST", "/api/conversations/{id}/messages"): [
        lambda user, id_, message_id: (f"{API}/{id_}/messages", message(user.secret)),
        lambda user, id_, message_id: (f"{API}/{id_}/messages", message(user.secret, id=message_id)),
        lambda user, id_, message_id: (
            f"{API}/{id_}/messages",
            {"messages": [message(user.secret, id=message_id), message(user.secret, parentId=message_id)]},
        ),
        lambda user, id_, message_id: (
            f"{API}/{id_}/messages",
            {"messages": [message(user.secret)], "expectedMessageCount": 2},
        ),
    ],
    ("GET", "/api/conversations/{id}/messages/{mid}"): [
        lambda user, id_, message_id: (f"{API}/{id_}/messages/{message_id}", None),
    ],
    ("POST", "/api/conversations/{id}/fork"): [
        lambda user, id_, message_id: (f"{API}/{id_}/fork", {}),
        lambda user, id_, message_id: (f"{API}/{id_}/fork", {"messageId": message_id, "title": user.secret}),
        lambda user, id_, message_id: (f"{API}/{id_}/fork", {"id": id_}),
    ],
    ("GET", "/api/conversations/{id}/messages/{mid}/branches"): [
        lambda user, id_, message_id: (f"{API}/{id_}/messages/{message_id}/branches", None),
    ],
    ("PUT", "/api/conversations/{id}/leaf"): [
        lambda user, id_, message_id: (f"{API}/{id_}/leaf", {"messageId": message_id}),
        lambda user, id_, message_id: (f"{API}/{id_}/leaf", {"messageId": message_id, "descend": False}),
    ],
    ("DELETE", "/api/conversations/{id}/messages/{mid}"): [
        lambda user, id_, message_id: (f"{API}/{id_}/messages/{message_id}", None),
    ],
    ("POST", "/api/conversations/{id}/messages/{mid}/restore"): [
        lambda user, id_, message_id: (f"{API}/{id_}/messages/{message_id}/restore", None),
    ],
    ("PATCH", "/api/conversations/{id}/messages/{mid}"): [
        lambda user, id_, message_id: (f"{API}/{id_}/messages/{message_id}", {"metadata": {"b": user.secret}}),
        lambda user, id_, message_id: (f"{API}/{id_}/messages/{message_id}", {"metadata": None}),
    ],
    ("POST", "/api/conversations/{id}/drafts"): [
        lambda user, id_, message_id: (f"{API}/{id_}/drafts", {"parentId": message_id, "model": user.secret}),
        lambda user, id_, message_id: (f"{API}/{id_}/drafts", {"id": message_id}),
    ],
    ("GET", "/api/conversations/{id}/drafts"): [lambda user, id_, message_id: (f"{API}/{id_}/drafts", None)],
    ("GET", "/api/drafts/{id}"): [
        lambda user, id_, message_id: (f"/api/drafts/{id_}", None),
        lambda user, id_, message_id: (f"/api/drafts/{id_}?folded=true", None),
    ],
    ("POST", "/api/drafts/{id}/parts"): [
        lambda user, id_, message_id: (
            f"/api/drafts/{id_}/parts",
            {"fence": 1, "from": 1, "parts": [[{"block": 0, "append": user.secret}]]},
        ),
    ],
    ("POST", "/api/drafts/{id}/take"): [lambda user, id_, message_id: (f"/api/drafts/{id_}/take", None)],
    ("POST", "/api/drafts/{id}/stop"): [lambda user, id_, message_id: (f"/api/drafts/{id_}/stop", None)],
    ("PUT", "/api/drafts/{id}"): [
        lambda user, id_, message_id: (f"/api/drafts/{id_}", {"fence": 2, "state": "complete"}),
        lambda user, id_, message_id: (f"/api/drafts/{id_}", {"fence": 9, "state": "failed"}),
    ],
    ("GET", "/api/drafts/{id}/events"): [  # of one that has ended by now
        lambda user, id_, message_id: (f"/api/drafts/{id_}/events", None),
    ],
    # Last, since nothing of one's own is left after these.
    ("DELETE", "/api/conversations"): [
        lambda user, id_, message_id: (f"{API}?before={2**53 - 1}&archived=any&confirm={user.name}", None),
    ],
    ("DELETE", "/api/me"): [lambda user, id_, message_id: (f"/api/me?confirm={user.name}", None)],
}


CREATES = {("POST", API), ("PUT", f"{API}/{{id}}"), ("POST", "/api/import")}
"""What leaves behind something new."""


def test_every_route_is_asked() -> None:
    conversations = {(route.method, route.path) for route in USER_ROUTES if route.needs != "agents"}
    lines = {("POST", "/api/drafts/{id}/stream")}
    assert conversations == {*QUESTIONS} | lines  # the state of agents is in test_two_users_of_state.py


@pytest.mark.parametrize("asks", ["alice", "bob"])
async def test_under_the_same_ids_each_route_answers_each_user_their_own(
    two: Two, subtests: pytest.Subtests, asks: str
) -> None:
    user, other = (two.alice, two.bob) if asks == "alice" else (two.bob, two.alice)
    before, seen_before = await history(other), await everything(other.client)
    for (method, path), questions in QUESTIONS.items():
        with subtests.test(f"{method} {path}"):
            for question in questions:
                url, body = question(user, two.shared, two.shared_messages[0])
                response = await user.ask(method, url, body)
                assert response.status_code in (200, 201, 204, 409, 412)
                if method == "PATCH":
                    for version in (1, 3):
                        headers = {"If-Match": f'"{version}"'}
                        assert (await user.ask(method, url, body, **headers)).status_code in (200, 412)
            assert await history(other) == before
    assert await everything(other.client) == seen_before


async def test_what_only_another_user_holds_is_on_no_route(two: Two, subtests: pytest.Subtests) -> None:
    before, seen_before = await history(two.alice), await everything(two.alice.client)
    for (method, path), questions in QUESTIONS.items():
        with subtests.test(f"{method} {path}"):
            for question in questions if (method, path) not in CREATES else ():
                url, body = question(two.bob, two.alices, two.alices_messages[0])
                response = await two.bob.ask(method, url, body)
                assert response.status_code == (404 if "{id}" in path else 200)
                if "{id}" in path:
                    never_was, body = question(two.bob, new_id(), two.alices_messages[0])
                    assert _without_id(response) == _without_id(await two.bob.ask(method, never_was, body))
            assert await history(two.alice) == before
    assert await everything(two.alice.client) == seen_before


def _without_id(response: httpx.Response) -> tuple[int, Any]:
    error = response.json()["error"]
    return response.status_code, (error["code"], error["message"].rpartition(" ")[0], error.get("details"))


async def test_who_holds_nothing_gets_nothing_by_asking_for_all_of_it(backend: Backend, two: Two) -> None:
    secrets = [two.alice.secret, two.bob.secret]
    name = f"nobody-{new_id()}"
    nobody = User(name, "nothing", backend.client_of(name), secrets)
    before = [await everything(user.client) for user in (two.alice, two.bob)]
    for (method, path), questions in QUESTIONS.items():
        for question in questions if (method, path) not in CREATES else ():
            for id_, message_id in ((two.shared, two.shared_messages[0]), (two.alices, two.alices_messages[1])):
                url, body = question(nobody, id_, message_id)
                response = await nobody.ask(method, url, body)
                assert response.status_code == (404 if "{id}" in path else 200)
    assert await everything(nobody.client) == {}
    assert [await everything(user.client) for user in (two.alice, two.bob)] == before


async def test_nobody_writes_lines_to_the_draft_of_another(two: Two) -> None:
    seen = (await two.alice.ask("GET", f"/api/drafts/{two.alices}")).json()
    line = b'{"block": 0, "append": "x"}\n'
    options = {"content": line, "headers": {"Content-Type": "application/x-ndjson"}}
    for id_ in (two.alices, new_id()):
        check_refusal(await two.bob.ask("POST", f"/api/drafts/{id_}/stream?fence=1", **options), "not_found")
    assert (await two.bob.ask("POST", f"/api/drafts/{two.shared}/stream?fence=1", **options)).status_code == 200
    assert (await two.alice.ask("GET", f"/api/drafts/{two.alices}")).json() == seen


# Ids that one user holds are free for another


async def test_the_ids_of_another_users_messages_are_free(two: Two) -> None:
    before = await everything(two.alice.client)
    taken = [message(two.bob.secret, id=id_) for id_ in two.alices_messages]
    url = f"{API}/{two.shared}/messages"
    for body in (taken[0], {"messages": taken, "expectedMessageCount": 4}):
        assert (await two.bob.ask("POST", url, body)).status_code == 201
        assert (await two.bob.ask("POST", url, body)).status_code == 200
    listed = (await two.bob.ask("GET", url)).json()["messages"]
    assert [row["id"] for row in listed[-2:]] == two.alices_messages
    assert [row["seq"] for row in listed] == [1, 2, 3, 4, 5]
    assert await everything(two.alice.client) == before


async def test_the_id_of_another_users_conversation_is_free(two: Two) -> None:
    before = await everything(two.alice.client)
    body = {"id": two.alices, "title": two.bob.secret, "messages": [message(two.bob.secret, id=two.alices_messages[0])]}
    assert (await two.bob.ask("POST", API, body)).status_code == 201
    assert (await two.bob.ask("POST", API, body)).status_code == 200
    assert await everything(two.alice.client) == before


async def test_the_id_of_another_users_conversation_is_free_to_put(two: Two) -> None:
    before = await everything(two.alice.client)
    url, body = f"{API}/{two.alices}", {"messages": [message(two.bob.secret, id=two.alices_messages[0])]}
    assert (await two.bob.ask("PUT", url, {**body, "expectedMessageCount": 2})).status_code == 412
    assert (await two.bob.ask("PUT", url, body)).status_code == 201
    assert (await two.bob.ask("PUT", url, body)).status_code == 200
    assert await everything(two.alice.client) == before


async def test_the_ids_of_what_another_user_deleted_are_free(two: Two) -> None:
    assert (await two.alice.ask("DELETE", f"{API}/{two.alices}")).status_code == 204
    body = {"id": two.alices, "messages": [message(two.bob.secret, id=two.alices_messages[0])]}
    assert (await two.bob.ask("POST", API, body)).status_code == 201
    assert (await two.bob.ask("GET", f"{API}/{two.alices}")).json()["deletedAt"] is None
    restored = await two.alice.ask("POST", f"{API}/{two.alices}/restore")
    assert (restored.status_code, restored.json()["messageCount"]) == (200, 2)


async def test_a_conflict_names_only_ids_that_the_same_user_holds(two: Two) -> None:
    sent = [message(two.bob.secret, id=id_) for id_ in (two.alices_messages[0], two.shared_messages[0])]
    created = await two.bob.ask("POST", API, {"messages": sent})
    assert created.status_code == 409
    assert created.json()["error"]["details"] == {"ids": [two.shared_messages[0]]}


# Search, changes, exports and imports


async def test_a_search_finds_only_ones_own_words(two: Two) -> None:
    # In titles and messages, of conversations that are archived or not, of one user or of both under one id.
    for user, other in ((two.alice, two.bob), (two.bob, two.alice)):
        found = (await user.ask("GET", f"{API}/search?q=secret&limit=100")).json()["hits"]
        assert {hit["conversation"]["userId"] for hit in found} == {user.name}
        own = (await user.ask("GET", f"{API}/search?q={user.secret}&limit=100")).json()["hits"]
        assert len(own) == len(found) == (6 if user is two.alice else 4)
        for query in (other.secret, f'"{other.secret}"', f"title {other.secret}"):
            page = await user.ask("GET", f"{API}/search", params={"q": query})
            assert (page.status_code, page.json()) == (200, {"hits": [], "nextCursor": None})
        # The secrets may differ in their last letter alone.
        page = await user.ask("GET", f"{API}/search", params={"q": other.secret[:-1]})
        assert {hit["conversation"]["userId"] for hit in page.json()["hits"]} <= {user.name}


async def test_the_place_of_anothers_hits_leads_only_to_ones_own(two: Two) -> None:
    cursor = (await two.alice.ask("GET", f"{API}/search?q=secret&limit=1")).json()["nextCursor"]
    page = await two.bob.ask("GET", f"{API}/search?q=secret&limit=100&cursor={cursor}")
    assert {hit["conversation"]["userId"] for hit in page.json()["hits"]} == {two.bob.name}


async def test_the_changes_show_only_ones_own_and_move_only_with_them(two: Two) -> None:
    for user, other, conversations, messages in ((two.alice, two.bob, 2, 4), (two.bob, two.alice, 1, 4)):
        changes = (await user.ask("GET", f"{API}/changes?since=0&limit=500")).json()
        assert (len(changes["conversations"]), len(changes["messages"])) == (conversations, messages)
        await other.ask("POST", f"{API}/{two.shared}/messages", message(other.secret))
        await other.ask("DELETE", f"{API}/{two.shared}")
        later = (await user.ask("GET", f"{API}/changes?since={changes['next']}")).json()
        nothing = {"conversations": [], "messages": [], "removed": [], "drafts": []}
        assert later == {**nothing, "next": changes["next"], "hasMore": False}
        await other.ask("POST", f"{API}/{two.shared}/restore")


async def test_a_cursor_of_the_changes_of_another_user_has_expired(two: Two) -> None:
    for user, other in ((two.alice, two.bob), (two.bob, two.alice)):
        pages = [
            await other.ask("GET", f"{API}/changes?{query}") for query in ("since=0&limit=1", "since=0", "limit=1")
        ]
        for cursor in [page.json()["next"] for page in pages]:
            response = await user.ask("GET", f"{API}/changes?since={cursor}")
            assert response.status_code == 410
            check_refusal(response, "cursor_expired", says=("since=0",))
            assert [*response.json()] == ["error"]


async def test_a_cursor_of_another_user_has_expired_in_a_stream_as_well(two: Two) -> None:
    for user, other in ((two.alice, two.bob), (two.bob, two.alice)):
        cursor = (await other.ask("GET", f"{API}/changes?since=0")).json()["next"]
        told = await user.ask("GET", STREAM, headers={"Last-Event-ID": cursor})
        assert told.status_code == 200
        name, id_, data = told.text.splitlines()[-3:]
        assert (name, id_) == ("event: expired", "id: ")
        assert json.loads(data.removeprefix("data: "))["code"] == "cursor_expired"


async def test_an_export_holds_only_ones_own(two: Two) -> None:
    for user, held in ((two.alice, {two.shared, two.alices}), (two.bob, {two.shared})):
        lines = (await user.ask("GET", "/api/export")).text.splitlines()
        documents = [json.loads(line)["conversation"] for line in lines]
        assert {document["id"] for document in documents} == held
        assert all(user.secret in document["title"] for document in documents)
    export = await two.bob.ask("GET", f"{API}/{two.alices}/export")
    check_refusal(export, "not_found", says=(two.alices,))


async def test_imports_of_two_users_under_one_key_are_apart(two: Two) -> None:
    headers = {"Idempotency-Key": "the-same"}
    entries = []
    for user in (two.alice, two.bob, two.bob):
        before = await everything(two.alice.client)
        sent = import_document(user.secret, two.shared, two.shared_messages[0])
        report = await user.ask("POST", "/api/import", sent, **headers)
        assert (report.status_code, report.json()["skipped"]) == (200, [])
        entries.append(report.json()["imported"])
        if user is two.bob:
            assert await everything(two.alice.client) == before
    assert entries[1] == entries[2]
    for user, ((entry,)) in ((two.alice, entries[0]), (two.bob, entries[1])):
        kept = (await user.ask("GET", f"{API}/{entry['id']}")).json()
        assert (kept["userId"], kept["title"], kept["messageCount"]) == (user.name, user.secret, 2)
        messages = (await user.ask("GET", f"{API}/{entry['id']}/messages")).json()["messages"]
        assert [row["content"][0]["text"] for row in messages] == [user.secret, user.secret]
    assert (len(await everything(two.alice.client)), len(await everything(two.bob.client))) == (3, 2)


async def test_a_conflict_of_ones_own_key_says_nothing_of_anothers(two: Two) -> None:
    headers = {"Idempotency-Key": "k"}
    await two.alice.ask("POST", "/api/import", import_document(two.alice.secret), **headers)
    for text, imported in ((two.bob.secret, 1), ("other words", 0)):
        report = (await two.bob.ask("POST", "/api/import", import_document(text), **headers)).json()
        assert (len(report["imported"]), [entry["error"]["code"] for entry in report["skipped"]]) == (
            imported,
            ["conflict"] * (1 - imported),
        )


# Erasing


async def test_one_user_erases_everything_and_the_other_keeps_the_same_ids(two: Two) -> None:
    for user, other, kept in ((two.alice, two.bob, (2, 4)), (two.bob, two.alice, (1, 4))):
        if other is two.alice:  # who begins anew under the same ids
            await _keep(other, two.shared, two.shared_messages)
        before = await everything(other.client)
        cursor = (await other.ask("GET", f"{API}/changes?since=0")).json()["next"]
        found = (await other.ask("GET", f"{API}/search?q=secret&limit=100")).json()
        erased = await user.ask("DELETE", f"/api/me?confirm={user.name}")
        assert (erased.status_code, erased.json()) == (
            200,
            {"conversations": kept[0], "messages": kept[1], "userId": user.name, "isComplete": True},
        )
        assert await everything(user.client) == {}
        assert await everything(other.client) == before
        assert (await other.ask("GET", f"{API}/search?q=secret&limit=100")).json() == found
        changes = (await other.ask("GET", f"{API}/changes?since={cursor}")).json()
        nothing = {"conversations": [], "messages": [], "removed": [], "drafts": []}
        assert changes == {**nothing, "next": cursor, "hasMore": False}
        assert (await other.ask("POST", f"{API}/{two.shared}/messages", message(other.secret))).status_code == 201


async def test_nobody_erases_by_the_id_of_somebody_else(two: Two) -> None:
    before = [await everything(user.client) for user in (two.alice, two.bob)]
    for user, other in ((two.alice, two.bob), (two.bob, two.alice)):
        response = await user.ask("DELETE", f"/api/me?confirm={other.name}")
        check_refusal(response, at="confirm", says=("Nothing was erased",))
        # Somebody who is there, and somebody who never was, are told of alike.
        never_was = await user.ask("DELETE", f"/api/me?confirm=user-{new_id()}")
        assert response.json() == never_was.json()
    assert [await everything(user.client) for user in (two.alice, two.bob)] == before


# What passes from one user to another


async def test_a_cursor_of_another_user_leads_only_to_ones_own(two: Two) -> None:
    alice, bob = two.alice, two.bob
    await bob.ask("PATCH", f"{API}/{two.shared}", {"isArchived": False})
    for list_, own in ((API, "conversations"), (f"{API}/{two.shared}/messages", "messages")):
        cursor = (await alice.ask("GET", f"{list_}?limit=1")).json()["nextCursor"]
        assert cursor is not None
        page = await bob.ask("GET", f"{list_}?cursor={cursor}")
        assert page.status_code == 200
        whole = (await bob.ask("GET", list_)).json()[own]
        assert [row for row in page.json()[own] if row not in whole] == []


async def test_an_id_of_another_user_is_no_cursor(two: Two) -> None:
    for list_, id_ in ((API, two.alices), (f"{API}/{two.shared}/messages", two.alices_messages[0])):
        response = await two.bob.ask("GET", f"{list_}?cursor={id_}")
        never_was = await two.bob.ask("GET", f"{list_}?cursor={new_id()}")
        assert (response.status_code, response.json()) == (400, never_was.json())


async def test_the_version_and_count_of_another_user_do_not_matter(two: Two) -> None:
    shared = f"{API}/{two.shared}"
    alices, bobs = [(await user.ask("GET", shared)).headers["etag"] for user in (two.alice, two.bob)]
    assert alices != bobs
    headers = {"If-Match": alices}
    stale = await two.bob.ask("PATCH", shared, {"title": "New"}, **headers)
    assert stale.status_code == 412
    assert stale.json()["error"]["details"]["conversation"]["userId"] == two.bob.name
    body = {"messages": [message(two.bob.secret)], "expectedMessageCount": 2}
    stale = await two.bob.ask("POST", f"{shared}/messages", body)
    assert (stale.status_code, stale.json()["error"]["details"]) == (412, {"messageCount": 3})
    assert (await two.alice.ask("PATCH", shared, {"title": "New"}, **headers)).status_code == 200


async def test_the_version_of_another_users_message_does_not_matter(two: Two) -> None:
    url = f"{API}/{two.shared}/messages/{two.shared_messages[0]}"
    before = await everything(two.alice.client)
    voted = await two.bob.ask("PATCH", url, {"metadata": {"vote": two.bob.secret}})
    assert (voted.status_code, voted.headers["etag"]) == (200, '"2"')
    stale = await two.bob.ask("PATCH", url, {"metadata": None}, **{"If-Match": '"1"'})
    assert (stale.status_code, stale.json()["error"]["details"]) == (412, {"message": voted.json()})
    assert await everything(two.alice.client) == before
    assert (await two.alice.ask("GET", url)).headers["etag"] == '"1"'


async def test_a_bookmark_of_another_user_shows_nothing_of_theirs(two: Two) -> None:
    bookmark = (await two.alice.ask("POST", API, {})).headers.get("x-d1-bookmark")
    headers = {} if bookmark is None else {"X-D1-Bookmark": bookmark}
    page = await two.bob.ask("GET", f"{API}?archived=true", headers=headers)
    assert [row["id"] for row in page.json()["conversations"]] == [two.shared]


async def test_no_field_says_whose_it_is(two: Two) -> None:
    before, user_id = await everything(two.alice.client), "userId"
    for method, path, body in (
        ("POST", API, {user_id: two.alice.name, "title": "T"}),
        ("PATCH", f"{API}/{two.shared}", {user_id: two.alice.name, "title": "T"}),
        ("POST", f"{API}/{two.shared}/messages", {user_id: two.alice.name, **message()}),
        ("GET", f"{API}?{user_id}={two.alice.name}", None),
        ("DELETE", f"{API}/{two.shared}?{user_id}={two.alice.name}", None),
        ("DELETE", f"/api/me?{user_id}={two.alice.name}", None),
        ("DELETE", f"/api/me?{user_id}={two.alice.name}&confirm={two.alice.name}", None),
        ("DELETE", f"/api/me?{user_id}={two.alice.name}&confirm={two.bob.name}", None),
    ):
        assert (await two.bob.ask(method, path, body)).status_code == 400
    assert await everything(two.alice.client) == before


async def test_one_who_asks_for_two_users_at_once_is_neither(backend: Backend, two: Two) -> None:
    key = ("Authorization", two.alice.client.headers["authorization"])
    for named in ([two.alice.name, two.bob.name], [f"{two.alice.name},{two.bob.name}"]):
        headers = [key, *(("X-User-Id", name) for name in named)]
        response = await ask(backend.client, "GET", API, headers=headers)
        assert two.alice.secret not in response.text
        assert two.bob.secret not in response.text
