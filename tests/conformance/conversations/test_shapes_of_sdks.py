"""What the SDKs of others return is kept as it came, and what people see of it is found.

The messages in `tests/data/sdks/` are what the real SDKs have made, stored by the lines of docs/shapes.md. A test of
the documents makes them again with the SDKs of today, and compares.
"""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from support.backends import Backend
from support.records import conversation
from threadkeep.conversations.models import NewMessage
from threadkeep.conversations.records import SearchQuery
from threadkeep.ids import new_id
from threadkeep.tokenizer import tokens

pytestmark = pytest.mark.anyio

FOLDER = Path(__file__).parents[2] / "data" / "sdks"

_CALLED = "Nürnberg celsius"
_ANSWER = "Drizzle in Nuremberg, bring a parasol anyway."
_ASKED = "How is the weather in Nürnberg?"
_REPORT = "overcast and breezy, 11 degrees"
_THOUGHT = "Pondering the barometer first."
# What is on the screen of who uses an app that is made with each.
VISIBLE = {
    "ai-sdk": [
        *(_ASKED, "skyline png", "heron", "Climate dossier", "dossier.pdf", _THOUGHT, _CALLED),
        *("overcast", "breezy", _ANSWER, "https://almanac.example/franconia", "Franconian almanac"),
        "The anemometer is jammed",
    ],
    "openai-chat": ["Be laconic.", _ASKED, _CALLED, _REPORT, _ANSWER],
    "openai-responses": [_ASKED, _THOUGHT, _CALLED, _REPORT, _ANSWER],
    "anthropic": [_ASKED, _THOUGHT, "One moment, peeking outside.", _CALLED, _REPORT, _ANSWER],
    "langchain": ["Be laconic.", _ASKED, _THOUGHT, "One moment, peeking outside.", _CALLED, _REPORT, _ANSWER],
}
HIDDEN = ["call", "fc", "rs", "toolu", "c2lnbmf0dxjl", "itemid", "iVBORw0KGgo", "openai", "weathered", "gpt"]


@pytest.mark.parametrize("name", VISIBLE)
async def test_messages_of_an_sdk_come_back_as_they_were_and_every_word_of_them_is_found(
    backend: Backend, name: str
) -> None:
    sent = json.loads((FOLDER / f"{name}.json").read_text())
    store = await backend.store()
    # Under ids of the test: a user may have kept others under those.
    new = [msgspec.convert({**message, "id": new_id()}, NewMessage) for message in _raw(sent)]
    await store.create_conversation(conversation(*new, title="Of an SDK"))
    (page,) = (await store.list_conversations()).conversations
    kept = (await store.list_messages(page.id)).messages
    assert [msgspec.json.decode(message.content) for message in kept] == [
        _in_blocks(message["content"]) for message in sent
    ]
    assert [message.role for message in kept] == [message["role"] for message in sent]
    words = dict.fromkeys(word for text in VISIBLE[name] for word in tokens(text))
    for word in words:
        hits = (await store.search(SearchQuery(text=f'"{word}"'))).hits
        assert hits, word
        assert all(any(part.match for part in hit.snippet) for hit in hits), word
    for word in HIDDEN:
        assert (await store.search(SearchQuery(text=f'"{word}"'))).hits == [], word


def _raw(sent: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Messages with their content and metadata as JSON, as they arrive."""
    return [
        {
            name: msgspec.Raw(json.dumps(value).encode()) if name in ("content", "metadata") else value
            for name, value in message.items()
        }
        for message in sent
    ]


def _in_blocks(content: Any) -> Any:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content
