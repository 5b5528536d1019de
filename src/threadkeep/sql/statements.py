"""The dialect of SQLite: every statement that is run, by name. See dialect.py for what each group is.

Each names the user for every table it reads or writes (`alias.user_id = :user`), and a test reads them all to see
that it does. Where given values are looked up, the join is a CROSS JOIN, which to SQLite means: in this order. Left to
itself it may read all of a user's rows for each value. `NOT INDEXED` leaves it `n`, for the same reason.
Pages and answers leave as one JSON text: a value crosses to Python once, not once per cell. What a subquery answers is
text to SQLite, even where it was JSON inside, and stands in `json()`.
"""

from collections.abc import Sequence

from msgspec import Raw

from threadkeep.search import Term
from threadkeep.sql.alphabet import Alphabet
from threadkeep.sql.executor import Query

_CONVERSATION = """json_object(
  'id', c.id,
  'userId', c.user_id,
  'title', c.title,
  'titleSource', c.title_source,
  'model', c.model,
  'createdAt', c.created_at,
  'updatedAt', c.updated_at,
  'messageCount', c.message_count,
  'isArchived', json(iif(c.is_archived, 'true', 'false')),
  'metadata', json(c.metadata),
  'version', c.version,
  'deletedAt', c.deleted_at
)"""

_MESSAGE = """json_object(
  'id', m.id,
  'conversationId', m.conversation_id,
  'seq', m.seq,
  'role', m.role,
  'content', json(m.content),
  'createdAt', m.created_at,
  'tokenCount', m.token_count,
  'model', m.model,
  'parentId', m.parent_id,
  'metadata', json(m.metadata)
)"""

# A page is put together as text, which takes SQLite half as long: what is JSON is not read once more. Ids and roles
# have no letters that JSON escapes. The content comes last: what stands before it is copied once for each `||`. What
# stands bare is in a column that is NOT NULL: a NULL would leave the message out, and say nothing.
_ROWS_OF_MESSAGES = """'{"rows":[' || coalesce(
      group_concat(
        '{"id":"' || m.id
        || '","conversationId":"' || m.conversation_id
        || '","seq":' || m.seq
        || ',"role":"' || m.role
        || '","createdAt":' || m.created_at
        || ',"tokenCount":' || coalesce(m.token_count, 'null')
        || ',"model":' || json_quote(m.model)
        || ',"parentId":' || json_quote(m.parent_id)
        || ',"metadata":' || coalesce(m.metadata, 'null')
        || ',"content":' || m.content || '}',
        ','
      ),
      ''
    ) || '],"more":' || """

_OWNER = """(
    SELECT json_object('epoch', o.epoch, 'rev', o.rev, 'floor', o.floor) FROM owners AS o WHERE o.user_id = :user
  )"""

_MESSAGE_PAGE = """SELECT iif(
  (SELECT sum(l.bytes) FROM listed AS l) > :page_bytes,
  NULL,
  (
    SELECT {rows_of_messages}iif(count(*) > :limit, 'true', 'false') || '}'
    FROM listed AS l
    CROSS JOIN messages AS m ON m.user_id = :user AND m.n = l.n
  )
) AS answer
FROM conversations AS c
WHERE c.user_id = :user AND c.id = :conversation AND c.deleted_at IS NULL"""

_PAGE_OF_LARGE_MESSAGES = """sized AS (
    SELECT l.n, row_number() OVER reading AS position, sum(l.bytes) OVER reading AS bytes
    FROM listed AS l
    WINDOW reading AS (ORDER BY l.place)
  )
SELECT (
  SELECT {rows_of_messages}iif(count(*) < (SELECT count(*) FROM listed), 'true', 'false') || '}'
  FROM sized AS s
  CROSS JOIN messages AS m ON m.user_id = :user AND m.n = s.n
  WHERE s.position = 1 OR (s.position <= :limit AND s.bytes <= :page_bytes)
) AS answer
FROM conversations AS c
WHERE c.user_id = :user AND c.id = :conversation AND c.deleted_at IS NULL"""

_MESSAGES_BEFORE = """listed AS (
    SELECT m.n, m.bytes, -m.seq AS place
    FROM messages AS m
    WHERE m.user_id = :user
      AND m.conversation_id = :conversation
      AND m.seq < coalesce(
        :seq,
        (
          SELECT f.seq
          FROM messages AS f
          WHERE f.user_id = :user AND f.conversation_id = :conversation AND f.id = :message
        )
      )
    ORDER BY m.seq DESC
    LIMIT :limit + 1
  )"""

_MESSAGES_AFTER = """listed AS (
    SELECT m.n, m.bytes, m.seq AS place
    FROM messages AS m
    WHERE m.user_id = :user AND m.conversation_id = :conversation AND m.seq > :seq
    ORDER BY m.seq
    LIMIT :limit + 1
  )"""


