"""The API as its users use it: whole round trips, and what every answer looks like."""

import re
from html.parser import HTMLParser
from urllib.parse import quote

import httpx
import pytest
from asking import API, JSON, MISSING, ask, check_refusal, create, everything, message, send, someone

from support.backends import Backend
from support.routes import USER_ROUTES
from threadkeep import __version__
from threadkeep.clock import now
from threadkeep.conversations.resent import RESENT_MAX
from threadkeep.http.problems import STATUS
from threadkeep.http.routes import ROUTES
from threadkeep.ids import is_id, new_id

pytestmark = pytest.mark.anyio

CLOCKS_APART_MS = 60_000


@pytest.fixture
def client(backend: Backend) -> httpx.AsyncClient:
    return someone(backend)


# A conversation, from its beginning to its end


async def test_a_conversation_is_created_once_however_often_it_is_sent(client: httpx.AsyncClient) -> None:
    body = {
        "id": new_id(),
        "title": "Ada",
        "model": "m",
        "metadata": {"a": 1},
        "messages": [message(), message("More")],
    }
    first = await send(client, "POST", API, body)
    assert first.status_code == 201
    assert first.headers["location"] == f"{API}/{body['id']}"
    assert first.headers["etag"] == '"1"'
    created = first.json()
    assert abs(created["createdAt"] - now()) < CLOCKS_APART_MS
    assert created == {
        "id": body["id"],
        "userId": client.headers["x-user-id"],
        "title": "Ada",
        "titleSource": "user",
        "model": "m",
        "createdAt": created["createdAt"],
        "updatedAt": created["createdAt"],
        "messageCount": 2,
        "isArchived": False,
        "metadata": {"a": 1},
        "version": 1,
        "deletedAt": None,
        "leafId": body["messages"][1]["id"],
        "forkedFrom": None,
    }
    again = await send(client, "POST", API, body)
    assert (again.status_code, again.json(), again.headers["etag"]) == (200, created, '"1"')
    assert "location" not in again.headers
    got = await ask(client, "GET", first.headers["location"])
    assert (got.status_code, got.json(), got.headers["etag"]) == (200, created, '"1"')
    page = (await ask(client, "GET", API)).json()
    assert page == {"conversations": [created], "nextCursor": None, "changes": page["changes"]}


async def test_a_conversation_needs_nothing(client: httpx.AsyncClient) -> None:
    created = [await send(client, "POST", API, body) for body in ({}, {}, {"title": None, "metadata": None})]
    assert [response.status_code for response in created] == [201, 201, 201]
    ids = [response.json()["id"] for response in created]
    assert all(map(is_id, ids))
    assert ids == sorted({*ids})
    assert [response.headers["location"] for response in created] == [f"{API}/{id_}" for id_ in ids]
    assert {response.json()["title"] for response in created} == {"New conversation"}


async def test_an_edit_by_etag_goes_through_once(client: httpx.AsyncClient) -> None:
    created = await send(client, "POST", API, {"title": "Old", "metadata": {"a": 1, "b": 1}})
    url, etag = created.headers["location"], {"If-Match": created.headers["etag"]}
    edited = await send(client, "PATCH", url, {"title": "New", "metadata": {"a": None, "c": 1}}, **etag)
    assert (edited.status_code, edited.headers["etag"]) == (200, '"2"')
    assert edited.json() == {**created.json(), "title": "New", "metadata": {"b": 1, "c": 1}, "version": 2}
    stale = await send(client, "PATCH", url, {"title": "Newer"}, **etag)
    check_refusal(stale, "stale")
    assert stale.status_code == 412
    assert stale.json()["error"]["details"] == {"conversation": edited.json()}
    got = await ask(client, "GET", url)
    assert (got.json(), got.headers["etag"]) == (edited.json(), '"2"')
    assert (await send(client, "PATCH", url, {"title": "Newer"}, **{"If-Match": '"2"'})).json()["title"] == "Newer"
    assert (await send(client, "PATCH", url, {"title": "Newest"}, **{"If-Match": "*"})).json()["title"] == "Newest"
    assert (await send(client, "PATCH", url, {"isArchived": True})).json()["version"] == 5


