"""Fixtures of the unit tests."""

from collections.abc import Iterator

import pytest

from support.records import conversation, new_message
from threadkeep.conversations.records import ConversationRecord
from threadkeep.storage.sqlite.file import SqliteExecutor


@pytest.fixture
def record() -> ConversationRecord:
    """A conversation with one message."""
    return conversation(new_message())


@pytest.fixture
def executor() -> Iterator[SqliteExecutor]:
    """An empty database in memory."""
    executor = SqliteExecutor(":memory:")
    yield executor
    executor.close()
