"""What people do with the generated client in Python, each as they would write it: no cast, and no `Any` of ours."""

import sys
from collections.abc import Callable
from http import HTTPStatus

from threadkeep_client import AuthenticatedClient
from threadkeep_client.api.account import erase_everything
from threadkeep_client.api.agent_state import (
    append_entries,
    delete_journal,
    get_journal,
    list_entries,
    list_journals,
    patch_journal,
    put_journal,
)
from threadkeep_client.api.changes import list_changes
from threadkeep_client.api.conversations import (
    create_conversation,
    delete_conversation,
    get_conversation,
    list_conversations,
    put_conversation,
    restore_conversation,
    update_conversation,
)
from threadkeep_client.api.export_and_import import export_conversation, export_everything, import_conversations
from threadkeep_client.api.messages import append_messages, get_message, list_messages, update_message
from threadkeep_client.api.search import search
from threadkeep_client.api.server import get_health
from threadkeep_client.models import (
    Appended,
    AppendedEntries,
    Changes,
    Conversation,
    ConversationChanges,
    ConversationPage,
    Document,
    EntryPage,
    Erasure,
    ErrorCode,
    ErrorDetails,
    ErrorResponse,
    Health,
    HitPage,
    ImageBlock,
    ImportReport,
    Journal,
    JournalChanges,
    JournalPage,
    JsonObject,
    Message,
    MessageChanges,
    MessagePage,
    Metadata,
    NewConversation,
    NewEntries,
    NewEntry,
    NewMessage,
    NewMessages,
    NewOtherBlock,
    OtherBlock,
    PutConversation,
    PutJournal,
    PutJournalMode,
    Role,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
)

url, key = sys.argv[1:3]
client = AuthenticatedClient(base_url=url, token=key, headers={"X-User-Id": "python"})
NOBODYS = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


def said(text: str, role: Role = Role.USER) -> NewMessage:
    return NewMessage(role=role, content=[TextBlock(type_="text", text=text)])


def created(body: NewConversation) -> Conversation:
    conversation = create_conversation.sync(client=client, body=body)
    assert isinstance(conversation, Conversation)
    return conversation


def read(conversation_id: str) -> MessagePage:
    page = list_messages.sync(conversation_id, client=client)
    assert isinstance(page, MessagePage)
    return page


def create_an_empty_conversation() -> None:
    response = create_conversation.sync_detailed(client=client, body=NewConversation())
    assert response.status_code is HTTPStatus.CREATED
    assert isinstance(response.parsed, Conversation)
    assert response.parsed.message_count == 0


def create_with_messages_a_title_and_metadata() -> None:
    metadata = Metadata.from_dict({"project": "p1", "tags": ["a", "b"]})
    messages = [said("Be brief.", Role.SYSTEM), said("Will it rain?")]
    conversation = created(NewConversation(title="Weather", metadata=metadata, messages=messages))
    assert conversation.metadata["project"] == "p1"
    assert conversation.message_count == 2


def append_a_message() -> None:
    conversation = created(NewConversation())
    message = NewMessage(role=Role.USER, content=[TextBlock(type_="text", text="Hello")], model="claude", token_count=2)
    appended = append_messages.sync(conversation.id, client=client, body=message)
    assert isinstance(appended, Appended)
    assert appended.messages[0].seq == 1


def append_several_messages_together_if_nobody_else_has() -> None:
    conversation = created(NewConversation())
    body = NewMessages(messages=[said("Hello"), said("Hi", Role.ASSISTANT)], expected_message_count=0)
    append_messages.sync(conversation.id, client=client, body=body)
    refused = append_messages.sync(conversation.id, client=client, body=body)
    assert isinstance(refused, ErrorResponse)
    assert refused.error.code is ErrorCode.STALE
    assert isinstance(refused.error.details, ErrorDetails)
    assert refused.error.details.message_count == 2