async def test_a_vote_is_kept_beside_a_message_and_goes_through_once(client: httpx.AsyncClient) -> None:
    created = await create(client, messages=[message(), sent := message("Hello", metadata={"a": 1})])
    url = f"{API}/{created['id']}/messages/{sent['id']}"
    got = await ask(client, "GET", url)
    assert (got.status_code, got.headers["etag"]) == (200, '"1"')
    assert got.json() == (await ask(client, "GET", f"{API}/{created['id']}/messages")).json()["messages"][1]
    etag = {"If-Match": got.headers["etag"]}
    since = (await ask(client, "GET", f"{API}/changes")).json()["next"]
    edited = await send(client, "PATCH", url, {"metadata": {"a": None, "vote": "up"}}, **etag)
    assert (edited.status_code, edited.headers["etag"]) == (200, '"2"')
    assert edited.json() == {**got.json(), "metadata": {"vote": "up"}, "version": 2}
    stale = await send(client, "PATCH", url, {"metadata": {"vote": "down"}}, **etag)
    check_refusal(stale, "stale")
    assert stale.json()["error"]["details"] == {"message": edited.json()}
    changes = (await ask(client, "GET", f"{API}/changes?since={since}")).json()
    assert (changes["conversations"], changes["messages"]) == ([], [edited.json()])
    for body in (sent, {"messages": [sent]}):
        assert (await send(client, "POST", f"{API}/{created['id']}/messages", body)).status_code == 200
    assert (await send(client, "PUT", f"{API}/{created['id']}", {"messages": [sent]})).status_code == 200
    assert (await ask(client, "GET", url)).json() == edited.json()
    merge_patch = {"Content-Type": "application/merge-patch+json", "If-Match": "*"}
    cleared = await ask(client, "PATCH", url, content=b'{"metadata":null}', headers=merge_patch)
    assert (cleared.json()["metadata"], cleared.json()["version"]) == (None, 3)
    assert (await send(client, "PATCH", url, {})).json() == cleared.json()
    assert (await ask(client, "GET", f"{API}/{created['id']}")).json() == created


async def test_a_message_sent_again_as_it_is_now_is_a_repeat(client: httpx.AsyncClient) -> None:
    sent = [message(), message("Hello", role="assistant", metadata={"a": 1}, model="m"), message("Thanks")]
    created = await create(client, messages=sent)
    url = f"{API}/{created['id']}"
    for each in sent[:2]:
        await send(client, "PATCH", f"{url}/messages/{each['id']}", {"metadata": {"vote": 1}})
    kept = (await ask(client, "GET", f"{url}/messages")).json()["messages"]
    as_now = [{name: row[name] for name in sent[1] if row[name] is not None} for row in kept]
    receipts = [{name: row[name] for name in ("id", "seq", "createdAt")} for row in kept]
    for method, path, body in (
        ("POST", f"{url}/messages", {"messages": as_now, "expectedMessageCount": 9}),
        ("POST", f"{url}/messages", {"messages": [sent[0], *as_now[1:]]}),
        ("PUT", url, {"messages": as_now}),
    ):
        again = await send(client, method, path, body)
        assert (again.status_code, again.json()["messages"]) == (200, receipts)
        assert again.json()["conversation"] == created
    assert (await send(client, "POST", f"{url}/messages", as_now[1])).json()["messages"] == receipts[1:2]
    more = {"messages": [as_now[0], new := message("More"), as_now[1]]}
    stale = await send(client, "POST", f"{url}/messages", {**more, "expectedMessageCount": 2})
    check_refusal(stale, "stale")
    for path, method, status in ((url, "PUT", 200), (f"{url}/messages", "POST", 200)):
        appended = await send(client, method, path, more)
        assert (appended.status_code, [row["seq"] for row in appended.json()["messages"]]) == (status, [1, 4, 2])
    assert (await send(client, "POST", f"{url}/messages", {"messages": [*as_now, message()]})).status_code == 201
    listed = (await ask(client, "GET", f"{url}/messages")).json()["messages"]
    assert (listed[:3], listed[3]["id"], len(listed)) == (kept, new["id"], 5)


