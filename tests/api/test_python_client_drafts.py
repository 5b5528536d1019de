"""Our client in Python writes drafts, whether it blocks or not."""

from typing import Any

import pytest

from support.backends import Backend
from support.python_client import KINDS, python_client
from threadkeep.errors import Conflict, NotFound, Unavailable
from threadkeep.ids import new_id

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("kind", KINDS)]


async def conversation_of(backend: Backend, kind: str, **options: Any) -> Any:
    client = python_client(backend, f"user-{new_id()}", kind, **options)
    return await client.conversations.create(messages=[{"role": "user", "content": "What is a monad?"}])


async def contents(conversation: Any) -> list[Any]:
    return [message.content async for message in conversation.messages()]


async def written(conversation: Any, id_: str, error: BaseException | None, then: str | None = None) -> None:
    """Write a draft until something else is said, or something goes wrong."""
    async with conversation.draft(id=id_) as draft:
        await draft.write("A")
        if then is not None:
            await conversation.append(role="user", content=then, interrupts=True)
        if error is not None:
            raise error


async def test_what_is_written_becomes_a_message(backend: Backend, kind: str) -> None:
    conversation = await conversation_of(backend, kind)
    call = {"type": "tool_use", "id": "c1", "name": "search", "input": {"q": "monad"}}
    async with conversation.draft(role="assistant", model="m", metadata={"a": 1}) as draft:
        await draft.think("Hm")
        await draft.write("A mon")
        await draft.write("oid 😀")
        await draft.event({"type": "ping"})
        await draft.add(call)
        await draft.write("Done.")
        await draft.flush()
        (listed,) = await conversation.drafts()
        assert (listed.id, listed.state, listed.model) == (draft.id, "streaming", "m")
        await draft.settle(token_count=3, usage={"out": 3})
    assert (draft.receipt.id, draft.receipt.seq) == (draft.id, 2)
    assert (conversation.message_count, conversation.leaf_id) == (2, draft.id)
    message = await conversation.message(draft.id)
    assert message.content == [
        {"type": "thinking", "thinking": "Hm"},
        {"type": "text", "text": "A monoid 😀"},
        call,
        {"type": "text", "text": "Done."},
    ]
    assert (message.token_count, message.metadata) == (3, {"a": 1, "usage": {"out": 3}})
    assert await conversation.drafts() == []


async def test_an_error_leaves_what_came(backend: Backend, kind: str) -> None:
    conversation = await conversation_of(backend, kind)
    with pytest.raises(RuntimeError, match="busy"):
        await written(conversation, "failing", RuntimeError("The model is busy."))
    message = await conversation.message("failing")
    assert message.text == "A"
    assert message.metadata == {"stream": {"state": "failed", "error": "The model is busy."}}
    with pytest.raises(KeyboardInterrupt):
        await written(conversation, "canceled", KeyboardInterrupt())
    assert (await conversation.message("canceled")).metadata == {"stream": {"state": "interrupted"}}
    async with conversation.draft() as draft:
        pass
    assert draft.receipt is None


async def test_a_draft_is_stopped_or_interrupted_by_others(backend: Backend, kind: str) -> None:
    conversation = await conversation_of(backend, kind)
    async with conversation.draft() as draft:
        await draft.write("A")
        assert (await conversation.stop_draft(draft.id)).stop
        await draft.flush()
        assert draft.stop
    assert (await conversation.message(draft.id)).metadata == {"stream": {"state": "interrupted"}}
    async with conversation.draft() as draft:
        await draft.write("B")
        await draft.flush()
        with pytest.raises(Conflict) as conflict:
            await conversation.append(role="user", content="And a functor?")
        assert (conflict.value.details or {})["reason"] == "draft_open"
        await draft.settle()
    with pytest.raises(Conflict, match="interrupted"):
        await written(conversation, "overtaken", None, then="And a functor?")
    with pytest.raises(RuntimeError):  # and not that nobody may settle it any more
        await written(conversation, "again", RuntimeError(), then="Stop.")
    with pytest.raises(NotFound):
        await conversation.stop_draft("nowhere")


async def test_an_answer_that_is_lost_costs_nothing_and_doubles_nothing(backend: Backend, kind: str) -> None:
    lost: set[str] = set()

    def loses(request: Any) -> bool:
        """The first answer to each request."""
        known = f"{request.method} {request.url.path} {request.content.decode()}"
        is_first = "drafts" in request.url.path and known not in lost
        lost.add(known)
        return is_first

    conversation = await conversation_of(backend, kind, loses=loses)
    async with conversation.draft() as draft:
        for letter in "abcd":
            await draft.write(letter)
            await draft.flush()
    assert (await conversation.message(draft.id)).text == "abcd"
    assert draft.receipt.seq == 2


async def test_what_could_not_be_sent_is_sent_with_what_comes_next(backend: Backend, kind: str) -> None:
    fails: list[bool] = []

    def loses(request: Any) -> bool:
        return bool(fails) and request.url.path.endswith("/parts")

    conversation = await conversation_of(backend, kind, loses=loses)
    async with conversation.draft() as draft:
        await draft.write("a")
        fails.append(True)
        await draft.write("b")
        with pytest.raises(Unavailable):
            await draft.flush()
        fails.clear()
        await draft.write("c")
    assert (await conversation.message(draft.id)).text == "abc"
