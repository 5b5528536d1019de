"""Fixtures of the unit tests."""

from collections.abc import Iterator

import pytest

from support.drafts import conversation, new_message
from threadkeep.drafts import ConversationDraft
from threadkeep.sql.sqlite import SqliteExecutor


@pytest.fixture
def draft() -> ConversationDraft:
    """A conversation with one message."""
    return conversation(new_message())


@pytest.fixture
def executor() -> Iterator[SqliteExecutor]:
    """An empty database in memory."""
    executor = SqliteExecutor(":memory:")
    yield executor
    executor.close()
