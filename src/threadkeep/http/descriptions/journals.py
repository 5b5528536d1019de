"""What is said of the operations on journals. Their examples are one story, too."""

from typing import Any

from threadkeep.http.descriptions.operation import AGENT_STATE, Operation

_AT = 1795176819164
_INCARNATION = "01KAGQ5D8W2R6Y0T4B7M3N9KXC"
_head = {"model": "claude-sonnet-4-5", "leaf": None}
_journal: dict[str, Any] = {
    "space": "sessions",
    "key": "alice/1",
    "incarnation": _INCARNATION,
    "generation": 0,
    "version": 1,
    "nextSeq": 0,
    "producer": None,
    "epoch": 0,
    "nextProducerSeq": 0,
    "lane": None,
    "kind": None,
    "status": "active",
    "sort": "",
    "closedAt": None,
    "expiresAt": None,
    "createdAt": _AT,
    "updatedAt": _AT,
}
_created = {**_journal, "head": _head}
_patched = {**_created, "version": 2, "status": "waiting"}
_written = {**_journal, "version": 3, "nextSeq": 2, "status": "waiting"}
_popped = {**_written, "version": 4, "generation": 1}
_claimed = {**_popped, "version": 5, "producer": "worker-1", "epoch": 1}
_new_entries = [{"id": "turn-1", "data": {"text": "What is a monad?"}}, {"id": "turn-2", "data": {"text": "A monoid."}}]
_entries = [{"seq": seq, "createdAt": _AT, **entry} for seq, entry in enumerate(_new_entries)]

JOURNALS: dict[str, Operation] = {
    "put_journal": Operation(
        tag=AGENT_STATE,
        answers={
            201: "The journal is new: it, as stored.",
            200: "It was there already: the journal, as it is now.",
        },
        request={"head": _head, "status": "active"},
        response=_created,
    ),
    "patch_journal": Operation(
        tag=AGENT_STATE,
        answers={200: "The journal, as edited."},
        request={"status": "waiting"},
        response=_patched,
    ),
    "get_journal": Operation(
        tag=AGENT_STATE, answers={200: "The journal with its head, as stored."}, response=_patched
    ),
    "append_entries": Operation(
        tag=AGENT_STATE,
        answers={
            201: "It is done: the places of the entries, and the version of the journal now.",
            200: "The same. All of it was done by an earlier request.",
        },
        request={"entries": _new_entries},
        response={"first": 0, "last": 1, "version": 3},
    ),
    "list_entries": Operation(
        tag=AGENT_STATE,
        answers={
            200: "A page of entries, and the journal that they are of; or the entries as events.",
            204: "Of events: the journal is closed, and nothing comes after `Last-Event-ID`.",
        },
        response={"journal": _written, "entries": _entries, "more": False, "nextCursor": "~WyJlIl0"},
    ),
    "export_rows": Operation(
        tag=AGENT_STATE,
        answers={200: "Every journal of the space: one `Row` a line, as newline-delimited JSON."},
    ),
    "import_rows": Operation(
        tag=AGENT_STATE,
        answers={200: "How many rows were kept, and how many were not, and why."},
        request=b'{"id":"bob/1","data":"{\\"entries\\":[]}","updated_at":1795176819164}\n',
        response={"kept": 1, "same": 0, "older": 0, "skipped": []},
    ),
    "list_journals": Operation(
        tag=AGENT_STATE,
        answers={200: "A page of journals with their heads."},
        query="status=waiting",
        response={"journals": [{**_written, "head": _head}], "nextCursor": None},
    ),
    "pop_entry": Operation(
        tag=AGENT_STATE,
        answers={200: "What was the last entry, and is removed; null if there was none."},
        response={"entry": _entries[-1]},
    ),
    "acquire_producer": Operation(
        tag=AGENT_STATE,
        answers={200: "The journal without its head. Its `epoch` is that of the new producer."},
        request={"producer": "worker-1"},
        response=_claimed,
    ),
    "delete_journal": Operation(tag=AGENT_STATE, answers={204: "The journal is deleted."}),
}