def call_a_tool_and_keep_what_it_returned() -> None:
    call = NewMessage(
        role=Role.ASSISTANT,
        content=[
            ThinkingBlock(type_="thinking", thinking="Look it up.", signature="c2ln"),
            ToolUseBlock(type_="tool_use", id="t1", name="weather", input_=JsonObject.from_dict({"city": "Oslo"})),
        ],
    )
    result = NewMessage(
        role=Role.TOOL, content=[ToolResultBlock(type_="tool_result", tool_use_id="t1", content={"degrees": 4})]
    )
    conversation = created(NewConversation(messages=[call, result]))
    blocks = [block for message in read(conversation.id).messages for block in message.content]
    assert [block.input_["city"] for block in blocks if isinstance(block, ToolUseBlock)] == ["Oslo"]
    assert [block.content for block in blocks if isinstance(block, ToolResultBlock)] == [{"degrees": 4}]


def narrow_blocks_by_their_type() -> None:
    image = ImageBlock(type_="image", source=JsonObject.from_dict({"url": "https://weather.example/map.png"}))
    text = TextBlock.from_dict({"type": "text", "text": " Rain. ", "citations": []})
    conversation = created(NewConversation(messages=[NewMessage(role=Role.ASSISTANT, content=[text, image])]))
    for block in read(conversation.id).messages[0].content:
        match block:
            case TextBlock():
                assert block.text.strip() == "Rain."
                assert block["citations"] == []
            case ImageBlock(source=JsonObject() as source):
                assert source["url"] == "https://weather.example/map.png"
            case _:
                raise AssertionError(block)


def keep_parts_of_the_ai_sdk_as_they_are() -> None:
    part = NewOtherBlock.from_dict({"type": "tool-weather", "state": "output-available", "output": {"sky": "grey"}})
    conversation = created(NewConversation(messages=[NewMessage(role=Role.ASSISTANT, content=[part])]))
    (block,) = read(conversation.id).messages[0].content
    assert isinstance(block, OtherBlock)
    assert block.type_.startswith("tool-")
    assert block["output"] == {"sky": "grey"}


def page_through_messages_the_newest_first() -> None:
    conversation = created(NewConversation(messages=[said(f"Number {number}") for number in range(1, 6)]))
    seqs: list[int] = []
    page = list_messages.sync(conversation.id, client=client, limit=2)
    while isinstance(page, MessagePage):
        seqs = [message.seq for message in page.messages] + seqs
        if page.next_cursor is None:
            break
        page = list_messages.sync(conversation.id, client=client, limit=2, cursor=page.next_cursor)
    assert seqs == [1, 2, 3, 4, 5]


def read_what_came_after_a_message() -> None:
    conversation = created(NewConversation(messages=[said("First")]))
    page = list_messages.sync(conversation.id, client=client, after=1)
    assert isinstance(page, MessagePage)
    assert page.messages == []


def list_what_there_is() -> None:
    page = list_conversations.sync(client=client)
    assert isinstance(page, ConversationPage)
    assert "WEATHER" in [conversation.title.upper() for conversation in page.conversations]


def archive_a_conversation_and_list_what_is_archived() -> None:
    conversation = created(NewConversation())
    update_conversation.sync(conversation.id, client=client, body=ConversationChanges(is_archived=True))
    page = list_conversations.sync(client=client, archived=True, limit=100)
    assert isinstance(page, ConversationPage)
    assert conversation.id in [each.id for each in page.conversations]


def search_for_words() -> None:
    created(NewConversation(messages=[said("About endofunctors")]))
    page = search.sync(client=client, q="endofunctors", role=Role.USER)
    assert isinstance(page, HitPage)
    marked = "".join(f"<b>{part.text}</b>" if part.match else part.text for part in page.hits[0].snippet)
    assert marked == "About <b>endofunctors</b>"


def merge_metadata_and_remove_a_part_of_it() -> None:
    conversation = created(NewConversation(metadata=Metadata.from_dict({"project": "p1", "draft": True})))
    patch = ConversationChanges(metadata=Metadata.from_dict({"draft": None, "color": "red"}))
    edited = update_conversation.sync(conversation.id, client=client, body=patch)
    assert isinstance(edited, Conversation)
    assert edited.metadata.to_dict() == {"project": "p1", "color": "red"}


def look_at_an_error_by_its_code() -> None:
    refused = get_conversation.sync(NOBODYS, client=client)
    assert isinstance(refused, ErrorResponse)
    assert refused.error.code is ErrorCode.NOT_FOUND


