"""Checks that the service would have kept a row of a backup. A checksum is no signature: anybody can make one.

It needs what tools/d1/scratch.py needs.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from msgspec import Meta, Raw, Struct

from threadkeep.conversations.content import read_content, read_metadata
from threadkeep.conversations.models import INTEGER_MAX, Count, Id, Role, TitleSource
from threadkeep.errors import Invalid, ThreadkeepError
from threadkeep.users import check_user_id
from threadkeep.validation import check_nesting, convert
from threadkeep.work import finished
from tools.d1.scratch import BASE, Scratch

_Positive = Annotated[int, Meta(ge=1, le=INTEGER_MAX)]


class _Owner(Struct):
    user_id: str
    epoch: str
    rev: Count
    floor: Count


class _Conversation(Struct):
    n: _Positive
    user_id: str
    id: Id
    rev: _Positive
    digest: str
    title: str
    title_source: TitleSource
    model: str | None
    created_at: Count
    updated_at: Count
    message_count: Count
    is_archived: Literal[0, 1]
    version: _Positive
    deleted_at: _Positive | None
    title_edited_at: Count
    model_edited_at: Count
    is_archived_edited_at: Count
    metadata_edited_at: Count
    metadata: str
    overwritten_seq: Count


class _Message(Struct):
    n: _Positive
    user_id: str
    id: Id
    conversation_id: Id
    seq: _Positive
    rev: _Positive
    digest: str
    role: Role
    created_at: Count
    token_count: Count | None
    model: str | None
    parent_id: Id | None
    bytes: Count
    metadata: str | None
    content: str


_TYPES: dict[str, type[Struct]] = dict(zip(BASE, (_Owner, _Conversation, _Message), strict=True))

# Table, what is wrong with a row beside others, and which rows those are.
_BESIDE_OTHERS = (
    (
        "conversations",
        "is of nobody",
        """SELECT c.n FROM conversations AS c
        WHERE NOT EXISTS (SELECT 1 FROM owners AS o WHERE o.user_id = c.user_id)""",
    ),
    (
        "messages",
        "is in no conversation of its user",
        """SELECT m.n FROM messages AS m
        WHERE NOT EXISTS (SELECT 1 FROM conversations AS c WHERE (c.user_id, c.id) = (m.user_id, m.conversation_id))""",
    ),
    (
        "conversations",
        "does not count its messages, or they have a gap in their seq",  # which is at least 1, and unique
        """SELECT c.n FROM conversations AS c
        WHERE (
          SELECT count(*) <> c.message_count OR coalesce(max(m.seq), 0) <> c.message_count
          FROM messages AS m
          WHERE (m.user_id, m.conversation_id) = (c.user_id, c.id)
        )""",
    ),
    *(
        (
            table,
            "has a rev after that of its owner",
            f"SELECT t.n FROM {table} AS t JOIN owners AS o USING (user_id) WHERE t.rev > o.rev",
        )
        for table in ("conversations", "messages")
    ),
)


def what_is_wrong(scratch: Scratch) -> str | None:
    """The first row that the service would not have kept, and why, in a sentence; None where there is none."""
    return next(_all_wrong(scratch), None)


def _all_wrong(scratch: Scratch) -> Iterator[str]:
    for table, type_ in _TYPES.items():
        columns = type_.__struct_fields__
        for row in scratch.rows(table, columns):
            values = dict(zip(columns, row, strict=True))
            try:
                _check(values, type_)
            except ThreadkeepError as error:
                key = "n" if "n" in values else "user_id"
                yield f"the row of {table} with the {key} {values[key]!r} is wrong: {error.message}"
    for table, what, query in _BESIDE_OTHERS:
        for (n,) in scratch.run(query):
            yield f"the row of {table} with the n {n} {what}."


def _check(values: dict[str, Any], type_: type[Struct]) -> None:
    """Raises Invalid or TooLarge for what the service would not have kept."""
    try:
        check_user_id(values["user_id"])
    except Invalid as error:
        raise Invalid(f"user_id: {error.message}") from error
    convert(values, type_)
    for column in ("metadata", "content"):
        if (text := values.get(column)) is not None:
            finished(check_nesting(text.encode(), whole=column))
            if column == "metadata":
                read_metadata(Raw(text.encode()), column)
            else:
                read_content(Raw(text.encode()), column, may_be_empty=values["role"] == "assistant")
    if type_ is _Owner and values["floor"] > values["rev"]:
        raise Invalid("floor: It is after `rev`.")