_NEW_WORDS = """m.n, {user}given.value ->> 1
FROM owners AS o
CROSS JOIN json_each(:words) AS given
CROSS JOIN messages AS m ON m.user_id = :user AND m.id = given.value ->> 0
WHERE o.user_id = :user AND m.rev = o.rev + 1
UNION ALL
SELECT -c.n, {user}given.value ->> 2
FROM owners AS o
CROSS JOIN json_each(:titles) AS given
CROSS JOIN conversations AS c ON c.user_id = :user AND c.id = given.value ->> 0
WHERE o.user_id = :user
  AND c.rev = o.rev + 1
  AND c.title = given.value ->> 1
  AND c.title_source <> 'default'
  AND NOT EXISTS (SELECT 1 FROM word_lists AS l WHERE l.user_id = :user AND l.n = -c.n)"""

_EDITED_TITLE = """
  SELECT -c.n
  FROM owners AS o
  JOIN conversations AS c ON c.user_id = :user AND c.id = :conversation
  WHERE o.user_id = :user AND c.rev = o.rev + 1 AND c.title = :title AND c.title_source = :title_source
"""

_SWEPT_WORDS = """
  SELECT m.n
  FROM json_each(:messages) AS given
  CROSS JOIN messages AS m ON m.user_id = :user AND m.n = given.value
  CROSS JOIN conversations AS c ON c.user_id = :user AND c.id = m.conversation_id
  CROSS JOIN word_lists AS l ON l.user_id = :user AND l.n = m.n
  WHERE c.deleted_at <= 0 AND unicode(l.text) > 0
  UNION ALL
  SELECT -c.n
  FROM json_each(:conversations) AS given
  CROSS JOIN conversations AS c ON c.user_id = :user AND c.n = given.value
  CROSS JOIN word_lists AS l ON l.user_id = :user AND l.n = -c.n
  WHERE c.deleted_at <= 0 AND unicode(l.text) > 0
"""

_SWEEPABLE = """listed AS (
    SELECT m.n, m.bytes + k.weight * coalesce(octet_length(l.text), 0) AS bytes, k.n AS conversation_n, m.seq
    FROM marked AS k
    CROSS JOIN messages AS m ON m.user_id = :user AND m.conversation_id = k.id
    LEFT JOIN word_lists AS l ON l.user_id = :user AND l.n = m.n
    WHERE m.seq > k.overwritten_seq
    LIMIT :limit
  ),
  sized AS (
    SELECT i.n, row_number() OVER sweeping AS position, sum(i.bytes) OVER sweeping AS bytes
    FROM listed AS i
    WINDOW sweeping AS (ORDER BY i.conversation_n, i.seq)
  )
SELECT json_object(
  'conversations', json((SELECT json_group_array(k.n) FROM marked AS k)),
  'messages', json((SELECT json_group_array(s.n) FROM sized AS s WHERE s.position = 1 OR s.bytes <= :bytes))
) AS answer"""

_SWEPT_MESSAGES = """
  SELECT m.n
  FROM json_each(:messages) AS given
  CROSS JOIN messages AS m ON m.user_id = :user AND m.n = given.value
  CROSS JOIN conversations AS c ON c.user_id = :user AND c.id = m.conversation_id
  WHERE c.deleted_at <= 0
"""

_SWEPT_CONVERSATIONS = """
  SELECT c.n
  FROM json_each(:conversations) AS given
  CROSS JOIN conversations AS c ON c.user_id = :user AND c.n = given.value
  WHERE c.deleted_at <= 0
"""

_OVERWRITTEN_CONVERSATIONS = f"{_SWEPT_CONVERSATIONS.rstrip()} AND coalesce(unicode(c.title), 0) = 0\n"

# What is left of the room when a title has been given; text of up to 57 bytes would need a shorter header.
_PADDING_MIN = 58
NEW_PADDING = f"CAST(zeroblob({_PADDING_MIN + 192}) AS TEXT)"
"""The room that a new conversation has."""


def _kept_in_size(*, integers: dict[str, str], texts: dict[str, str]) -> str:
    """Assignments to columns of a conversation, and to `padding` what keeps the row as large as it is.

    What a value takes in a row: https://www.sqlite.org/fileformat2.html#record_format
    """
    room = ["octet_length(padding)"]
    for names, size in ((integers, _size_of_integer), (texts, _size_of_text)):
        for column, value in names.items():
            room.append(f"+ {size(column)} - (SELECT {size('v.value')} FROM (SELECT {value} AS value) AS v)")
    assignments = [f"{column} = {value}" for column, value in {**integers, **texts}.items()]
    padding = f"padding = CAST(zeroblob(max({_PADDING_MIN}, {' '.join(room)})) AS TEXT)"
    return ",\n  ".join([*assignments, padding])


def _size_of_integer(value: str) -> str:
    steps = "".join(f" + {bytes_} * (abs({value}) > {limit})" for limit, bytes_ in _BYTES_BEYOND.items())
    return f"coalesce(({value} NOT IN (0, 1)){steps}, 0)"


def _size_of_text(value: str) -> str:
    size = f"octet_length({value})"
    return f"coalesce({size} + ({size} > 57) + ({size} > 8185), 0)"


_BYTES_BEYOND = {127: 1, 32_767: 1, 8_388_607: 1, 2_147_483_647: 2, 140_737_488_355_327: 2}