async def test_a_message_sent_again_as_it_never_was_is_a_conflict(client: httpx.AsyncClient) -> None:
    sent, elsewhere = message("Hello", metadata={"a": 1}), message()
    created = await create(client, messages=[sent])
    await create(client, messages=[elsewhere])
    url = f"{API}/{created['id']}"
    await send(client, "PATCH", f"{url}/messages/{sent['id']}", {"metadata": {"a": True}})
    as_now = {**sent, "metadata": {"a": True}}
    before = await everything(client)
    for other in (
        {**as_now, "metadata": {"a": 2}},
        {**as_now, "metadata": {}},
        {**as_now, "role": "assistant"},
        {**as_now, "isRoot": True},
        {**as_now, "parentId": elsewhere["id"]},
        {**as_now, "content": [{"type": "text", "text": "Bye"}]},
    ):
        for method, path in (("POST", f"{url}/messages"), ("PUT", url)):
            refused = await send(client, method, path, {"messages": [message(), other]})
            check_refusal(refused, "conflict")
            assert refused.json()["error"]["details"] == {"ids": [sent["id"]]}
    both = await send(client, "PUT", url, {"messages": [as_now, {**elsewhere, "role": "tool"}]})
    assert both.json()["error"]["details"] == {"ids": sorted([sent["id"], elsewhere["id"]])}
    assert await everything(client) == before
    assert (await send(client, "PUT", url, {"messages": [as_now]})).status_code == 200


async def test_of_very_many_messages_sent_again_as_they_are_now_none_is_looked_up(client: httpx.AsyncClient) -> None:
    many = [message(str(number)) for number in range(RESENT_MAX + 1)]
    url = f"{API}/{(await create(client, messages=many))['id']}"
    for each in many:
        await send(client, "PATCH", f"{url}/messages/{each['id']}", {"metadata": {"vote": 1}})
    as_now = [{**each, "metadata": {"vote": 1}} for each in many]
    assert (await send(client, "PUT", url, {"messages": as_now[1:]})).status_code == 200
    check_refusal(await send(client, "PUT", url, {"messages": as_now}), "conflict")


async def test_an_empty_edit_is_answered_and_changes_nothing(client: httpx.AsyncClient) -> None:
    created = await create(client, title="T")
    edited = await send(client, "PATCH", f"{API}/{created['id']}", {})
    assert (edited.status_code, edited.json()) == (200, created)


async def test_a_conversation_is_deleted_and_comes_back(client: httpx.AsyncClient) -> None:
    created = await create(client, title="T", messages=[message(), message("More")])
    url = f"{API}/{created['id']}"
    listed = (await ask(client, "GET", f"{url}/messages")).json()
    for _ in range(2):
        deleted = await ask(client, "DELETE", url)
        assert (deleted.status_code, deleted.content) == (204, b"")
    for method, path, body in (
        ("GET", url, None),
        ("GET", f"{url}/messages", None),
        ("PATCH", url, {"title": "New"}),
        ("POST", f"{url}/messages", message()),
    ):
        gone = await (ask(client, method, path) if body is None else send(client, method, path, body))
        check_refusal(gone, "not_found", says=(created["id"],))
    for method, path, body in (("POST", API, {"id": created["id"], "title": "T"}), ("PUT", url, {})):
        taken = await send(client, method, path, body)
        check_refusal(taken, "conflict", says=(created["id"], "Restore it"))
        assert taken.json()["error"]["details"] == {"reason": "deleted"}
    assert await everything(client) == {}
    restored = await ask(client, "POST", f"{url}/restore")
    assert (restored.status_code, restored.headers["etag"]) == (200, '"3"')
    assert restored.json() == {**created, "version": 3}
    assert (await ask(client, "POST", f"{url}/restore")).json() == restored.json()
    assert (await ask(client, "GET", f"{url}/messages")).json() == listed


