"""Our client in Python does all that can be asked of it, over every back end: whether it blocks or not."""

import io
import json
from typing import Any

import httpx
import pytest

from support.backends import Backend
from support.python_client import KINDS, python_client
from threadkeep.errors import Conflict, Invalid, NotFound, Stale, ThreadkeepError
from threadkeep.ids import new_id

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("kind", KINDS)]


def someone() -> str:
    return f"user-{new_id()}"


async def texts(pages: Any) -> list[str]:
    return [message.text async for message in pages]


async def refusal(asked: Any, kind: type[ThreadkeepError]) -> dict[str, Any]:
    with pytest.raises(kind) as raised:
        await asked
    return raised.value.details or {}


async def test_a_conversation_lives(backend: Backend, kind: str) -> None:
    user = someone()
    client = python_client(backend, user, kind)
    asked = {"role": "user", "content": "What is a monad?"}
    created = await client.conversations.create(title="Monads", metadata={"project": "p1"}, messages=[asked])
    assert (created.title, created.user_id, created.message_count) == ("Monads", user, 1)
    receipt = await created.append(role="assistant", content=[{"type": "text", "text": "A monoid."}], token_count=4)
    assert (receipt.seq, created.message_count, created.leaf_id) == (2, 2, receipt.id)
    edited = await created.update(title="On monads", metadata={"project": None, "pinned": True}, expected_version=1)
    assert (edited.title, edited.metadata, edited.version) == ("On monads", {"pinned": True}, 2)
    assert (created.title, created.version) == ("On monads", 2)
    assert (await refusal(created.update(title="Late", expected_version=1), Stale))["conversation"].version == 2
    got = await client.conversations.get(created.id)
    assert (got.title, got.message_count, got.updated_at) == ("On monads", 2, receipt.created_at)
    assert await texts(got.messages()) == ["What is a monad?", "A monoid."]
    await got.delete()
    await refusal(client.conversations.get(created.id), NotFound)
    assert (await got.restore()).deleted_at is None
    assert (await client.conversations.update(created.id, is_archived=True)).is_archived
    await client.conversations.delete(created.id)
    assert (await client.conversations.restore(created.id)).message_count == 2


