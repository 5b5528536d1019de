"""Statements about one message: they read it, and edit its metadata."""

from functools import cached_property

from threadkeep.storage.sql.columns import MESSAGE, shown
from threadkeep.storage.sql.executor import Query
from threadkeep.storage.sql.statements.base import GIVES_WAY, MOVES, Base

_NAMED = "m.user_id = :user AND m.conversation_id = :conversation AND m.id = :message"


class Messages(Base):
    """See the module."""

    @cached_property
    def get_message(self) -> Query:
        """A message; NULL where the conversation is there, and the message is not."""
        return self._of_message(self.or_null(self.dialect.document(shown(MESSAGE), "m"), "m"))

    @cached_property
    def metadata_of_message(self) -> Query:
        """The metadata that an edit is merged into, where the database does not merge it."""
        return self._of_message("m.metadata")

    @cached_property
    def message_edit_verdict(self) -> Query:
        """Tell, before an edit, what decides whether it applies."""
        verdict = self.dialect.object(
            {
                "version": "m.version",
                "metadataBytes": f"CASE WHEN m.metadata_edited_at {GIVES_WAY} THEN {self._metadata_bytes} ELSE 0 END",
                "bytes": f"CASE WHEN m.metadata_edited_at {GIVES_WAY} THEN {self._bytes} ELSE 0 END",
            }
        )
        return self.dialect.answer(f"""
SELECT {verdict} AS answer
FROM {self.messages} AS m
WHERE {_NAMED}
""")

    @cached_property
    def edit_message(self) -> Query:
        """Edit the metadata. The digest stays that of the append, by which the message is known when it comes again."""
        return self.dialect.write(f"""
UPDATE {self.messages} AS m
SET
  rev = {self.next_rev},
  version = version + 1,
  bytes = {self._bytes},
  metadata = {self._metadata},
  metadata_edited_at = CASE WHEN metadata_edited_at {MOVES} THEN :edited_at ELSE metadata_edited_at END
WHERE {_NAMED}
  AND m.version = coalesce(:expected, m.version)
  AND m.metadata_edited_at {GIVES_WAY}
  AND {self._metadata_bytes} <= :metadata_bytes_max
  AND {self._bytes} <= :message_bytes_max
  AND EXISTS (
    SELECT 1
    FROM {self.conversations} AS c
    WHERE c.user_id = :user AND c.id = :conversation AND c.deleted_at IS NULL
  )
""")

    def _of_message(self, answer: str) -> Query:
        return self.dialect.answer(f"""
SELECT {answer} AS answer
FROM {self.conversations} AS c
LEFT JOIN {self.messages} AS m ON {_NAMED}
WHERE c.user_id = :user AND c.id = :conversation AND c.deleted_at IS NULL
""")

    @property
    def _metadata(self) -> str:
        """The metadata as edited."""
        merged = self.dialect.merged_metadata("coalesce(metadata, '{}')")
        return f"CASE WHEN :clears_metadata = 1 THEN NULL ELSE {merged} END"

    @property
    def _metadata_bytes(self) -> str:
        return f"coalesce({self.dialect.bytes_of(self._metadata)}, 0)"

    @property
    def _bytes(self) -> str:
        """How large the message is as edited."""
        return f"bytes - coalesce({self.dialect.bytes_of('metadata')}, 0) + {self._metadata_bytes}"
