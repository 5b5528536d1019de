"""The dialect of Postgres: every statement that is run, by name. See dialect.py for what each group is.

Each names the user for every table it reads or writes (`alias.user_id = :user`), and a test reads them all to see
that it does. A write is run with the owner's row locked, so that of two writers one waits for the other: each
statement then sees what the other has written.

Where values are looked up, be they given or found, that stands in a LATERAL with OFFSET 0, which to Postgres means: one
after the other, by the key. Left to itself it may read all of a user's rows instead, and where it takes what is found
for a single row, all of them for each: so it did once a connection had run a search five times.

Rows come in as `jsonb`, which is taken apart fast. What is to stay as it was written stands in it as text, and is kept
as `json`, which Postgres leaves alone.
"""

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from threadkeep.search import Term
from threadkeep.sql.alphabet import Alphabet
from threadkeep.sql.executor import Query

_CONVERSATION = """json_build_object(
  'id', c.id,
  'userId', c.user_id,
  'title', c.title,
  'titleSource', c.title_source,
  'model', c.model,
  'createdAt', c.created_at,
  'updatedAt', c.updated_at,
  'messageCount', c.message_count,
  'isArchived', c.is_archived,
  'metadata', c.metadata,
  'version', c.version,
  'deletedAt', c.deleted_at
)"""

_MESSAGE = """json_build_object(
  'id', m.id,
  'conversationId', m.conversation_id,
  'seq', m.seq,
  'role', m.role,
  'content', m.content,
  'createdAt', m.created_at,
  'tokenCount', m.token_count,
  'model', m.model,
  'parentId', m.parent_id,
  'metadata', m.metadata
)"""

_OWNER = """(
    SELECT json_build_object('epoch', o.epoch, 'rev', o.rev, 'floor', o.floor) FROM owners AS o WHERE o.user_id = :user
  )"""

_MESSAGE_PAGE = """SELECT CASE WHEN (SELECT sum(l.bytes) FROM listed AS l) > :page_bytes THEN NULL ELSE (
  SELECT json_build_object('rows', coalesce(json_agg({message}), '[]'), 'more', count(*) > :limit)
  FROM listed AS l
  JOIN messages AS m ON m.user_id = :user AND m.n = l.n
) END AS answer
FROM conversations AS c
WHERE c.user_id = :user AND c.id = :conversation AND c.deleted_at IS NULL"""

_PAGE_OF_LARGE_MESSAGES = """sized AS (
    SELECT l.n, row_number() OVER reading AS position, sum(l.bytes) OVER reading AS bytes
    FROM listed AS l
    WINDOW reading AS (ORDER BY l.place)
  )
SELECT (
  SELECT json_build_object(
    'rows', coalesce(json_agg({message}), '[]'),
    'more', count(*) < (SELECT count(*) FROM listed)
  )
  FROM sized AS s
  JOIN messages AS m ON m.user_id = :user AND m.n = s.n
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
        CAST(:seq AS bigint),
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

# No lexeme may be as long as a word can be. What is cut off here is looked up in the text.
_LEXEME_CHARACTERS_MAX = 500

_LEXEMES = f"""array_to_tsvector(ARRAY(
    SELECT CAST(:mark AS text) || left(word, {_LEXEME_CHARACTERS_MAX})
    FROM unnest(string_to_array(btrim({{text}}), '  ')) AS word
  ))"""

_SWEPT_CONVERSATIONS = """
  SELECT c.n
  FROM jsonb_array_elements_text(CAST(:conversations AS jsonb)) AS given (value)
  JOIN conversations AS c ON c.user_id = :user AND c.n = CAST(given.value AS bigint)
  WHERE c.deleted_at <= 0
"""

_SWEPT_MESSAGES = """
  SELECT m.n
  FROM jsonb_array_elements_text(CAST(:messages AS jsonb)) AS given (value)
  JOIN messages AS m ON m.user_id = :user AND m.n = CAST(given.value AS bigint)
  JOIN conversations AS c ON c.user_id = :user AND c.id = m.conversation_id
  WHERE c.deleted_at <= 0