async def test_a_delete_by_etag_deletes_that_version_or_nothing(client: httpx.AsyncClient) -> None:
    created = await send(client, "POST", API, {"title": "Old"})
    url, etag = created.headers["location"], {"If-Match": created.headers["etag"]}
    edited = await send(client, "PATCH", url, {"title": "New"})
    stale = await ask(client, "DELETE", url, headers=etag)
    check_refusal(stale, "stale")
    assert stale.json()["error"]["details"] == {"conversation": edited.json()}
    assert (await ask(client, "GET", url)).json() == edited.json()
    assert (await ask(client, "DELETE", url, headers={"If-Match": edited.headers["etag"]})).status_code == 204
    assert (await ask(client, "DELETE", url, headers=etag)).status_code == 204


async def test_what_never_was_is_not_found_whatever_is_asked_of_it(client: httpx.AsyncClient) -> None:
    for route in USER_ROUTES:
        if "{id}" in route.path and route.method != "PUT":  # which creates it
            path = route.path.replace("{id}", MISSING).replace("{mid}", MISSING)
            path += "?dialect=anthropic" if route.path.endswith("context") else ""
            body = message() if route.path.endswith("messages") else {}
            body = {"messageId": MISSING} if route.path.endswith("leaf") else body
            if "/drafts/" in route.path:
                body = {"fence": 1, "state": "complete"}
                body = {"fence": 1, "from": 0, "parts": [[]]} if route.path.endswith("parts") else body
                path += "?fence=1" if route.path.endswith("stream") else ""
            headers = {"Content-Type": "application/x-ndjson"} if route.path.endswith("stream") else {}
            has_body = route.body or headers
            asked = send(client, route.method, path, body, **headers) if has_body else ask(client, route.method, path)
            check_refusal(await asked, "not_found", says=(MISSING,))


async def test_putting_a_conversation_creates_it_and_then_appends_to_it(client: httpx.AsyncClient) -> None:
    url, first, second = f"{API}/my-chat:1", message("Hi"), message("Hello", role="assistant")
    body = {"title": "T", "model": "m", "metadata": {"a": 1}, "messages": [first]}
    created = await send(client, "PUT", url, body)
    assert (created.status_code, created.headers["location"], created.headers["etag"]) == (201, url, '"1"')
    answer = created.json()
    assert {*answer} == {"messages", "conversation"}
    assert answer["messages"] == [{"id": first["id"], "seq": 1, "createdAt": answer["messages"][0]["createdAt"]}]
    assert (answer["conversation"]["id"], answer["conversation"]["title"]) == ("my-chat:1", "T")
    assert (await ask(client, "GET", url)).json() == answer["conversation"]
    for again in (body, {**body, "id": "my-chat:1"}):
        repeat = await send(client, "PUT", url, again)
        assert (repeat.status_code, repeat.json()) == (200, answer)
        assert "location" not in repeat.headers
    assert (await send(client, "POST", API, {**body, "id": "my-chat:1"})).status_code == 200  # the same creation

    await send(client, "PATCH", url, {"title": "Renamed"})
    appended = await send(client, "PUT", url, {**body, "messages": [first, second], "expectedMessageCount": 1})
    assert (appended.status_code, appended.headers["etag"]) == (200, '"2"')
    assert [(receipt["id"], receipt["seq"]) for receipt in appended.json()["messages"]] == [
        (first["id"], 1),
        (second["id"], 2),
    ]
    assert (appended.json()["conversation"]["title"], appended.json()["conversation"]["messageCount"]) == ("Renamed", 2)
    assert appended.json()["conversation"]["metadata"] == {"a": 1}

    stale = await send(client, "PUT", url, {"messages": [message()], "expectedMessageCount": 1})
    check_refusal(stale, "stale")
    assert stale.json()["error"]["details"] == {"messageCount": 2}
    other = await send(client, "PUT", url, {"messages": [{**first, "role": "system"}]})
    check_refusal(other, "conflict")
    assert other.json()["error"]["details"] == {"ids": [first["id"]]}
    check_refusal(await send(client, "PUT", url, {"id": "my-chat:2"}), at="id", says=("in the path",))
    assert (await ask(client, "GET", url)).json() == appended.json()["conversation"]