_PARTS = {
    "owner": _OWNER,
    "messages_before": _MESSAGES_BEFORE,
    "messages_after": _MESSAGES_AFTER,
    "message_page": _MESSAGE_PAGE,
    "page_of_large_messages": _PAGE_OF_LARGE_MESSAGES,
    "new_words": _NEW_WORDS.replace("{user}", ""),
    "new_lists": _NEW_WORDS.replace("{user}", ":user, "),
    "edited_title": _EDITED_TITLE,
    "sweepable": _SWEEPABLE,
    "swept_words": _SWEPT_WORDS,
    "swept_messages": _SWEPT_MESSAGES,
    "overwritten_messages": f"{_SWEPT_MESSAGES.rstrip()} AND m.seq <= c.overwritten_seq\n",
    "swept_conversations": _SWEPT_CONVERSATIONS,
    "overwritten_conversations": _OVERWRITTEN_CONVERSATIONS,
    "overwritten_titles": _OVERWRITTEN_CONVERSATIONS.replace("c.n\n", "-c.n\n", 1),
    "padding": NEW_PADDING,
    "gives_way": "NOT BETWEEN :loses_from AND :loses_until",
    "moves": "NOT BETWEEN :edited_at AND :loses_until",
    "next_rev": "(SELECT o.rev + 1 FROM owners AS o WHERE o.user_id = :user)",
    "conversation": _CONVERSATION,
    "listed_conversation": _CONVERSATION.replace("c.", "l."),
    "message": _MESSAGE,
    "rows_of_messages": _ROWS_OF_MESSAGES,
}


def _query(text: str) -> Query:
    """A query whose braces hold the names of parts that several have."""
    for name, part in _PARTS.items():
        text = text.replace(f"{{{name}}}", part)
    return Query(text)


# Writes. What a write does depends on the state before it, and nothing in a batch can stop the statements after it: so
# each is guarded by the conditions of the whole. Where the state before cannot be told afterwards, a verdict reads it.

# The counter begins where it takes as many bytes as it ever will.
ENSURE_OWNER = _query("""
INSERT INTO owners (user_id, epoch, rev)
VALUES (:user, :epoch, 8388608)
ON CONFLICT (user_id) DO NOTHING
""")

# Last in every write: whatever the batch touched bears `rev + 1`; if there is any of it, the counter follows.
BUMP_REV = _query("""
UPDATE owners
SET rev = rev + 1
WHERE owners.user_id = :user
  AND EXISTS (SELECT 1 FROM conversations AS c WHERE c.user_id = :user AND c.rev = owners.rev + 1)
""")

# `:ids` is an array of [id, digest], one for each message.
INSERT_CONVERSATION = _query("""
INSERT INTO conversations (
  user_id, id, rev, digest, title, title_source, model, created_at, updated_at, message_count, is_archived, version,
  metadata, padding
)
SELECT
  :user, :conversation, o.rev + 1, :digest, :title, :title_source, :model, :now, :now, 0, 0, 1, :metadata, {padding}
FROM owners AS o
WHERE o.user_id = :user
  AND NOT EXISTS (
    SELECT 1
    FROM json_each(:ids) AS given
    CROSS JOIN messages AS m ON m.user_id = :user AND m.id = given.value ->> 0
  )
ON CONFLICT (user_id, id) DO NOTHING
""")

# Several of these may stand in one batch, each with a part of the messages, all with the same `:ids`.
# `:creates` is 1 in the batch that creates the conversation, which then bears the next rev already.
INSERT_MESSAGES = _query("""
INSERT INTO messages (
  user_id, id, conversation_id, seq, rev, digest, role, created_at, token_count, model, parent_id, bytes, metadata,
  content
)
SELECT
  :user,
  given.value ->> 'id',
  :conversation,
  row_number() OVER (ORDER BY given.key) + (
    SELECT coalesce(max(l.seq), 0) FROM messages AS l WHERE l.user_id = :user AND l.conversation_id = :conversation
  ),
  o.rev + 1,
  given.value ->> 'digest',
  given.value ->> 'role',
  :now,
  given.value ->> 'tokenCount',
  given.value ->> 'model',
  given.value ->> 'parentId',
  given.value ->> 'size',
  given.value -> 'metadata',
  given.value -> 'content'
FROM owners AS o
JOIN conversations AS c ON c.user_id = :user AND c.id = :conversation
CROSS JOIN json_each(:messages) AS given
WHERE o.user_id = :user
  AND c.deleted_at IS NULL
  AND (c.rev > o.rev) = :creates
  AND c.message_count = coalesce(:expected, c.message_count)
  AND NOT EXISTS (
    SELECT 1
    FROM json_each(:ids) AS wanted
    CROSS JOIN messages AS m ON m.user_id = :user AND m.id = wanted.value ->> 0
    WHERE m.conversation_id <> :conversation OR m.digest <> wanted.value ->> 1
  )
  AND NOT EXISTS (SELECT 1 FROM messages AS k WHERE k.user_id = :user AND k.id = given.value ->> 'id')
""")

