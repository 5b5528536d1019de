"""Export and import, over the HTTP API of every back end."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from msgspec import Struct
from msgspec.structs import fields

from support.backends import Backend
from support.examples import examples
from support.fields import OTHERWISE, every_field
from support.records import conversation, messages, new_message
from threadkeep.conversations import export_v1
from threadkeep.conversations.export_v1 import (
    DocumentConversation,
    DocumentMessage,
    export_conversation,
    export_everything,
)
from threadkeep.conversations.models import Conversation, Message, NewConversation, NewMessage
from threadkeep.errors import NotFound
from threadkeep.ids import is_id, new_id

pytestmark = pytest.mark.anyio

NDJSON = {"Content-Type": "application/x-ndjson"}


def document(number: int = 0, **fields: Any) -> dict[str, Any]:
    """A document as another program would write it."""
    conversation = {
        "id": f"theirs-{number}",
        "title": f"Title {number}",
        "model": "gpt-4o",
        "createdAt": "2024-05-18T02:40:00.000Z",
        "messages": [
            {
                "role": "user",
                "content": [{"type": "text", "text": f"Question {number}"}],
                "createdAt": "2024-05-18T02:40:00.000Z",
            },
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "c", "name": "n", "input": {"a": 1.5}}],
                "createdAt": "2024-05-18T02:40:30.250Z",
            },
            {
                "role": "tool",
                "content": [{"type": "tool_result", "toolUseId": "c", "content": "é"}],
                "createdAt": "2024-05-19T00:00:00.000Z",
            },
        ],
        "a field of theirs": [1],
        **fields,
    }
    return {"version": 1, "exportedAt": "2024-06-01T00:00:00.000Z", "conversation": conversation}


def lines(*documents: Any) -> bytes:
    return b"".join(json.dumps(document).encode() + b"\n" for document in documents)


def client_of(backend: Backend) -> httpx.AsyncClient:
    return backend.client_of(f"user-{new_id()}")


async def imported(client: httpx.AsyncClient, body: bytes, **headers: str) -> dict[str, Any]:
    response = await client.post("/api/import", content=body, headers={**NDJSON, **headers})
    assert response.status_code == 200, response.text
    report: dict[str, Any] = response.json()
    return report


async def exported(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    response = await client.get("/api/export")
    assert response.headers["content-type"] == "application/x-ndjson"
    assert "attachment" in response.headers["content-disposition"]
    return [json.loads(line) for line in response.text.splitlines()]


def essence(document: dict[str, Any]) -> dict[str, Any]:
    """What must come through: everything but ids and the time of the export."""
    conversation = document["conversation"]
    return {
        **{name: conversation.get(name) for name in ("title", "model", "createdAt")},
        "messages": [
            [message[name] for name in ("role", "content", "createdAt")] for message in conversation["messages"]
        ],
    }


async def test_what_is_imported_is_exported_equal_under_new_ids(backend: Backend) -> None:
    client = client_of(backend)
    documents = [document(number) for number in range(3)]
    report = await imported(client, lines(*documents))
    assert report["skipped"] == []
    assert [(entry["index"], entry["title"], entry["messageCount"]) for entry in report["imported"]] == [
        (0, "Title 0", 3),
        (1, "Title 1", 3),
        (2, "Title 2", 3),
    ]
    assert all(is_id(entry["id"]) for entry in report["imported"])
    for entry, sent in zip(report["imported"], documents, strict=True):
        response = await client.get(f"/api/conversations/{entry['id']}/export")
        assert response.headers["content-disposition"] == f'attachment; filename="{entry["id"]}.json"'
        assert response.json()["version"] == 1
        assert essence(response.json()) == essence(sent)
    everything = await exported(client)
    assert sorted(map(json.dumps, map(essence, everything))) == sorted(map(json.dumps, map(essence, documents)))


async def test_times_are_kept_and_updated_at_is_the_last_messages(backend: Backend) -> None:
    client = client_of(backend)
    (entry,) = (await imported(client, lines(document())))["imported"]
    kept = (await client.get(f"/api/conversations/{entry['id']}")).json()
    assert (kept["createdAt"], kept["updatedAt"], kept["version"]) == (1716000000000, 1716076800000, 1)
    assert (kept["titleSource"], kept["messageCount"]) == ("user", 3)
    messages = (await client.get(f"/api/conversations/{entry['id']}/messages")).json()["messages"]
    assert [(row["seq"], row["createdAt"]) for row in messages] == [
        (1, 1716000000000),
        (2, 1716000030250),
        (3, 1716076800000),
    ]


OF_BRANCHES = {"isRoot", "leafId"}
"""What a document has only where there are branches; test_exporting_branches.py has those."""

# What is new in what is imported, each with its reason; docs/export-and-import.md has it for those who import.
NEW_BY_NATURE: dict[type[Struct], dict[str, str]] = {
    Conversation: {
        "id": "Everything gets a new id.",
        "userId": "It belongs to whoever imports it.",
        "version": "It begins at 1: nobody has changed what was imported.",
        "deletedAt": "What is deleted is not exported.",
        "leafId": "It is the new id of the message.",
    },
    Message: {
        "id": "Everything gets a new id.",
        "conversationId": "It is the new id of the conversation.",
        "parentId": "It is the new id of the parent.",
    },
}


async def test_every_field_comes_through(backend: Backend) -> None:
    source, target = client_of(backend), client_of(backend)
    metadata = {"a": [1.50, None]}
    parent = every_field(NewMessage, id=new_id(), parentId=None, metadata=metadata)
    child = every_field(NewMessage, id=new_id(), parentId=parent["id"], role="user")
    body = every_field(NewConversation, id=new_id(), messages=[parent, child], metadata=metadata)
    created = (await source.post("/api/conversations", json=body)).json()
    await source.patch(f"/api/conversations/{created['id']}", json={"isArchived": True})
    first = (await source.get("/api/export")).json()
    first["conversation"]["forkedFrom"] = OTHERWISE[DocumentConversation]["forkedFrom"]  # what was a fork stays one
    (created,) = (await imported(source, json.dumps(first).encode()))["imported"]
    text = (await source.get(f"/api/conversations/{created['id']}/export")).content
    document = json.loads(text)["conversation"]
    assert set(document) == set(DocumentConversation.__struct_encode_fields__) - OF_BRANCHES
    assert set(document["messages"][1]) == set(DocumentMessage.__struct_encode_fields__) - OF_BRANCHES
    (entry,) = (await imported(target, text))["imported"]
    (before, *sent), (after, *kept) = await rows(source, created["id"]), await rows(target, entry["id"])
    assert_came_through(Conversation, before, after)
    for old, new in zip(sent, kept, strict=True):
        assert_came_through(Message, old, new)
        assert new["conversationId"] == entry["id"]
    assert kept[1]["parentId"] == kept[0]["id"] != parent["id"]


async def rows(client: httpx.AsyncClient, conversation_id: str) -> list[dict[str, Any]]:
    """A conversation and its messages."""
    path = f"/api/conversations/{conversation_id}"
    return [(await client.get(path)).json(), *(await client.get(f"{path}/messages")).json()["messages"]]


def assert_came_through(kind: type[Struct], before: dict[str, Any], after: dict[str, Any]) -> None:
    """Fail unless each field has a value, which is the same after as before, or is new by nature."""
    names = {field.encode_name for field in fields(kind)}
    assert set(before) == set(after) == names
    compared = names - set(NEW_BY_NATURE[kind]) - ({"follows"} if before.get("seq") == 1 else set())
    without = sorted(name for name in compared if before[name] in (None, False, 0, "", [], {}))
    assert not without, f"This test has to give a {kind.__name__} a value for {', '.join(without)}."
    lost = sorted(name for name in compared if after[name] != before[name])
    assert not lost, f"A {kind.__name__} loses {', '.join(lost)} on its way out and in again."


async def test_one_document_is_imported_as_json(backend: Backend) -> None:
    client = client_of(backend)
    response = await client.post("/api/import", json=document())
    assert response.status_code == 200
    assert [entry["title"] for entry in response.json()["imported"]] == ["Title 0"]


async def test_what_is_imported_is_found_listed_and_followed(backend: Backend) -> None:
    client = client_of(backend)
    cursor = (await client.get("/api/conversations/changes")).json()["next"]
    (entry,) = (await imported(client, lines(document())))["imported"]
    hits = (await client.get("/api/conversations/search", params={"q": "question"})).json()["hits"]
    assert [hit["conversation"]["id"] for hit in hits] == [entry["id"]]
    titles = (await client.get("/api/conversations/search", params={"q": '"title 0"'})).json()["hits"]
    assert [hit["message"] for hit in titles] == [None]
    changes = (await client.get("/api/conversations/changes", params={"since": cursor})).json()
    assert ([row["id"] for row in changes["conversations"]], len(changes["messages"])) == ([entry["id"]], 3)
    appended = await client.post(
        f"/api/conversations/{entry['id']}/messages",
        json={"messages": [{"role": "user", "content": [{"type": "text", "text": "more"}]}], "expectedMessageCount": 3},
    )
    assert appended.json()["messages"][0]["seq"] == 4


async def test_an_import_under_one_key_is_done_once_however_often_it_is_sent(backend: Backend) -> None:
    client = client_of(backend)
    body = lines(*(document(number) for number in range(5)))
    cut = b"\n".join(body.split(b"\n")[:2]) + b"\n"
    reports = [await imported(client, part, **{"Idempotency-Key": "march"}) for part in (cut, body, body)]
    assert [len(report["imported"]) for report in reports] == [2, 5, 5]
    assert reports[1] == reports[2]
    assert reports[0]["imported"] == reports[1]["imported"][:2]
    assert len(await exported(client)) == 5
    other = await imported(client, body, **{"Idempotency-Key": "april"})
    assert not {entry["id"] for entry in other["imported"]} & {entry["id"] for entry in reports[1]["imported"]}
    for _ in range(2):
        await imported(client, body)
    assert len(await exported(client)) == 20


async def test_metadata_is_exported_as_it_is_now_and_an_import_undoes_no_edit(backend: Backend) -> None:
    client, key = client_of(backend), {"Idempotency-Key": "votes"}
    body = lines(document(0))
    (entry,) = (report := await imported(client, body, **key))["imported"]
    listed = (await client.get(f"/api/conversations/{entry['id']}/messages")).json()["messages"]
    url = f"/api/conversations/{entry['id']}/messages/{listed[0]['id']}"
    edited = (await client.patch(url, json={"metadata": {"vote": "up"}})).json()
    assert await imported(client, body, **key) == report
    assert (await client.get(url)).json() == edited
    (as_now,) = await exported(client)
    sent = as_now["conversation"]["messages"][0]
    assert (sent["metadata"]["vote"], "version" in sent) == ("up", False)
    refused = await imported(client, lines(as_now), **key)
    assert [skipped["error"]["code"] for skipped in refused["skipped"]] == ["conflict"]
    for _ in range(2):  # under a key of its own
        (copy,) = (await imported(client, lines(as_now), **{"Idempotency-Key": "moved"}))["imported"]
    copied = (await client.get(f"/api/conversations/{copy['id']}/messages")).json()["messages"][0]
    assert (copied["metadata"], copied["version"]) == (edited["metadata"], 1)
    assert len(await exported(client)) == 2


async def test_another_document_in_a_place_of_the_same_key_is_skipped_as_a_conflict(backend: Backend) -> None:
    client = client_of(backend)
    await imported(client, lines(document(0), document(1)), **{"Idempotency-Key": "k"})
    report = await imported(client, lines(document(0), document(2)), **{"Idempotency-Key": "k"})
    assert [(entry["index"], entry["title"]) for entry in report["imported"]] == [(0, "Title 0")]
    assert [(entry["index"], entry["error"]["code"]) for entry in report["skipped"]] == [(1, "conflict")]
    assert len(await exported(client)) == 2


@pytest.mark.parametrize(
    ("broken", "path"),
    [
        (b"not json", "document"),
        (b'{"version": 1', "document"),
        (b"[]", "document"),
        (json.dumps({**document(), "version": 2}).encode(), "version"),
        (json.dumps({"conversation": document()["conversation"]}).encode(), "version"),
        (json.dumps(document(title=5)).encode(), "conversation.title"),
        (json.dumps(document(createdAt="yesterday")).encode(), "conversation.createdAt"),
        (json.dumps(document(createdAt="1969-12-31T23:59:59Z")).encode(), "conversation.createdAt"),
        (json.dumps(document(metadata=[])).encode(), "conversation.metadata"),
        (json.dumps(document(messages=[{"role": "robot", "content": []}])).encode(), "conversation.messages[0].role"),
        (
            json.dumps(document(messages=[{"role": "user", "content": {"type": "text", "text": "text"}}])).encode(),
            "conversation.messages[0].content",
        ),
        (
            json.dumps(document(messages=[{"role": "user", "content": [{"type": "text"}]}])).encode(),
            "conversation.messages[0].content[0].text",
        ),
        (b"[" * 50_000, "document"),
        (b"\xff\xfe", "document"),
        (
            json.dumps(
                document(messages=[{"role": "user", "content": [{"type": "x", "y": "z" * 1_600_000}]}])
            ).encode(),
            "conversation.messages[0].content",
        ),
        (b'"' + b"x" * 9 * 1024 * 1024 + b'"', "document"),
    ],
    ids=lambda value: (value or b"")[:24].decode(errors="replace") if isinstance(value, bytes) else str(value),
)
async def test_a_broken_document_is_skipped_with_its_place_and_stops_no_other(
    backend: Backend, broken: bytes, path: str
) -> None:
    client = client_of(backend)
    body = lines(document(0)) + broken + b"\n\n  \n" + lines(document(1))
    report = await imported(client, body)
    assert [entry["title"] for entry in report["imported"]] == ["Title 0", "Title 1"]
    (skipped,) = report["skipped"]
    assert skipped["index"] == 1
    assert skipped["error"]["code"] in ("invalid", "too_large")
    assert skipped["error"]["details"]["path"] == path
    assert len(await exported(client)) == 2


async def test_of_many_documents_each_broken_one_is_skipped_alone(backend: Backend) -> None:
    client = client_of(backend)
    count = examples(10_000)
    body = b"".join(
        b"{broken}\n" if number % 10 == 9 else lines(document(number, messages=[])) for number in range(count)
    )
    report = await imported(client, body)
    assert len(report["imported"]) == count * 9 // 10
    assert [entry["index"] for entry in report["skipped"]] == [*range(9, count, 10)]


async def test_an_import_cut_off_in_a_line_keeps_the_lines_before_it(backend: Backend) -> None:
    client = client_of(backend)
    report = await imported(client, lines(document(0), document(1))[:-20])
    assert [entry["title"] for entry in report["imported"]] == ["Title 0"]
    assert [entry["index"] for entry in report["skipped"]] == [1]


async def test_a_long_conversation_is_exported_whole_and_in_order(backend: Backend) -> None:
    client = client_of(backend)
    messages = [
        {"role": "user", "content": [{"type": "text", "text": f"{number} " + "x" * 2_000}]} for number in range(1_500)
    ]
    (entry,) = (await imported(client, lines(document(messages=messages))))["imported"]
    assert entry["messageCount"] == 1_500
    back = (await client.get(f"/api/conversations/{entry['id']}/export")).json()
    assert [message["content"] for message in back["conversation"]["messages"]] == [
        message["content"] for message in messages
    ]


async def test_what_moves_while_everything_is_exported_is_exported_once(backend: Backend) -> None:
    store = await backend.store()
    ids = []
    for _ in range(3):
        record = conversation(new_message("Hi"))
        await store.create_conversation(record)
        ids.append(record.id)
        await asyncio.sleep(0.002)
    pieces = await export_everything(store)
    body = await anext(pieces)  # the latest has been listed; the others move now, and one is new
    for conversation_id in ids:
        await store.append_messages(conversation_id, messages(1))
    late = conversation()
    await store.create_conversation(late)
    body += b"".join([piece async for piece in pieces])
    exported_ids = [json.loads(line)["conversation"]["id"] for line in body.splitlines()]
    assert sorted(exported_ids) == sorted([*ids, late.id])


async def test_what_is_deleted_before_it_is_begun_is_left_out_of_an_export(backend: Backend) -> None:
    store = await backend.store()
    records = [conversation(*(new_message(f"{number}") for number in range(250))) for _ in range(3)]
    for record in records:
        await store.create_conversation(record)
    pieces = await export_everything(store)
    body = await anext(pieces)
    for record in records:
        await store.delete_conversation(record.id)
    body += b"".join([piece async for piece in pieces])
    (line,) = body.splitlines()
    assert len(json.loads(line)["conversation"]["messages"]) == 250
    with pytest.raises(NotFound):
        await export_conversation(store, records[0].id)


async def test_an_export_of_everything_that_is_erased_meanwhile_does_not_end_as_if_it_were_whole(
    backend: Backend,
) -> None:
    store = await backend.store()
    for _ in range(3):
        await store.create_conversation(conversation(new_message("Hi")))
    pieces = await export_everything(store)
    body = bytearray(await anext(pieces))
    await store.erase()
    await store.create_conversation(conversation(new_message("after it")))
    with pytest.raises(NotFound, match=r"^Everything was erased while it was exported\.$"):
        await read_on(pieces, body)
    texts = [json.loads(line)["conversation"]["messages"][0]["content"][0]["text"] for line in body.splitlines()]
    assert texts in (["Hi"], ["Hi", "after it"])  # whole lines, of both times at the most
    assert body.endswith(b"\n")


async def read_on(pieces: AsyncIterator[bytes], body: bytearray) -> None:
    async for piece in pieces:
        body += piece


async def test_a_document_that_goes_while_it_is_exported_does_not_end_as_if_it_were_whole(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_v1, "HELD_BYTES_MAX", 0)
    store = await backend.store()
    for ends in (store.delete_conversation, lambda _: store.erase()):
        record = conversation(*(new_message(f"{number}") for number in range(450)))
        await store.create_conversation(record)
        pieces = [await export_conversation(store, record.id), await export_everything(store)]
        begun = [await anext(one) + await anext(one) for one in pieces]
        await ends(record.id)
        for one, body in zip(pieces, begun, strict=True):
            with pytest.raises(NotFound, match=r"^A conversation was deleted while it was exported\.$"):
                await anext(one)
            with pytest.raises(json.JSONDecodeError):
                json.loads(body)


async def test_ids_of_existing_conversations_are_only_names_in_a_document(backend: Backend) -> None:
    client = client_of(backend)
    mine = (await client.post("/api/conversations", json={"title": "Mine"})).json()
    (entry,) = (await imported(client, lines(document(id=mine["id"]))))["imported"]
    assert entry["id"] != mine["id"]
    assert (await client.get(f"/api/conversations/{mine['id']}")).json() == mine


async def test_nothing_to_export_is_an_empty_stream_and_nothing_there_is_not_found(backend: Backend) -> None:
    client = client_of(backend)
    assert await exported(client) == []
    assert (await client.get(f"/api/conversations/{new_id()}/export")).status_code == 404
    created = (await client.post("/api/conversations", json={})).json()
    await client.delete(f"/api/conversations/{created['id']}")
    assert (await client.get(f"/api/conversations/{created['id']}/export")).status_code == 404
    assert await exported(client) == []


async def test_whatever_was_kept_is_imported_from_its_export(backend: Backend) -> None:
    source, target = client_of(backend), client_of(backend)
    deep = json.loads("[" * 95 + "]" * 95)
    sent = {"role": "user", "content": [{"type": "x", "deep": deep}], "parentId": None}
    created = (await source.post("/api/conversations", json={})).json()
    appended = await source.post(f"/api/conversations/{created['id']}/messages", json=sent)
    assert appended.status_code == 201
    report = await imported(target, (await source.get("/api/export")).content)
    assert (len(report["imported"]), report["skipped"]) == (1, [])
    (kept,) = (await target.get(f"/api/conversations/{report['imported'][0]['id']}/messages")).json()["messages"]
    assert (kept["content"], kept["parentId"]) == (sent["content"], None)


STRANGE = [
    [{"type": "text", "text": "👩\u200d👩\u200d👧 🇩🇪 \u202eש\u202c مرحبا \u0000\u0001\u001b[31m \u2028\uffff"}],
    [{"type": "image", "source": {"type": "base64", "data": "iVBORw0KGgo="}}, {"type": "audio", "data": None}],
    [{"type": "numbers", "values": [1, -0.0, 0.1, 12345678901234567890, "1e400"]}],
]


async def test_what_one_back_end_exports_another_imports_and_exports_the_same(
    backend: Backend, sqlite_in_memory_backend: Backend
) -> None:
    branch = [
        {"id": "root", "role": "user", "content": STRANGE[0], "createdAt": "2001-01-01T00:00:00.001Z"},
        {"id": "left", "parentId": "root", "role": "assistant", "content": STRANGE[1], "model": "m", "tokenCount": 3},
        {
            "id": "right",
            "parentId": "root",
            "role": "developer",
            "content": STRANGE[2],
            "metadata": {"é\u2028": [None]},
        },
        {"id": "leaf", "parentId": "left", "role": "assistant", "content": []},
    ]
    documents = [
        document(
            1, title="👨\u200d👩\u200d👧 \u202eitle", messages=branch, isArchived=True, metadata={"a": {"b": "\u0000"}}
        ),
        document(2, createdAt="2001-01-01T00:00:00.001Z", messages=[]),
    ]
    sent = lines(*documents).replace(b'"1e400"', b"1e400")
    there, here, again = client_of(backend), client_of(sqlite_in_memory_backend), client_of(backend)
    bodies = []
    for client in (here, there, here, again):
        report = await imported(client, sent)
        assert (len(report["imported"]), report["skipped"]) == (2, [])
        sent = (await client.get("/api/export")).content
        bodies.append(without_ids(sent))
        await client.delete("/api/me", params={"confirm": client.headers["X-User-Id"]})
    first, last = (json.loads(line)["conversation"] for line in bodies[0].splitlines())
    assert sorted((first["title"], last["title"])) == sorted(each["conversation"]["title"] for each in documents)
    messages = first["messages"] or last["messages"]
    assert [each["content"] for each in messages[:2]] == STRANGE[:2]
    assert {first["createdAt"], last["createdAt"], messages[0]["createdAt"]} == {
        "2024-05-18T02:40:00.000Z",
        "2001-01-01T00:00:00.001Z",
    }
    assert b'"values":[1,-0.0,0.1,12345678901234567890,1e400]' in bodies[0]
    assert b'"parentId":"n2"' in bodies[0]
    assert bodies[1:] == bodies[:1] * 3


def without_ids(exported: bytes) -> bytes:
    """The same with ids in the order in which they come, and without the time of the export."""
    text = re.sub(rb'"exportedAt":"[^"]*"', b'"exportedAt":""', exported)
    names: dict[bytes, bytes] = {}
    return re.sub(rb"[0-7][0-9A-HJKMNP-TV-Z]{25}", lambda found: names.setdefault(found[0], b"n%d" % len(names)), text)


@pytest.fixture
def in_new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process, in a time zone that has hours which are missing, and hours which come twice."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "America/New_York")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("in_new_york")
async def test_times_are_in_utc_wherever_the_server_is(backend: Backend) -> None:
    assert time.localtime(1710055800).tm_hour != time.gmtime(1710055800).tm_hour
    client = client_of(backend)
    times = {
        "2024-03-10T02:30:00": "2024-03-10T02:30:00.000Z",
        "2024-11-03T01:30:00-04:00": "2024-11-03T05:30:00.000Z",
        "2024-11-03T01:30:00-05:00": "2024-11-03T06:30:00.000Z",
        "2024-11-03T01:30:00Z": "2024-11-03T01:30:00.000Z",
    }
    for sent, kept in times.items():
        question = {"role": "user", "content": "When?", "createdAt": sent}
        (entry,) = (await imported(client, lines(document(createdAt=sent, messages=[question]))))["imported"]
        back = (await client.get(f"/api/conversations/{entry['id']}/export")).json()["conversation"]
        assert (back["createdAt"], back["messages"][0]["createdAt"]) == (kept, kept)
    now = (await client.post("/api/conversations", json={})).json()["createdAt"]
    assert abs(now - time.time() * 1_000) < 600_000


async def test_updated_at_is_neither_before_the_conversation_nor_after_now(backend: Backend) -> None:
    client = client_of(backend)
    old = {"role": "user", "content": [{"type": "x"}], "createdAt": "2020-01-01T00:00:00Z"}
    late = {**old, "createdAt": "2300-01-01T00:00:00Z"}
    report = await imported(client, lines(document(messages=[old]), document(messages=[late])))
    first, second = [(await client.get(f"/api/conversations/{entry['id']}")).json() for entry in report["imported"]]
    assert first["updatedAt"] == first["createdAt"]
    assert second["updatedAt"] < 1_000 * 3_600 * 24 * 365 * 200


async def test_two_messages_of_one_id_are_invalid(backend: Backend) -> None:
    client = client_of(backend)
    twice = {"id": "m", "role": "user", "content": [{"type": "x"}]}
    (skipped,) = (await imported(client, lines(document(messages=[twice, twice]))))["skipped"]
    assert skipped["error"]["details"]["path"] == "conversation.messages[1].id"


async def test_a_conversation_deleted_while_it_is_exported_ends_and_the_others_follow(backend: Backend) -> None:
    store = await backend.store()
    kept = conversation(new_message("kept"))
    await store.create_conversation(kept)
    await asyncio.sleep(0.002)
    long = conversation(*(new_message(str(number)) for number in range(500)))
    await store.create_conversation(long)
    pieces = await export_everything(store)
    body = await anext(pieces)
    await store.delete_conversation(long.id)
    body += b"".join([piece async for piece in pieces])
    assert [json.loads(line)["conversation"]["id"] for line in body.splitlines()] == [long.id, kept.id]


async def test_an_import_of_more_documents_than_may_be_says_where_it_stopped(backend: Backend) -> None:
    client = client_of(backend)
    report = await imported(client, b"x\n" * 20_005)
    assert len(report["skipped"]) == 20_001
    assert report["skipped"][-1]["error"]["code"] == "too_large"


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00Z", "1969-12-31T23:59:59.999Z"])
async def test_a_time_that_no_export_could_write_is_not_taken_in(backend: Backend, time: str) -> None:
    client = client_of(backend)
    bad = {"role": "user", "content": [{"type": "x"}], "createdAt": time}
    report = await imported(client, lines(document(createdAt=time), document(createdAt=None, messages=[bad])))
    assert [entry["error"]["details"]["path"] for entry in report["skipped"]] == [
        "conversation.createdAt",
        "conversation.messages[0].createdAt",
    ]
    assert await exported(client) == []


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "é"])
async def test_a_key_that_is_none_is_invalid(backend: Backend, key: str) -> None:
    client = client_of(backend)
    headers = {**{name: value.encode() for name, value in NDJSON.items()}, "Idempotency-Key": key.encode()}
    response = await client.post("/api/import", content=lines(document()), headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid")
    assert await exported(client) == []


async def test_an_import_of_another_media_type_is_refused(backend: Backend) -> None:
    client = client_of(backend)
    response = await client.post("/api/import", content=b"a,b", headers={"Content-Type": "text/csv"})
    assert response.status_code == 415
