"""Drafts: messages that are kept while they are written, and become one message when they are settled."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from support.backends import Backend
from support.records import all_messages, conversation, message, new_message, plain
from threadkeep.conversations.drafts import service
from threadkeep.conversations.drafts.models import DRAFT_BYTES_MAX, OPEN_MAX, DraftEnd, NewDraft, NewParts, Op, Ops
from threadkeep.conversations.drafts.settling import folded
from threadkeep.conversations.models import Appended, Draft
from threadkeep.conversations.store import Store
from threadkeep.errors import Conflict, Invalid, NotFound, Stale, TooLarge
from threadkeep.ids import new_id

pytestmark = pytest.mark.anyio


def text_block(text: str = "") -> Raw:
    return Raw(msgspec.json.encode({"type": "text", "text": text}))


def begins(text: str = "") -> Ops:
    return [Op(block=0, set=text_block(text))]


def appends(text: str) -> Ops:
    return [Op(block=0, append=text)]


async def draft_in(store: Store, **fields: Any) -> Draft:
    """A draft behind a question in a new conversation."""
    record = conversation(new_message("What is a monad?"))
    await store.create_conversation(record)
    draft, is_new = await service.start_draft(store, record.id, NewDraft(id=new_id(), **fields))
    assert is_new
    return draft


async def write(store: Store, draft: Draft, first: int, *parts: Ops, fence: int = 1) -> int:
    written = await service.write_parts(store, draft.id, NewParts(fence=fence, first=first, parts=list(parts)))
    return written.next


async def settle(
    store: Store, draft: Draft, state: Any = "complete", fence: int = 1, **fields: Any
) -> tuple[Appended | None, bool]:
    return await service.settle_draft(store, draft.id, DraftEnd(fence=fence, state=state, **fields))


async def interrupted(store: Store, draft: Draft) -> None:
    """Wait until the clock of the store is past the deadline."""
    async with asyncio.timeout(10):
        while True:
            if (await store.get_draft(draft.id)).draft.state == "interrupted":
                return
            await asyncio.sleep(0.1)


async def texts(store: Store, conversation_id: str) -> list[str]:
    return ["".join(b.get("text", "") for b in plain(m.content)) for m in await all_messages(store, conversation_id)]


async def content_of(store: Store, draft: Draft, starts: Sequence[int] = (0,)) -> Any:
    """What a reader has that reads on from several places, a few parts at a time."""
    ops: dict[int, Raw] = {}
    for start in starts:
        page = await store.get_draft(draft.id, start=start, limit=7)
        ops |= {part.part: part.ops for part in page.parts}
        while page.more:
            page = await store.get_draft(draft.id, start=page.parts[-1].part + 1, limit=7)
            ops |= {part.part: part.ops for part in page.parts}
    return plain(folded([ops[part] for part in sorted(ops)]))


async def test_a_draft_becomes_a_message_under_its_id(backend: Backend) -> None:
    store = await backend.store()
    draft = await draft_in(store, model="m", metadata=Raw(b'{"of":"mine"}'))
    assert (draft.state, draft.fence, draft.next, draft.follows, draft.stop) == ("streaming", 1, 0, 1, False)
    assert await write(store, draft, 0, begins("Hel"), appends("lo 😀")) == 2
    assert await write(store, draft, 2, appends("!")) == 3
    assert [row.id for row in await store.list_drafts(draft.conversation_id)] == [draft.id]
    appended, is_new = await settle(store, draft, token_count=7, usage=Raw(b'{"out":7}'))
    assert appended is not None
    assert is_new
    assert appended.conversation.leaf_id == draft.id
    assert appended.conversation.message_count == 2
    kept = await store.get_message(draft.conversation_id, draft.id)
    assert plain(kept.content) == [{"type": "text", "text": "Hello 😀!"}]
    assert (kept.seq, kept.follows, kept.role, kept.model, kept.token_count) == (2, 1, "assistant", "m", 7)
    assert plain(kept.metadata) == {"of": "mine", "usage": {"out": 7}}
    assert await store.list_drafts(draft.conversation_id) == []
    page = await store.get_draft(draft.id)
    assert (page.draft.state, page.parts, page.more) == ("complete", [], False)


async def test_whatever_is_sent_twice_is_done_once(backend: Backend) -> None:
    store = await backend.store()
    draft = await draft_in(store)
    again, is_new = await service.start_draft(store, draft.conversation_id, NewDraft(id=draft.id))
    assert (again.id, is_new) == (draft.id, False)
    for first, part in enumerate([begins("a"), appends("b"), appends("b"), appends("c")]):
        assert await write(store, draft, first, part) == first + 1
        assert await write(store, draft, first, part) == first + 1
    assert await write(store, draft, 2, appends("b"), appends("c"), appends("d")) == 5
    first_answer, is_new = await settle(store, draft)
    second, is_new_again = await settle(store, draft)
    assert (is_new, is_new_again) == (True, False)
    assert first_answer is not None
    assert second is not None
    assert first_answer.messages == second.messages
    assert await texts(store, draft.conversation_id) == ["What is a monad?", "abbcd"]
    with pytest.raises(Conflict) as conflict:
        await settle(store, draft, "failed")
    assert (conflict.value.details or {})["state"] == "complete"
    with pytest.raises(Conflict):
        await settle(store, draft, content=Raw(b'"something else"'))


async def test_parts_out_of_order_or_with_a_gap_are_refused(backend: Backend) -> None:
    store = await backend.store()
    draft = await draft_in(store)
    await write(store, draft, 0, begins("a"))
    with pytest.raises(Conflict) as gap:
        await write(store, draft, 2, appends("c"))
    assert gap.value.details == {"reason": "gap", "next": 1}
    with pytest.raises(Conflict) as other:
        await write(store, draft, 0, begins("b"), appends("c"))
    assert other.value.details == {"reason": "part", "next": 1}
    assert await content_of(store, draft) == [{"type": "text", "text": "a"}]


async def test_changes_of_blocks_that_are_not_there_are_refused(backend: Backend) -> None:
    store = await backend.store()
    draft = await draft_in(store)
    image = Raw(b'{"type":"image","url":"https://example.com/x.png"}')
    for parts in (
        [appends("a")],
        [[Op(block=1, set=text_block())]],
        [begins(), [Op(block=2, set=text_block())]],
        [[Op(block=0, set=image), Op(block=0, append="a")]],
    ):
        with pytest.raises(Invalid) as invalid:
            await write(store, draft, 0, *parts)
        assert invalid.value.path.startswith("parts[")
    await write(store, draft, 0, begins("a"), [Op(block=1, set=image)])
    for ops in (
        [Op(block=1, append="a")],
        [Op(block=2, append="a")],
        [Op(block=3, set=image)],
        [Op(block=0, set=image)],
    ):
        with pytest.raises(Invalid):
            await write(store, draft, 2, ops)
    assert await write(store, draft, 2, begins("b"), [Op(block=2, set=text_block()), Op(block=2, append="c")]) == 4
    assert [block.get("text") for block in await content_of(store, draft)] == ["b", None, "c"]


async def test_thoughts_calls_and_events_are_folded(backend: Backend) -> None:
    store = await backend.store()
    draft = await draft_in(store)
    thinking = Raw(b'{"type":"thinking","thinking":"h","signature":"abc"}')
    call = Raw(b'{"type":"tool_use","id":"c1","name":"search","input":{}}')
    await write(store, draft, 0, [Op(block=0, set=thinking)], [Op(event=Raw(b'{"type":"ping"}'))], [])
    await write(store, draft, 3, [Op(block=0, append="m"), Op(block=1, set=call), Op(block=1, append='{"q":')])
    await write(store, draft, 4, [Op(block=1, append="1.50}")])
    await settle(store, draft)
    kept = await store.get_message(draft.conversation_id, draft.id)
    assert plain(kept.content) == [
        {"type": "thinking", "thinking": "hm", "signature": "abc"},
        {"type": "tool_use", "id": "c1", "name": "search", "input": '{"q":1.50}'},
    ]


async def test_only_the_last_producer_writes(backend: Backend) -> None:
    store = await backend.store()
    draft = await draft_in(store)
    await write(store, draft, 0, begins("a"))
    taken = await store.take_draft(draft.id)
    assert (taken.fence, taken.next) == (2, 1)
    with pytest.raises(Stale) as stale:
        await write(store, draft, 1, appends("b"))
    assert (stale.value.details or {})["fence"] == 2
    with pytest.raises(Stale):
        await settle(store, draft)
    assert await write(store, draft, 1, appends("c"), fence=2) == 2
    await settle(store, draft, fence=2)
    assert await texts(store, draft.conversation_id) == ["What is a monad?", "ac"]


async def test_of_two_producers_with_one_fence_one_writes_each_part(backend: Backend) -> None:
    store = await backend.store()
    draft = await draft_in(store)
    await write(store, draft, 0, begins())

    async def produce(letter: str) -> int:
        written = 0
        for part in range(1, 11):
            with suppress(Conflict):
                await write(store, draft, part, appends(letter))
                written += 1
        return written

    assert sum(await asyncio.gather(produce("a"), produce("b"))) == 10
    (block,) = await content_of(store, draft)
    assert len(block["text"]) == 10


async def test_two_who_settle_at_once_make_one_message(backend: Backend) -> None:
    store = await backend.store()
    draft = await draft_in(store)
    await write(store, draft, 0, begins("a"))
    outcomes = await asyncio.gather(*(settle(store, draft) for _ in range(4)))
    assert sum(is_new for _, is_new in outcomes) == 1
    assert await texts(store, draft.conversation_id) == ["What is a monad?", "a"]


async def test_an_append_where_a_draft_is_open_is_refused(backend: Backend) -> None:
    store = await backend.store()
    draft = await draft_in(store)
    await write(store, draft, 0, begins("a"))
    sent = message("And a functor?")
    with pytest.raises(Conflict, match="interrupts=true") as conflict:
        await store.append_messages(draft.conversation_id, [sent])
    assert (conflict.value.details or {})["reason"] == "draft_open"
    await settle(store, draft)
    await store.append_messages(draft.conversation_id, [sent])
    kept = await all_messages(store, draft.conversation_id)
    assert [(row.seq, row.follows) for row in kept] == [(1, 0), (2, 1), (3, 2)]


async def test_an_append_that_says_what_it_follows_is_beside_the_draft(backend: Backend) -> None:
    store = await backend.store()
    draft = await draft_in(store)
    question = (await all_messages(store, draft.conversation_id))[0]
    await store.append_messages(draft.conversation_id, [message("Other", parentId=question.id)])
    await write(store, draft, 0, begins("a"))
    appended, _ = await settle(store, draft)
    assert appended is not None
    assert [(row.seq, row.follows) for row in await all_messages(store, draft.conversation_id)][1:] == [(2, 1), (3, 1)]


async def test_an_append_interrupts_a_draft_in_one_write(backend: Backend) -> None:
    store = await backend.store()
    draft = await draft_in(store)
    await write(store, draft, 0, begins("a"))
    appended, is_new = await store.append_messages(draft.conversation_id, [message("Stop")], interrupts=True)
    assert (is_new, [receipt.seq for receipt in appended.messages]) == (True, [3])
    kept = await all_messages(store, draft.conversation_id)
    assert [(row.seq, row.follows) for row in kept] == [(1, 0), (2, 1), (3, 2)]
    assert plain(kept[1].metadata) == {"stream": {"state": "interrupted"}}
    with pytest.raises(Conflict) as conflict:
        await write(store, draft, 1, appends("b"))
    assert conflict.value.details == {"reason": "settled", "state": "interrupted"}


async def test_a_message_that_is_appended_under_the_id_of_a_draft_ends_it(backend: Backend) -> None:
    store = await backend.store()
    draft = await draft_in(store)
    await write(store, draft, 0, begins("Hel"))
    whole = message("Hello", id=draft.id, role="assistant")
    _, is_new = await store.append_messages(draft.conversation_id, [whole])
    assert is_new
    assert (await store.get_draft(draft.id)).draft.state == "complete"
    assert await store.list_drafts(draft.conversation_id) == []
    assert await texts(store, draft.conversation_id) == ["What is a monad?", "Hello"]
    _, is_new = await settle(store, draft, content=Raw(b'"Hello"'))
    assert not is_new


async def test_a_settled_draft_is_the_message_that_a_client_appends_again(backend: Backend) -> None:
    store = await backend.store()
    draft = await draft_in(store)
    await write(store, draft, 0, begins("Hel"), appends("lo"))
    await settle(store, draft)
    _, is_new = await store.append_messages(draft.conversation_id, [message("Hello", id=draft.id, role="assistant")])
    assert not is_new


@pytest.mark.parametrize("state", ["interrupted", "failed"])
async def test_what_came_is_kept_however_a_draft_ends(backend: Backend, state: Any) -> None:
    store = await backend.store()
    draft = await draft_in(store)
    await write(store, draft, 0, begins("a"))
    await settle(store, draft, state, error="The model is busy.")
    kept = await store.get_message(draft.conversation_id, draft.id)
    assert plain(kept.metadata) == {"stream": {"state": state, "error": "The model is busy."}}


async def test_a_draft_to_which_nothing_came_leaves_no_message(backend: Backend) -> None:
    store = await backend.store()
    draft = await draft_in(store)
    for _ in range(2):
        assert (await settle(store, draft, "failed"))[0] is None
    assert await texts(store, draft.conversation_id) == ["What is a monad?"]
    await store.append_messages(draft.conversation_id, [message("Again?")])


async def test_content_that_is_given_wins(backend: Backend) -> None:
    store = await backend.store()
    draft = await draft_in(store)
    await write(store, draft, 0, begins("a"))
    await settle(store, draft, content=Raw(b'"Another answer"'))
    assert await texts(store, draft.conversation_id) == ["What is a monad?", "Another answer"]


async def test_stopping_is_heard_by_the_producer(backend: Backend) -> None:
    store = await backend.store()
    draft = await draft_in(store)
    assert (await store.stop_draft(draft.id)).stop
    written = await service.write_parts(store, draft.id, NewParts(fence=1, first=0, parts=[begins("a")]))
    assert written.stop
    await settle(store, draft, "interrupted")
    for call in (store.stop_draft, store.take_draft):
        with pytest.raises(Conflict):
            await call(draft.id)


async def test_a_draft_past_its_lease_is_interrupted(backend: Backend) -> None:
    store = await backend.store()
    draft = await draft_in(store, lease_seconds=1)
    await write(store, draft, 0, begins("a"))
    await interrupted(store, draft)
    with pytest.raises(Conflict) as late:
        await write(store, draft, 1, appends("b"))
    assert late.value.details == {"reason": "settled", "state": "interrupted"}
    # Whoever writes to the conversation settles it.
    appended, _ = await store.append_messages(draft.conversation_id, [message("Are you there?")])
    assert [receipt.seq for receipt in appended.messages] == [3]
    assert await texts(store, draft.conversation_id) == ["What is a monad?", "a", "Are you there?"]


async def test_a_producer_that_comes_too_late_to_settle_leaves_what_came(backend: Backend) -> None:
    store = await backend.store()
    draft = await draft_in(store, lease_seconds=1)
    await write(store, draft, 0, begins("a"))
    await interrupted(store, draft)
    with pytest.raises(Conflict) as late:
        await settle(store, draft)
    assert late.value.details == {"reason": "settled", "state": "interrupted"}
    assert await texts(store, draft.conversation_id) == ["What is a monad?", "a"]


async def test_readers_who_begin_anywhere_end_with_the_same_text(backend: Backend) -> None:
    store = await backend.store()
    draft = await draft_in(store)
    said = "".join(chr(0x1F600 + index % 50) + chr(97 + index % 26) for index in range(60))
    await write(store, draft, 0, begins(), *(appends(character) for character in said))
    for reader in range(10):
        starts = sorted({0, (reader * 37) % 120, (reader * 61) % 120})
        assert await content_of(store, draft, starts) == [{"type": "text", "text": said}]
    await settle(store, draft)
    assert (await texts(store, draft.conversation_id))[1] == said


async def test_the_changes_tell_when_a_draft_starts_and_ends(backend: Backend) -> None:
    store = await backend.store()
    draft = await draft_in(store)
    page = await store.changes("0")
    assert [(row.id, row.conversation_id, row.state) for row in page.drafts] == [
        (draft.id, draft.conversation_id, "streaming")
    ]
    await write(store, draft, 0, begins("a"))
    quiet = await store.changes(page.next)
    assert (quiet.conversations, quiet.messages, quiet.drafts) == ([], [], [])
    await settle(store, draft)
    page = await store.changes(quiet.next)
    assert [(row.id, row.state) for row in page.drafts] == [(draft.id, "complete")]
    assert [row.id for row in page.messages] == [draft.id]


async def test_a_draft_goes_with_its_conversation(backend: Backend) -> None:
    store = await backend.store()
    draft = await draft_in(store)
    await write(store, draft, 0, begins("a"))
    await store.delete_conversation(draft.conversation_id)
    for call in (store.get_draft(draft.id), store.take_draft(draft.id), write(store, draft, 1, appends("b"))):
        with pytest.raises(NotFound):
            await call
    with pytest.raises(NotFound):
        await settle(store, draft)
    with pytest.raises(NotFound):
        await store.list_drafts(draft.conversation_id)
    await store.restore_conversation(draft.conversation_id)
    assert await write(store, draft, 1, appends("b")) == 2
    await store.erase()
    with pytest.raises(NotFound):
        await store.get_draft(draft.id)


async def test_drafts_of_others_do_not_exist(backend: Backend) -> None:
    mine, other = await backend.store(), await backend.store()
    draft = await draft_in(mine)
    for call in (other.get_draft(draft.id), other.stop_draft(draft.id), write(other, draft, 0, begins("a"))):
        with pytest.raises(NotFound):
            await call
    with pytest.raises(NotFound):
        await other.list_drafts(draft.conversation_id)
    assert (await mine.get_draft(draft.id)).draft.next == 0


async def test_starting_needs_a_free_id_and_a_message_to_follow(backend: Backend) -> None:
    store = await backend.store()
    draft = await draft_in(store)
    conversation_id = draft.conversation_id
    question = (await all_messages(store, conversation_id))[0]
    with pytest.raises(Conflict):
        await service.start_draft(store, conversation_id, NewDraft(id=question.id))
    with pytest.raises(Conflict):
        await service.start_draft(store, conversation_id, NewDraft(id=draft.id, role="user"))
    with pytest.raises(Invalid) as invalid:
        await service.start_draft(store, conversation_id, NewDraft(parent_id="nowhere"))
    assert invalid.value.path == "parentId"
    with pytest.raises(NotFound):
        await service.start_draft(store, "nowhere", NewDraft())
    with pytest.raises(NotFound):
        await store.get_draft("nowhere")


async def test_too_many_or_too_large_drafts_are_refused(backend: Backend) -> None:
    store = await backend.store()
    draft = await draft_in(store)
    conversation_id = draft.conversation_id
    for _ in range(OPEN_MAX - 1):
        await service.start_draft(store, conversation_id, NewDraft())
    with pytest.raises(Conflict, match="Settle one first"):
        await service.start_draft(store, conversation_id, NewDraft())
    half = "x" * (DRAFT_BYTES_MAX // 2 + 1)
    await write(store, draft, 0, begins(half))
    with pytest.raises(TooLarge):
        await write(store, draft, 1, appends(half))
    with pytest.raises(TooLarge):
        await write(store, draft, 1, appends("x" * 8_000_000))
    await settle(store, draft)
    assert (await texts(store, conversation_id))[1] == half


async def test_flushes_of_one_character_each_sent_twice_come_to_the_same_text(backend: Backend) -> None:
    store = await backend.store()
    draft = await draft_in(store)
    flushes = 150 if backend.is_worker else 1_800
    said = [chr(0x1F600 + place % 60) if place % 3 == 0 else chr(97 + place % 26) for place in range(flushes)]
    await write(store, draft, 0, begins())
    for part, character in enumerate(said, start=1):
        for _ in range(2):
            assert await write(store, draft, part, appends(character)) == part + 1
    for is_first in (True, False):
        appended, is_new = await settle(store, draft)
        assert is_new is is_first
        assert appended is not None
    assert await texts(store, draft.conversation_id) == ["What is a monad?", "".join(said)]


async def test_a_producer_that_dies_between_any_two_flushes_is_followed_by_another(backend: Backend) -> None:
    store = await backend.store()
    said = "abc😀de"
    for dies_after in range(len(said) + 1):
        draft = await draft_in(store)
        await write(store, draft, 0, begins())
        for part, character in enumerate(said[:dies_after], start=1):
            await write(store, draft, part, appends(character))
        taken = await store.take_draft(draft.id)
        (block,) = await content_of(store, draft)
        rest = said[len(block["text"]) :]
        for part, character in enumerate(rest, start=taken.next):
            await write(store, draft, part, appends(character), fence=taken.fence)
        # What is still on its way from the first one is not written.
        with pytest.raises(Stale):
            await write(store, draft, dies_after + 1, appends("x"))
        await settle(store, draft, fence=taken.fence)
        assert await texts(store, draft.conversation_id) == ["What is a monad?", said]


async def test_drafts_past_their_lease_are_settled_by_whoever_keeps_up(backend: Backend) -> None:
    if backend.open_natively is None:
        return  # in a Worker, its alarm and its cron trigger do so
    user_id = f"user-{new_id()}"
    store = await backend.open_natively(user_id)
    over, open_ = await draft_in(store, lease_seconds=1), await draft_in(store)
    await write(store, over, 0, begins("a"))
    await interrupted(store, over)
    deadline = await store.settle_overdue_drafts()
    assert deadline == (await store.get_draft(open_.id)).draft.deadline
    settled = (await store.get_draft(over.id)).draft
    assert (settled.state, settled.settled_at is not None) == ("interrupted", True)
    assert await texts(store, over.conversation_id) == ["What is a monad?", "a"]
    await settle(store, open_)
    assert await store.settle_overdue_drafts() is None


async def test_what_is_left_of_a_draft_goes_with_what_was_deleted_long_ago(backend: Backend) -> None:
    user_id = f"user-{new_id()}"
    store = await backend.store(user_id)
    draft, open_ = await draft_in(store), await draft_in(store)
    await settle(store, draft)
    await backend.purge(user_id, 2**52)
    with pytest.raises(NotFound):
        await store.get_draft(draft.id)
    assert (await store.get_draft(open_.id)).draft.state == "streaming"


async def test_a_branch_with_a_draft_past_its_lease_is_deleted_with_what_came(backend: Backend) -> None:
    store = await backend.store()
    draft = await draft_in(store, lease_seconds=1)
    question = (await all_messages(store, draft.conversation_id))[0]
    with pytest.raises(Conflict) as conflict:
        await store.delete_branch(draft.conversation_id, question.id)
    assert conflict.value.details == {"reason": "draft_open", "drafts": [draft.id]}
    await write(store, draft, 0, begins("a"))
    await interrupted(store, draft)
    for call in (store.take_draft, store.stop_draft):
        with pytest.raises(Conflict):
            await call(draft.id)
    assert (await store.delete_branch(draft.conversation_id, question.id)).deleted == 2