COUNT_MESSAGES = _query(f"""
UPDATE conversations
SET
  updated_at = max(updated_at, :now),
  rev = {{next_rev}},
  {
    _kept_in_size(
        integers={
            "message_count": '''(
    SELECT max(m.seq) FROM messages AS m WHERE m.user_id = :user AND m.conversation_id = :conversation
  )'''
        },
        texts={
            "title": "iif(title_source = 'default' AND :title IS NOT NULL, :title, title)",
            "title_source": "iif(title_source = 'default' AND :title IS NOT NULL, 'first_message', title_source)",
        },
    )
}
WHERE conversations.user_id = :user
  AND conversations.id = :conversation
  AND conversations.message_count < (
    SELECT max(m.seq) FROM messages AS m WHERE m.user_id = :user AND m.conversation_id = :conversation
  )
""")

# Before the counter follows, so that what this batch has written can be told from what was there.
CREATED = _query("""
SELECT json_object(
  'isNew', iif(c.rev > o.rev, 1, 0),
  'digest', c.digest,
  'conflicts', json((
    SELECT json_group_array(m.id)
    FROM json_each(:ids) AS given
    CROSS JOIN messages AS m ON m.user_id = :user AND m.id = given.value ->> 0
    WHERE m.conversation_id <> :conversation OR m.digest <> given.value ->> 1
  )),
  'conversation', iif(c.id IS NULL OR c.deleted_at <= 0, NULL, {conversation})
) AS answer
FROM owners AS o
LEFT JOIN conversations AS c ON c.user_id = :user AND c.id = :conversation
WHERE o.user_id = :user
""")

APPENDED = _query("""
SELECT json_object(
  'messages', json((
    SELECT json_group_array(json_object(
      'id', m.id,
      'seq', m.seq,
      'createdAt', m.created_at,
      'isNew', iif(m.rev > o.rev, 1, 0),
      'isSame', iif(m.conversation_id = :conversation AND m.digest = given.value ->> 1, 1, 0)
    ))
    FROM json_each(:ids) AS given
    CROSS JOIN messages AS m ON m.user_id = :user AND m.id = given.value ->> 0
  )),
  'conversation', {conversation}
) AS answer
FROM owners AS o
JOIN conversations AS c ON c.user_id = :user AND c.id = :conversation
WHERE o.user_id = :user AND c.deleted_at IS NULL
""")

# The words of messages and titles that bear this rev; after whatever may have given a conversation its title, if the
# words of none are listed. `:words` is an array of [id, words], `:titles` one of [id, title, words]. First the index,
# then the list, by which a title is known to be indexed.
INDEX_WORDS = _query("""
INSERT INTO words (rowid, text)
SELECT {new_words}
""")

LIST_WORDS = _query("""
INSERT INTO word_lists (n, user_id, text)
SELECT {new_lists}
""")

# After an edit that gave this title. The index takes out what is listed, so it comes first.
UNINDEX_TITLE = _query("""
DELETE FROM words
WHERE words.rowid IN ({edited_title})
""")

OVERWRITE_WORDS_OF_TITLE = _query("""
UPDATE word_lists
SET text = CAST(zeroblob(octet_length(text)) AS TEXT)
WHERE word_lists.user_id = :user AND word_lists.n IN ({edited_title})
""")

UNLIST_TITLE = _query("""
DELETE FROM word_lists
WHERE word_lists.user_id = :user AND word_lists.n IN ({edited_title})
""")

EDIT_VERDICT = _query("""
SELECT json_object(
  'version', c.version,
  'metadataBytes', iif(
    :sets_metadata AND c.metadata_edited_at {gives_way},
    length(CAST(json_patch(c.metadata, :metadata) AS BLOB)),
    0
  )
) AS answer
FROM conversations AS c
WHERE c.user_id = :user AND c.id = :conversation AND c.deleted_at IS NULL
""")

# A field does not give way where it was edited later, from `:loses_from` to `:loses_until`; that is never where an edit
# wins by arrival, or by the version that it names. What is later still was stamped by a clock that was wrong.
# The assignments see the row as it was.
EDIT_CONVERSATION = _query(f"""
UPDATE conversations
SET
  is_archived = iif(:sets_is_archived AND is_archived_edited_at {{gives_way}}, :is_archived, is_archived),
  rev = {{next_rev}},
  {
    _kept_in_size(
        integers={
            "title_edited_at": "iif(:sets_title AND title_edited_at {moves}, :edited_at, title_edited_at)",
            "model_edited_at": "iif(:sets_model AND model_edited_at {moves}, :edited_at, model_edited_at)",
            "is_archived_edited_at": '''iif(
    :sets_is_archived AND is_archived_edited_at {moves}, :edited_at, is_archived_edited_at
  )''',
            "metadata_edited_at": "iif(:sets_metadata AND metadata_edited_at {moves}, :edited_at, metadata_edited_at)",
            "version": "version + 1",
        },
        texts={
            "title": "iif(:sets_title AND title_edited_at {gives_way}, :title, title)",
            "title_source": "iif(:sets_title AND title_edited_at {gives_way}, :title_source, title_source)",
            "model": "iif(:sets_model AND model_edited_at {gives_way}, :model, model)",
            "metadata": '''iif(
    :sets_metadata AND metadata_edited_at {gives_way},
    iif(:clears_metadata, '{}', json_patch(metadata, :metadata)),
    metadata
  )''',
        },
    )
}
WHERE conversations.user_id = :user
  AND conversations.id = :conversation
  AND conversations.deleted_at IS NULL
  AND conversations.version = coalesce(:expected, conversations.version)
  AND iif(
    :sets_metadata AND metadata_edited_at {{gives_way}},
    length(CAST(json_patch(metadata, :metadata) AS BLOB)) <= :metadata_bytes_max,
    TRUE
  )
  AND (
    (:sets_title AND title_edited_at {{gives_way}})
    OR (:sets_model AND model_edited_at {{gives_way}})
    OR (:sets_is_archived AND is_archived_edited_at {{gives_way}})
    OR (:sets_metadata AND metadata_edited_at {{gives_way}})
  )
""")

