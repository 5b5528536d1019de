"""What cannot be a branch or a fork is refused, with the place, and changes nothing."""

from typing import Any

import httpx
import pytest
from asking import API, MISSING, Kept, ask, check_refusal, create, everything, message, send, someone

from support.backends import Backend
from threadkeep.ids import new_id

pytestmark = pytest.mark.anyio

MESSAGES = "/api/conversations/{id}/messages"
LEAF = "/api/conversations/{id}/leaf"
FORK = "/api/conversations/{id}/fork"


async def appends(kept: Kept, body: dict[str, Any], at: str, *says: str) -> None:
    """Append a message, alone, among others, and with a conversation of its own; all of it must be refused."""
    await kept.refuses("POST", MESSAGES, body, at=at, says=says)
    several = {"messages": [message(), body]}
    await kept.refuses("POST", MESSAGES, several, at=f"messages[1].{at}", says=says)
    await kept.refuses("PUT", f"{API}/{{id}}", several, at=f"messages[1].{at}", says=says)


@pytest.mark.reaches_a_store
async def test_a_message_says_in_one_way_what_it_follows(kept: Kept) -> None:
    first, second = kept.message_ids
    for fields, at in (
        ({"parentId": first, "siblingOf": second}, "siblingOf"),
        ({"parentId": first, "isRoot": True}, "isRoot"),
        ({"siblingOf": second, "isRoot": True}, "isRoot"),
        ({"parentId": first, "siblingOf": second, "isRoot": True}, "siblingOf"),
    ):
        await appends(kept, message(**fields), at, "`parentId`, `siblingOf` and `isRoot`")


@pytest.mark.reaches_a_store
async def test_a_message_follows_what_is_there(kept: Kept) -> None:
    for name in ("parentId", "siblingOf"):
        for other in (MISSING, kept.elsewhere_id):
            await appends(kept, message(**{name: other}), name, other, "in this conversation")
        created = {"id": new_id(), "messages": [message(**{name: kept.message_ids[0]})]}
        await kept.refuses("POST", API, created, at=f"messages[0].{name}", says=(kept.message_ids[0],))
        await kept.refuses("PUT", f"{API}/{new_id()}", created["messages"] and {"messages": created["messages"]})


@pytest.mark.reaches_a_store
async def test_messages_cannot_follow_each_other_in_a_circle_or_into_the_future(kept: Kept) -> None:
    for name in ("parentId", "siblingOf"):
        itself = new_id()
        await appends(kept, message(id=itself, **{name: itself}), name, "is the message itself")
        one, two, three = (message() for _ in range(3))
        for sent, at in (
            ([{**one, name: two["id"]}, two], "messages[0]"),
            ([{**one, name: two["id"]}, {**two, name: one["id"]}], "messages[0]"),
            ([one, {**two, name: three["id"]}, {**three, name: one["id"]}], "messages[1]"),
        ):
            for method, path in (("POST", MESSAGES), ("PUT", f"{API}/{{id}}"), ("POST", API)):
                await kept.refuses(method, path, {"messages": sent}, at=f"{at}.{name}", says=("comes later",))


@pytest.mark.reaches_a_store
async def test_an_append_for_another_leaf_is_stale(kept: Kept) -> None:
    first, second = kept.message_ids
    for expected in (first, MISSING, kept.elsewhere_id):
        for method, path, body in (
            ("POST", MESSAGES, {"messages": [message()], "expectedLeafId": expected}),
            ("POST", MESSAGES, {"messages": [message(siblingOf=first)], "expectedLeafId": expected}),
            ("PUT", LEAF, {"messageId": first, "descend": False, "expectedLeafId": expected}),
        ):
            response = await send(kept.client, method, kept.path(path), body)
            check_refusal(response, "stale", says=(second, expected))
            assert response.json()["error"]["details"] == {"leafId": second}


@pytest.mark.reaches_a_store
async def test_a_leaf_is_a_message_of_the_conversation(kept: Kept) -> None:
    for other in (MISSING, kept.elsewhere_id):
        await kept.refuses("PUT", LEAF, {"messageId": other}, code="not_found", says=(other,))
        await kept.refuses("POST", FORK, {"messageId": other}, code="not_found", says=(other,))
        await kept.refuses("GET", f"{MESSAGES}?branch={other}", at="branch", says=(other,))
        for method, path in (("GET", "/branches"), ("DELETE", ""), ("POST", "/restore"), ("GET", ""), ("PATCH", "")):
            body = {"metadata": {"a": 1}} if method == "PATCH" else None
            await kept.refuses(method, f"{MESSAGES}/{other}{path}", body, code="not_found", says=(other,))