def look_at_the_details_of_an_error() -> None:
    refused = search.sync(client=client, q="a", from_=2, to=1)
    assert isinstance(refused, ErrorResponse)
    assert isinstance(refused.error.details, ErrorDetails)
    assert refused.error.details.path == "to"


def edit_only_what_has_been_seen_by_if_match() -> None:
    conversation = created(NewConversation())
    etag = get_conversation.sync_detailed(conversation.id, client=client).headers["ETag"]
    mine, late = ConversationChanges(title="Mine"), ConversationChanges(title="Late")
    assert isinstance(update_conversation.sync(conversation.id, client=client, body=mine, if_match=etag), Conversation)
    refused = update_conversation.sync(conversation.id, client=client, body=late, if_match=etag)
    assert isinstance(refused, ErrorResponse)
    assert isinstance(refused.error.details, ErrorDetails)
    assert isinstance(refused.error.details.conversation, Conversation)
    assert refused.error.details.conversation.title == "Mine"


def vote_for_an_answer() -> None:
    conversation = created(NewConversation(messages=[said("A monoid.")]))
    page = list_messages.sync(conversation.id, client=client)
    assert isinstance(page, MessagePage)
    answer = page.messages[0].id
    vote = MessageChanges(metadata=Metadata.from_dict({"vote": "up"}))
    voted = update_message.sync(conversation.id, answer, client=client, body=vote, if_match='"1"')
    assert isinstance(voted, Message)
    assert isinstance(voted.metadata, Metadata)
    assert (voted.metadata.to_dict(), voted.version) == ({"vote": "up"}, 2)
    refused = update_message.sync(conversation.id, answer, client=client, body=vote, if_match='"1"')
    assert isinstance(refused, ErrorResponse)
    assert isinstance(refused.error.details, ErrorDetails)
    assert isinstance(refused.error.details.message, Message)
    kept = get_message.sync(conversation.id, answer, client=client)
    assert isinstance(kept, Message)
    assert kept == refused.error.details.message


def delete_and_restore() -> None:
    conversation = created(NewConversation(title="Undo"))
    deleted = delete_conversation.sync_detailed(conversation.id, client=client)
    assert deleted.status_code is HTTPStatus.NO_CONTENT
    restored = restore_conversation.sync(conversation.id, client=client)
    assert isinstance(restored, Conversation)
    assert restored.deleted_at is None


def follow_the_changes() -> None:
    start = list_changes.sync(client=client)
    assert isinstance(start, Changes)
    conversation = created(NewConversation(messages=[said("New")]))
    deleted = created(NewConversation())
    delete_conversation.sync(deleted.id, client=client)
    changes = list_changes.sync(client=client, since=start.next_)
    assert isinstance(changes, Changes)
    held = [each.id for each in changes.conversations if isinstance(each, Conversation)]
    assert held == [conversation.id]
    assert [message.conversation_id for message in changes.messages] == [conversation.id]
    assert not changes.has_more


def export_a_conversation_and_import_it() -> None:
    conversation = created(NewConversation(title="Kept", messages=[said("Keep this")]))
    document = export_conversation.sync(conversation.id, client=client)
    assert isinstance(document, Document)
    assert document.conversation.messages[0].role is Role.USER
    report = import_conversations.sync(client=client, body=document)
    assert isinstance(report, ImportReport)
    assert report.imported[0].title == "Kept"


def export_everything_as_text_and_import_it_as_ndjson() -> None:
    lines = export_everything.sync_detailed(client=client).content
    assert lines.count(b"\n") > 10
    headers = {"Content-Type": "application/x-ndjson", "Idempotency-Key": "moved"}
    response = client.get_httpx_client().post("/api/import", content=lines + b'{"version": 2}\n', headers=headers)
    report = ImportReport.from_dict(response.json())
    assert len(report.imported) > 10
    assert report.skipped[0].error.code is ErrorCode.INVALID