DELETE_CONVERSATION = _query(f"""
UPDATE conversations
SET
  rev = {{next_rev}},
  {_kept_in_size(integers={"deleted_at": ":now", "version": "version + 1"}, texts={})}
WHERE conversations.user_id = :user
  AND conversations.id = :conversation
  AND conversations.deleted_at IS NULL
  AND conversations.version = coalesce(:expected, conversations.version)
""")

# Before the conversation itself is restored: whoever follows the changes has dropped its messages.
TOUCH_MESSAGES_OF_DELETED = _query("""
UPDATE messages
SET rev = {next_rev}
WHERE messages.user_id = :user
  AND messages.conversation_id = :conversation
  AND EXISTS (
    SELECT 1
    FROM conversations AS c
    WHERE c.user_id = :user AND c.id = :conversation AND c.deleted_at > 0
  )
""")

RESTORE_CONVERSATION = _query(f"""
UPDATE conversations
SET
  rev = {{next_rev}},
  {_kept_in_size(integers={"deleted_at": "NULL", "version": "version + 1"}, texts={})}
WHERE conversations.user_id = :user AND conversations.id = :conversation AND conversations.deleted_at > 0
""")

# Erasing and purging mark what has to go by a `deleted_at` of 0, or of minus what it was: nothing reads it from then
# on. That keeps the size of a row, which SQLite then changes in place; moved, it would leave its words in the page.

COUNT_ALL = _query("""
SELECT json_object('conversations', count(*), 'messages', coalesce(sum(c.message_count), 0)) AS answer
FROM conversations AS c
WHERE c.user_id = :user
""")

BEGIN_EPOCH = _query("""
UPDATE owners
SET epoch = :epoch
WHERE owners.user_id = :user
""")

MARK_ALL = _query("""
UPDATE conversations
SET deleted_at = -abs(coalesce(deleted_at, 0))
WHERE conversations.user_id = :user
""")

# Before what is due is marked: those who have not heard of these deletions must begin again.
RAISE_FLOOR = _query("""
UPDATE owners
SET floor = max(floor, (
  SELECT coalesce(max(c.rev), 0)
  FROM conversations AS c
  WHERE c.user_id = :user AND c.deleted_at > 0 AND c.deleted_at <= :until
))
WHERE owners.user_id = :user
""")

MARK_DUE = _query("""
UPDATE conversations
SET deleted_at = -deleted_at
WHERE conversations.user_id = :user AND conversations.deleted_at > 0 AND conversations.deleted_at <= :until
""")

EARLIEST_DELETION = _query("""
SELECT min(c.deleted_at) AS value
FROM conversations AS c
WHERE c.user_id = :user AND c.deleted_at > 0
""")

# Sweeping is done in parts: first all that is marked is taken out of the index and overwritten where it stands, and
# only then removed, since SQLite moves the rows beside those that it deletes, and leaves a copy where they were.
# What is overwritten begins with NUL. A part is cut by its bytes, and words weigh more: to unindex them costs most.
# Each is given conversations and messages by their `n`, and looks again at what they are: another sweep may have been
# faster, and its rows' `n` given to new ones, which may even be marked by now.
OVERWRITABLE = _query("""
WITH
  marked AS (
    SELECT c.n, c.id, c.overwritten_seq, 8 AS weight
    FROM conversations AS c
    WHERE c.user_id = :user
      AND c.deleted_at <= 0
      AND (c.overwritten_seq < c.message_count OR unicode(c.title) > 0)
    LIMIT :conversation_limit
  ),
  {sweepable}
""")

REMOVABLE = _query("""
WITH
  marked AS (
    SELECT c.n, c.id, 0 AS overwritten_seq, 0 AS weight
    FROM conversations AS c
    WHERE c.user_id = :user AND c.deleted_at <= 0
    LIMIT :conversation_limit
  ),
  {sweepable}
""")

# Never twice: FTS5 counts, and takes for corrupt what does not add up.
UNINDEX = _query("""
DELETE FROM words
WHERE words.rowid IN ({swept_words})
""")

OVERWRITE_WORDS = _query("""
UPDATE word_lists
SET text = CAST(zeroblob(octet_length(text)) AS TEXT)
WHERE word_lists.user_id = :user AND word_lists.n IN ({swept_words})
""")

