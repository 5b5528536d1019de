"""Creating a conversation, once and again."""

import pytest

from support.backends import Backend
from support.records import conversation, message, new_message, plain
from threadkeep.conversations.models import Conversation
from threadkeep.errors import Conflict, NotFound
from threadkeep.ids import is_id, new_id

pytestmark = pytest.mark.anyio


async def test_a_new_conversation_has_what_it_was_given_and_the_rest_by_default(backend: Backend) -> None:
    store = await backend.store()
    record = conversation(title="Plans", model="gpt-4o", metadata={"a": [1, {"b": None}], "ü": "→"})
    created, is_new = await store.create_conversation(record)
    assert is_new
    assert plain(created) == {
        **dict.fromkeys(Conversation.__struct_encode_fields__),
        "id": record.id,
        "userId": created.user_id,
        "title": "Plans",
        "titleSource": "user",
        "model": "gpt-4o",
        "createdAt": created.created_at,
        "updatedAt": created.created_at,
        "messageCount": 0,
        "isArchived": False,
        "metadata": {"a": [1, {"b": None}], "ü": "→"},
        "version": 1,
        "deletedAt": None,
    }
    assert plain(await store.get_conversation(record.id)) == plain(created)


async def test_a_conversation_is_created_with_its_first_messages(backend: Backend) -> None:
    store = await backend.store()
    sent = [
        new_message("You are terse.", role="system"),
        new_message("Hi there"),
        new_message("Hello", role="assistant"),
    ]
    record = conversation(*sent)
    created, _ = await store.create_conversation(record)
    assert created.message_count == 3
    assert (created.title, created.title_source) == ("Hi there", "first_message")
    kept = (await store.list_messages(record.id)).messages
    assert [(row.id, row.seq, row.role) for row in kept] == [
        (new.id, seq, new.role) for seq, new in enumerate(sent, start=1)
    ]
    assert plain(kept[1].content) == [{"type": "text", "text": "Hi there"}]


async def test_a_conversation_without_a_title_or_words_of_a_user_has_the_default_title(backend: Backend) -> None:
    store = await backend.store()
    created, _ = await store.create_conversation(conversation(new_message("Be terse.", role="system")))
    assert (created.title, created.title_source) == ("New conversation", "default")


async def test_creating_again_changes_nothing_and_answers_what_is_there_now(backend: Backend) -> None:
    store = await backend.store()
    record = conversation(new_message("Hi"), metadata={"b": 1, "a": 2})
    await store.create_conversation(record)
    await store.append_messages(record.id, [message("More")])
    again, is_new = await store.create_conversation(record)
    assert not is_new
    assert again.message_count == 2
    assert len((await store.list_messages(record.id)).messages) == 2


async def test_the_order_of_keys_and_the_form_of_numbers_do_not_make_another_request(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = new_id()
    await store.create_conversation(conversation(id=conversation_id, metadata={"a": 1, "b": 2}))
    _, is_new = await store.create_conversation(conversation(id=conversation_id, metadata={"b": 2.0, "a": 1}))
    assert not is_new


@pytest.mark.parametrize(
    "other", [{"title": "B"}, {"model": "m"}, {"metadata": {"a": 1}}], ids=lambda other: next(iter(other))
)
async def test_another_request_under_a_known_id_is_a_conflict(backend: Backend, other: dict[str, object]) -> None:
    store = await backend.store()
    record = conversation(title="A")
    before, _ = await store.create_conversation(record)
    with pytest.raises(Conflict):
        await store.create_conversation(conversation(**{"id": record.id, "title": "A", **other}))
    assert plain(await store.get_conversation(record.id)) == plain(before)


async def test_other_messages_under_a_known_id_are_a_conflict_and_none_is_stored(backend: Backend) -> None:
    store = await backend.store()
    record = conversation(new_message("A"))
    await store.create_conversation(record)
    with pytest.raises(Conflict):
        await store.create_conversation(conversation(new_message("B"), id=record.id))
    assert (await store.get_conversation(record.id)).message_count == 1


async def test_a_conflict_says_what_becomes_of_what_was_sent(backend: Backend) -> None:
    store, first = await backend.store(), new_message("A")
    record = conversation(first)
    await store.create_conversation(record)
    with pytest.raises(Conflict, match=rf"^The conversation {record.id} exists already.* Append to it what is new, or"):
        await store.create_conversation(conversation(first, new_message("B"), id=record.id))
    await store.delete_conversation(record.id)
    for again in (record, conversation(id=record.id)):
        with pytest.raises(Conflict, match=rf"^The conversation {record.id} is deleted\. Restore it, or"):
            await store.create_conversation(again)
    await store.restore_conversation(record.id)
    assert (await store.get_conversation(record.id)).message_count == 1
    _, is_new = await (await backend.store()).create_conversation(conversation(new_message("B"), id=record.id))
    assert is_new  # of somebody else, who is told nothing of it


async def test_creating_with_the_id_of_a_message_elsewhere_is_a_conflict_and_creates_nothing(backend: Backend) -> None:
    store = await backend.store()
    taken = new_message("A")
    await store.create_conversation(conversation(taken))
    record = conversation(new_message("B"), taken)
    with pytest.raises(Conflict) as caught:
        await store.create_conversation(record)
    assert caught.value.details == {"ids": [taken.id]}
    with pytest.raises(NotFound):
        await store.get_conversation(record.id)


async def test_creating_under_the_id_of_a_deleted_conversation_is_a_conflict(backend: Backend) -> None:
    store = await backend.store()
    record = conversation(title="A")
    await store.create_conversation(record)
    await store.delete_conversation(record.id)
    with pytest.raises(Conflict):
        await store.create_conversation(record)


async def test_a_conversation_of_a_thousand_messages_is_created_at_once(backend: Backend) -> None:
    store = await backend.store()
    record = conversation(*(new_message(str(number)) for number in range(1000)))
    created, _ = await store.create_conversation(record)
    assert created.message_count == 1000
    assert [row.seq for row in (await store.list_messages(record.id, limit=200)).messages] == [*range(801, 1001)]


async def test_creating_again_is_a_repeat_though_the_server_made_the_ids_of_the_messages(backend: Backend) -> None:
    client = backend.client_of(f"user-{new_id()}")
    body = {"id": new_id(), "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}] * 2}
    responses = [await client.post("/api/conversations", json=body) for _ in range(2)]
    assert [response.status_code for response in responses] == [201, 200]
    assert responses[1].json() == responses[0].json()
    assert responses[1].json()["messageCount"] == 2


async def test_ids_made_by_the_server_are_ids(backend: Backend) -> None:
    client = backend.client_of(f"user-{new_id()}")
    response = await client.post(
        "/api/conversations", json={"messages": [{"role": "user", "content": [{"type": "x"}]}]}
    )
    assert response.status_code == 201
    assert is_id(response.json()["id"])
    listed = (await client.get(f"/api/conversations/{response.json()['id']}/messages")).json()
    assert is_id(listed["messages"][0]["id"])
