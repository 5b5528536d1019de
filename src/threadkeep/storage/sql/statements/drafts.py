"""Statements about drafts and their parts. A part is one row; nothing else is written with it.

What is in a part is text to the database. Where a draft is follows from its last part: the number of the next one, its
deadline, how large it is, and a letter for each block (`conversations/drafts/folding.py`).
"""

from functools import cached_property

from threadkeep.storage.sql.columns import DRAFT, DRAFT_PART, Column, shown
from threadkeep.storage.sql.executor import Query
from threadkeep.storage.sql.statements.base import Base, assigned

_OPEN = "d.settled_at IS NULL"


class Drafts(Base):
    """See the module."""

    @cached_property
    def start_draft(self) -> Query:
        """Start a draft at `:parent`, or at the leaf, unless its id is taken or too many are open."""
        values = {
            "user_id": ":user",
            "id": ":draft",
            "conversation_id": ":conversation",
            "follows": self._followed,
            "parent_id": self.dialect.text(":parent"),
            "role": ":role",
            "model": self.dialect.text(":model"),
            "metadata": self.dialect.json(":metadata"),
            "digest": ":digest",
            "fence": "1",
            "lease_ms": self.dialect.integer(":lease_ms"),
            "started_at": self.dialect.integer(":now"),
            "renewed_at": self.dialect.integer(":now"),
            "state": "'streaming'",
            "rev": "o.rev + 1",
        }
        return self.dialect.write(f"""
{self.insert(self.drafts, values)}
FROM {self.owners} AS o
JOIN {self.conversations} AS c ON c.user_id = :user AND c.id = :conversation
WHERE o.user_id = :user
  AND c.deleted_at IS NULL
  AND {self._followed} IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM {self.messages} AS m WHERE m.user_id = :user AND m.id = :draft)
  AND (
    SELECT count(*)
    FROM {self.drafts} AS d
    WHERE d.user_id = :user
      AND d.conversation_id = :conversation
      AND {_OPEN}
      AND {self._deadline_of_draft} > :now
  ) < :open_max
ON CONFLICT (user_id, id) DO NOTHING
""")

    @cached_property
    def started(self) -> Query:
        """Tell what came of a start, before the counter follows."""
        draft = self.dialect.document(DRAFT, "d")
        taken = f"SELECT 1 FROM {self.messages} AS m WHERE m.user_id = :user AND m.id = :draft"
        verdict = {
            "isNew": "CASE WHEN d.rev > o.rev THEN 1 ELSE 0 END",
            "isTaken": f"CASE WHEN EXISTS ({taken}) THEN 1 ELSE 0 END",
            "hasParent": f"CASE WHEN {self._followed} IS NULL THEN 0 ELSE 1 END",
            "draft": self.or_null(draft, "d"),
        }
        return self.dialect.answer(f"""
SELECT {self.dialect.object(verdict)} AS answer
FROM {self.owners} AS o
JOIN {self.conversations} AS c ON c.user_id = :user AND c.id = :conversation
LEFT JOIN {self.drafts} AS d ON d.user_id = :user AND d.id = :draft
WHERE o.user_id = :user AND c.deleted_at IS NULL
""")

    @cached_property
    def draft(self) -> Query:
        """A draft of a conversation that is not deleted."""
        return self.dialect.answer(f"""
SELECT {self.dialect.document(DRAFT, "d")} AS answer
FROM {self._live_drafts}
WHERE d.user_id = :user AND d.id = :draft AND c.deleted_at IS NULL
""")

    @cached_property
    def parts_of_draft(self) -> Query:
        """A page of the parts of a draft."""
        return self.dialect.answer(f"""
SELECT {self.dialect.list_of(self.dialect.document(shown(DRAFT_PART), "p"))} AS answer
FROM (
  SELECT part.part, part.at, part.ops
  FROM {self.draft_parts} AS part
  WHERE part.user_id = :user AND part.draft_id = :draft AND part.part >= {self.dialect.integer(":start")}
  ORDER BY part.part
  LIMIT :limit + 1
) AS p
""")

    @cached_property
    def known_parts(self) -> Query:
        """The digests of parts that are there already, of those to write."""
        part = self.dialect.object({"part": "p.part", "digest": "p.digest"})
        return self.dialect.answer(f"""
SELECT {self.dialect.list_of(part)} AS answer
FROM {self.draft_parts} AS p
WHERE p.user_id = :user AND p.draft_id = :draft AND p.part >= :first AND p.part < :until
""")

    @cached_property
    def insert_parts(self) -> Query:
        """Write those of `:parts` that are not there, if all may be written."""
        number = self.dialect.integer("new.value ->> 'part'")
        blocks, letters = self.last_part("blocks", "''"), self.dialect.text(":letters")
        here = "p.part = {}".format(self.dialect.integer("given.value ->> 'part'"))
        kept = f"p.user_id = :user AND p.draft_id = :draft AND {here}"
        place = self.dialect.integer("wanted.value ->> 0")
        letter = f"coalesce(nullif(substr({blocks}, CAST({place} + 1 AS integer), 1), ''), '-')"
        values = {
            "user_id": ":user",
            "draft_id": "d.id",
            "part": number,
            "at": self.dialect.integer(":now"),
            "bytes": f"{self.last_part('bytes', '0')} + :bytes",
            "blocks": f"{blocks} || substr({letters}, CAST(length({blocks}) - :base + 1 AS integer))",
            **{
                column.name: self.dialect.given(column, "new.value")
                for column in DRAFT_PART
                if column.name in ("digest", "ops")
            },
        }
        return self.dialect.write(f"""
{self.insert(self.draft_parts, values)}
FROM {self._live_drafts}
CROSS JOIN {self.dialect.each(":parts", "new")}
WHERE d.user_id = :user
  AND d.id = :draft
  AND d.fence = :fence
  AND {_OPEN}
  AND {self._deadline_of_draft} > :now
  AND c.deleted_at IS NULL
  AND {self.next_part} >= :first
  AND {self.next_part} <= {number}
  AND {self.last_part("bytes", "0")} + :bytes <= :bytes_max
  AND length({blocks}) >= :base
  AND NOT EXISTS (
    SELECT 1
    FROM {self.dialect.each(":parts", "given")}
    {self.dialect.look_up("draft_parts", "p", kept)}
    WHERE p.digest <> given.value ->> 'digest'
  )
  AND NOT EXISTS (
    SELECT 1
    FROM {self.dialect.each(":checks", "wanted")}
    WHERE NOT ({self.dialect.contains("wanted.value ->> 1", letter)})
  )
""")

    @cached_property
    def take_draft(self) -> Query:
        """Let another producer have a draft."""
        return self._changed_draft("fence = fence + 1, renewed_at = :now, stop_at = NULL")

    @cached_property
    def stop_draft(self) -> Query:
        """Ask the producer of a draft to stop."""
        return self._changed_draft("stop_at = coalesce(stop_at, :now)")

    @cached_property
    def open_drafts(self) -> Query:
        """The drafts of a conversation that are not settled."""
        return self.dialect.answer(f"""
SELECT {self.dialect.list_of(self.dialect.document(DRAFT, "d"))} AS answer
FROM {self.drafts} AS d
WHERE d.user_id = :user AND d.conversation_id = :conversation AND {_OPEN}
""")

    @cached_property
    def all_open_drafts(self) -> Query:
        """The drafts of a user that are not settled."""
        return self.dialect.answer(f"""
SELECT {self.dialect.list_of(self.dialect.document(DRAFT, "d"))} AS answer
FROM {self._live_drafts}
WHERE d.user_id = :user AND d.conversation_id > '' AND {_OPEN} AND c.deleted_at IS NULL
""")

    @cached_property
    def users_with_open_drafts(self) -> Query:
        """Those who have drafts that are not settled, though they began so long ago that they may be past it."""
        return self.dialect.read(f"""
SELECT DISTINCT d.user_id AS value
FROM {self.drafts} AS d
WHERE {_OPEN} AND d.renewed_at + d.lease_ms <= :now
LIMIT :limit
""")

    @cached_property
    def end_drafts(self) -> Query:
        """End those of `:settled` whose messages this batch has appended, or that have none.

        It comes before their parts are removed, and before the counter follows.
        """
        each = self.dialect.each(":settled", "settled")
        state = f"(SELECT settled.value ->> 3 FROM {each} WHERE settled.value ->> 0 = d.id)"
        appended = f"""EXISTS (
    SELECT 1
    FROM {self.messages} AS m
    WHERE m.user_id = :user AND m.id = d.id AND m.rev = {self.next_rev}
  )"""
        return self.dialect.write(f"""
UPDATE {self.drafts} AS d
SET
  rev = {self.next_rev},
  settled_at = :now,
  state = {state}
WHERE d.user_id = :user
  AND {self.dialect.is_among("d.id", f"SELECT settled.value ->> 0 FROM {each}")}
  AND ({appended} OR (
    {self.is_settling}
    AND EXISTS (SELECT 1 FROM {each} WHERE settled.value ->> 0 = d.id AND settled.value ->> 4 = 'nothing')
  ))
  AND {_OPEN}
""")

    @cached_property
    def remove_parts_of_ended(self) -> tuple[Query, ...]:
        """Overwrite and remove the parts of those of `:settled` that have ended."""
        each = self.dialect.each(":settled", "settled")
        return self._removal(
            "draft_parts",
            "p",
            DRAFT_PART,
            self.dialect.is_among(
                "p.draft_id",
                f"""
    SELECT d.id
    FROM {each}
    {self.dialect.look_up("drafts", "d", "d.user_id = :user AND d.id = settled.value ->> 0")}
    WHERE d.settled_at IS NOT NULL
  """,
            ),
        )

    @cached_property
    def remove_drafts_of_swept(self) -> tuple[Query, ...]:
        """Overwrite and remove the parts, and then the rows, of drafts whose conversations are being swept."""
        # Those that are open and those that have ended are in indexes of their own.
        marked = "\n    UNION ALL\n    ".join(
            f"""SELECT d.{{0}}
    FROM {self.conversations} AS c
    JOIN {self.drafts} AS d ON d.user_id = :user AND d.conversation_id = c.id AND d.settled_at {is_open}
    WHERE c.user_id = :user AND c.deleted_at <= 0"""
            for is_open in ("IS NULL", "IS NOT NULL")
        )
        parts = self._removal("draft_parts", "p", DRAFT_PART, f"p.draft_id IN (\n    {marked.format('id')}\n  )")
        return (*parts, *self._removal("drafts", "d", DRAFT, f"d.n IN (\n    {marked.format('n')}\n  )", by_key=True))

    @cached_property
    def forget_drafts(self) -> tuple[Query, ...]:
        """Overwrite and remove what is left of drafts that ended by then."""
        return self._removal("drafts", "d", DRAFT, "d.conversation_id > '' AND d.settled_at <= :until")

    def _removal(
        self, table: str, alias: str, columns: tuple[Column, ...], condition: str, *, by_key: bool = False
    ) -> tuple[Query, ...]:
        """What overwrites and removes rows of the user."""
        zeros = self.dialect.zeros
        named = self.dialect.by_key(table, alias) if by_key else f"{self.dialect.table(table)} AS {alias}"
        where = f"WHERE {alias}.user_id = :user AND {condition}"
        removing = self.dialect.write(f"\nDELETE FROM {named}\n{where}\n")
        if zeros is None:
            return (removing,)
        overwriting = self.dialect.write(f"\nUPDATE {named}\nSET\n  {assigned(columns, zeros)}\n{where}\n")
        return (overwriting, removing)

    def _changed_draft(self, assignments: str) -> Query:
        live = "c.user_id = :user AND c.id = d.conversation_id AND c.deleted_at IS NULL"
        return self.dialect.write(f"""
UPDATE {self.drafts} AS d
SET {assignments}
WHERE d.user_id = :user
  AND d.id = :draft
  AND {_OPEN}
  AND {self._deadline_of_draft} > :now
  AND EXISTS (SELECT 1 FROM {self.conversations} AS c WHERE {live})
""")

    @property
    def _live_drafts(self) -> str:
        conversation = "c.user_id = :user AND c.id = d.conversation_id"
        return f"{self.drafts} AS d\n{self.dialect.look_up('conversations', 'c', conversation)}"

    @property
    def _deadline_of_draft(self) -> str:
        return f"{self.dialect.greatest('d.renewed_at', self.last_part('at', '0'))} + d.lease_ms"

    @property
    def _followed(self) -> str:
        """What a draft in the conversation `c` is to follow; NULL where that is not there."""
        parent = self.dialect.text(":parent")
        return f"""CASE WHEN {parent} IS NULL THEN coalesce(c.leaf_seq, c.message_count) ELSE (
    SELECT m.seq
    FROM {self.messages} AS m
    WHERE m.user_id = :user AND m.conversation_id = :conversation AND m.id = {parent} AND {self.is_kept("m.seq")}
  ) END"""