OVERWRITE_MESSAGES = _query("""
UPDATE messages NOT INDEXED
SET
  digest = CAST(zeroblob(octet_length(digest)) AS TEXT),
  model = CAST(zeroblob(octet_length(model)) AS TEXT),
  metadata = CAST(zeroblob(octet_length(metadata)) AS TEXT),
  content = CAST(zeroblob(octet_length(content)) AS TEXT)
WHERE messages.user_id = :user AND messages.n IN ({swept_messages})
""")

OVERWRITE_CONVERSATIONS = _query("""
UPDATE conversations NOT INDEXED
SET
  digest = CAST(zeroblob(octet_length(digest)) AS TEXT),
  title = CAST(zeroblob(octet_length(title)) AS TEXT),
  model = CAST(zeroblob(octet_length(model)) AS TEXT),
  metadata = CAST(zeroblob(octet_length(metadata)) AS TEXT)
WHERE conversations.user_id = :user AND conversations.n IN ({swept_conversations})
""")

COUNT_OVERWRITTEN = _query("""
UPDATE conversations NOT INDEXED
SET overwritten_seq = overwritten_seq + (
  SELECT iif(count(*) = max(m.seq) - conversations.overwritten_seq, count(*), 0)
  FROM json_each(:messages) AS given
  CROSS JOIN messages AS m ON m.user_id = :user AND m.n = given.value
  WHERE m.conversation_id = conversations.id AND m.seq > conversations.overwritten_seq
)
WHERE conversations.user_id = :user AND conversations.n IN ({swept_conversations})
""")

REMOVE_WORDS = _query("""
DELETE FROM word_lists
WHERE word_lists.user_id = :user AND word_lists.n IN ({overwritten_messages} UNION ALL {overwritten_titles})
""")

REMOVE_MESSAGES = _query("""
DELETE FROM messages NOT INDEXED
WHERE messages.user_id = :user AND messages.n IN ({overwritten_messages})
""")

# A conversation stays as long as it has messages.
REMOVE_CONVERSATIONS = _query("""
DELETE FROM conversations NOT INDEXED
WHERE conversations.user_id = :user
  AND conversations.n IN ({overwritten_conversations})
  AND NOT EXISTS (
    SELECT 1 FROM messages AS m WHERE m.user_id = :user AND m.conversation_id = conversations.id
  )
""")

# Who has nothing is nobody we know.
REMOVE_OWNER = _query("""
DELETE FROM owners
WHERE owners.user_id = :user
  AND NOT EXISTS (SELECT 1 FROM conversations AS c WHERE c.user_id = :user)
""")

# Last, when nothing of a user is left, what SQLite and FTS5 have kept of former versions of pages is overwritten: with
# words that are no words, in the index, and with zeros, in pages that are free. Fillings have the lowest `n` there is.
FILL_WORDS = _query("""
INSERT INTO word_lists (n, user_id, text)
WITH RECURSIVE numbers (number) AS (SELECT 0 UNION ALL SELECT number + 1 FROM numbers WHERE number < 9999)
SELECT -9007199254740991, :user, group_concat(printf('%0100x', number * 2654435761 & 4294967295), ' ')
FROM numbers
WHERE NOT EXISTS (SELECT 1 FROM conversations AS c WHERE c.user_id = :user)
HAVING count(*) > 0
""")

INDEX_FILLING = _query("""
INSERT INTO words (rowid, text)
SELECT l.n, l.text
FROM word_lists AS l
WHERE l.user_id = :user AND l.n = -9007199254740991
""")

UNINDEX_FILLING = _query("""
DELETE FROM words
WHERE words.rowid IN (SELECT l.n FROM word_lists AS l WHERE l.user_id = :user AND l.n = -9007199254740991)
""")

# Merges as many pages of the index as may be at once.
MERGE_INDEX = _query("""
INSERT INTO words (words, rank)
SELECT 'merge', -2000
FROM word_lists AS l
WHERE l.user_id = :user AND l.n = -9007199254740991
""")

FILL_PAGES = _query("""
INSERT INTO word_lists (n, user_id, text)
SELECT l.n + given.value, :user, CAST(zeroblob(1600000) AS TEXT)
FROM word_lists AS l
CROSS JOIN json_each('[1, 2, 3, 4, 5, 6]') AS given
WHERE l.user_id = :user AND l.n = -9007199254740991
""")

REMOVE_FILLINGS = _query("""
DELETE FROM word_lists
WHERE word_lists.user_id = :user AND word_lists.n < -9007199254740000
""")

IS_MARKED = _query("""
SELECT EXISTS (SELECT 1 FROM conversations AS c WHERE c.user_id = :user AND c.deleted_at <= 0) AS value
""")

# `:conversations` is an array of rows. What is there already stays as it is.
IMPORT_VERDICT = _query("""
SELECT json_group_array(
  json_object('id', c.id, 'digest', c.digest, 'isDeleted', json(iif(c.deleted_at IS NULL, 'false', 'true')))
) AS answer
FROM json_each(:conversations) AS given
CROSS JOIN conversations AS c ON c.user_id = :user AND c.id = given.value ->> 'id'
""")

