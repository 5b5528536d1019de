"""A file of conversations goes into a running server, is found there, and comes out the same."""

import json
import random
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.backends import server
from support.in_process import as_user

NDJSON = {"Content-Type": "application/x-ndjson"}
CONVERSATIONS = 120
WORDS = ("monad", "Zürich", "東京", "functor", "naïve", "fjord", "lambda", "漢字", "crème", "kayak")


def documents() -> list[dict[str, Any]]:
    """Conversations of all sizes, with blocks of every kind, the same each time."""
    chance = random.Random(7)
    made = []
    for number in range(CONVERSATIONS):
        messages: list[dict[str, Any]] = []
        for turn in range(chance.randint(1, 40)):
            text = " ".join(chance.choices(WORDS, k=chance.randint(1, 60)))
            content: list[dict[str, Any]] = [{"type": "text", "text": f"{text} number{number:03}"}]
            if turn % 3 == 1:
                content.append({"type": "tool_use", "id": f"t{turn}", "name": "look", "input": {"q": text, "n": 1.50}})
            if turn % 3 == 2:
                content = [{"type": "tool_result", "toolUseId": f"t{turn - 1}", "content": text, "odd": [10**20, None]}]
            role = "assistant" if turn % 3 == 1 else "user"
            messages.append({"role": role, "content": content, "createdAt": f"2026-01-02T03:04:{turn:02}.000Z"})
        conversation = {"id": f"theirs-{number}", "title": f"Title {number}", "createdAt": "2026-01-02T03:04:00.000Z"}
        made.append({"version": 1, "conversation": {**conversation, "messages": messages}})
    return made


def told(document: dict[str, Any]) -> dict[str, Any]:
    """What a document says, without the ids that an import makes anew."""
    conversation = document["conversation"]
    return {
        "title": conversation["title"],
        "createdAt": conversation["createdAt"],
        "messages": [
            {name: message[name] for name in ("role", "content", "createdAt")} for message in conversation["messages"]
        ],
    }


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_a_file_is_imported_found_and_exported_the_same(tmp_path: Path, store: str) -> None:
    sent = documents()
    lines = "".join(f"{json.dumps(document, ensure_ascii=False)}\n" for document in sent).encode()
    with (
        server(tmp_path, store=store, workers=2) as running,
        httpx.Client(base_url=running.url, headers=as_user("ada"), timeout=60) as client,
    ):
        report = client.post("/api/import", content=lines, headers=NDJSON).json()
        assert (len(report["imported"]), report["skipped"]) == (CONVERSATIONS, [])
        for number in range(0, CONVERSATIONS, 10):
            hits = client.get("/api/conversations/search", params={"q": f"number{number:03}"}).json()["hits"]
            assert {hit["conversation"]["title"] for hit in hits} == {f"Title {number}"}
        for word in WORDS:
            assert client.get("/api/conversations/search", params={"q": word}).json()["hits"]
        exported = [json.loads(line) for line in client.get("/api/export").text.splitlines()]
    by_title = {document["conversation"]["title"]: told(document) for document in exported}
    assert by_title == {document["conversation"]["title"]: told(document) for document in sent}
    assert len(exported) == CONVERSATIONS
