"""Every statement that is run, by name.

Each names the user for every table it reads or writes (`alias.user_id = :user`), and a test reads them all to see
that it does. Where given values are looked up, the join is a CROSS JOIN, which to SQLite means: in this order. Left to
itself it may read all of a user's rows for each value.
Pages and answers leave as one JSON text: a value crosses to Python once, not once per cell.
"""

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

_MESSAGE_PAGE = """sized AS (
    SELECT l.n, row_number() OVER reading AS position, sum(l.bytes) OVER reading AS bytes
    FROM listed AS l
    WINDOW reading AS (ORDER BY l.place)
  )
SELECT (
  SELECT json_object(
    'rows', json_group_array({message}),
    'more', json(iif(count(*) < (SELECT count(*) FROM listed), 'true', 'false'))
  )
  FROM sized AS s
  JOIN messages AS m ON m.user_id = :user AND m.n = s.n
  WHERE s.position = 1 OR (s.position <= :limit AND s.bytes <= :page_bytes)
) AS answer
FROM conversations AS c
WHERE c.user_id = :user AND c.id = :conversation AND c.deleted_at IS NULL"""


def _query(text: str) -> Query:
    text = text.replace("{message_page}", _MESSAGE_PAGE)
    return Query(text.replace("{conversation}", _CONVERSATION).replace("{message}", _MESSAGE))


# Writes. What a write does depends on the state before it: a verdict reads that state first, in the same batch, and
# the statements after it are guarded by the same conditions, since nothing in a batch can stop the ones after it.

