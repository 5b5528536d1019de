"""Checks that the service would have kept a row of a backup. A checksum is no signature: anybody can make one.

It needs what tools/d1/scratch.py needs.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from msgspec import Meta, Raw, Struct

from threadkeep.agents.checks import checked_label, checked_name, checked_space, digest_of
from threadkeep.conversations.content import read_content, read_metadata
from threadkeep.conversations.models import INTEGER_MAX, NESTING_MAX, Count, ForkedFrom, Id, Role, TitleSource
from threadkeep.errors import Invalid, ThreadkeepError
from threadkeep.users import check_user_id
from threadkeep.validation import check_nesting, convert, decoding, parse
from threadkeep.work import finished
from tools.d1.scratch import BASE, IN_PIECES, STATE, Scratch, groups

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
    forked_from: str | None
    leaf_seq: Count | None


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


class _Fork(Struct):
    user_id: str
    conversation_id: Id
    seq: _Positive
    follows: Count


class _Cut(Struct):
    user_id: str
    conversation_id: Id
    from_seq: _Positive
    to_seq: _Positive
    rev: _Positive
    deleted_at: Count


class _Journal(Struct):
    n: _Positive
    user_id: str
    space: str
    key: str
    incarnation: str
    generation: Count
    version: _Positive
    identity: str
    next_seq: Count
    producer: str | None
    epoch: Count
    next_producer_seq: Count
    kind: str | None
    status: str | None
    sort: str
    closed_at: Count | None
    expires_at: Count | None
    created_at: Count
    updated_at: Count
    request: str
    stamp: str
    head: str


class _Entry(Struct):
    n: _Positive
    user_id: str
    journal: _Positive
    seq: Count
    id: str | None
    epoch: Count | None
    producer_seq: Count | None
    digest: str
    append_digest: str
    created_at: Count
    bytes: Count
    big: str | None
    data: str | None


class _Piece(Struct):
    user_id: str
    group_id: str
    part: Count
    data: str


class _OfSomebody(Struct):
    """Of agents' state, what every row has. The rest is what the schema takes."""

    user_id: str


_TYPES: dict[str, type[Struct]] = {
    "owners": _Owner,
    "conversations": _Conversation,
    "messages": _Message,
    "forks": _Fork,
    "cuts": _Cut,
    "journals": _Journal,
    "entries": _Entry,
    "pieces": _Piece,
}
_JSON = {"journals": "head", "entries": "data"}
"""The columns that hold any JSON."""

_IN_CONVERSATION = "(k.user_id, k.conversation_id) = (t.user_id, t.id)"

# Table, what is wrong with a row beside others, and which rows of it, `t`, those are.
_BESIDE_OTHERS = (
    *(
        (table, "is of nobody", "NOT EXISTS (SELECT 1 FROM owners AS o WHERE o.user_id = t.user_id)")
        for table in BASE
        if table not in ("owners", "messages")
    ),
    (
        "messages",
        "is in no conversation of its user",
        "NOT EXISTS (SELECT 1 FROM conversations AS c WHERE (c.user_id, c.id) = (t.user_id, t.conversation_id))",
    ),
    (
        "conversations",
        "does not count its messages, or they have a gap in their seq",  # which is at least 1, and unique
        f"""(
          SELECT coalesce(sum(p.size), 0) <> t.message_count OR coalesce(max(p.last), 0) <> t.message_count
          FROM (
            SELECT 1 AS size, m.seq AS last FROM messages AS m
            WHERE (m.user_id, m.conversation_id) = (t.user_id, t.id)
            UNION ALL
            SELECT k.to_seq - k.from_seq + 1, k.to_seq FROM cuts AS k
            WHERE {_IN_CONVERSATION} AND k.deleted_at = 0
          ) AS p
        )""",
    ),
    (
        "conversations",
        "has a leaf that is not there",
        f"""coalesce(t.leaf_seq, t.message_count) > 0 AND (
          NOT EXISTS (
            SELECT 1 FROM messages AS m
            WHERE (m.user_id, m.conversation_id, m.seq) = (t.user_id, t.id, coalesce(t.leaf_seq, t.message_count))
          ) OR EXISTS (
            SELECT 1 FROM cuts AS k
            WHERE {_IN_CONVERSATION} AND coalesce(t.leaf_seq, t.message_count) BETWEEN k.from_seq AND k.to_seq
          )
        )""",
    ),
    (
        "forks",
        "is of no message, or follows none",
        """EXISTS (
          SELECT 1 FROM (SELECT t.seq AS seq UNION ALL SELECT t.follows) AS f
          WHERE f.seq > 0 AND NOT EXISTS (
            SELECT 1 FROM messages AS m
            WHERE (m.user_id, m.conversation_id, m.seq) = (t.user_id, t.conversation_id, f.seq)
          ) AND NOT EXISTS (
            SELECT 1 FROM cuts AS k
            WHERE (k.user_id, k.conversation_id) = (t.user_id, t.conversation_id)
              AND f.seq BETWEEN k.from_seq AND k.to_seq AND k.deleted_at = 0
          )
        )""",
    ),
    (
        "cuts",
        "is of no messages",
        """NOT EXISTS (
          SELECT 1 FROM conversations AS c
          WHERE (c.user_id, c.id) = (t.user_id, t.conversation_id) AND t.to_seq <= c.message_count
        )""",
    ),
    (
        "cuts",
        "reaches into another",
        """EXISTS (
          SELECT 1 FROM cuts AS k
          WHERE (k.user_id, k.conversation_id) = (t.user_id, t.conversation_id)
            AND k.from_seq > t.from_seq AND k.from_seq <= t.to_seq
        )""",
    ),
    *(
        (
            table,
            "has a rev after that of its owner",
            "EXISTS (SELECT 1 FROM owners AS o WHERE o.user_id = t.user_id AND t.rev > o.rev)",
        )
        for table in ("conversations", "messages", "cuts")
    ),
    *((table, "is in nothing that is kept", f"NOT ({which})") for table, which in STATE.items()),
    (
        "entries",
        "has a seq that its journal has not given yet",
        "EXISTS (SELECT 1 FROM journals AS j WHERE (j.user_id, j.n) = (t.user_id, t.journal) AND t.seq >= j.next_seq)",
    ),
    ("entries", "has no text, or two", "(t.data IS NULL) = (t.big IS NULL)"),
    ("pieces", "is of nothing", f"(t.user_id, t.group_id) NOT IN ({groups(STATE)})"),
    *(
        (
            table,
            "has lost its pieces",
            f"""t.{column} IS NOT NULL AND NOT EXISTS (
              SELECT 1 FROM pieces AS p WHERE (p.user_id, p.group_id) = (t.user_id, t.{column})
            )""",
        )
        for table, column in IN_PIECES
        if table not in ("entries", "blobs")  # the former have digests of it; a blob of no bytes has no pieces
    ),
)