@pytest.mark.front_door
async def test_wrong_fields_are_named(kept: Kept) -> None:
    first = kept.message_ids[0]
    for body, at in (
        ({}, "messageId"),
        ({"messageId": None}, "messageId"),
        ({"messageId": 5}, "messageId"),
        ({"messageId": "a b"}, "messageId"),
        ({"messageId": "search"}, "messageId"),
        ({"messageId": first, "descend": "yes"}, "descend"),
        ({"messageId": first, "descend": None}, "descend"),
        ({"messageId": first, "expectedLeafId": 1}, "expectedLeafId"),
        ({"messageId": first, "leafId": first}, "leafId"),
    ):
        await kept.refuses("PUT", LEAF, body, at=at)
    for body, at in (
        ({"id": "a b"}, "id"),
        ({"id": 5}, "id"),
        ({"messageId": "../x"}, "messageId"),
        ({"messageId": []}, "messageId"),
        ({"title": ""}, "title"),
        ({"title": "a\nb"}, "title"),
        ({"title": "x" * 301}, "title"),
        ({"include": "branches"}, "include"),
    ):
        await kept.refuses("POST", FORK, body, at=at)
    for fields, at in (
        ({"siblingOf": 5}, "siblingOf"),
        ({"siblingOf": "a b"}, "siblingOf"),
        ({"isRoot": "true"}, "isRoot"),
        ({"isRoot": None}, "isRoot"),
        ({"select": 1}, "select"),
        ({"select": None}, "select"),
    ):
        await kept.refuses("POST", MESSAGES, message(**fields), at=at)
    for branch in ("", "a b", "x" * 129):
        await kept.refuses("GET", f"{MESSAGES}?branch={branch}", at="branch")


@pytest.mark.reaches_a_store
async def test_the_id_of_a_fork_is_not_taken_twice(kept: Kept) -> None:
    for taken in (kept.id, next(id_ for id_ in kept.before if id_ != kept.id)):
        response = await send(kept.client, "POST", kept.path(FORK), {"id": taken})
        check_refusal(response, "conflict", says=(taken,))
        assert response.json()["error"]["details"] == {"reason": "exists"}


@pytest.mark.reaches_a_store
async def test_what_is_another_user_s_is_not_there(kept: Kept, backend: Backend) -> None:
    stranger = someone(backend)
    first = kept.message_ids[0]
    theirs = await create(stranger, messages=[message("theirs")])
    before = await everything(stranger)
    own = f"{API}/{theirs['id']}"
    for method, path, body in (
        ("PUT", kept.path(LEAF), {"messageId": first}),
        ("POST", kept.path(FORK), {}),
        ("POST", kept.path(FORK), {"messageId": first}),
        ("POST", f"{own}/fork", {"messageId": first}),
        ("PUT", f"{own}/leaf", {"messageId": first}),
        ("POST", kept.path(MESSAGES), message(siblingOf=first)),
        ("DELETE", kept.path(f"{MESSAGES}/{{mid}}"), None),
        ("DELETE", f"{own}/messages/{first}", None),
        ("POST", kept.path(f"{MESSAGES}/{{mid}}/restore"), None),
        ("GET", kept.path(f"{MESSAGES}/{{mid}}/branches"), None),
    ):
        asked = ask(stranger, method, path) if body is None else send(stranger, method, path, body)
        check_refusal(await asked, "not_found")
    for name in ("parentId", "siblingOf"):
        refused = await send(stranger, "POST", f"{own}/messages", message(**{name: first}))
        check_refusal(refused, at=name, says=(first,))
    assert await everything(stranger) == before


async def _deleted(client: httpx.AsyncClient) -> tuple[str, list[str]]:
    """A conversation of three messages, of which the last two are deleted, each by itself."""
    ids = [new_id() for _ in range(3)]
    created = await create(client, messages=[message(id=id_) for id_ in ids])
    url = f"{API}/{created['id']}"
    for id_ in ids[:0:-1]:
        assert (await ask(client, "DELETE", f"{url}/messages/{id_}")).status_code == 200
    return url, ids


@pytest.mark.reaches_a_store
async def test_what_is_deleted_is_not_there_until_it_is_restored(backend: Backend) -> None:
    client = someone(backend)
    url, (_, second, third) = await _deleted(client)
    for gone in (second, third):
        for name in ("parentId", "siblingOf"):
            check_refusal(await send(client, "POST", f"{url}/messages", message(**{name: gone})), at=name, says=(gone,))
        check_refusal(await send(client, "PUT", f"{url}/leaf", {"messageId": gone}), "not_found")
        check_refusal(await send(client, "POST", f"{url}/fork", {"messageId": gone}), "not_found")
        check_refusal(await ask(client, "GET", f"{url}/messages?branch={gone}"), at="branch")
        again = (await ask(client, "DELETE", f"{url}/messages/{gone}")).json()
        assert again["deleted"] == 0
    first = await ask(client, "POST", f"{url}/messages/{third}/restore")
    check_refusal(first, "conflict", says=("Restore that first",))
    assert first.json()["error"]["details"] == {"reason": "parent_deleted"}
    for restored in (second, third):
        assert (await ask(client, "POST", f"{url}/messages/{restored}/restore")).json()["leafId"] == restored


@pytest.mark.reaches_a_store
async def test_an_empty_path_is_not_forked(backend: Backend) -> None:
    client = someone(backend)
    created = await create(client)
    check_refusal(await send(client, "POST", f"{API}/{created['id']}/fork", {}), at="messageId", says=("no message",))