ENSURE_OWNER = _query("""
INSERT INTO owners (user_id, epoch)
VALUES (:user, :epoch)
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
CREATE_VERDICT = _query("""
SELECT json_object(
  'digest', (SELECT c.digest FROM conversations AS c WHERE c.user_id = :user AND c.id = :conversation),
  'deletedAt', (SELECT c.deleted_at FROM conversations AS c WHERE c.user_id = :user AND c.id = :conversation),
  'conflicts', (
    SELECT json_group_array(m.id)
    FROM json_each(:ids) AS given
    CROSS JOIN messages AS m ON m.user_id = :user AND m.id = given.value ->> 0
    WHERE m.conversation_id <> :conversation OR m.digest <> given.value ->> 1
  )
) AS answer
""")

INSERT_CONVERSATION = _query("""
INSERT INTO conversations (
  user_id, id, rev, digest, title, title_source, model, created_at, updated_at, message_count, is_archived, version,
  metadata
)
SELECT :user, :conversation, o.rev + 1, :digest, :title, :title_source, :model, :now, :now, 0, 0, 1, :metadata
FROM owners AS o
WHERE o.user_id = :user
  AND NOT EXISTS (
    SELECT 1
    FROM json_each(:ids) AS given
    CROSS JOIN messages AS m ON m.user_id = :user AND m.id = given.value ->> 0
  )
ON CONFLICT (user_id, id) DO NOTHING
""")

APPEND_VERDICT = _query("""
SELECT json_object(
  'messageCount', c.message_count,
  'repeats', (
    SELECT count(*)
    FROM json_each(:ids) AS given
    CROSS JOIN messages AS m ON m.user_id = :user AND m.id = given.value ->> 0
    WHERE m.conversation_id = :conversation AND m.digest = given.value ->> 1
  ),
  'conflicts', (
    SELECT json_group_array(m.id)
    FROM json_each(:ids) AS given
    CROSS JOIN messages AS m ON m.user_id = :user AND m.id = given.value ->> 0
    WHERE m.conversation_id <> :conversation OR m.digest <> given.value ->> 1
  )
) AS answer
FROM conversations AS c
WHERE c.user_id = :user AND c.id = :conversation AND c.deleted_at IS NULL
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

COUNT_MESSAGES = _query("""
UPDATE conversations
SET
  message_count = (
    SELECT max(m.seq) FROM messages AS m WHERE m.user_id = :user AND m.conversation_id = :conversation
  ),
  updated_at = max(updated_at, :now),
  title = iif(title_source = 'default' AND :title IS NOT NULL, :title, title),
  title_source = iif(title_source = 'default' AND :title IS NOT NULL, 'first_message', title_source),
  rev = (SELECT o.rev + 1 FROM owners AS o WHERE o.user_id = :user)
WHERE conversations.user_id = :user
  AND conversations.id = :conversation
  AND conversations.message_count < (
    SELECT max(m.seq) FROM messages AS m WHERE m.user_id = :user AND m.conversation_id = :conversation
  )
""")

APPENDED = _query("""
SELECT json_object(
  'messages', (
    SELECT json_group_array(json_object('id', m.id, 'seq', m.seq, 'createdAt', m.created_at))
    FROM json_each(:ids) AS given
    CROSS JOIN messages AS m ON m.user_id = :user AND m.id = given.value ->> 0
  ),
  'conversation', {conversation}
) AS answer
FROM conversations AS c
WHERE c.user_id = :user AND c.id = :conversation
""")

# After the messages: the index of those that bear this rev. `:words` is an array of [id, words].
INDEX_MESSAGES = _query("""
INSERT INTO words (rowid, text)
SELECT m.n, given.value ->> 1
FROM owners AS o
CROSS JOIN json_each(:words) AS given
CROSS JOIN messages AS m ON m.user_id = :user AND m.id = given.value ->> 0
WHERE o.user_id = :user AND m.rev = o.rev + 1
""")

# After whatever may have given a conversation this title.
INDEX_TITLE = _query("""
INSERT OR REPLACE INTO words (rowid, text)
SELECT -c.n, :title_words
FROM owners AS o
JOIN conversations AS c ON c.user_id = :user AND c.id = :conversation
WHERE o.user_id = :user AND c.rev = o.rev + 1 AND c.title = :title AND c.title_source <> 'default'
""")

UNINDEX_TITLE = _query("""
DELETE FROM words
WHERE words.rowid IN (
  SELECT -c.n
  FROM owners AS o
  JOIN conversations AS c ON c.user_id = :user AND c.id = :conversation
  WHERE o.user_id = :user AND c.rev = o.rev + 1 AND c.title_source = 'default'
)
""")

EDIT_VERDICT = _query("""
SELECT json_object(
  'version', c.version,
  'metadataBytes', iif(
    :sets_metadata AND c.metadata_edited_at <= :wins_from,
    length(CAST(json_patch(c.metadata, :metadata) AS BLOB)),
    0
  )
) AS answer
FROM conversations AS c
WHERE c.user_id = :user AND c.id = :conversation AND c.deleted_at IS NULL
""")

# `:wins_from` is the time of the edit, or later than any where the edit was made on the version that it names.
# The assignments see the row as it was.
EDIT_CONVERSATION = _query("""
UPDATE conversations
SET
  title = iif(:sets_title AND title_edited_at <= :wins_from, :title, title),
  title_source = iif(:sets_title AND title_edited_at <= :wins_from, :title_source, title_source),
  title_edited_at = iif(:sets_title, max(title_edited_at, :edited_at), title_edited_at),
  model = iif(:sets_model AND model_edited_at <= :wins_from, :model, model),
  model_edited_at = iif(:sets_model, max(model_edited_at, :edited_at), model_edited_at),
  is_archived = iif(:sets_is_archived AND is_archived_edited_at <= :wins_from, :is_archived, is_archived),
  is_archived_edited_at = iif(:sets_is_archived, max(is_archived_edited_at, :edited_at), is_archived_edited_at),
  metadata = iif(
    :sets_metadata AND metadata_edited_at <= :wins_from,
    iif(:clears_metadata, '{}', json_patch(metadata, :metadata)),
    metadata
  ),
  metadata_edited_at = iif(:sets_metadata, max(metadata_edited_at, :edited_at), metadata_edited_at),
  version = version + 1,
  rev = (SELECT o.rev + 1 FROM owners AS o WHERE o.user_id = :user)
WHERE conversations.user_id = :user
  AND conversations.id = :conversation
  AND conversations.deleted_at IS NULL
  AND conversations.version = coalesce(:expected, conversations.version)
  AND iif(
    :sets_metadata AND metadata_edited_at <= :wins_from,
    length(CAST(json_patch(metadata, :metadata) AS BLOB)) <= :metadata_bytes_max,
    TRUE
  )
  AND (
    (:sets_title AND title_edited_at <= :wins_from)
    OR (:sets_model AND model_edited_at <= :wins_from)
    OR (:sets_is_archived AND is_archived_edited_at <= :wins_from)
    OR (:sets_metadata AND metadata_edited_at <= :wins_from)
  )
""")

DELETE_CONVERSATION = _query("""
UPDATE conversations
SET
  deleted_at = :now,
  version = version + 1,
  rev = (SELECT o.rev + 1 FROM owners AS o WHERE o.user_id = :user)
WHERE conversations.user_id = :user
  AND conversations.id = :conversation
  AND conversations.deleted_at IS NULL
  AND conversations.version = coalesce(:expected, conversations.version)
""")

# Before the conversation itself is restored: whoever follows the changes has dropped its messages.
TOUCH_MESSAGES_OF_DELETED = _query("""
UPDATE messages
SET rev = (SELECT o.rev + 1 FROM owners AS o WHERE o.user_id = :user)
WHERE messages.user_id = :user
  AND messages.conversation_id = :conversation
  AND EXISTS (
    SELECT 1
    FROM conversations AS c
    WHERE c.user_id = :user AND c.id = :conversation AND c.deleted_at IS NOT NULL
  )
""")

RESTORE_CONVERSATION = _query("""
UPDATE conversations
SET
  deleted_at = NULL,
  version = version + 1,
  rev = (SELECT o.rev + 1 FROM owners AS o WHERE o.user_id = :user)
WHERE conversations.user_id = :user AND conversations.id = :conversation AND conversations.deleted_at IS NOT NULL
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
  given.value ->> 'createdAt',
  given.value ->> 'updatedAt',
  given.value ->> 'messageCount',
  given.value ->> 'isArchived',
  1,
  given.value -> 'metadata'
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

# `:titles` is an array of [id, words].
INDEX_TITLES = _query("""
INSERT OR REPLACE INTO words (rowid, text)
SELECT -c.n, given.value ->> 1
FROM owners AS o
CROSS JOIN json_each(:titles) AS given
CROSS JOIN conversations AS c ON c.user_id = :user AND c.id = given.value ->> 0
WHERE o.user_id = :user AND c.rev = o.rev + 1
""")


# Reads.

GET_CONVERSATION = _query("""
SELECT {conversation} AS answer
FROM conversations AS c
WHERE c.user_id = :user AND c.id = :conversation
""")

# A page is cut by its bytes too, and one row more than the limit is looked at to know whether there is a next one.
LIST_CONVERSATIONS = _query("""
WITH
  listed AS (
    SELECT c.updated_at, c.id, {conversation} AS document
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
  ),
  sized AS (
    SELECT
      l.document,
      row_number() OVER latest AS position,
      sum(length(CAST(l.document AS BLOB))) OVER latest AS bytes
    FROM listed AS l
    WINDOW latest AS (ORDER BY l.updated_at DESC, l.id DESC)
  )
SELECT json_object(
  'rows', json_group_array(json(s.document)),
  'more', json(iif(count(*) < (SELECT count(*) FROM listed), 'true', 'false'))
) AS answer
FROM sized AS s
WHERE s.position = 1 OR (s.position <= :limit AND s.bytes <= :page_bytes)
""")

CONVERSATION_EXISTS = _query("""
SELECT 1 AS answer
FROM conversations AS c
WHERE c.user_id = :user AND c.id = :conversation
""")

MESSAGE_EXISTS = _query("""
SELECT 1 AS answer
FROM messages AS m
WHERE m.user_id = :user AND m.conversation_id = :conversation AND m.id = :message
""")

# `place` orders rows as they are read: backward from the newest, or forward.
LIST_MESSAGES_BEFORE = _query("""
WITH
  listed AS (
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
  ),
  {message_page}
""")

LIST_MESSAGES_AFTER = _query("""
WITH
  listed AS (
    SELECT m.n, m.bytes, m.seq AS place
    FROM messages AS m
    WHERE m.user_id = :user AND m.conversation_id = :conversation AND m.seq > :seq
    ORDER BY m.seq
    LIMIT :limit + 1
  ),
  {message_page}
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
    JOIN messages AS m ON m.user_id = :user AND m.n = f.n
    JOIN conversations AS c ON c.user_id = :user AND c.id = m.conversation_id
    WHERE c.deleted_at IS NULL
      AND m.role = coalesce(:role, m.role)
      AND m.created_at >= :since
      AND m.created_at < :until
    UNION ALL
    SELECT f.score, c.created_at AS time, -c.n, 0 AS bytes, c.id AS conversation_id
    FROM found AS f
    JOIN conversations AS c ON c.user_id = :user AND c.n = -f.n
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
    'message', (SELECT {message} FROM messages AS m WHERE m.user_id = :user AND m.n = s.n)
  )),
  'more', json(iif(count(*) < (SELECT count(*) FROM listed), 'true', 'false'))
) AS answer
FROM sized AS s
JOIN conversations AS c ON c.user_id = :user AND c.id = s.conversation_id
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
      WHERE c.user_id = :user AND c.rev >= :rev AND (c.rev, 0, c.n) > (:rev, :kind, :n)
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
  'rows', json_group_array(json_object(
    'rev', s.rev,
    'kind', s.kind,
    'n', s.n,
    'conversation', (
      SELECT {conversation} FROM conversations AS c WHERE c.user_id = :user AND c.n = s.n AND s.kind = 0
    ),
    'message', (SELECT {message} FROM messages AS m WHERE m.user_id = :user AND m.n = s.n AND s.kind = 1)
  )),
  'more', json(iif(count(*) < (SELECT count(*) FROM listed), 'true', 'false'))
) AS answer
FROM sized AS s
WHERE s.position = 1 OR (s.position <= :limit AND s.bytes <= :page_bytes)
""")