def keep_a_session_of_an_agent_and_read_it_back() -> None:
    place = ("sessions", 'agent/"one"')
    new = PutJournal(head={"leaf": None}, status="open")
    journal = put_journal.sync(*place, client=client, body=new, idempotency_key="put-1")
    assert isinstance(journal, Journal)
    assert (journal.version, journal.head) == (1, {"leaf": None})
    entries = [NewEntry(id="1", data={"text": "Hello"}), NewEntry(data=[1, None])]
    for first in (HTTPStatus.CREATED, HTTPStatus.OK):
        body = NewEntries(entries=entries, head={"leaf": "1"})
        appended = append_entries.sync_detailed(*place, client=client, body=body, idempotency_key="append-1")
        assert appended.status_code is first
        assert isinstance(appended.parsed, AppendedEntries)
        assert (appended.parsed.first, appended.parsed.last) == (0, 1)
    page = list_entries.sync(*place, client=client, head=True)
    assert isinstance(page, EntryPage)
    assert [entry.data for entry in page.entries] == [{"text": "Hello"}, [1, None]]
    assert page.journal.head == {"leaf": "1"}
    listed = list_journals.sync("sessions", client=client, status="open")
    assert isinstance(listed, JournalPage)
    assert [journal.key for journal in listed.journals] == [place[1]]


def write_to_a_journal_only_as_it_was_seen() -> None:
    place = ("runs", "1")
    put_journal.sync(*place, client=client, body=PutJournal(mode=PutJournalMode.REPLACE))
    edited = patch_journal.sync(*place, client=client, body=JournalChanges(status="done"), if_match='"1"')
    assert isinstance(edited, Journal)
    late = append_entries.sync(*place, client=client, body=NewEntries(expected=1, close=True))
    assert isinstance(late, ErrorResponse)
    assert isinstance(late.error.details, ErrorDetails)
    assert (late.error.details.reason, late.error.details.version) == ("stale", 2)
    delete_journal.sync(*place, client=client)
    gone = get_journal.sync(*place, client=client)
    assert isinstance(gone, ErrorResponse)
    assert gone.error.code is ErrorCode.NOT_FOUND


def ask_whether_the_server_is_up() -> None:
    answer = get_health.sync(client=client)
    assert isinstance(answer, Health)
    assert answer.status == "ok"


def put_a_conversation_under_an_id_of_ones_own_each_time_it_has_grown() -> None:
    messages = [NewMessage(id="msg-1", role=Role.USER, content=[TextBlock(type_="text", text="Hi")])]
    first = put_conversation.sync("chat_7f3c9a52-0b1e", client=client, body=PutConversation(messages=messages))
    assert isinstance(first, Appended)
    answer = [TextBlock(type_="text", text="Hello")]
    messages.append(NewMessage(id="msg-2", role=Role.ASSISTANT, content=[*answer]))
    grown = put_conversation.sync("chat_7f3c9a52-0b1e", client=client, body=PutConversation(messages=messages))
    assert isinstance(grown, Appended)
    assert [receipt.seq for receipt in grown.messages] == [1, 2]
    assert grown.conversation.message_count == 2


def delete_everything() -> None:
    assert isinstance(erase_everything.sync(client=client, confirm="somebody"), ErrorResponse)
    erasure = erase_everything.sync(client=client, confirm="python")
    assert isinstance(erasure, Erasure)
    assert erasure.is_complete
    assert erasure.conversations > 20


SNIPPETS: list[Callable[[], None]] = [
    create_an_empty_conversation,
    create_with_messages_a_title_and_metadata,
    append_a_message,
    append_several_messages_together_if_nobody_else_has,
    call_a_tool_and_keep_what_it_returned,
    narrow_blocks_by_their_type,
    keep_parts_of_the_ai_sdk_as_they_are,
    page_through_messages_the_newest_first,
    read_what_came_after_a_message,
    list_what_there_is,
    archive_a_conversation_and_list_what_is_archived,
    search_for_words,
    merge_metadata_and_remove_a_part_of_it,
    look_at_an_error_by_its_code,
    look_at_the_details_of_an_error,
    edit_only_what_has_been_seen_by_if_match,
    delete_and_restore,
    follow_the_changes,
    put_a_conversation_under_an_id_of_ones_own_each_time_it_has_grown,
    export_a_conversation_and_import_it,
    export_everything_as_text_and_import_it_as_ndjson,
    keep_a_session_of_an_agent_and_read_it_back,
    write_to_a_journal_only_as_it_was_seen,
    ask_whether_the_server_is_up,
    delete_everything,
]
for snippet in SNIPPETS:
    snippet()
    print(snippet.__name__)