IMPORT_CONVERSATIONS = _query("""
INSERT INTO conversations (
  user_id, id, rev, digest, title, title_source, model, created_at, updated_at, message_count, is_archived, version,
  metadata, padding
)
SELECT
  :user,
  given.value ->> 'id',
  o.rev + 1,
  given.value ->> 'digest',
  given.value ->> 'title',
  given.value ->> 'titleSource',
  given.value ->> 'model',
  given.value ->> 'createdAt',
  given.value ->> 'updatedAt',
  given.value ->> 'messageCount',
  given.value ->> 'isArchived',
  1,
  given.value -> 'metadata',
  {padding}
FROM owners AS o
CROSS JOIN json_each(:conversations) AS given
WHERE o.user_id = :user
ON CONFLICT (user_id, id) DO NOTHING
""")

# Only those of conversations that this batch has made.
IMPORT_MESSAGES = _query("""
INSERT INTO messages (
  user_id, id, conversation_id, seq, rev, digest, role, created_at, token_count, model, parent_id, bytes, metadata,
  content
)
SELECT
  :user,
  given.value ->> 'id',
  c.id,
  given.value ->> 'seq',
  o.rev + 1,
  given.value ->> 'digest',
  given.value ->> 'role',
  given.value ->> 'createdAt',
  given.value ->> 'tokenCount',
  given.value ->> 'model',
  given.value ->> 'parentId',
  given.value ->> 'size',
  given.value -> 'metadata',
  given.value -> 'content'
FROM owners AS o
CROSS JOIN json_each(:messages) AS given
CROSS JOIN conversations AS c ON c.user_id = :user AND c.id = given.value ->> 'conversationId'
WHERE o.user_id = :user AND c.rev = o.rev + 1
""")

# Reads.

GET_CONVERSATION = _query("""
SELECT {conversation} AS answer
FROM conversations AS c
WHERE c.user_id = :user AND c.id = :conversation AND coalesce(c.deleted_at, 1) > 0
""")

# One row more than the limit is looked at, to know whether there is a next page.
LIST_CONVERSATIONS = _query("""
SELECT json_object(
  'owner', json({owner}),
  'rows', json_group_array({listed_conversation})
) AS answer
FROM (
  SELECT
    c.id, c.user_id, c.title, c.title_source, c.model, c.created_at, c.updated_at, c.message_count, c.is_archived,
    c.metadata, c.version, c.deleted_at
  FROM conversations AS c
  WHERE c.user_id = :user
    AND c.is_archived = :is_archived
    AND c.deleted_at IS NULL
    AND (c.updated_at, c.id) < (
      coalesce(
        :updated_at,
        (SELECT f.updated_at FROM conversations AS f WHERE f.user_id = :user AND f.id = :before_id)
      ),
      :before_id
    )
  ORDER BY c.updated_at DESC, c.id DESC
  LIMIT :limit + 1
) AS l
""")

CONVERSATION_EXISTS = _query("""
SELECT 1 AS value
FROM conversations AS c
WHERE c.user_id = :user AND c.id = :conversation AND coalesce(c.deleted_at, 1) > 0
""")

MESSAGE_EXISTS = _query("""
SELECT 1 AS value
FROM messages AS m
WHERE m.user_id = :user AND m.conversation_id = :conversation AND m.id = :message
""")

# The answer is NULL where the messages are too large for one page: it takes the other statement to find out how many
# are not, and that is slower.
LIST_MESSAGES_BEFORE = _query("""
WITH
  {messages_before}
{message_page}
""")

LIST_MESSAGES_AFTER = _query("""
WITH
  {messages_after}
{message_page}
""")

# `place` orders rows as they are read: backward from the newest, or forward.
LIST_LARGE_MESSAGES_BEFORE = _query("""
WITH
  {messages_before},
  {page_of_large_messages}
""")

LIST_LARGE_MESSAGES_AFTER = _query("""
WITH
  {messages_after},
  {page_of_large_messages}
""")

# `:match` asks for words with the owner's letters before them, so no row of anybody else's is read; that every row is
# joined with the owner's all the same is what the promise rests on.
SEARCH = _query("""
WITH
  found AS MATERIALIZED (
    SELECT w.rowid AS n, w.rank AS score
    FROM words AS w
    WHERE w.words MATCH :match
  ),
  hits AS (
    SELECT f.score, m.created_at AS time, m.n, m.bytes, c.id AS conversation_id
    FROM found AS f
    CROSS JOIN messages AS m ON m.user_id = :user AND m.n = f.n
    CROSS JOIN conversations AS c ON c.user_id = :user AND c.id = m.conversation_id
    WHERE c.deleted_at IS NULL
      AND m.role = coalesce(:role, m.role)
      AND m.created_at >= :since
      AND m.created_at < :until
    UNION ALL
    SELECT f.score, c.created_at AS time, -c.n, 0 AS bytes, c.id AS conversation_id
    FROM found AS f
    CROSS JOIN conversations AS c ON c.user_id = :user AND c.n = -f.n
    WHERE c.deleted_at IS NULL AND :role IS NULL AND c.created_at >= :since AND c.created_at < :until
  ),
  listed AS (
    SELECT h.score, h.time, h.n, h.bytes, h.conversation_id
    FROM hits AS h
    ORDER BY h.score, h.time DESC, h.n DESC
    LIMIT :limit + 1 OFFSET :skip
  ),
  sized AS (
    SELECT
      l.n,
      l.conversation_id,
      row_number() OVER best AS position,
      sum(l.bytes + 20000) OVER best AS bytes
    FROM listed AS l
    WINDOW best AS (ORDER BY l.score, l.time DESC, l.n DESC)
  )
SELECT json_object(
  'rows', json_group_array(json_object(
    'position', s.position,
    'conversation', {conversation},
    'message', iif(m.n IS NULL, NULL, {message})
  )),
  'more', json(iif(count(*) < (SELECT count(*) FROM listed), 'true', 'false'))
) AS answer
FROM sized AS s
CROSS JOIN conversations AS c ON c.user_id = :user AND c.id = s.conversation_id
LEFT JOIN messages AS m ON m.user_id = :user AND m.n = s.n
WHERE s.position = 1 OR (s.position <= :limit AND s.bytes <= :page_bytes)
""")