async def test_creating_again_with_one_message_more_says_what_to_do_instead(client: httpx.AsyncClient) -> None:
    first, second = message("Hi"), message("Hello", role="assistant")
    created = await create(client, messages=[first])
    body = {"id": created["id"], "messages": [first, second]}
    refused = await send(client, "POST", API, body)
    check_refusal(refused, "conflict", says=(created["id"], "Append to it what is new", "PUT"))
    assert refused.json()["error"]["details"] == {"reason": "exists"}
    done = await send(client, "PUT", f"{API}/{created['id']}", body)
    assert (done.status_code, done.json()["conversation"]["messageCount"]) == (200, 2)
    assert len(await everything(client)) == 1


@pytest.mark.parametrize(
    "id_",
    ["550e8400-e29b-41d4-a716-446655440000", "01arz3ndektsv4rrffq69g5fav", "V1StGXR8_Z5jdHi6B-myT", "a.b:c@d", "..."],
)
async def test_an_id_of_ones_own_works_on_every_route(client: httpx.AsyncClient, id_: str) -> None:
    sent = message("Who was Ada?", id=id_)
    created = await create(client, id=id_, messages=[sent])
    url = f"{API}/{id_}"
    assert created["id"] == id_
    assert (await ask(client, "GET", url)).json() == created
    for path in (f"{API}/{quote(id_, safe='')}", f"{API}/%{ord(id_[0]):02X}{id_[1:]}"):
        assert (await ask(client, "GET", path)).json() == created
    (kept,) = (await ask(client, "GET", f"{url}/messages")).json()["messages"]
    assert (kept["id"], kept["conversationId"]) == (id_, id_)
    assert (await send(client, "POST", f"{url}/messages", sent)).status_code == 200
    assert (await send(client, "POST", f"{url}/messages", message("A poet.", parentId=id_))).status_code == 201
    assert (await ask(client, "GET", f"{url}/messages?cursor={quote(id_)}")).json()["messages"] == []
    assert (await ask(client, "GET", f"{API}?cursor={quote(id_)}")).json()["conversations"] == []
    assert (await send(client, "PATCH", url, {"title": "New"})).json()["title"] == "New"
    exported = await ask(client, "GET", f"{url}/export")
    assert exported.json()["conversation"]["id"] == id_
    name = id_.replace(":", "_")  # which a file of Windows cannot have
    assert exported.headers["content-disposition"] == f'attachment; filename="{name}.json"'
    assert (await ask(client, "DELETE", url)).status_code == 204
    assert (await ask(client, "POST", f"{url}/restore")).status_code == 200
    check_refusal(await ask(client, "GET", f"{API}/{id_.swapcase()}" if id_ != "..." else f"{API}/...."), "not_found")


# Messages


async def test_a_message_is_appended_once_however_often_it_is_sent(client: httpx.AsyncClient) -> None:
    created = await create(client)
    url, sent = f"{API}/{created['id']}/messages", message("Who was Ada?", tokenCount=5, model="m", metadata={"a": 1})
    first = await send(client, "POST", url, sent)
    assert first.status_code == 201
    appended = first.json()
    assert {*appended} == {"messages", "conversation"}
    assert appended["messages"] == [{"id": sent["id"], "seq": 1, "createdAt": appended["messages"][0]["createdAt"]}]
    assert (appended["conversation"]["messageCount"], appended["conversation"]["title"]) == (1, "Who was Ada?")
    again = await send(client, "POST", url, sent)
    assert (again.status_code, again.json()) == (200, appended)
    assert (await ask(client, "GET", f"{API}/{created['id']}")).json() == appended["conversation"]
    (kept,) = (await ask(client, "GET", url)).json()["messages"]
    assert kept == {
        **sent,
        "conversationId": created["id"],
        "seq": 1,
        "createdAt": appended["messages"][0]["createdAt"],
        "parentId": None,
        "follows": 0,
        "version": 1,
    }


