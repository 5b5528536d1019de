"""The answers of statements: one JSON text each, decoded at once."""

from typing import TypeVar

import msgspec

from threadkeep.conversations.store import no_conversation
from threadkeep.storage.sql.executor import Row

T = TypeVar("T")


def answer_in(rows: list[Row], conversation_id: str) -> str:
    """The one answer of a statement. Raises NotFound for no row: the conversation is not there."""
    if not rows:
        raise no_conversation(conversation_id)
    answer: str = rows[0]["answer"]
    return answer


def decoded(rows: list[Row], into: type[T], conversation_id: str) -> T:
    """The one answer of a statement, decoded. Raises as `answer_in` does."""
    return msgspec.json.decode(answer_in(rows, conversation_id), type=into)
