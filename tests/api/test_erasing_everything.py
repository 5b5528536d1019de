"""Erasing everything of a user: what it takes, what it answers, and what is left, which is nothing."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from asking import API, ask, check_refusal, create, everything, import_document, message, send, someone

from support.backends import NATIVE, Backend
from threadkeep.conversations import retention
from threadkeep.ids import new_id
from threadkeep.storage.sql import conversations as sql_store

pytestmark = pytest.mark.anyio


@pytest.fixture
def client(backend: Backend) -> httpx.AsyncClient:
    return someone(backend)


async def erase(client: httpx.AsyncClient, **options: Any) -> httpx.Response:
    """Erase everything of the user whom a client speaks for."""
    return await ask(client, "DELETE", f"/api/me?confirm={quote(user_of(client), safe='')}", **options)


def user_of(client: httpx.AsyncClient) -> str:
    return client.headers["x-user-id"]


def receipt(client: httpx.AsyncClient, conversations: int, messages: int, *, is_complete: bool = True) -> Any:
    return {
        "conversations": conversations,
        "messages": messages,
        "userId": user_of(client),
        "isComplete": is_complete,
    }


async def keep_some(client: httpx.AsyncClient) -> dict[str, list[str]]:
    """Conversations of every kind, by their ids, with the ids of their messages: 4 and 6 of them."""
    kept: dict[str, list[str]] = {}
    for title, count in (("An aardvark", 3), ("A badger", 1), ("A capybara", 2)):
        ids = [new_id() for _ in range(count)]
        created = await create(client, title=title, messages=[message(f"{title} eats", id=id_) for id_ in ids])
        kept[created["id"]] = ids
    _, archived, deleted = kept
    await send(client, "PATCH", f"{API}/{archived}", {"isArchived": True})
    await ask(client, "DELETE", f"{API}/{deleted}")
    kept[(await create(client))["id"]] = []
    return kept


async def test_an_erasure_leaves_nothing_and_says_how_much_it_was(client: httpx.AsyncClient) -> None:
    kept = await keep_some(client)
    erased = await erase(client)
    assert (erased.status_code, erased.json()) == (200, receipt(client, 4, 6))
    assert await everything(client) == {}
    for word in ("eats", "aardvark", "badger", "capybara"):
        assert (await ask(client, "GET", f"{API}/search?q={word}")).json() == {"hits": [], "nextCursor": None}
    changes = (await ask(client, "GET", f"{API}/changes?since=0")).json()
    assert (changes["conversations"], changes["messages"], changes["hasMore"]) == ([], [], False)
    assert (await ask(client, "GET", "/api/export")).content == b""
    for id_, message_ids in kept.items():
        url = f"{API}/{id_}"
        for method, path, body in (
            ("GET", url, None),
            ("GET", f"{url}/messages", None),
            ("GET", f"{url}/export", None),
            ("PATCH", url, {"title": "New"}),
            ("POST", f"{url}/messages", message()),
            ("DELETE", url, None),
            ("POST", f"{url}/restore", None),
        ):
            asked = ask(client, method, path) if body is None else send(client, method, path, body)
            check_refusal(await asked, "not_found", says=(id_,))
        check_refusal(await ask(client, "GET", f"{API}?cursor={id_}"), at="cursor")
        assert message_ids == [] or (await ask(client, "GET", f"{url}/messages?cursor={message_ids[0]}")).is_error


async def test_erasing_again_erases_nothing_more(client: httpx.AsyncClient) -> None:
    for _ in range(2):
        erased = await erase(client)  # of one who never had anything
        assert (erased.status_code, erased.json()) == (200, receipt(client, 0, 0))
    await keep_some(client)
    assert [(await erase(client)).json() for _ in range(3)] == [
        receipt(client, 4, 6),
        receipt(client, 0, 0),
        receipt(client, 0, 0),
    ]
    await create(client, messages=[message()])
    assert (await erase(client)).json() == receipt(client, 1, 1)


async def test_after_an_erasure_every_cursor_of_the_changes_has_expired(client: httpx.AsyncClient) -> None:
    await keep_some(client)
    before = [
        (await ask(client, "GET", API)).json()["changes"],
        *[
            (await ask(client, "GET", f"{API}/changes{query}")).json()["next"]
            for query in ("", "?since=0", "?since=0&limit=1", "?since=0&limit=4")
        ],
    ]
    await erase(client)

    async def have_expired() -> None:
        for cursor in before:
            response = await ask(client, "GET", f"{API}/changes?since={cursor}")
            check_refusal(response, "cursor_expired", says=("since=0",))

    await have_expired()
    now = (await ask(client, "GET", f"{API}/changes")).json()["next"]
    for _ in range(12):  # past where the counter stood
        created = await create(client)
    await have_expired()
    for since in ("0", now):
        changes = (await ask(client, "GET", f"{API}/changes?since={since}")).json()
        assert (len(changes["conversations"]), changes["messages"]) == (12, [])
        assert changes["conversations"][-1] == created


async def test_after_an_erasure_ids_are_free_again(client: httpx.AsyncClient) -> None:
    kept = await keep_some(client)
    await erase(client)
    for id_, message_ids in kept.items():
        sent = [message("a dolphin", id=message_id) for message_id in message_ids]
        body = {"id": id_, "title": "Other", "messages": sent}
        created = await send(client, "POST", API, body)
        assert (created.status_code, created.json()["version"], created.json()["deletedAt"]) == (201, 1, None)
        assert created.json()["messageCount"] == len(message_ids)
        assert (await send(client, "POST", API, body)).status_code == 200
        listed = (await ask(client, "GET", f"{API}/{id_}/messages")).json()["messages"]
        assert [(row["id"], row["seq"]) for row in listed] == [(new, seq) for seq, new in enumerate(message_ids, 1)]
    hits = (await ask(client, "GET", f"{API}/search?q=dolphin")).json()["hits"]
    assert len(hits) == 6
    assert (await ask(client, "GET", f"{API}/search?q=eats")).json()["hits"] == []


async def test_after_an_erasure_a_document_is_imported_anew_under_its_key(client: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "march"}
    first = await send(client, "POST", "/api/import", import_document(), **headers)
    assert (await erase(client)).json() == receipt(client, 1, 2)
    for _ in range(2):
        again = await send(client, "POST", "/api/import", import_document(), **headers)
        assert (again.status_code, again.json()) == (200, first.json())
    assert len(await everything(client)) == 1


async def test_an_erasure_takes_no_notice_of_a_body(backend: Backend) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 65_536

    for content in (b"", b"{}", b'{"confirm":"somebody else"}', b"{", b"x" * 1_000_000, parts()):
        client = someone(backend)
        await create(client)
        erased = await erase(client, content=content, headers={"Content-Type": "text/plain"})
        assert (erased.status_code, erased.json()) == (200, receipt(client, 1, 0))


async def test_a_user_id_is_confirmed_as_a_query_carries_it(backend: Backend) -> None:
    user_id = f"a+b c/{new_id()}&d=e#%f@g.example"
    client = backend.client_of(user_id)
    await create(client)
    for escaped in (user_id.replace("#", "%23"), quote(quote(user_id, safe=""), safe=""), quote(user_id, safe="+&")):
        response = await ask(client, "DELETE", f"/api/me?confirm={escaped}")
        assert response.status_code == 400
    assert len(await everything(client)) == 1
    # A space may be escaped in two ways.
    for escaped, conversations in ((quote(user_id), 1), (quote(user_id, safe="").replace("%20", "+"), 0)):
        erased = await ask(client, "DELETE", f"/api/me?confirm={escaped}")
        assert (erased.status_code, erased.json()) == (200, receipt(client, conversations, 0))


async def test_what_is_written_while_everything_is_erased_is_erased_or_kept_whole(client: httpx.AsyncClient) -> None:
    await keep_some(client)

    async def write(number: int) -> str:
        created = await create(client, messages=[message(f"{number} eats"), message()])
        appended = await send(client, "POST", f"{API}/{created['id']}/messages", message())
        assert appended.status_code in (201, 404)
        return str(created["id"])

    written, erased = await asyncio.gather(asyncio.gather(*map(write, range(12))), erase(client))
    left = await everything(client)
    assert {*left} <= {*written}
    for conversation, messages in left.values():
        assert [row["seq"] for row in messages] == list(range(1, conversation["messageCount"] + 1))
    assert (erased.status_code, erased.json()["conversations"] + len(left)) == (200, 4 + 12)
    hits = (await ask(client, "GET", f"{API}/search?q=eats&limit=100")).json()["hits"]
    assert {hit["conversation"]["id"] for hit in hits} == {*left}
    assert (await erase(client)).json()["conversations"] == len(left)


# Where not all is removed at once


async def test_an_erasure_that_is_not_done_at_once_hides_everything_and_goes_on_when_it_is_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "PARTS_MAX", 1)
    monkeypatch.setattr(sql_store, "_SWEPT_MESSAGES_MAX", 2)
    async with NATIVE["sqlite"](tmp_path) as backend:
        client, other = someone(backend), someone(backend)
        kept = await keep_some(client)
        (first, message_ids), *_ = kept.items()
        await create(other, id=first, messages=[message("eats", id=message_ids[0])])
        before = await everything(other)
        cursor = (await ask(client, "GET", f"{API}/changes")).json()["next"]
        erased = await erase(client)
        assert (erased.status_code, erased.json()) == (202, receipt(client, 4, 6, is_complete=False))

        # It is gone for whoever asks, but for its ids.
        assert await everything(client) == {}
        assert (await ask(client, "GET", f"{API}/search?q=eats")).json()["hits"] == []
        check_refusal(await ask(client, "POST", f"{API}/{first}/restore"), "not_found")
        check_refusal(await ask(client, "GET", f"{API}/changes?since={cursor}"), "cursor_expired")
        body = {"id": first, "messages": [message("a dolphin", id=message_ids[0])]}
        check_refusal(await send(client, "POST", API, body), "conflict")
        new = await create(client, title="New")
        assert [*await everything(client)] == [new["id"]]

        # What is new is erased as well, since that is what it asks for. One that has no messages is removed by now.
        again = await erase(client)
        assert (again.status_code, again.json()) == (202, receipt(client, 4, 6, is_complete=False))
        while again.status_code == 202:
            again = await erase(client)
        assert (again.status_code, again.json()["isComplete"]) == (200, True)
        assert await everything(client) == {}
        assert (await erase(client)).json() == receipt(client, 0, 0)
        assert (await send(client, "POST", API, body)).status_code == 201
        assert await everything(other) == before