def what_is_wrong(scratch: Scratch) -> str | None:
    """The first row that the service would not have kept, and why, in a sentence; None where there is none."""
    return next(_all_wrong(scratch), None)


def _all_wrong(scratch: Scratch) -> Iterator[str]:
    for table in BASE:
        type_ = _TYPES.get(table, _OfSomebody)
        columns = type_.__struct_fields__
        for row in scratch.rows(table, columns):
            values = dict(zip(columns, row, strict=True))
            try:
                _check(table, values, type_)
            except ThreadkeepError as error:
                key = "n" if "n" in values else "user_id"
                yield f"the row of {table} with the {key} {values[key]!r} is wrong: {error.message}"
    for table, what, which in _BESIDE_OTHERS:
        names = ", ".join(scratch.key(table))
        for row in scratch.run(f"SELECT {names} FROM {table} AS t WHERE {which}"):
            yield f"the row of {table} with the {names} {', '.join(map(repr, row))} {what}."
    for n, digest, user_id, big in scratch.run("SELECT n, digest, user_id, big FROM entries WHERE big IS NOT NULL"):
        query = "SELECT data FROM pieces WHERE user_id = ? AND group_id = ? ORDER BY part"
        whole = "".join(data for (data,) in scratch.run(query, user_id, big))
        if digest_of(sent=[Raw(whole.encode())]) != digest:
            yield f"the row of entries with the n {n} does not have all of its pieces."


def _check(table: str, values: dict[str, Any], type_: type[Struct]) -> None:
    """Raises Invalid or TooLarge for what the service would not have kept."""
    try:
        check_user_id(values["user_id"])
    except Invalid as error:
        raise Invalid(f"user_id: {error.message}") from error
    convert(values, type_)
    if table in ("journals", "entries"):
        _check_state(table, values)
    for column in ("metadata", "content"):
        if (text := values.get(column)) is not None:
            finished(check_nesting(text.encode(), whole=column))
            if column == "metadata":
                read_metadata(Raw(text.encode()), column)
            else:
                read_content(Raw(text.encode()), column, may_be_empty=values["role"] == "assistant")
    if (text := values.get("forked_from")) is not None:
        finished(decoding(text.encode(), ForkedFrom, nesting_max=NESTING_MAX, whole="forked_from"))
    if type_ is _Owner and values["floor"] > values["rev"]:
        raise Invalid("floor: It is after `rev`.")


def _check_state(table: str, values: dict[str, Any]) -> None:
    """Raises Invalid for what the services of agents' state would not have kept."""
    column = _JSON.get(table, "")
    if (text := values.get(column)) is not None:
        finished(check_nesting(text.encode(), whole=column))
        parse(text.encode(), Raw, column)
    if table == "journals":
        checked_space(values["space"])
        checked_name(values["key"], "key")
        for label in ("kind", "status", "sort"):
            checked_label(values[label], label)
    if table == "entries" and values["id"] is not None:
        checked_name(values["id"], "id")