async def test_several_messages_are_appended_together(client: httpx.AsyncClient) -> None:
    created = await create(client)
    url, sent = f"{API}/{created['id']}/messages", [message(str(number)) for number in range(3)]
    first = await send(client, "POST", url, {"messages": sent, "expectedMessageCount": 0})
    assert first.status_code == 201
    assert [(row["id"], row["seq"]) for row in first.json()["messages"]] == [
        (new["id"], seq) for seq, new in enumerate(sent, start=1)
    ]
    again = await send(client, "POST", url, {"messages": sent, "expectedMessageCount": 0})
    assert (again.status_code, again.json()) == (200, first.json())
    partly = await send(client, "POST", url, {"messages": [*sent, message("new")]})
    assert partly.status_code == 201
    assert [row["seq"] for row in partly.json()["messages"]] == [1, 2, 3, 4]
    stale = await send(client, "POST", url, {"messages": [message()], "expectedMessageCount": 3})
    check_refusal(stale, "stale")
    assert stale.json()["error"]["details"] == {"messageCount": 4}


async def test_messages_without_ids_are_appended_as_often_as_they_are_sent(client: httpx.AsyncClient) -> None:
    created = await create(client)
    url, sent = f"{API}/{created['id']}/messages", {"role": "user", "content": [{"type": "text", "text": "Hi"}]}
    answers = [await send(client, "POST", url, body) for body in (sent, sent, {"messages": [sent, sent]})]
    assert [response.status_code for response in answers] == [201, 201, 201]
    ids = [row["id"] for response in answers for row in response.json()["messages"]]
    assert len({*ids}) == 4
    assert all(map(is_id, ids))
    assert [row["id"] for row in (await ask(client, "GET", url)).json()["messages"]] == ids


async def test_messages_come_in_pages_of_which_the_newest_is_first(client: httpx.AsyncClient) -> None:
    created = await create(client, messages=[message(str(number)) for number in range(1, 8)])
    url = f"{API}/{created['id']}/messages"
    seqs, cursor = [], None
    while True:
        query = {"limit": 3} if cursor is None else {"limit": 3, "cursor": cursor}
        page = (await ask(client, "GET", url, params=query)).json()
        assert ({*page}, page["branches"], page["drafts"]) == ({"messages", "nextCursor", "branches", "drafts"}, [], [])
        seqs.append([row["seq"] for row in page["messages"]])
        cursor = page["nextCursor"]
        if cursor is None:
            break
        assert re.fullmatch(r"~[\w-]+", cursor)
    assert seqs == [[5, 6, 7], [2, 3, 4], [1]]
    forward = (await ask(client, "GET", url, params={"after": 2, "limit": 3})).json()
    assert [row["seq"] for row in forward["messages"]] == [3, 4, 5]
    rest = (await ask(client, "GET", url, params={"cursor": forward["nextCursor"]})).json()
    assert ([row["seq"] for row in rest["messages"]], rest["nextCursor"]) == ([6, 7], None)
    by_id = (await ask(client, "GET", url, params={"cursor": rest["messages"][0]["id"], "limit": 2})).json()
    assert [row["seq"] for row in by_id["messages"]] == [4, 5]
    assert (await ask(client, "GET", url, params={"after": 7})).json() == {
        "messages": [],
        "nextCursor": None,
        "branches": [],
        "drafts": [],
    }


async def test_conversations_come_in_pages_the_latest_first(client: httpx.AsyncClient) -> None:
    made = [await create(client, title=str(number)) for number in range(5)]
    await send(client, "PATCH", f"{API}/{made[2]['id']}", {"isArchived": True})
    await send(client, "POST", f"{API}/{made[0]['id']}/messages", message())
    found, cursor = [], None
    while True:
        query = {"limit": 2} if cursor is None else {"limit": 2, "cursor": cursor}
        page = (await ask(client, "GET", API, params=query)).json()
        found += page["conversations"]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    assert {row["title"] for row in found} == {"0", "1", "3", "4"}
    assert [(row["updatedAt"], row["id"]) for row in found] == sorted(
        ((row["updatedAt"], row["id"]) for row in found), reverse=True
    )
    archived = (await ask(client, "GET", API, params={"archived": "true"})).json()
    assert [row["title"] for row in archived["conversations"]] == ["2"]


