# Made by `scripts/lock` of client/api/conversations.py; a test fails when it is stale.

"""The conversations of a user."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Unpack
from urllib.parse import quote

from msgspec import Struct

from threadkeep.client.models import (
    Appended,
    BranchList,
    Context,
    ConversationData,
    ConversationEdit,
    Dialect,
    Document,
    DraftData,
    DraftList,
    Message,
    MessagePage,
    NewMessage,
    Receipt,
    Role,
    Sibling,
)
from threadkeep.client.sync.documents import one_document
from threadkeep.client.sync.drafts import Draft
from threadkeep.client.sync.pages import Pages
from threadkeep.client.sync.transport import Transport, if_match, read
from threadkeep.ids import new_id

_API = "/api/conversations"
_ARCHIVED = {None: "any", True: "true", False: "false"}


class ConversationCalls:
    """What can be asked of one conversation, by its id, whether or not anything else is known of it."""

    if TYPE_CHECKING:
        id: str
        _transport: Transport

    def append(
        self,
        *,
        expected_message_count: int | None = None,
        expected_leaf_id: str | None = None,
        interrupts: bool = False,
        **message: Unpack[NewMessage],
    ) -> Receipt:
        """Append a message: `append(role="user", content="Hello")`. It follows the end of the active path.

        With `sibling_of` it is another version of that message, with `parent_id` it follows that one. Raises Stale
        where the conversation has another number of messages than expected, or the active path ends elsewhere.
        Raises Conflict where a draft is open there, unless the append `interrupts` it.
        """
        (receipt,) = self.extend(
            [message],
            expected_message_count=expected_message_count,
            expected_leaf_id=expected_leaf_id,
            interrupts=interrupts,
        )
        return receipt

    def extend(
        self,
        messages: Iterable[NewMessage],
        *,
        expected_message_count: int | None = None,
        expected_leaf_id: str | None = None,
        interrupts: bool = False,
    ) -> list[Receipt]:
        """Append messages, all of them or none."""
        body = {
            "messages": [_new_message(message) for message in messages],
            "expectedMessageCount": expected_message_count,
            "expectedLeafId": expected_leaf_id,
        }
        query = {"interrupts": "true"} if interrupts else None
        response = self._transport.send("POST", f"{self._path}/messages", body, query=query, is_repeatable=True)
        appended = read(response, Appended)
        self._became(appended.conversation)
        return appended.messages

    def draft(
        self,
        *,
        role: Role = "assistant",
        id: str | None = None,  # noqa: A002 the name of the field
        parent_id: str | None = None,
        model: str | None = None,
        metadata: dict[str, Any] | None = None,
        lease_seconds: int = 60,
    ) -> Draft:
        """A message to write piece by piece: `with conversation.draft() as draft: draft.write("Hel")`.

        It follows the end of the active path, or `parent_id`. If nothing is sent for `lease_seconds`, it is
        interrupted.
        """
        new: dict[str, Any] = {
            "id": id,
            "role": role,
            "parentId": parent_id,
            "model": model,
            "leaseSeconds": lease_seconds,
        }
        new |= {} if metadata is None else {"metadata": metadata}
        return Draft(self._transport, self.id, new, self._became)

    def drafts(self) -> list[DraftData]:
        """The drafts that are open: messages that are being written, by whomever."""
        return read(self._transport.send("GET", f"{self._path}/drafts"), DraftList).drafts

    def stop_draft(self, draft_id: str) -> DraftData:
        """Ask whoever writes a draft to stop. If nothing is heard of them, it is interrupted when its lease is over."""
        response = self._transport.send("POST", f"/api/drafts/{_step(draft_id)}/stop", is_repeatable=True)
        return read(response, DraftData)

    def messages(
        self, *, branch: str = "active", after: int = 0, newest_first: bool = False, limit: int = 50
    ) -> Pages[Message, MessagePage]:
        """The messages in order, of the active path unless `branch` is `all` or the id of the last one on another path.

        They begin behind the `seq` of `after`. With `newest_first` they come from the last one on, backwards; a page
        is in order all the same. `limit` is how many a page has at most.
        """

        def fetch(cursor: str | None) -> MessagePage:
            start = after if cursor is None and not newest_first else None
            query = {"branch": branch, "cursor": cursor, "after": start, "limit": limit}
            return read(self._transport.send("GET", f"{self._path}/messages", query=query), MessagePage)

        return Pages(fetch, lambda page: reversed(page.messages) if newest_first else page.messages)

    def message(self, message_id: str) -> Message:
        """One message."""
        return read(self._transport.send("GET", self._message(message_id)), Message)

    def update_message(
        self,
        message_id: str,
        *,
        metadata: dict[str, Any] | None,
        edited_at: int | None = None,
        expected_version: int | None = None,
    ) -> Message:
        """Edit the metadata of a message, such as a vote or a note: they merge, key by key, and None clears them."""
        response = self._transport.send(
            "PATCH",
            self._message(message_id),
            {"metadata": metadata, "editedAt": edited_at},
            headers=if_match(expected_version),
            is_repeatable=edited_at is not None and expected_version is None,  # else it is another edit
        )
        return read(response, Message)

    def siblings(self, message_id: str) -> list[Sibling]:
        """The versions of a message, itself among them: all that follow what it follows, in order of `seq`."""
        return read(self._transport.send("GET", f"{self._message(message_id)}/branches"), BranchList).siblings

    def select(self, message_id: str, *, descend: bool = True, expected_leaf_id: str | None = None) -> None:
        """Have the active path lead through a message, on to what was said last below it.

        With `descend=False` the path ends with the message: so a conversation is rolled back.
        """
        choice = {"messageId": message_id, "descend": descend, "expectedLeafId": expected_leaf_id}
        response = self._transport.send("PUT", f"{self._path}/leaf", choice, is_repeatable=expected_leaf_id is None)
        self._became(read(response, ConversationData))

    def delete_branch(self, message_id: str) -> None:
        """Delete a message and all below it so that they can be restored. Once more does nothing."""
        response = self._transport.send("DELETE", self._message(message_id), is_repeatable=True)
        self._became(read(response, _DeletedBranch).conversation)

    def restore_branch(self, message_id: str) -> None:
        """Undo the deletion in which a message went."""
        response = self._transport.send("POST", f"{self._message(message_id)}/restore", is_repeatable=True)
        self._became(read(response, ConversationData))

    def fork(
        self,
        message_id: str | None = None,
        *,
        id: str | None = None,  # noqa: A002 the name of the field
        title: str | None = None,
    ) -> "Conversation":
        """Make a new conversation of the path to a message, by default the active path. The same again is the same.

        The messages are copied, with new ids. Raises Conflict where the `id` is taken by something else.
        """
        body = {"id": id or new_id(), "messageId": message_id, "title": title}
        response = self._transport.send("POST", f"{self._path}/fork", body, is_repeatable=True)
        forked = read(response, Conversation)
        forked._transport = self._transport  # noqa: SLF001 it is of this module
        return forked

    def update(
        self,
        *,
        edited_at: int | None = None,
        expected_version: int | None = None,
        **edit: Unpack[ConversationEdit],
    ) -> "Conversation":
        """Change the title, the model or the metadata, or archive it. Without `edited_at`, the last to arrive wins.

        Raises Stale where the conversation is at another version than expected.
        """
        response = self._transport.send(
            "PATCH",
            self._path,
            {**_named(edit), "editedAt": edited_at},
            headers=if_match(expected_version),
            is_repeatable=edited_at is not None and expected_version is None,  # else it is another edit
        )
        return self._answered(read(response, Conversation))

    def delete(self, *, expected_version: int | None = None) -> None:
        """Delete the conversation so that it can be restored. Once more does nothing."""
        self._transport.send(
            "DELETE", self._path, headers=if_match(expected_version), is_repeatable=expected_version is None
        )

    def restore(self) -> "Conversation":
        """Undo the deletion."""
        response = self._transport.send("POST", f"{self._path}/restore", is_repeatable=True)
        return self._answered(read(response, Conversation))

    def context(
        self, dialect: Dialect, *, branch: str = "active", max_bytes: int | None = None, repair: bool = True
    ) -> Context:
        """What a model is sent of the conversation, for the API of a provider, such as `anthropic` or `openai-chat`.

        The newest messages of the path that fit into `max_bytes`, with calls of tools and results that pair. Raises
        Conflict where they do not in what is stored, and `repair` is False.
        """
        query = {"dialect": dialect, "branch": branch, "maxBytes": max_bytes, "repair": "true" if repair else "false"}
        return read(self._transport.send("GET", f"{self._path}/context", query=query), Context)

    def export(self) -> Document:
        """The conversation with all of its messages, as a document to keep."""
        return one_document(self._transport, f"{self._path}/export")

    @property
    def _path(self) -> str:
        return f"{_API}/{_step(self.id)}"

    def _message(self, message_id: str) -> str:
        return f"{self._path}/messages/{_step(message_id)}"

    def _answered(self, conversation: "Conversation") -> "Conversation":
        self._became(conversation)
        conversation._transport = self._transport  # noqa: SLF001 it is of this module
        return conversation

    def _became(self, data: ConversationData) -> None:
        """Know what the server has just said of the conversation."""


class ConversationReference(ConversationCalls):
    """A conversation of which only the id is known."""

    def __init__(self, transport: Transport, id: str) -> None:  # noqa: A002 the name of the field
        self._transport = transport
        self.id = id


class Conversation(ConversationCalls, ConversationData, dict=True):
    """A conversation: what is known of it, and what can be asked of it. Its own writes bring it up to date."""

    def _became(self, data: ConversationData) -> None:
        for name in ConversationData.__struct_fields__:
            setattr(self, name, getattr(data, name))


class Conversations:
    """The conversations of a user: `client.conversations`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def of(self, conversation_id: str) -> ConversationReference:
        """A conversation by its id, to ask something of it without getting it first."""
        return ConversationReference(self._transport, conversation_id)

    def create(
        self,
        *,
        id: str | None = None,  # noqa: A002 the name of the field
        title: str | None = None,
        model: str | None = None,
        metadata: dict[str, Any] | None = None,
        messages: Iterable[NewMessage] = (),
    ) -> Conversation:
        """Create a conversation, with its first messages or without. The same again is the same conversation.

        Raises Conflict where the `id` is taken by something else.
        """
        body: dict[str, Any] = {"id": id or new_id(), "title": title, "model": model}
        body |= {"messages": [_new_message(message) for message in messages]}
        body |= {} if metadata is None else {"metadata": metadata}
        return self._with_calls(self._transport.send("POST", _API, body, is_repeatable=True))

    def get(self, conversation_id: str) -> Conversation:
        """Get a conversation. Raises NotFound where there is none, or it is deleted."""
        return self._with_calls(self._transport.send("GET", f"{_API}/{_step(conversation_id)}"))

    def list(
        self,
        *,
        archived: bool | None = False,
        model: str | None = None,
        created_after: int | None = None,
        created_before: int | None = None,
        metadata: tuple[str, str] | None = None,
        limit: int = 20,
    ) -> "Pages[Conversation, ConversationPage]":
        """The conversations, latest first: those that are not archived, or with None those that are as well.

        `metadata` is a name in their metadata, and what it has to be. `limit` is how many a page has at most.
        """
        query: dict[str, Any] = {"archived": _ARCHIVED[archived], "model": model, "limit": limit}
        query |= {"createdAfter": created_after, "createdBefore": created_before}
        if metadata is not None:
            query[f"metadata.{metadata[0]}"] = metadata[1]

        def fetch(cursor: str | None) -> ConversationPage:
            response = self._transport.send("GET", _API, query={**query, "cursor": cursor})
            page = read(response, ConversationPage)
            for conversation in page.conversations:
                conversation._transport = self._transport  # noqa: SLF001 it is of this module
            return page

        return Pages(fetch, lambda page: page.conversations)

    def update(
        self,
        conversation_id: str,
        *,
        edited_at: int | None = None,
        expected_version: int | None = None,
        **edit: Unpack[ConversationEdit],
    ) -> Conversation:
        """`update` of the conversation with this id."""
        return self.of(conversation_id).update(edited_at=edited_at, expected_version=expected_version, **edit)

    def delete(self, conversation_id: str, *, expected_version: int | None = None) -> None:
        """`delete` of the conversation with this id."""
        self.of(conversation_id).delete(expected_version=expected_version)

    def restore(self, conversation_id: str) -> Conversation:
        """`restore` of the conversation with this id."""
        return self.of(conversation_id).restore()

    def _with_calls(self, response: Any) -> Conversation:
        conversation = read(response, Conversation)
        conversation._transport = self._transport  # noqa: SLF001 it is of this module
        return conversation


class ConversationPage(Struct, rename="camel"):
    """Conversations, latest `updated_at` first."""

    conversations: list[Conversation]
    next_cursor: str | None
    changes: str | None = None
    """On the first page, where to follow the changes from."""


class _DeletedBranch(Struct):
    conversation: ConversationData


def _step(id_: str) -> str:
    """What an id is in a path; one that is no id stays in its place, and is refused."""
    return quote(id_, safe="")


def _new_message(message: NewMessage) -> dict[str, Any]:
    """A message as JSON has it, with an id, so that it can be sent again."""
    return {"id": new_id(), **_named(message)}


def _named(fields: Mapping[str, object]) -> dict[str, Any]:
    """Fields by the names that they have in JSON."""
    return {_of_json(name): value for name, value in fields.items()}


def _of_json(name: str) -> str:
    first, *others = name.split("_")
    return "".join([first, *(word.title() for word in others)])
