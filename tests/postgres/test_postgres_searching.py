"""Searching on Postgres where its own limits are: what no lexeme can hold is found all the same, and in good time."""

import asyncio

import asyncpg
import pytest

from support import stores
from support.postgres import ask, new_schema, new_url, server
from support.postgres_stream import OneEach
from support.records import conversation, new_message
from threadkeep.conversations.models import ConversationPage
from threadkeep.conversations.records import SearchQuery
from threadkeep.errors import Unavailable
from threadkeep.storage.postgres import executor as postgres_executor
from threadkeep.storage.postgres.executor import PostgresExecutor
from threadkeep.storage.postgres.url import parse_url

pytestmark = pytest.mark.anyio


async def test_a_word_of_any_length_is_found_whole_and_by_its_beginning() -> None:
    executor = await stores.open_postgres(new_url())
    store = stores.open_sql(executor, "ada")
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


@pytest.mark.parametrize("is_of_a_worker", [False, True], ids=["of a server", "of a Worker"])
async def test_a_search_that_takes_too_long_is_ended_and_who_waited_for_its_connection_gets_it(
    is_of_a_worker: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = new_schema()
    url = server().url(schema=schema, connection_limit=1, sslmode="disable")
    executor = await stores.open_postgres(url)
    if is_of_a_worker:
        await executor.close()
        executor = PostgresExecutor(OneEach(url), schema)
    store = stores.open_sql(executor, "ada")
    await store.create_conversation(conversation(new_message("a badger", role="assistant")))
    monkeypatch.setattr(postgres_executor, "SEARCH_SECONDS", 0.5)
    badger = SearchQuery(text="badger")
    other = await asyncpg.connect(server().url())
    await other.execute(f"BEGIN; LOCK TABLE {schema}.words IN ACCESS EXCLUSIVE MODE")
    found, page = await asyncio.gather(store.search(badger), store.list_conversations(), return_exceptions=True)
    assert isinstance(found, Unavailable)
    assert str(found) == "The search took too long. Search for rarer words, or try again."
    assert isinstance(page, ConversationPage)
    assert len(page.conversations) == 1
    waiting = "SELECT l.pid FROM pg_locks AS l WHERE NOT l.granted AND l.relation = to_regclass($1)"
    async with asyncio.timeout(60):
        while await ask(waiting, f"{schema}.words"):  # noqa: ASYNC110 the server ends it too, and tells nobody
            await asyncio.sleep(0.01)
    await other.close()
    assert len((await store.search(badger)).hits) == 1
    await executor.close()


def test_a_search_may_take_less_time_than_others_wait_for_its_connection() -> None:
    assert parse_url(new_url()).pool_seconds > postgres_executor.SEARCH_SECONDS