GET_OWNER = _query("""
SELECT json_object('epoch', o.epoch, 'rev', o.rev, 'floor', o.floor) AS answer
FROM owners AS o
WHERE o.user_id = :user
""")

# In order of (rev, kind, n), where conversations are of kind 0 and messages of kind 1.
CHANGES = _query("""
WITH
  changed AS (
    SELECT * FROM (
      SELECT c.rev, 0 AS kind, c.n, 20000 AS bytes
      FROM conversations AS c
      WHERE c.user_id = :user
        AND c.rev >= :rev
        AND (c.rev, 0, c.n) > (:rev, :kind, :n)
        AND coalesce(c.deleted_at, 1) > 0
      ORDER BY c.rev, c.n
      LIMIT :limit + 1
    )
    UNION ALL
    SELECT * FROM (
      SELECT m.rev, 1 AS kind, m.n, m.bytes
      FROM messages AS m
      JOIN conversations AS c ON c.user_id = :user AND c.id = m.conversation_id
      WHERE m.user_id = :user
        AND m.rev >= :rev
        AND (m.rev, 1, m.n) > (:rev, :kind, :n)
        AND c.deleted_at IS NULL
      ORDER BY m.rev, m.n
      LIMIT :limit + 1
    )
  ),
  listed AS (
    SELECT l.rev, l.kind, l.n, l.bytes
    FROM changed AS l
    ORDER BY l.rev, l.kind, l.n
    LIMIT :limit + 1
  ),
  sized AS (
    SELECT l.rev, l.kind, l.n, row_number() OVER oldest AS position, sum(l.bytes) OVER oldest AS bytes
    FROM listed AS l
    WINDOW oldest AS (ORDER BY l.rev, l.kind, l.n)
  )
SELECT json_object(
  'owner', json({owner}),
  'rows', json_group_array(json_object(
    'rev', s.rev,
    'kind', s.kind,
    'n', s.n,
    'conversation', iif(c.n IS NULL, NULL, {conversation}),
    'message', iif(m.n IS NULL, NULL, {message})
  )),
  'more', json(iif(count(*) < (SELECT count(*) FROM listed), 'true', 'false'))
) AS answer
FROM sized AS s
LEFT JOIN conversations AS c ON c.user_id = :user AND c.n = s.n AND s.kind = 0
LEFT JOIN messages AS m ON m.user_id = :user AND m.n = s.n AND s.kind = 1
WHERE s.position = 1 OR (s.position <= :limit AND s.bytes <= :page_bytes)
""")

# The one statement that is about no user in particular: it finds those for whom there is something to purge.
USERS_TO_PURGE = _query("""
SELECT DISTINCT c.user_id AS value
FROM conversations AS c
WHERE c.deleted_at <= :until
LIMIT :limit
""")

METADATA: Query | None = None
INDEXING: tuple[Query, ...] = (INDEX_WORDS, LIST_WORDS)
UNINDEXING_OF_TITLE: tuple[Query, ...] = (UNINDEX_TITLE, OVERWRITE_WORDS_OF_TITLE, UNLIST_TITLE)
SWEEPABLE: tuple[Query, ...] = (OVERWRITABLE, REMOVABLE)
OVERWRITING: tuple[Query, ...] = (
    UNINDEX,
    OVERWRITE_WORDS,
    OVERWRITE_MESSAGES,
    OVERWRITE_CONVERSATIONS,
    COUNT_OVERWRITTEN,
)
FILLING: tuple[Query, ...] = (
    FILL_WORDS,
    MERGE_INDEX,
    INDEX_FILLING,
    UNINDEX_FILLING,
    MERGE_INDEX,
    FILL_PAGES,
    REMOVE_FILLINGS,
)


def indexed_words(alphabet: Alphabet, words: str) -> str:
    """See `Dialect`."""
    return alphabet.write(words)


def sought(alphabet: Alphabet, terms: Sequence[Term]) -> dict[str, str]:
    """See `Dialect`. Tokens have no quotes in them, so nothing else is syntax of FTS5."""
    match = " ".join(f'"{alphabet.write(" ".join(term.tokens))}"{"*" if term.is_prefix else ""}' for term in terms)
    return {"match": match}


def nested(document: Raw) -> Raw:
    """See `Dialect`. SQLite takes a value out of an array as it was written."""
    return document
