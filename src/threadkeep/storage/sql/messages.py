"""SqlMessages: one message over any database that speaks SQL."""

from typing import Any

from msgspec import UNSET, Raw, Struct

from threadkeep.conversations.content import message_too_large, metadata_too_large
from threadkeep.conversations.models import MESSAGE_BYTES_MAX, METADATA_BYTES_MAX, Message
from threadkeep.conversations.records import MessageEdit
from threadkeep.conversations.store import message_stale, no_conversation, no_message
from threadkeep.storage.sql.base import SqlOfUser, decode_answer, text_of_json, times_of_edit
from threadkeep.storage.sql.executor import Row, Statement


class _EditVerdict(Struct, rename="camel"):
    version: int
    metadata_bytes: int
    bytes: int


class SqlMessages(SqlOfUser):
    """The methods of a `Store` that are about one message. See `conversations/store.py` for what each promises."""

    async def get_message(self, conversation_id: str, message_id: str) -> Message:
        values = self._values_of_message(conversation_id, message_id)
        (answers,) = await self._executor.run(self._sql.get_message(**values))
        return _message(answers, conversation_id, message_id)

    async def update_message(
        self, conversation_id: str, message_id: str, edit: MessageEdit, *, expected_version: int | None = None
    ) -> Message:
        if edit.metadata is UNSET:
            message = await self.get_message(conversation_id, message_id)
            if expected_version not in (None, message.version):
                raise message_stale(expected_version, message)
            return message
        values = {
            **self._values_of_message(conversation_id, message_id),
            **times_of_edit(edit.edited_at, self._clock(), wins=expected_version is not None),
            "expected": expected_version,
            "clears_metadata": edit.metadata is None,
            "metadata_bytes_max": METADATA_BYTES_MAX,
            "message_bytes_max": MESSAGE_BYTES_MAX,
        }

        def writes(metadata: Raw) -> list[Statement]:
            merging = {**values, "metadata": text_of_json(metadata)}
            return [
                self._sql.message_edit_verdict(**merging),
                self._sql.edit_message(**merging),
                self._sql.bump_rev(**values),
                self._sql.get_message(**values),
            ]

        patch = edit.metadata if isinstance(edit.metadata, Raw) else None
        results = await self._run_merging(self._sql.metadata_of_message(**values), patch, writes)
        verdicts, *_, answers = results or [[], []]
        message = _message(answers, conversation_id, message_id)
        verdict = decode_answer(verdicts, _EditVerdict)
        if expected_version not in (None, verdict.version):
            raise message_stale(expected_version, message)
        if verdict.metadata_bytes > METADATA_BYTES_MAX:
            raise metadata_too_large("metadata")
        if verdict.bytes > MESSAGE_BYTES_MAX:
            raise message_too_large("metadata", verdict.bytes)
        return message

    def _values_of_message(self, conversation_id: str, message_id: str) -> dict[str, Any]:
        return {"user": self._user_id, "conversation": conversation_id, "message": message_id}


def _message(rows: list[Row], conversation_id: str, message_id: str) -> Message:
    """The one answer of a statement: no row where the conversation is not there, NULL where the message is not."""
    if not rows:
        raise no_conversation(conversation_id)
    if rows[0]["answer"] is None:
        raise no_message(conversation_id, message_id)
    return decode_answer(rows, Message)