# What every answer looks like


async def test_every_answer_of_a_route_is_json_that_nobody_keeps_or_guesses(client: httpx.AsyncClient) -> None:
    created = await create(client)
    url = f"{API}/{created['id']}"
    for method, path, body, status in (
        ("GET", API, None, 200),
        ("POST", API, {}, 201),
        ("GET", url, None, 200),
        ("PATCH", url, {"title": "New"}, 200),
        ("GET", f"{url}/messages", None, 200),
        ("POST", f"{url}/messages", message(), 201),
        ("POST", f"{url}/restore", None, 200),
        ("GET", f"{API}/status", None, 200),
        ("GET", "/api/health", None, 200),
        ("GET", "/openapi.json", None, 200),
        ("GET", "/nowhere", None, 404),
        ("POST", API, b"{", 400),
        ("DELETE", "/api/me", None, 400),
        ("DELETE", f"/api/me?confirm={client.headers['x-user-id']}", None, 200),
    ):
        response = await (ask(client, method, path) if body is None else send(client, method, path, body))
        assert response.status_code == status
        assert response.headers["content-type"] == "application/json"
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-content-type-options"] == "nosniff"
        response.json()


async def test_every_code_of_an_error_that_can_be_provoked_is_answered_with_its_status(
    backend: Backend, client: httpx.AsyncClient
) -> None:
    sent = message()
    created = await create(client, messages=[sent])
    url = f"{API}/{created['id']}"
    foreign = someone(backend)
    await create(foreign)
    of_another = (await ask(foreign, "GET", f"{API}/changes")).json()["next"]
    answers = {
        "invalid": await send(client, "POST", API, {"x": 1}),
        "unauthenticated": await ask(backend.client, "GET", API),
        "not_found": await ask(client, "GET", f"{API}/{MISSING}"),
        "method_not_allowed": await ask(client, "POST", url),
        "conflict": await send(client, "POST", f"{url}/messages", {**sent, "role": "system"}),
        "cursor_expired": await ask(client, "GET", f"{API}/changes?since={of_another}"),
        "stale": await send(client, "PATCH", url, {}, **{"If-Match": '"9"'}),
        "too_large": await send(client, "PATCH", url, {"metadata": {"a": "x" * 20_000}}),
        "unsupported_media_type": await ask(client, "POST", API, content=b"{}", headers={"Content-Type": "text/plain"}),
    }
    not_here = {"forbidden", "head_too_large", "rate_limited", "timed_out", "unsupported", "unavailable"}
    assert {*STATUS} - {*answers} == not_here
    for code, response in answers.items():
        assert (response.json()["error"]["code"], response.status_code) == (code, STATUS[code])
    assert answers["unauthenticated"].headers["www-authenticate"] == "Bearer"
    assert answers["method_not_allowed"].headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"
    assert (await ask(client, "GET", url)).json() == created


async def test_a_bookmark_comes_with_the_writes_of_d1_and_is_taken_back(
    backend: Backend, client: httpx.AsyncClient
) -> None:
    response = await send(client, "POST", API, {})
    bookmark = response.headers.get("x-d1-bookmark")
    assert (bookmark is not None) == (backend.name == "d1")
    if bookmark is not None:
        headers = {"X-D1-Bookmark": bookmark}
        listed = await ask(client, "GET", API, headers=headers)
        assert listed.json()["conversations"] == [response.json()]
        assert listed.headers["x-d1-bookmark"] >= bookmark
    assert "x-d1-bookmark" not in (await ask(client, "GET", API)).headers  # the primary knows best


# The documentation


