"""What the statements have in common: their dialect, and conditions that several have."""

from threadkeep.storage.sql.columns import Column
from threadkeep.storage.sql.dialect import Dialect


class Base:
    """Statements in the words of one dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.owners = dialect.table("owners")
        self.conversations = dialect.table("conversations")
        self.messages = dialect.table("messages")
        self.journals = dialect.table("journals")
        self.entries = dialect.table("entries")
        self.blobs = dialect.table("blobs")
        self.pieces = dialect.table("pieces")
        self.tasks = dialect.table("tasks")
        self.lanes = dialect.table("lanes")
        self.next_rev = f"(SELECT o.rev + 1 FROM {self.owners} AS o WHERE o.user_id = :user)"
        """What everything bears that this batch touches, until the counter follows."""

    def insert(self, table: str, values: dict[str, str]) -> str:
        """An INSERT of what a SELECT gives, each column beside its value."""
        columns = ", ".join(values)
        selected = ",\n  ".join(values.values())
        return f"INSERT INTO {table} ({columns})\nSELECT\n  {selected}"

    @staticmethod
    def or_null(document: str, alias: str) -> str:
        """A document of a row that a LEFT JOIN may not have found."""
        return f"CASE WHEN {alias}.n IS NULL THEN NULL ELSE {document} END"


def assigned(columns: tuple[Column, ...], zeros: str) -> str:
    """Zeros to all columns that are private."""
    private = [column.name for column in columns if column.is_private]
    return ",\n  ".join(f"{name} = {zeros.format(column=name)}" for name in private)