async def test_of_an_id_that_is_taken_and_of_a_count_that_is_old(backend: Backend, kind: str) -> None:
    client = python_client(backend, someone(), kind)
    conversation = await client.conversations.create(id="monads", title="Monads")
    assert (await client.conversations.create(id="monads", title="Monads")).id == "monads"
    assert (await refusal(client.conversations.create(id="monads", title="Others"), Conflict))["reason"] == "exists"
    first, second = await conversation.extend(
        [{"id": "1", "role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], expected_message_count=0
    )
    assert (first.id, first.seq, second.seq) == ("1", 1, 2)
    again = await conversation.append(id="1", role="user", content="a")
    assert again == first
    details = await refusal(conversation.append(role="user", content="c", expected_message_count=1), Stale)
    assert details["messageCount"] == 2
    await conversation.append(role="user", content="c", expected_leaf_id=second.id)
    assert (await refusal(conversation.append(role="user", content="d", expected_leaf_id=first.id), Stale))["leafId"]


async def test_lists_are_read_page_by_page(backend: Backend, kind: str) -> None:
    client = python_client(backend, someone(), kind)
    ids = [(await client.conversations.create(title=str(n), model=f"m{n % 2}")).id for n in range(5)]
    assert [each.id async for each in client.conversations.list(limit=2)] == ids[::-1]
    assert [each.id async for each in client.conversations.list(model="m1")] == [ids[3], ids[1]]
    assert [each.id async for each in client.conversations.list(metadata=("a", "b"), archived=None)] == []
    pages = client.conversations.list(limit=2)
    page = await pages.page()
    assert ([each.title for each in page.conversations], bool(page.changes)) == (["4", "3"], True)
    rest = [[each.title for each in page.conversations] async for page in pages.pages(page.next_cursor)]
    assert rest == [["2", "1"], ["0"]]
    listed = await anext(aiter(pages))
    await listed.append(role="user", content="It can be asked as well.")
    assert listed.message_count == 1


async def test_messages_come_in_order_and_backwards_and_from_anywhere(backend: Backend, kind: str) -> None:
    client = python_client(backend, someone(), kind)
    words = [str(n) for n in range(7)]
    conversation = await client.conversations.create(messages=[{"role": "user", "content": word} for word in words])
    assert await texts(conversation.messages(limit=3)) == words
    assert await texts(conversation.messages(after=4)) == words[4:]
    assert await texts(conversation.messages(newest_first=True, limit=3)) == words[::-1]
    page = await conversation.messages(newest_first=True, limit=3).page()
    assert [message.text for message in page.messages] == words[-3:]
    assert await texts(client.conversations.of(conversation.id).messages(branch="all")) == words


async def test_a_message_is_read_and_noted(backend: Backend, kind: str) -> None:
    client = python_client(backend, someone(), kind)
    conversation = await client.conversations.create(messages=[{"id": "q", "role": "user", "content": "Why?"}])
    message = await conversation.message("q")
    assert (message.text, message.metadata, message.version, message.follows) == ("Why?", None, 1, 0)
    voted = await conversation.update_message("q", metadata={"vote": 1}, expected_version=1)
    assert (voted.metadata, voted.version) == ({"vote": 1}, 2)
    await refusal(conversation.update_message("q", metadata={"vote": 2}, expected_version=1), Stale)
    assert (await conversation.update_message("q", metadata=None, edited_at=2**52)).metadata is None
    await refusal(conversation.message("nobody-s"), NotFound)
    await refusal(conversation.message("../search?q=a"), Invalid)


async def test_a_question_is_edited_an_answer_regenerated_and_all_of_it_taken_back(backend: Backend, kind: str) -> None:
    client = python_client(backend, someone(), kind)
    conversation = await client.conversations.create(
        messages=[{"id": "q1", "role": "user", "content": "One?"}, {"id": "a1", "role": "assistant", "content": "1."}]
    )
    await conversation.append(id="a2", role="assistant", content="I.", sibling_of="a1")
    assert (await texts(conversation.messages()), conversation.leaf_id) == (["One?", "I."], "a2")
    await conversation.extend(
        [
            {"id": "q2", "role": "user", "content": "Two?", "sibling_of": "q1"},
            {"id": "a3", "role": "assistant", "content": "2."},
        ]
    )
    assert await texts(conversation.messages()) == ["Two?", "2."]
    assert await texts(conversation.messages(branch="a1")) == ["One?", "1."]
    siblings = await conversation.siblings("q2")
    assert [(each.id, each.leaf_id, each.is_current) for each in siblings] == [("q1", "a2", False), ("q2", "a3", True)]
    page = await conversation.messages().page()
    assert [(each.seqs, each.current) for each in page.branches] == [([1, 4], 4)]
    await conversation.select("q1")
    assert conversation.leaf_id == "a2"
    await conversation.select("q1", descend=False)
    assert await texts(conversation.messages()) == ["One?"]
    await refusal(conversation.select("a3", expected_leaf_id="a1"), Stale)
    await conversation.append(id="a4", role="assistant", content="In the background.", parent_id="q1", select=False)
    assert conversation.leaf_id == "q1"
    await conversation.append(id="r", role="user", content="Anew.", is_root=True)
    assert await texts(conversation.messages()) == ["Anew."]
    await conversation.delete_branch("r")
    assert conversation.leaf_id != "r"
    await conversation.delete_branch("r")
    await refusal(conversation.message("r"), NotFound)
    await conversation.restore_branch("r")
    assert (await conversation.message("r")).text == "Anew."


async def test_a_conversation_is_forked(backend: Backend, kind: str) -> None:
    client = python_client(backend, someone(), kind)
    conversation = await client.conversations.create(
        messages=[{"id": "q1", "role": "user", "content": "One?"}, {"id": "a1", "role": "assistant", "content": "1."}]
    )
    await conversation.append(id="q2", role="user", content="Two?")
    forked = await conversation.fork("a1", id="forked", title="Apart")
    assert (forked.id, forked.title, await texts(forked.messages())) == ("forked", "Apart", ["One?", "1."])
    assert (forked.forked_from.conversation_id, forked.forked_from.message_id) == (conversation.id, "a1")
    await forked.append(role="user", content="Three?")
    assert (await conversation.fork("a1", id="forked", title="Apart")).message_count == 3
    await refusal(conversation.fork("q1", id="forked"), Conflict)
    await refusal(conversation.fork("nobody-s"), NotFound)
    assert await texts((await conversation.fork()).messages()) == ["One?", "1.", "Two?"]


async def test_what_was_said_is_found(backend: Backend, kind: str) -> None:
    client = python_client(backend, someone(), kind)
    messages = [{"role": "user", "content": "Łódź"}, {"role": "assistant", "content": "Łódź, in Poland"}]
    conversation = await client.conversations.create(title="A trip", messages=messages)
    hits = [hit async for hit in client.search("lodz", limit=1)]
    assert {hit.message.seq for hit in hits} == {1, 2}
    assert {hit.conversation.id for hit in hits} == {conversation.id}
    (hit,) = [hit async for hit in client.search("lodz", role="assistant", since=1, until=2**52)]
    assert [part.text for part in hit.snippet if part.match] == ["Łódź"]
    assert (hit.is_active, hit.previous_seq, hit.next_seq) == (True, 1, None)
    await conversation.append(role="assistant", content="lodz", sibling_of=hit.message.id)
    assert len([hit async for hit in client.search("lodz", conversation=conversation.id)]) == 3
    active = [hit async for hit in client.search("lodz", conversation=conversation.id, only_active=True)]
    assert {hit.message.seq for hit in active} == {1, 3}
    (hit,) = [hit async for hit in client.search("trip")]
    assert (hit.message, hit.conversation.title) == (None, "A trip")


async def test_changes_are_followed(backend: Backend, kind: str) -> None:
    client = python_client(backend, someone(), kind)
    (start,) = [page async for page in client.changes()]
    assert (start.conversations, start.messages, start.has_more) == ([], [], False)
    conversation = await client.conversations.create(messages=[{"role": "user", "content": str(n)} for n in range(3)])
    gone = await client.conversations.create()
    await gone.delete()
    pages = [page async for page in client.changes(start.next, limit=2)]
    assert len(pages) > 1
    assert [message.text for page in pages for message in page.messages] == ["0", "1", "2"]
    assert [each.id for page in pages for each in page.conversations] == [conversation.id]
    assert [each.id for page in pages for each in page.deleted] == [gone.id]
    assert [page async for page in client.changes(pages[-1].next)] == []
    await conversation.delete_branch((await conversation.messages().page()).messages[-1].id)
    pages.extend([page async for page in client.changes(pages[-1].next)])
    assert [(each.from_seq, each.to_seq) for page in pages for each in page.removed] == [(3, 3)]


async def test_a_model_is_sent_what_it_can_take(backend: Backend, kind: str) -> None:
    client = python_client(backend, someone(), kind)
    call = {"type": "tool_use", "id": "c1", "name": "look_up", "input": {}}
    conversation = await client.conversations.create(
        messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]
    )
    await conversation.append(id="a", role="assistant", content=[call])
    sent = await conversation.context("anthropic", max_bytes=100_000)
    assert [message["role"] for message in sent.messages] == ["user", "assistant", "user"]
    assert (sent.system, sent.truncated) == ([{"type": "text", "text": "Be brief."}], False)
    assert [repair.message_id for repair in sent.repairs] == ["a"]
    assert (await conversation.context("openai-chat")).system is None
    await refusal(conversation.context("anthropic", repair=False), Conflict)


async def test_everything_is_taken_out_and_in_again(
    backend: Backend, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = python_client(backend, someone(), kind)
    first = await client.conversations.create(
        title="First", messages=[{"role": "user", "content": "Zürich\u2028Genève"}]
    )
    await client.conversations.create(title="Second")
    document = await first.export()
    assert document["conversation"]["messages"][0]["content"] == [{"type": "text", "text": "Zürich\u2028Genève"}]
    documents = [document async for document in client.export_documents()]
    assert {each["conversation"]["title"] for each in documents} == {"First", "Second"}
    file = io.BytesIO()
    assert await client.export_to(file) == len(file.getvalue())
    assert [json.loads(line)["conversation"] for line in file.getvalue().splitlines()] == [
        document["conversation"] for document in documents
    ]

    for module in ("api", "sync"):
        monkeypatch.setattr(f"threadkeep.client.{module}.documents.BATCH_BYTES", 1)
    other = python_client(backend, someone(), kind)
    broken = {"version": 1, "conversation": {"messages": [{"role": "robot", "content": []}]}}
    report = await other.import_documents([documents[0], broken, documents[1]])
    assert [(each.index, each.title) for each in report.imported] == [
        (0, documents[0]["conversation"]["title"]),
        (2, documents[1]["conversation"]["title"]),
    ]
    assert [(each.index, each.error.code) for each in report.skipped] == [(1, "invalid")]
    file.seek(0)
    report = await other.import_documents(file, key="move")
    file.seek(0)
    again = await other.import_documents(file, key="move")
    assert (again, len(report.imported)) == (report, 2)
    assert len([each async for each in other.conversations.list()]) == 4
    assert (await other.import_documents([])).imported == []


async def test_what_is_sent_again_since_its_answer_was_lost_is_done_once(backend: Backend, kind: str) -> None:
    lost: set[tuple[str, str, bytes]] = set()

    def loses(request: httpx.Request) -> bool:
        sent = (request.method, request.url.path, request.content)
        is_lost = request.method != "GET" and sent not in lost
        lost.update({sent} if is_lost else ())
        return is_lost

    client = python_client(backend, someone(), kind, loses)
    conversation = await client.conversations.create(messages=[{"role": "user", "content": "0"}])
    receipts = [await conversation.append(role="user", content=str(n)) for n in range(1, 4)]
    assert [receipt.seq for receipt in receipts] == [2, 3, 4]
    await conversation.append(role="user", content="3 again", sibling_of=receipts[-1].id)
    await conversation.select(receipts[0].id, descend=False)
    await conversation.delete_branch(receipts[1].id)
    await conversation.restore_branch(receipts[1].id)
    report = await client.import_documents([await conversation.export()])
    assert len(report.imported) == 1
    await conversation.delete()
    await conversation.restore()
    assert len(lost) == 11
    assert await texts(conversation.messages(branch="all")) == ["0", "1", "2", "3", "3 again"]
    assert len([each async for each in client.conversations.list()]) == 2