async def test_the_openapi_document_has_every_route_and_what_it_answers(backend: Backend) -> None:
    document = (await ask(backend.client, "GET", "/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    assert document["info"]["version"] == __version__
    assert document["servers"] == [{"url": "/"}]
    operations = {
        (method.upper(), path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    routes = {(route.method, route.path): route for route in ROUTES}
    assert {*operations} == {*routes}
    for name, route in routes.items():
        operation = operations[name]
        assert operation["summary"]
        assert {*map(str, route.answers)} <= {*operation["responses"]}
        assert ("requestBody" in operation) == (route.body is not None)
        assert bool(operation["security"]) != route.is_public
        assert {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"} == {
            *re.findall(r"{(\w+)}", route.path)
        }
    assert len({operation["operationId"] for operation in operations.values()}) == len(operations)
    text = str(document)
    for schema in re.findall(r"#/components/schemas/(\w+)", text):
        assert schema in document["components"]["schemas"]


async def test_the_openapi_document_has_every_status_that_a_route_answers(client: httpx.AsyncClient) -> None:
    document = (await ask(client, "GET", "/openapi.json")).json()
    created = await create(client, messages=[sent := message()])
    url, large = f"{API}/{created['id']}", {"metadata": {"a": "x" * 20_000}}
    for method, path, pattern, body, headers in (
        ("POST", API, API, {"id": created["id"]}, {}),
        ("POST", API, API, large, {}),
        ("POST", API, API, {"x": 1}, {}),
        ("POST", API, API, {}, {"Authorization": "Bearer x"}),
        ("POST", API, API, {}, {"Content-Type": "text/plain"}),
        ("PATCH", url, f"{API}/{{id}}", {}, {"If-Match": '"9"'}),
        ("PATCH", url, f"{API}/{{id}}", large, {}),
        ("PATCH", f"{API}/{MISSING}", f"{API}/{{id}}", {}, {}),
        ("POST", f"{url}/messages", f"{API}/{{id}}/messages", {**sent, "role": "tool"}, {}),
        ("POST", f"{url}/messages", f"{API}/{{id}}/messages", {**message(), **large}, {}),
        ("POST", f"{url}/messages", f"{API}/{{id}}/messages", {"messages": [message()], "expectedMessageCount": 0}, {}),
        ("POST", f"{API}/{MISSING}/messages", f"{API}/{{id}}/messages", message(), {}),
        ("PATCH", f"{url}/messages/{sent['id']}", f"{API}/{{id}}/messages/{{mid}}", {}, {"If-Match": '"9"'}),
        ("PATCH", f"{url}/messages/{sent['id']}", f"{API}/{{id}}/messages/{{mid}}", large, {}),
        ("PATCH", f"{url}/messages/{MISSING}", f"{API}/{{id}}/messages/{{mid}}", {}, {}),
        ("DELETE", "/api/me?confirm=nobody", "/api/me", {}, {}),
        ("DELETE", "/api/me", "/api/me", {}, {"Authorization": "Bearer x"}),
    ):
        response = await send(client, method, path, body, **headers)
        assert response.is_error
        assert str(response.status_code) in document["paths"][pattern][method.lower()]["responses"]


class _Page(HTMLParser):
    """What a page shows, and what it would load."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.loads: list[str] = []
        self.targets: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.loads += [tag for name in ("src", "srcset", "data") if values.get(name)]
        self.loads += [tag] if tag in ("script", "link", "iframe", "object", "embed", "img") else []
        self.targets += [target for target in (values.get("href"),) if target is not None]
        self.ids += [id_ for id_ in (values.get("id"),) if id_ is not None]

    def handle_data(self, data: str) -> None:
        self.text += data


async def test_the_page_shows_every_route_and_loads_nothing(backend: Backend) -> None:
    response = await ask(backend.client, "GET", "/docs")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    page = _Page()
    page.feed(response.text)
    for route in ROUTES:
        assert f"{route.method} {route.path}" in page.text
    assert page.loads == []
    assert [target for target in page.targets if not target.startswith("#")] == ["openapi.json"]
    assert {target[1:] for target in page.targets if target.startswith("#")} <= {*page.ids}
    assert len(page.ids) == len({*page.ids})


async def test_a_user_of_nothing_but_json_gets_through(backend: Backend) -> None:
    """As somebody with curl would do it: nothing but the three headers that are asked for."""
    raw = httpx.Headers({**someone(backend).headers, **JSON})
    created = await backend.client.request("POST", API, content=b'{"title":"\xc3\xbc"}', headers=raw)
    assert (created.status_code, created.json()["title"]) == (201, "ü")
