"""The branches of a conversation: see them, choose one, delete one, restore it, and make a conversation of one."""

from threadkeep.conversations.forking import fork_conversation as fork
from threadkeep.conversations.models import BranchList, Conversation, DeletedBranch, LeafChoice, NewFork
from threadkeep.http.messages import Response, etag, json_response
from threadkeep.http.routes.base import Call, Route


@Route(
    "GET",
    "/api/conversations/{id}/messages/{mid}/branches",
    answers={200: BranchList},
    fails=("not_found",),
)
async def list_branches(call: Call) -> Response:
    """List the siblings of a message.

    They follow the same one as this: the answers to a question, or its edits. It is among them.
    `leafId` is where the path ends if that branch is selected.
    """
    return json_response(200, await call.store.list_branches(call.id, call.path["mid"]))


@Route(
    "PUT",
    "/api/conversations/{id}/leaf",
    answers={200: Conversation},
    fails=("not_found", "stale"),
    body=LeafChoice,
)
async def select_leaf(call: Call) -> Response:
    """Choose the active branch.

    It is the one in which a message stands. The active path ends with what was said last below the message, or, with
    `descend` false, with the message itself: that is to roll back. Whatever is not on the path stays, and can be chosen
    again. With `expectedLeafId`, it fails with `stale` if the path ends elsewhere by now.
    """
    choice: LeafChoice = call.body
    conversation = await call.store.select_leaf(
        call.id, choice.message_id, descend=choice.descend, expected_leaf_id=choice.expected_leaf_id
    )
    return json_response(200, conversation, {"etag": etag(conversation.version)})


@Route(
    "DELETE",
    "/api/conversations/{id}/messages/{mid}",
    answers={200: DeletedBranch},
    fails=("not_found",),
)
async def delete_message(call: Call) -> Response:
    """Delete a message, and all that was said below it.

    It can be restored for as long as the server keeps what is deleted, 30 days by default. Where it was on the active
    path, that then leads to what was said last below the message before it. Deleting it again changes nothing.
    """
    return json_response(200, await call.store.delete_branch(call.id, call.path["mid"]))


@Route(
    "POST",
    "/api/conversations/{id}/messages/{mid}/restore",
    answers={200: Conversation},
    fails=("not_found", "conflict"),
)
async def restore_message(call: Call) -> Response:
    """Restore a deleted message, with all that was deleted along with it."""
    conversation = await call.store.restore_branch(call.id, call.path["mid"])
    return json_response(200, conversation, {"etag": etag(conversation.version)})


@Route(
    "POST",
    "/api/conversations/{id}/fork",
    answers={201: Conversation, 200: Conversation},
    fails=("not_found", "conflict", "too_large"),
    body=NewFork,
)
async def fork_conversation(call: Call) -> Response:
    """Make a new conversation of the path to a message.

    The messages are copied with new ids, in one piece, and the original stays as it is. Without `messageId`, the active
    path is copied. Give the fork an `id` of your own, and the request can be repeated if its answer is lost:
    the status is then 200. `forkedFrom` says where it comes from, even when the original is deleted.
    """
    conversation, is_new = await fork(call.store, call.id, call.body)
    headers = {"etag": etag(conversation.version)}
    if is_new:
        headers["location"] = f"{call.request.mounted_at}/api/conversations/{conversation.id}"
    return json_response(201 if is_new else 200, conversation, headers)