"""

_GIVEN_MESSAGES = """jsonb_array_elements(CAST(:ids AS jsonb)) AS given (value)
    CROSS JOIN LATERAL (
      SELECT x.id, x.conversation_id, x.seq, x.rev, x.digest, x.created_at
      FROM messages AS x
      WHERE x.user_id = :user AND x.id = given.value ->> 0
      OFFSET 0
    ) AS m"""

_PARTS = {
    "given_messages": _GIVEN_MESSAGES,
    "owner": _OWNER,
    "messages_before": _MESSAGES_BEFORE,
    "messages_after": _MESSAGES_AFTER,
    "message_page": _MESSAGE_PAGE,
    "page_of_large_messages": _PAGE_OF_LARGE_MESSAGES,
    "lexemes_of_message": _LEXEMES.replace("{text}", "given.value ->> 1"),
    "lexemes_of_title": _LEXEMES.replace("{text}", "given.value ->> 2"),
    "swept_messages": _SWEPT_MESSAGES,
    "swept_conversations": _SWEPT_CONVERSATIONS,
    "swept_titles": _SWEPT_CONVERSATIONS.replace("c.n\n", "-c.n\n", 1),
    "gives_way": "NOT BETWEEN :loses_from AND :loses_until",
    "moves": "NOT BETWEEN :edited_at AND :loses_until",
    "next_rev": "(SELECT o.rev + 1 FROM owners AS o WHERE o.user_id = :user)",
    "conversation": _CONVERSATION,
    "message": _MESSAGE,
}


def _query(text: str) -> Query:
    """A query whose braces hold the names of parts that several have."""
    for name, part in _PARTS.items():
        text = text.replace(f"{{{name}}}", part)
    return Query(text, mark="$")


# Writes. The first statement of each transaction is one of these two, and either locks the owner's row.

LOCK_OWNER = _query("""
SELECT o.rev AS answer
FROM owners AS o
WHERE o.user_id = :user
FOR UPDATE
""")

# It changes a row that is there to what it was, since only that locks it.
ENSURE_OWNER = _query("""
INSERT INTO owners (user_id, epoch)
VALUES (:user, :epoch)
ON CONFLICT (user_id) DO UPDATE SET rev = owners.rev
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
  metadata
)
SELECT :user, :conversation, o.rev + 1, :digest, :title, :title_source, :model, :now, :now, 0, FALSE, 1, :metadata
FROM owners AS o
WHERE o.user_id = :user
  AND NOT EXISTS (
    SELECT 1
    FROM {given_messages}
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
  new.value ->> 'id',
  :conversation,
  row_number() OVER (ORDER BY new.key) + (
    SELECT coalesce(max(l.seq), 0) FROM messages AS l WHERE l.user_id = :user AND l.conversation_id = :conversation
  ),
  o.rev + 1,
  new.value ->> 'digest',
  new.value ->> 'role',
  :now,
  CAST(new.value ->> 'tokenCount' AS bigint),
  new.value ->> 'model',
  new.value ->> 'parentId',
  CAST(new.value ->> 'size' AS integer),
  CAST(new.value ->> 'metadata' AS json),
  CAST(new.value ->> 'content' AS json)
FROM owners AS o
JOIN conversations AS c ON c.user_id = :user AND c.id = :conversation
CROSS JOIN jsonb_array_elements(CAST(:messages AS jsonb)) WITH ORDINALITY AS new (value, key)
WHERE o.user_id = :user
  AND c.deleted_at IS NULL
  AND CASE WHEN c.rev > o.rev THEN 1 ELSE 0 END = :creates
  AND c.message_count = coalesce(:expected, c.message_count)
  AND NOT EXISTS (
    SELECT 1
    FROM {given_messages}
    WHERE m.conversation_id <> :conversation OR m.digest <> given.value ->> 1
  )
  AND (SELECT k.seq FROM messages AS k WHERE k.user_id = :user AND k.id = new.value ->> 'id') IS NULL
ORDER BY new.key
""")

COUNT_MESSAGES = _query("""
UPDATE conversations
SET
  updated_at = greatest(updated_at, :now),
  rev = {next_rev},
  message_count = (
    SELECT max(m.seq) FROM messages AS m WHERE m.user_id = :user AND m.conversation_id = :conversation
  ),
  title = CASE WHEN title_source = 'default' THEN coalesce(CAST(:title AS text), title) ELSE title END,
  title_source = CASE
    WHEN title_source = 'default' AND CAST(:title AS text) IS NOT NULL THEN 'first_message'
    ELSE title_source
  END
WHERE conversations.user_id = :user
  AND conversations.id = :conversation
  AND conversations.message_count < (
    SELECT max(m.seq) FROM messages AS m WHERE m.user_id = :user AND m.conversation_id = :conversation
  )
""")

# Before the counter follows, so that what this batch has written can be told from what was there.
CREATED = _query("""
SELECT json_build_object(
  'isNew', CASE WHEN c.rev > o.rev THEN 1 ELSE 0 END,
  'digest', c.digest,
  'conflicts', coalesce(
    (
      SELECT json_agg(m.id)
      FROM {given_messages}
      WHERE m.conversation_id <> :conversation OR m.digest <> given.value ->> 1
    ),
    '[]'
  ),
  'conversation', CASE WHEN c.id IS NULL OR c.deleted_at <= 0 THEN NULL ELSE {conversation} END
) AS answer
FROM owners AS o
LEFT JOIN conversations AS c ON c.user_id = :user AND c.id = :conversation
WHERE o.user_id = :user
""")

APPENDED = _query("""
SELECT json_build_object(
  'messages', coalesce(
    (
      SELECT json_agg(json_build_object(
        'id', m.id,
        'seq', m.seq,
        'createdAt', m.created_at,
        'isNew', CASE WHEN m.rev > o.rev THEN 1 ELSE 0 END,
        'isSame', CASE WHEN m.conversation_id = :conversation AND m.digest = given.value ->> 1 THEN 1 ELSE 0 END
      ))
      FROM {given_messages}
    ),
    '[]'
  ),
  'conversation', {conversation}
) AS answer
FROM owners AS o
JOIN conversations AS c ON c.user_id = :user AND c.id = :conversation
WHERE o.user_id = :user AND c.deleted_at IS NULL
""")

# The words of messages and titles that bear this rev; after whatever may have given a conversation its title, if the
# words of none are there. `:words` is an array of [id, words], `:titles` one of [id, title, words].
INDEX_WORDS = _query("""
INSERT INTO words (n, user_id, text, lexemes)
SELECT m.n, :user, given.value ->> 1, {lexemes_of_message}
FROM owners AS o
CROSS JOIN jsonb_array_elements(CAST(:words AS jsonb)) AS given (value)
JOIN messages AS m ON m.user_id = :user AND m.id = given.value ->> 0
WHERE o.user_id = :user AND m.rev = o.rev + 1
UNION ALL
SELECT -c.n, :user, given.value ->> 2, {lexemes_of_title}
FROM owners AS o
CROSS JOIN jsonb_array_elements(CAST(:titles AS jsonb)) AS given (value)
JOIN conversations AS c ON c.user_id = :user AND c.id = given.value ->> 0
WHERE o.user_id = :user
  AND c.rev = o.rev + 1
  AND c.title = given.value ->> 1
  AND c.title_source <> 'default'
  AND NOT EXISTS (SELECT 1 FROM words AS l WHERE l.user_id = :user AND l.n = -c.n)
""")

INDEXING: tuple[Query, ...] = (INDEX_WORDS,)

# After an edit that gave this title.
UNINDEX_TITLE = _query("""
DELETE FROM words
WHERE words.user_id = :user AND words.n IN (
  SELECT -c.n
  FROM owners AS o
  JOIN conversations AS c ON c.user_id = :user AND c.id = :conversation
  WHERE o.user_id = :user AND c.rev = o.rev + 1 AND c.title = :title AND c.title_source = :title_source
)
""")

UNINDEXING_OF_TITLE: tuple[Query, ...] = (UNINDEX_TITLE,)

# Postgres cannot merge a patch into text and leave the digits of its numbers alone. We do, with the owner locked.
METADATA: Query | None = _query("""
SELECT CAST(c.metadata AS text) AS answer
FROM conversations AS c
WHERE c.user_id = :user AND c.id = :conversation AND c.deleted_at IS NULL
""")

EDIT_VERDICT = _query("""
SELECT json_build_object(
  'version', c.version,
  'metadataBytes', CASE
    WHEN :sets_metadata = 1 AND c.metadata_edited_at {gives_way} THEN octet_length(CAST(:metadata AS text))
    ELSE 0
  END
) AS answer
FROM conversations AS c
WHERE c.user_id = :user AND c.id = :conversation AND c.deleted_at IS NULL
""")

# A field does not give way where it was edited later, from `:loses_from` to `:loses_until`; that is never where an edit
# wins by arrival, or by the version that it names. What is later still was stamped by a clock that was wrong.
# The assignments see the row as it was.
EDIT_CONVERSATION = _query("""
UPDATE conversations
SET
  rev = {next_rev},
  version = version + 1,
  title = CASE WHEN :sets_title = 1 AND title_edited_at {gives_way} THEN :title ELSE title END,
  title_source = CASE
    WHEN :sets_title = 1 AND title_edited_at {gives_way} THEN :title_source
    ELSE title_source
  END,
  model = CASE WHEN :sets_model = 1 AND model_edited_at {gives_way} THEN :model ELSE model END,
  is_archived = CASE
    WHEN :sets_is_archived = 1 AND is_archived_edited_at {gives_way} THEN :is_archived = 1
    ELSE is_archived
  END,
  metadata = CASE
    WHEN :sets_metadata = 1 AND metadata_edited_at {gives_way} THEN CAST(CAST(:metadata AS text) AS json)
    ELSE metadata
  END,
  title_edited_at = CASE
    WHEN :sets_title = 1 AND title_edited_at {moves} THEN :edited_at
    ELSE title_edited_at
  END,
  model_edited_at = CASE
    WHEN :sets_model = 1 AND model_edited_at {moves} THEN :edited_at
    ELSE model_edited_at
  END,
  is_archived_edited_at = CASE
    WHEN :sets_is_archived = 1 AND is_archived_edited_at {moves} THEN :edited_at
    ELSE is_archived_edited_at
  END,
  metadata_edited_at = CASE
    WHEN :sets_metadata = 1 AND metadata_edited_at {moves} THEN :edited_at
    ELSE metadata_edited_at
  END
WHERE conversations.user_id = :user
  AND conversations.id = :conversation
  AND conversations.deleted_at IS NULL
  AND conversations.version = coalesce(:expected, conversations.version)
  AND CASE
    WHEN :sets_metadata = 1 AND metadata_edited_at {gives_way}
      THEN octet_length(CAST(:metadata AS text)) <= :metadata_bytes_max
    ELSE TRUE
  END
  AND (
    (:sets_title = 1 AND title_edited_at {gives_way})
    OR (:sets_model = 1 AND model_edited_at {gives_way})
    OR (:sets_is_archived = 1 AND is_archived_edited_at {gives_way})
    OR (:sets_metadata = 1 AND metadata_edited_at {gives_way})
  )
""")

DELETE_CONVERSATION = _query("""
UPDATE conversations
SET rev = {next_rev}, deleted_at = :now, version = version + 1
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

RESTORE_CONVERSATION = _query("""
UPDATE conversations
SET rev = {next_rev}, deleted_at = NULL, version = version + 1
WHERE conversations.user_id = :user AND conversations.id = :conversation AND conversations.deleted_at > 0
""")

# Erasing and purging mark what has to go by a `deleted_at` of 0, or of minus what it was: nothing reads it from then
# on.

COUNT_ALL = _query("""
SELECT json_build_object(
  'conversations', count(*), 'messages', CAST(coalesce(sum(c.message_count), 0) AS bigint)
) AS answer
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
SET floor = greatest(floor, (
  SELECT max(c.rev)
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

# Sweeping removes conversations and messages by their `n`, and looks again at what they are: another sweep may have
# been faster. A part is cut by its bytes.
REMOVABLE = _query("""
WITH
  marked AS (
    SELECT c.n, c.id
    FROM conversations AS c
    WHERE c.user_id = :user AND c.deleted_at <= 0
    ORDER BY c.n
    LIMIT :conversation_limit
  ),
  listed AS (
    SELECT i.n, i.bytes, k.n AS conversation_n, i.seq
    FROM marked AS k
    CROSS JOIN LATERAL (
      SELECT m.n, m.bytes, m.seq
      FROM messages AS m
      WHERE m.user_id = :user AND m.conversation_id = k.id
      ORDER BY m.seq
      LIMIT :limit
    ) AS i
    ORDER BY k.n, i.seq
    LIMIT :limit
  ),
  sized AS (
    SELECT i.n, row_number() OVER sweeping AS position, sum(i.bytes) OVER sweeping AS bytes
    FROM listed AS i
    WINDOW sweeping AS (ORDER BY i.conversation_n, i.seq)
  )
SELECT json_build_object(
  'conversations', coalesce((SELECT json_agg(k.n) FROM marked AS k), '[]'),
  'messages', coalesce((SELECT json_agg(s.n) FROM sized AS s WHERE s.position = 1 OR s.bytes <= :bytes), '[]')
) AS answer
""")

SWEEPABLE: tuple[Query, ...] = (REMOVABLE,)
OVERWRITING: tuple[Query, ...] = ()
FILLING: tuple[Query, ...] = ()

REMOVE_WORDS = _query("""
DELETE FROM words
WHERE words.user_id = :user AND words.n IN ({swept_messages} UNION ALL {swept_titles})
""")

REMOVE_MESSAGES = _query("""
DELETE FROM messages
WHERE messages.user_id = :user AND messages.n IN ({swept_messages})
""")

# A conversation stays as long as it has messages.
REMOVE_CONVERSATIONS = _query("""
DELETE FROM conversations
WHERE conversations.user_id = :user
  AND conversations.n IN ({swept_conversations})
  AND NOT EXISTS (
    SELECT 1 FROM messages AS m WHERE m.user_id = :user AND m.conversation_id = conversations.id
  )
""")

# Who has nothing is nobody we know. The least is looked up in an index; for any at all, Postgres may read the table.
REMOVE_OWNER = _query("""
DELETE FROM owners
WHERE owners.user_id = :user
  AND (SELECT min(c.rev) FROM conversations AS c WHERE c.user_id = :user) IS NULL
""")

IS_MARKED = _query("""
SELECT coalesce(min(c.deleted_at) <= 0, FALSE) AS value
FROM conversations AS c
WHERE c.user_id = :user
""")

# `:conversations` is an array of rows. What is there already stays as it is.
IMPORT_VERDICT = _query("""
SELECT coalesce(
  json_agg(json_build_object('id', c.id, 'digest', c.digest, 'isDeleted', c.deleted_at IS NOT NULL)), '[]'
) AS answer
FROM jsonb_array_elements(CAST(:conversations AS jsonb)) AS given (value)
CROSS JOIN LATERAL (
  SELECT x.id, x.digest, x.deleted_at
  FROM conversations AS x
  WHERE x.user_id = :user AND x.id = given.value ->> 'id'
  OFFSET 0
) AS c
""")

IMPORT_CONVERSATIONS = _query("""
INSERT INTO conversations (
  user_id, id, rev, digest, title, title_source, model, created_at, updated_at, message_count, is_archived, version,
  metadata
)
SELECT
  :user,
  given.value ->> 'id',
  o.rev + 1,
  given.value ->> 'digest',
  given.value ->> 'title',
  given.value ->> 'titleSource',
  given.value ->> 'model',
  CAST(given.value ->> 'createdAt' AS bigint),
  CAST(given.value ->> 'updatedAt' AS bigint),
  CAST(given.value ->> 'messageCount' AS bigint),
  given.value ->> 'isArchived' = '1',
  1,
  CAST(given.value ->> 'metadata' AS json)
FROM owners AS o
CROSS JOIN jsonb_array_elements(CAST(:conversations AS jsonb)) WITH ORDINALITY AS given (value, key)
WHERE o.user_id = :user
ORDER BY given.key
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
  CAST(given.value ->> 'seq' AS bigint),
  o.rev + 1,
  given.value ->> 'digest',
  given.value ->> 'role',
  CAST(given.value ->> 'createdAt' AS bigint),
  CAST(given.value ->> 'tokenCount' AS bigint),
  given.value ->> 'model',
  given.value ->> 'parentId',
  CAST(given.value ->> 'size' AS integer),
  CAST(given.value ->> 'metadata' AS json),
  CAST(given.value ->> 'content' AS json)
FROM owners AS o
CROSS JOIN jsonb_array_elements(CAST(:messages AS jsonb)) WITH ORDINALITY AS given (value, key)
CROSS JOIN LATERAL (
  SELECT x.id, x.rev
  FROM conversations AS x
  WHERE x.user_id = :user AND x.id = given.value ->> 'conversationId'
  OFFSET 0
) AS c
WHERE o.user_id = :user AND c.rev = o.rev + 1
ORDER BY given.key
""")

# Reads.

GET_CONVERSATION = _query("""
SELECT {conversation} AS answer
FROM conversations AS c
WHERE c.user_id = :user AND c.id = :conversation AND coalesce(c.deleted_at, 1) > 0
""")

# One row more than the limit is looked at, to know whether there is a next page.
LIST_CONVERSATIONS = _query("""
SELECT json_build_object(
  'owner', {owner},
  'rows', coalesce(json_agg(l.document), '[]')
) AS answer
FROM (
  SELECT {conversation} AS document
  FROM conversations AS c
  WHERE c.user_id = :user
    AND c.is_archived = (:is_archived = 1)
    AND c.deleted_at IS NULL
    AND (c.updated_at, c.id) < (
      coalesce(
        CAST(:updated_at AS bigint),
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
# are not.
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
# the owner's all the same is what the promise rests on. `:sought` is what must stand in the text: an array of words, or
# of several that follow each other. A hit is the better the more often they do, and the shorter the text is; the
# formula is that of BM25, without the part that tells rare words from frequent ones.
SEARCH = _query("""
WITH
  found AS MATERIALIZED (
    SELECT w.n, w.text
    FROM words AS w
    WHERE w.user_id = :user AND w.lexemes @@ CAST(CAST(:match AS text) AS tsquery)
  ),
  counted AS (
    SELECT
      f.n,
      length(f.text) / avg(length(f.text)) OVER () AS length,
      given.value,
      (length(f.text) - length(replace(f.text, given.value, ''))) / length(given.value) AS count
    FROM found AS f
    CROSS JOIN jsonb_array_elements_text(CAST(:sought AS jsonb)) AS given (value)
  ),
  scored AS (
    SELECT k.n, sum(k.count * 2.2 / (k.count + 0.3 + 0.9 * k.length)) AS score
    FROM counted AS k
    GROUP BY k.n
    HAVING min(k.count) > 0
  ),
  hits AS (
    SELECT f.score, m.created_at AS time, m.n, m.bytes, c.id AS conversation_id
    FROM scored AS f
    CROSS JOIN LATERAL (
      SELECT x.n, x.conversation_id, x.role, x.created_at, x.bytes
      FROM messages AS x
      WHERE x.user_id = :user AND x.n = f.n
      OFFSET 0
    ) AS m
    CROSS JOIN LATERAL (
      SELECT x.id, x.deleted_at
      FROM conversations AS x
      WHERE x.user_id = :user AND x.id = m.conversation_id
      OFFSET 0
    ) AS c
    WHERE f.n > 0
      AND c.deleted_at IS NULL
      AND m.role = coalesce(CAST(:role AS text), m.role)
      AND m.created_at >= :since
      AND m.created_at < :until
    UNION ALL
    SELECT f.score, c.created_at AS time, -c.n, 0 AS bytes, c.id AS conversation_id
    FROM scored AS f
    CROSS JOIN LATERAL (
      SELECT x.n, x.id, x.created_at, x.deleted_at
      FROM conversations AS x
      WHERE x.user_id = :user AND x.n = -f.n
      OFFSET 0
    ) AS c
    WHERE f.n < 0
      AND c.deleted_at IS NULL
      AND CAST(:role AS text) IS NULL
      AND c.created_at >= :since
      AND c.created_at < :until
  ),
  listed AS (
    SELECT h.score, h.time, h.n, h.bytes, h.conversation_id
    FROM hits AS h
    ORDER BY h.score DESC, h.time DESC, h.n DESC
    LIMIT :limit + 1 OFFSET :skip
  ),
  sized AS (
    SELECT
      l.n,
      l.conversation_id,
      row_number() OVER best AS position,
      sum(l.bytes + 20000) OVER best AS bytes
    FROM listed AS l
    WINDOW best AS (ORDER BY l.score DESC, l.time DESC, l.n DESC)
  )
SELECT json_build_object(
  'rows', coalesce(
    json_agg(json_build_object(
      'position', s.position,
      'conversation', {conversation},
      'message', CASE WHEN m.n IS NULL THEN NULL ELSE {message} END
    )),
    '[]'
  ),
  'more', count(*) < (SELECT count(*) FROM listed)
) AS answer
FROM sized AS s
JOIN conversations AS c ON c.user_id = :user AND c.id = s.conversation_id
LEFT JOIN messages AS m ON m.user_id = :user AND m.n = s.n
WHERE s.position = 1 OR (s.position <= :limit AND s.bytes <= :page_bytes)
""")

GET_OWNER = _query("""
SELECT json_build_object('epoch', o.epoch, 'rev', o.rev, 'floor', o.floor) AS answer
FROM owners AS o
WHERE o.user_id = :user
""")

# In order of (rev, kind, n), where conversations are of kind 0 and messages of kind 1.
CHANGES = _query("""
WITH
  changed_conversations AS (
    SELECT c.rev, 0 AS kind, c.n, 20000 AS bytes
    FROM conversations AS c
    WHERE c.user_id = :user
      AND c.rev >= :rev
      AND (c.rev, 0, c.n) > (:rev, :kind, :n)
      AND coalesce(c.deleted_at, 1) > 0
    ORDER BY c.rev, c.n
    LIMIT :limit + 1
  ),
  changed_messages AS (
    SELECT m.rev, 1 AS kind, m.n, m.bytes
    FROM messages AS m
    CROSS JOIN LATERAL (
      SELECT x.deleted_at
      FROM conversations AS x
      WHERE x.user_id = :user AND x.id = m.conversation_id
      OFFSET 0
    ) AS c
    WHERE m.user_id = :user
      AND m.rev >= :rev
      AND (m.rev, 1, m.n) > (:rev, :kind, :n)
      AND c.deleted_at IS NULL
    ORDER BY m.rev, m.n
    LIMIT :limit + 1
  ),
  changed AS (
    SELECT a.rev, a.kind, a.n, a.bytes FROM changed_conversations AS a
    UNION ALL
    SELECT b.rev, b.kind, b.n, b.bytes FROM changed_messages AS b
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
SELECT json_build_object(
  'owner', {owner},
  'rows', coalesce(
    json_agg(json_build_object(
      'rev', s.rev,
      'kind', s.kind,
      'n', s.n,
      'conversation', CASE WHEN c.n IS NULL THEN NULL ELSE {conversation} END,
      'message', CASE WHEN m.n IS NULL THEN NULL ELSE {message} END
    )),
    '[]'
  ),
  'more', count(*) < (SELECT count(*) FROM listed)
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


def indexed_words(_: Alphabet, words: str) -> str:
    """See `Dialect`. Words stand between spaces of their own, so that all of them can be counted."""
    return _spaced(words) if words else ""


def sought(alphabet: Alphabet, terms: Sequence[Term]) -> dict[str, str]:
    """See `Dialect`. Tokens have neither quotes nor backslashes in them, so nothing else is syntax of a query."""
    lexemes = []
    texts = []
    for term in terms:
        of_term = [f"'{alphabet.mark}{token[:_LEXEME_CHARACTERS_MAX]}'" for token in term.tokens]
        lexemes.append(" & ".join(of_term) + (":*" if term.is_prefix else ""))
        texts.append(_spaced(" ".join(term.tokens))[: -1 if term.is_prefix else None])
    return {"match": " & ".join(lexemes), "sought": msgspec.json.encode(texts).decode()}


def nested(document: Raw) -> str:
    """See `Dialect`. Postgres would refuse an escaped NUL in what it takes apart, so all of it is escaped once more."""
    return bytes(document).decode()


def _spaced(words: str) -> str:
    return f" {words.replace(' ', '  ')} "
