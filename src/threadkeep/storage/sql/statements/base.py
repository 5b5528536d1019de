"""What the statements have in common: their dialect, and conditions that several have."""

from threadkeep.storage.sql.columns import DRAFT, FORK_AT, PIECE, Column
from threadkeep.storage.sql.dialect import Dialect
from threadkeep.storage.sql.executor import Query

# A field does not give way where it was edited later, from `:loses_from` to `:loses_until`; that is never where an edit
# wins by arrival, or by the version that it names. What is later still was stamped by a clock that was wrong.
GIVES_WAY = "NOT BETWEEN :loses_from AND :loses_until"
MOVES = "NOT BETWEEN :edited_at AND :loses_until"


class Base:
    """Statements in the words of one dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.owners = dialect.table("owners")
        self.conversations = dialect.table("conversations")
        self.messages = dialect.table("messages")
        self.forks = dialect.table("forks")
        self.cuts = dialect.table("cuts")
        self.drafts = dialect.table("drafts")
        self.draft_parts = dialect.table("draft_parts")
        self.journals = dialect.table("journals")
        self.entries = dialect.table("entries")
        self.blobs = dialect.table("blobs")
        self.pieces = dialect.table("pieces")
        self.threads = dialect.table("threads")
        self.checkpoints = dialect.table("checkpoints")
        self.checkpoint_values = dialect.table("checkpoint_values")
        self.checkpoint_writes = dialect.table("checkpoint_writes")
        self.tasks = dialect.table("tasks")
        self.lanes = dialect.table("lanes")
        self.next_rev = f"(SELECT o.rev + 1 FROM {self.owners} AS o WHERE o.user_id = :user)"
        """What everything bears that this batch touches, until the counter follows."""

    def is_kept(self, seq: str, conversation: str = ":conversation") -> str:
        """Whether a message is in no deleted branch, by its `seq`. None of those ranges reaches into another."""
        return f"""coalesce((
    SELECT cut.to_seq
    FROM {self.cuts} AS cut
    WHERE cut.user_id = :user AND cut.conversation_id = {conversation} AND cut.from_seq <= {seq}
    ORDER BY cut.from_seq DESC
    LIMIT 1
  ), -1) < {seq}"""

    def fork_at(self, seq: str, conversation: str = ":conversation") -> str:
        """See `FORK_AT`."""
        return FORK_AT.format(forks=self.forks, conversation=conversation, seq=seq)

    def last_fork(self, column: str, seq: str, otherwise: str, conversation: str = ":conversation") -> str:
        """What the last fork at a place or before it says. Asked for one by one: SQLite would join by reading all."""
        return f"""coalesce((
      SELECT fork.{column}
      FROM {self.forks} AS fork
      WHERE fork.user_id = :user AND fork.conversation_id = {conversation} AND fork.seq <= {seq}
      ORDER BY fork.seq DESC
      LIMIT 1
    ), {otherwise})"""

    def is_kept_on_page(self, seq: str) -> str:
        """The same for many messages of `:conversation`: whether anything is deleted in it is asked once for all."""
        anything = "SELECT 1 FROM {cuts} AS cut WHERE cut.user_id = :user AND cut.conversation_id = :conversation"
        return f"(NOT EXISTS ({anything.format(cuts=self.cuts)}) OR {self.is_kept(seq)})"

    @property
    def is_expected_leaf(self) -> str:
        """Whether the active path of the conversation `c` ends with `:expected_leaf`, if anything is expected."""
        expected = self.dialect.text(":expected_leaf")
        return f"""({expected} IS NULL OR {expected} = (
    SELECT leaf.id
    FROM {self.messages} AS leaf
    WHERE leaf.user_id = :user
      AND leaf.conversation_id = :conversation
      AND leaf.seq = coalesce(c.leaf_seq, c.message_count)
  ))"""

    def last_part(self, column: str, otherwise: str) -> str:
        """A column of the last part of the draft `d`."""
        return f"""coalesce((
    SELECT part.{column}
    FROM {self.draft_parts} AS part
    WHERE part.user_id = :user AND part.draft_id = d.id
    ORDER BY part.part DESC
    LIMIT 1
  ), {otherwise})"""

    @property
    def next_part(self) -> str:
        """The number of the next part of the draft `d`."""
        return f"{self.last_part('part', '-1')} + 1"

    @property
    def is_settling(self) -> str:
        """Whether all drafts of `:settled`, an array of [id, fence, next, state], are as they were read."""
        return f"""NOT EXISTS (
    SELECT 1
    FROM {self.dialect.each(":settled", "settled")}
    WHERE coalesce((
      SELECT {self.next_part}
      FROM {self.drafts} AS d
      WHERE d.user_id = :user
        AND d.id = settled.value ->> 0
        AND d.settled_at IS NULL
        AND d.fence = {self.dialect.integer("settled.value ->> 1")}
    ), -1) <> {self.dialect.integer("settled.value ->> 2")}
  )"""

    @property
    def drafts_in_the_way(self) -> str:
        """Open drafts `d` of the conversation `c`, but for `:settled`: those at its leaf, where `:follows_leaf` is 1,
        and those that have an id of `:ids`."""
        return f"""{self.drafts} AS d
    WHERE d.user_id = :user
      AND d.conversation_id = c.id
      AND d.settled_at IS NULL
      AND (
        (:follows_leaf = 1 AND d.follows = coalesce(c.leaf_seq, c.message_count))
        OR d.id IN (SELECT named.value ->> 0 FROM {self.dialect.each(":ids", "named")})
      )
      AND NOT EXISTS (
        SELECT 1 FROM {self.dialect.each(":settled", "settled")} WHERE settled.value ->> 0 = d.id
      )"""

    @property
    def open_drafts_of_page(self) -> str:
        """A common table expression, `open_drafts`, of those of a conversation as JSON, where `:with_drafts` is 1.

        It is joined outside of the page: within, SQLite would add up how deep the one and the other are nested.
        """
        return f"""open_drafts AS (
    SELECT {self.dialect.list_of(self.dialect.document(DRAFT, "d"))} AS drafts
    FROM {self.drafts} AS d
    WHERE :with_drafts = 1 AND d.user_id = :user AND d.conversation_id = :conversation AND d.settled_at IS NULL
  )"""

    def insert(self, table: str, values: dict[str, str]) -> str:
        """An INSERT of what a SELECT gives, each column beside its value."""
        columns = ", ".join(values)
        selected = ",\n  ".join(values.values())
        return f"INSERT INTO {table} ({columns})\nSELECT\n  {selected}"

    def removal(self, table: str, columns: tuple[Column, ...], rows: str) -> tuple[Query, ...]:
        """Overwrite and remove rows that may have pieces, with these; `rows` is a query of a `{column}` of theirs."""
        zeros = self.dialect.zeros
        of_rows = f"WHERE r.user_id = :user AND r.n IN ({rows.format(column='n')})"
        named = self.dialect.by_key(table, "r")
        overwriting, removing = self.removal_of_pieces(rows.format(column="big"))
        if zeros is not None:
            overwriting += (self.dialect.write(f"\nUPDATE {named}\nSET\n  {assigned(columns, zeros)}\n{of_rows}\n"),)
        return (*overwriting, *removing, self.dialect.write(f"\nDELETE FROM {named}\n{of_rows}\n"))

    def removal_of_pieces(self, groups: str) -> tuple[tuple[Query, ...], tuple[Query, ...]]:
        """What overwrites, and what removes, the pieces of groups that a query gives."""
        zeros = self.dialect.zeros
        condition = f"WHERE p.user_id = :user AND {self.dialect.is_among('p.group_id', groups)}"
        removing = (self.dialect.write(f"\nDELETE FROM {self.pieces} AS p\n{condition}\n"),)
        if zeros is None:
            return (), removing
        text = f"\nUPDATE {self.pieces} AS p\nSET\n  {assigned(PIECE, zeros)}\n{condition}\n"
        return (self.dialect.write(text),), removing

    @staticmethod
    def or_null(document: str, alias: str) -> str:
        """A document of a row that a LEFT JOIN may not have found."""
        return f"CASE WHEN {alias}.n IS NULL THEN NULL ELSE {document} END"


def assigned(columns: tuple[Column, ...], zeros: str) -> str:
    """Zeros to all columns that are private."""
    private = [column.name for column in columns if column.is_private]
    return ",\n  ".join(f"{name} = {zeros.format(column=name)}" for name in private)
