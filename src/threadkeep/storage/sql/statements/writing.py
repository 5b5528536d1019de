"""Statements that create, append, edit, delete, restore and import.

What a write does depends on the state before it, and nothing in a batch can stop the statements after it: so each is
guarded by the conditions of the whole. Where the state before cannot be told afterwards, a verdict reads it.
"""

from functools import cached_property

from threadkeep.storage.sql.columns import CONVERSATION, MESSAGE, given, shown
from threadkeep.storage.sql.executor import Query
from threadkeep.storage.sql.statements.base import GIVES_WAY, MOVES, Base

_EDITED = ("title", "model", "is_archived", "metadata")


class Writing(Base):
    """See the module."""

    @cached_property
    def ensure_owner(self) -> Query:
        """Begin the counter of a user who is new. It is the first statement of what may create an owner."""
        return self.dialect.write(f"""
INSERT INTO {self.owners} (user_id, epoch)
VALUES (:user, :epoch)
ON CONFLICT (user_id) {self.dialect.locked("owners")}
""")

    @cached_property
    def bump_rev(self) -> Query:
        """Let the counter follow, if the batch has touched anything; so it is last in every write.

        What this version writes it has indexed and linked, so that `indexed_rev` and `linked_rev` follow, too, unless
        they are behind.
        """
        return self.dialect.write(f"""
UPDATE {self.owners} AS o
SET
  rev = rev + 1,
  indexed_rev = CASE WHEN indexed_rev = rev THEN rev + 1 ELSE indexed_rev END,
  linked_rev = CASE WHEN linked_rev = rev THEN rev + 1 ELSE linked_rev END
WHERE o.user_id = :user
  AND (
    EXISTS (SELECT 1 FROM {self.conversations} AS c WHERE c.user_id = :user AND c.rev = o.rev + 1)
    OR EXISTS (SELECT 1 FROM {self.messages} AS m WHERE m.user_id = :user AND m.rev = o.rev + 1)
    OR EXISTS (SELECT 1 FROM {self.drafts} AS d WHERE d.user_id = :user AND d.rev = o.rev + 1)
  )
""")

    @cached_property
    def insert_conversation(self) -> Query:
        """Create a conversation, unless an id of its messages is taken. `:ids` is an array of [id, digest].

        `:expected` is how many messages the caller thinks that it has: a new one has none. `:links`, of those messages
        that say what they follow, may name each other alone.
        """
        brought = [column for column in given(CONVERSATION) if column.name != "user_id"]
        values = {
            "user_id": ":user",
            "rev": "o.rev + 1",
            **{column.name: self.dialect.parameter(column) for column in brought},
            "id": ":conversation",
            "created_at": ":now",
            "updated_at": ":now",
            "message_count": "0",
            "is_archived": "FALSE",
            "version": "1",
        }
        return self.dialect.write(f"""
{self.insert(self.conversations, values)}
FROM {self.owners} AS o
WHERE o.user_id = :user
  AND coalesce({self.dialect.integer(":expected")}, 0) = 0
  AND NOT EXISTS (
    SELECT 1
    FROM {self._known("given")}
  )
  AND NOT EXISTS (
    SELECT 1
    FROM {self.dialect.each(":links", "link")}
    WHERE link.value ->> 'where' = 'elsewhere'
  )
ON CONFLICT (user_id, id) DO NOTHING
""")

    @cached_property
    def insert_messages(self) -> Query:
        """Append those of `:messages` that are new, if all of `:ids` are new or repeats.

        Several of these may stand in one batch, each with a part of the messages, all with the same `:ids`. Where
        `:creates` is 1, only a conversation takes them that this batch has created: it bears the next rev already.
        What new messages follow, by `:links`, must be there.
        """
        # The last ones may be purged; what this batch has inserted before is not counted yet.
        last = f"""(
    SELECT coalesce(max(l.seq), 0)
    FROM {self.messages} AS l
    WHERE l.user_id = :user AND l.conversation_id = :conversation
  )"""
        values = self._message_values(
            conversation_id=":conversation",
            seq=f"row_number() OVER (ORDER BY new.key) + {self.dialect.greatest(last, 'c.message_count')}",
            created_at=":now",
        )
        return self.dialect.write(f"""
{self.insert(self.messages, values)}
FROM {self.owners} AS o
JOIN {self.conversations} AS c ON c.user_id = :user AND c.id = :conversation
CROSS JOIN {self.dialect.each(":messages", "new")}
WHERE o.user_id = :user
  AND c.deleted_at IS NULL
  AND CASE WHEN c.rev > o.rev THEN 1 ELSE 0 END >= :creates
  AND c.message_count = coalesce(:expected, c.message_count)
  AND NOT EXISTS (
    SELECT 1
    FROM {self._known("given")}
    WHERE m.conversation_id <> :conversation OR m.digest <> given.value ->> 1
  )
  AND {self.is_expected_leaf}
  AND NOT EXISTS (SELECT 1 FROM {self._unknown_links("link")})
  AND NOT EXISTS (SELECT 1 FROM {self.drafts_in_the_way})
  AND {self.is_settling}
  AND (SELECT k.seq FROM {self.messages} AS k WHERE k.user_id = :user AND k.id = new.value ->> 'id') IS NULL
{self.dialect.order_of_given("new")}
""")

    @cached_property
    def count_messages(self) -> Query:
        """Tell the conversation how many messages it has, where its path ends, and its title if it has none yet.

        The path ends with the last of the new messages that `:unselected` does not name.
        """
        last = f"""(
    SELECT max(m.seq) FROM {self.messages} AS m WHERE m.user_id = :user AND m.conversation_id = :conversation
  )"""
        title = self.dialect.text(":title")
        return self.dialect.write(f"""
UPDATE {self.conversations} AS c
SET
  updated_at = {self.dialect.greatest("updated_at", ":now")},
  rev = {self.next_rev},
  message_count = {last},
  leaf_seq = nullif(coalesce((
    SELECT max(m.seq)
    FROM {self.messages} AS m
    WHERE m.user_id = :user
      AND m.conversation_id = :conversation
      AND m.seq > c.message_count
      AND NOT EXISTS (SELECT 1 FROM {self.dialect.each(":unselected", "not_taken")} WHERE not_taken.value ->> 0 = m.id)
  ), leaf_seq, message_count), {last}),
  title = CASE WHEN title_source = 'default' THEN coalesce({title}, title) ELSE title END,
  title_source = CASE
    WHEN title_source = 'default' AND {title} IS NOT NULL THEN 'first_message'
    ELSE title_source
  END
WHERE c.user_id = :user
  AND c.id = :conversation
  AND c.message_count < {last}
""")

    @cached_property
    def created(self) -> Query:
        """Tell what came of a creation, before the counter follows: what is new still bears more than it."""
        conflicts = self.dialect.subquery(f"""
      SELECT {self.dialect.list_of("m.id")}
      FROM {self._known("given")}
      WHERE m.conversation_id <> :conversation OR m.digest <> given.value ->> 1
    """)
        conversation = self.dialect.document(shown(CONVERSATION), "c")
        verdict = self.dialect.object(
            {
                "isNew": "CASE WHEN c.rev > o.rev THEN 1 ELSE 0 END",
                "digest": "c.digest",
                "conflicts": conflicts,
                "conversation": f"CASE WHEN c.id IS NULL OR c.deleted_at <= 0 THEN NULL ELSE {conversation} END",
            }
        )
        return self.dialect.answer(f"""
SELECT {verdict} AS answer
FROM {self.owners} AS o
LEFT JOIN {self.conversations} AS c ON c.user_id = :user AND c.id = :conversation
WHERE o.user_id = :user
""")

    @cached_property
    def appended(self) -> Query:
        """Tell what came of an append, before the counter follows."""
        receipt = self.dialect.object(
            {
                "id": "m.id",
                "seq": "m.seq",
                "createdAt": "m.created_at",
                "isNew": "CASE WHEN m.rev > o.rev THEN 1 ELSE 0 END",
                "isSame": (
                    "CASE WHEN m.conversation_id = :conversation AND m.digest = given.value ->> 1 THEN 1 ELSE 0 END"
                ),
            }
        )
        messages = self.dialect.subquery(f"""
      SELECT {self.dialect.list_of(receipt)}
      FROM {self._known("given")}
    """)
        unknown = self.dialect.subquery(f"""
      SELECT {self.dialect.list_of("link.value ->> 'id'")}
      FROM {self._unknown_links("link")}
    """)
        answer = self.dialect.object(
            {
                "messages": messages,
                "unknown": unknown,
                "drafts": self.dialect.subquery(f"SELECT {self.dialect.list_of('d.id')} FROM {self.drafts_in_the_way}"),
                "conversation": self.dialect.document(shown(CONVERSATION), "c"),
            }
        )
        return self.dialect.answer(f"""
SELECT {answer} AS answer
FROM {self.owners} AS o
JOIN {self.conversations} AS c ON c.user_id = :user AND c.id = :conversation
WHERE o.user_id = :user AND c.deleted_at IS NULL
""")

    @cached_property
    def metadata(self) -> Query:
        """The metadata that an edit is merged into, where the database does not merge it."""
        return self.dialect.answer(f"""
SELECT c.metadata AS answer
FROM {self.conversations} AS c
WHERE c.user_id = :user AND c.id = :conversation AND c.deleted_at IS NULL
""")

    @cached_property
    def edit_verdict(self) -> Query:
        """Tell, before an edit, what decides whether it applies."""
        size = self.dialect.bytes_of(self.dialect.merged_metadata("c.metadata"))
        verdict = self.dialect.object(
            {
                "version": "c.version",
                "metadataBytes": (
                    f"CASE WHEN :sets_metadata = 1 AND c.metadata_edited_at {GIVES_WAY} THEN {size} ELSE 0 END"
                ),
            }
        )
        return self.dialect.answer(f"""
SELECT {verdict} AS answer
FROM {self.conversations} AS c
WHERE c.user_id = :user AND c.id = :conversation AND c.deleted_at IS NULL
""")

    @cached_property
    def edit_conversation(self) -> Query:
        """Edit the fields that give way. The assignments see the row as it was."""
        metadata = self.dialect.merged_metadata("metadata")
        new = {
            "title": ":title",
            "model": ":model",
            "is_archived": self.dialect.boolean(":is_archived"),
            "metadata": metadata,
        }
        title_source = f"CASE WHEN {_gives_way('title')} THEN :title_source ELSE title_source END"
        assignments = [f"title_source = {title_source}"]
        for name in _EDITED:
            assignments.append(f"{name} = CASE WHEN {_gives_way(name)} THEN {new[name]} ELSE {name} END")
            moves = f":sets_{name} = 1 AND {name}_edited_at {MOVES}"
            assignments.append(f"{name}_edited_at = CASE WHEN {moves} THEN :edited_at ELSE {name}_edited_at END")
        fits = f"{self.dialect.bytes_of(metadata)} <= :metadata_bytes_max"
        return self.dialect.write(f"""
UPDATE {self.conversations} AS c
SET
  rev = {self.next_rev},
  version = version + 1,
  {_lines(assignments)}
WHERE c.user_id = :user
  AND c.id = :conversation
  AND c.deleted_at IS NULL
  AND c.version = coalesce(:expected, c.version)
  AND CASE WHEN {_gives_way("metadata")} THEN {fits} ELSE TRUE END
  AND (
    {" OR ".join(f"({_gives_way(name)})" for name in _EDITED)}
  )
""")

    @cached_property
    def delete_conversation(self) -> Query:
        """Delete a conversation so that it can be restored."""
        return self.dialect.write(f"""
UPDATE {self.conversations} AS c
SET rev = {self.next_rev}, deleted_at = :now, version = version + 1
WHERE c.user_id = :user
  AND c.id = :conversation
  AND c.deleted_at IS NULL
  AND c.version = coalesce(:expected, c.version)
""")

    @cached_property
    def touch_messages_of_deleted(self) -> Query:
        """Stamp the messages of a conversation that is about to be restored.

        It comes before the conversation itself is restored: whoever follows the changes has dropped its messages.
        """
        return self.dialect.write(f"""
UPDATE {self.messages} AS m
SET rev = {self.next_rev}
WHERE m.user_id = :user
  AND m.conversation_id = :conversation
  AND EXISTS (
    SELECT 1
    FROM {self.conversations} AS c
    WHERE c.user_id = :user AND c.id = :conversation AND c.deleted_at > 0
  )
""")

    @cached_property
    def restore_conversation(self) -> Query:
        """Undo a deletion."""
        return self.dialect.write(f"""
UPDATE {self.conversations} AS c
SET rev = {self.next_rev}, deleted_at = NULL, version = version + 1, expires_from = :now
WHERE c.user_id = :user AND c.id = :conversation AND c.deleted_at > 0
""")

    @cached_property
    def import_verdict(self) -> Query:
        """Tell which of `:conversations`, an array of rows, are there already. Those stay as they are."""
        verdict = self.dialect.object(
            {"id": "c.id", "digest": "c.digest", "isDeleted": self.dialect.is_true("c.deleted_at IS NOT NULL")}
        )
        return self.dialect.answer(f"""
SELECT {self.dialect.list_of(verdict)} AS answer
FROM {self.dialect.each(":conversations", "given")}
{self.dialect.look_up("conversations", "c", "c.user_id = :user AND c.id = given.value ->> 'id'")}
""")

    @cached_property
    def import_conversations(self) -> Query:
        """Keep those of `:conversations` that are not there."""
        brought = [column for column in given(CONVERSATION) if column.name not in ("user_id", "version")]
        values = {
            "user_id": ":user",
            "rev": "o.rev + 1",
            "version": "1",
            "expires_from": ":now",
            "leaf_seq": self.dialect.integer("given.value ->> 'leaf_seq'"),
            **{column.name: self.dialect.given(column, "given.value") for column in brought},
        }
        return self.dialect.write(f"""
{self.insert(self.conversations, values)}
FROM {self.owners} AS o
CROSS JOIN {self.dialect.each(":conversations", "given")}
WHERE o.user_id = :user
{self.dialect.order_of_given("given")}
ON CONFLICT (user_id, id) DO NOTHING
""")

    @cached_property
    def import_forks(self) -> Query:
        """Keep `:forks`, each [conversation, seq, follows], of conversations that this batch has made."""
        values = {
            "user_id": ":user",
            "conversation_id": "c.id",
            "seq": self.dialect.integer("given.value ->> 1"),
            "follows": self.dialect.integer("given.value ->> 2"),
        }
        return self.dialect.write(f"""
{self.insert(self.forks, values)}
FROM {self.owners} AS o
CROSS JOIN {self.dialect.each(":forks", "given")}
{self.dialect.look_up("conversations", "c", "c.user_id = :user AND c.id = given.value ->> 0")}
WHERE o.user_id = :user AND c.rev = o.rev + 1
""")

    @cached_property
    def import_messages(self) -> Query:
        """Keep those of `:messages` whose conversation this batch has made."""
        values = self._message_values(conversation_id="c.id")
        conversation = "c.user_id = :user AND c.id = new.value ->> 'conversation_id'"
        return self.dialect.write(f"""
{self.insert(self.messages, values)}
FROM {self.owners} AS o
CROSS JOIN {self.dialect.each(":messages", "new")}
{self.dialect.look_up("conversations", "c", conversation)}
WHERE o.user_id = :user AND c.rev = o.rev + 1
{self.dialect.order_of_given("new")}
""")

    def _known(self, given: str) -> str:
        """Those of `:ids` that there are, as `m` beside `given`."""
        known = self.dialect.look_up("messages", "m", f"m.user_id = :user AND m.id = {given}.value ->> 0")
        return f"{self.dialect.each(':ids', given)}\n    {known}"

    def _unknown_links(self, link: str) -> str:
        """Those of `:links` which are of new messages and name one that is not there."""
        other = self.is_kept("other.seq")
        return f"""{self.dialect.each(":links", link)}
    WHERE {link}.value ->> 'how' <> 'root'
      AND NOT EXISTS (
        SELECT 1 FROM {self.messages} AS known WHERE known.user_id = :user AND known.id = {link}.value ->> 'id'
      )
      AND NOT EXISTS (
        SELECT 1
        FROM {self.messages} AS other
        WHERE other.user_id = :user
          AND other.id = {link}.value ->> 'of'
          AND other.conversation_id = :conversation
          AND {other}
      )
      AND ({link}.value ->> 'where' = 'elsewhere' OR EXISTS (
        SELECT 1 FROM {self.messages} AS known WHERE known.user_id = :user AND known.id = {link}.value ->> 'of'
      ))"""

    def _message_values(self, **others: str) -> dict[str, str]:
        """What a row of messages is given, from `new` where nothing else is said."""
        values = {column.name: self.dialect.given(column, "new.value") for column in given(MESSAGE)}
        role = values["role"]
        values["role"] = f"CASE {role} WHEN 'developer' THEN 'system' ELSE {role} END"
        values["sent_role"] = f"CASE {role} WHEN 'developer' THEN {role} END"
        return {"user_id": ":user", "rev": "o.rev + 1", **values, "version": "1", **others}


def _gives_way(name: str) -> str:
    return f":sets_{name} = 1 AND {name}_edited_at {GIVES_WAY}"


def _lines(assignments: list[str]) -> str:
    return ",\n  ".join(assignments)
