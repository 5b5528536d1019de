"""Searching on Postgres where its own limits are: what no lexeme can hold is found all the same."""

import pytest

from support.drafts import conversation, new_message
from support.postgres import new_url
from threadkeep import backends
from threadkeep.drafts import SearchQuery

pytestmark = pytest.mark.anyio


async def test_a_word_of_any_length_is_found_whole_and_by_its_beginning() -> None:
    executor = await backends.open_postgres(new_url())
    store = backends.open_sql(executor, "ada")
    word = "ab" * 700 + "é" * 600
    await store.create_conversation(conversation(new_message(f"before {word}x after", role="assistant")))
    await store.create_conversation(conversation(new_message(f"{word[:500]}", role="assistant")))

    async def count(query: str) -> int:
        return len((await store.search(SearchQuery(text=query))).hits)

    for query in (f"{word}x", f'"{word}x"', word, word[:501], f'"before {word}x after"', f'"{word[:500]}"'):
        assert await count(query) == 1, query[:20]
    assert await count(word[:500]) == await count(word[:499]) == 2
    for query in (f'"{word}"', f"{word}y", f'"{word[:499]}"', f"{word[:500]}y", f'"{word}x before"'):
        assert await count(query) == 0, query[:20]
    await executor.close()
