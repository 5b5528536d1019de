"""Statements that copy a path of a conversation to a new one."""

from functools import cached_property

from threadkeep.storage.sql.columns import CONVERSATION, MESSAGE, given
from threadkeep.storage.sql.executor import Query
from threadkeep.storage.sql.statements.base import Base


class Forking(Base):
    """See the module."""

    @cached_property
    def fork_conversation(self) -> Query:
        """Create a conversation of `:count` messages, where that is still there which they are copied from.

        A branch is deleted with all below it: if `:message` is there, all of its path is.
        """
        brought = [column for column in given(CONVERSATION) if column.name != "user_id"]
        values = {
            "user_id": ":user",
            "rev": "o.rev + 1",
            **{column.name: self.dialect.parameter(column) for column in brought},
            "id": ":conversation",
            "created_at": ":now",
            "updated_at": ":now",
            "message_count": ":count",
            "is_archived": "FALSE",
            "version": "1",
        }
        message = "m.user_id = :user AND m.conversation_id = :original AND m.id = :message"
        return self.dialect.write(f"""
{self.insert(self.conversations, values)}
FROM {self.owners} AS o
JOIN {self.conversations} AS c ON c.user_id = :user AND c.id = :original AND c.deleted_at IS NULL
JOIN {self.messages} AS m ON {message} AND {self.is_kept("m.seq", ":original")}
WHERE o.user_id = :user
ON CONFLICT (user_id, id) DO NOTHING
""")

    @cached_property
    def fork_messages(self) -> Query:
        """Copy `:copies`, each [seq, seq of the copy, id, digest], to the conversation, if this batch has made it."""
        copied = {column.name: f"m.{column.name}" for column in given(MESSAGE) if column.name != "parent_id"}
        values = {
            "user_id": ":user",
            "rev": "o.rev + 1",
            **copied,
            "sent_role": "m.sent_role",
            "id": "given.value ->> 2",
            "conversation_id": "c.id",
            "seq": self.dialect.integer("given.value ->> 1"),
            "digest": "given.value ->> 3",
            "version": "1",
        }
        seq = self.dialect.integer("given.value ->> 0")
        message = f"m.user_id = :user AND m.conversation_id = :original AND m.seq = {seq}"
        return self.dialect.write(f"""
{self.insert(self.messages, values)}
FROM {self.owners} AS o
JOIN {self.conversations} AS c ON c.user_id = :user AND c.id = :conversation
CROSS JOIN {self.dialect.each(":copies", "given")}
{self.dialect.look_up("messages", "m", message)}
WHERE o.user_id = :user AND c.rev = o.rev + 1
{self.dialect.order_of_given("given")}
""")
