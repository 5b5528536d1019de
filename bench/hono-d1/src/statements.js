// Every statement, over the schema in migrations/sqlite. Parameters: ?1 is always the user.

// Its conversations have no branches: each message follows the one before it.
const LEAF_ID = `(
  SELECT l.id FROM messages AS l WHERE l.user_id = ?1 AND l.conversation_id = c.id AND l.seq = c.message_count
)`;
const COLUMNS = `c.id, c.user_id, c.title, c.title_source, c.model, c.created_at, c.updated_at, c.message_count,
  c.is_archived, c.metadata, c.version, c.deleted_at`;
const CONVERSATION = `${COLUMNS}, ${LEAF_ID} AS leaf_id`;
const MESSAGE = `m.id, m.conversation_id, m.seq, m.role, m.sent_role, m.content, m.created_at, m.token_count, m.model, m.parent_id,
  m.metadata, m.version`;
// The same beside each other in one row, under names that tell them apart.
const BOTH = [COLUMNS, MESSAGE]
  .flatMap((columns) => columns.split(",").map((column) => column.trim()))
  .map((column) => `${column} AS ${column.replace(".", "_")}`)
  .concat(`${LEAF_ID} AS c_leaf_id`)
  .join(", ");

const NO_CONFLICT = `NOT EXISTS (
  SELECT 1 FROM json_each(?3) AS given CROSS JOIN messages AS m ON m.user_id = ?1 AND m.id = given.value ->> 0
  WHERE m.conversation_id <> ?2 OR m.digest <> given.value ->> 1
)`;
const NEXT_REV = "(SELECT o.rev + 1 FROM owners AS o WHERE o.user_id = ?1)";
const LAST_SEQ = "(SELECT max(m.seq) FROM messages AS m WHERE m.user_id = ?1 AND m.conversation_id = ?2)";

// The role that the table takes, and what was sent, where that is another.
const ROLE = `iif(given.value ->> 'role' = 'developer', 'system', given.value ->> 'role'),
  iif(given.value ->> 'role' = 'developer', 'developer', NULL)`;

export const CONVERSATION_BY_ID = `
SELECT ${CONVERSATION} FROM conversations AS c WHERE c.user_id = ?1 AND c.id = ?2 AND c.deleted_at IS NULL`;

export const OWNER = "SELECT o.epoch, o.rev, o.floor FROM owners AS o WHERE o.user_id = ?1";

// Appending. ?2 is the conversation, ?3 an array of [id, digest].

export const KNOWN_MESSAGES = `
SELECT m.id, m.conversation_id, m.digest
FROM json_each(?2) AS given CROSS JOIN messages AS m ON m.user_id = ?1 AND m.id = given.value ->> 0`;

export const INSERT_MESSAGES = `
INSERT INTO messages (
  user_id, id, conversation_id, seq, rev, digest, role, sent_role, created_at, token_count, model, parent_id, bytes,
  metadata, content
)
SELECT
  ?1, given.value ->> 'id', ?2, row_number() OVER (ORDER BY given.key) + coalesce(${LAST_SEQ}, 0), o.rev + 1,
  given.value ->> 'digest', ${ROLE}, ?5, given.value ->> 'tokenCount', given.value ->> 'model',
  given.value ->> 'parentId', given.value ->> 'size', given.value ->> 'metadata', given.value ->> 'content'
FROM owners AS o
JOIN conversations AS c ON c.user_id = ?1 AND c.id = ?2
CROSS JOIN json_each(?4) AS given
WHERE o.user_id = ?1 AND c.deleted_at IS NULL AND c.message_count = coalesce(?6, c.message_count) AND ${NO_CONFLICT}
  AND NOT EXISTS (SELECT 1 FROM messages AS k WHERE k.user_id = ?1 AND k.id = given.value ->> 'id')`;

export const COUNT_MESSAGES = `
UPDATE conversations
SET
  message_count = ${LAST_SEQ},
  updated_at = max(updated_at, ?3),
  title = iif(title_source = 'default' AND ?4 IS NOT NULL, ?4, title),
  title_source = iif(title_source = 'default' AND ?4 IS NOT NULL, 'first_message', title_source),
  rev = ${NEXT_REV}
WHERE user_id = ?1 AND id = ?2 AND message_count < ${LAST_SEQ}`;

// The words of what bears this rev. ?2 is an array of [message, words], ?3 one of [conversation, title, words].
export const INDEX_WORDS = `
INSERT OR REPLACE INTO search_index_2 (rowid, text)
SELECT m.n, given.value ->> 1
FROM owners AS o
CROSS JOIN json_each(?2) AS given
CROSS JOIN messages AS m ON m.user_id = ?1 AND m.id = given.value ->> 0
WHERE o.user_id = ?1 AND m.rev = o.rev + 1
UNION ALL
SELECT -c.n, given.value ->> 2
FROM owners AS o
CROSS JOIN json_each(?3) AS given
CROSS JOIN conversations AS c ON c.user_id = ?1 AND c.id = given.value ->> 0
WHERE o.user_id = ?1 AND c.rev = o.rev + 1 AND c.title = given.value ->> 1 AND c.title_source <> 'default'`;

export const BUMP_REV = `
UPDATE owners SET rev = rev + 1, indexed_rev = iif(indexed_rev = rev, rev + 1, indexed_rev)
WHERE user_id = ?1
  AND EXISTS (SELECT 1 FROM conversations AS c WHERE c.user_id = ?1 AND c.rev = owners.rev + 1)`;

export const RECEIPTS = `
SELECT m.id, m.seq, m.created_at
FROM json_each(?2) AS given CROSS JOIN messages AS m ON m.user_id = ?1 AND m.id = given.value ->> 0`;

// Pages. One row more than the limit is listed, to know whether there is a next page; large rows make a page shorter.

const PAGE_OF_MESSAGES = `sized AS (
  SELECT l.n, row_number() OVER reading AS position, sum(l.bytes) OVER reading AS bytes
  FROM listed AS l WINDOW reading AS (ORDER BY l.place)
)
SELECT ${MESSAGE}, (SELECT count(*) FROM listed) AS listed
FROM sized AS s CROSS JOIN messages AS m ON m.n = s.n AND m.user_id = ?1
WHERE s.position = 1 OR (s.position <= ?4 AND s.bytes <= 1000000)
ORDER BY m.seq`;

export const MESSAGES_BEFORE = `
WITH listed AS (
  SELECT m.n, m.bytes, -m.seq AS place FROM messages AS m
  WHERE m.user_id = ?1 AND m.conversation_id = ?2 AND m.seq < ?3 ORDER BY m.seq DESC LIMIT ?4 + 1
), ${PAGE_OF_MESSAGES}`;

export const MESSAGES_AFTER = `
WITH listed AS (
  SELECT m.n, m.bytes, m.seq AS place FROM messages AS m
  WHERE m.user_id = ?1 AND m.conversation_id = ?2 AND m.seq > ?3 ORDER BY m.seq LIMIT ?4 + 1
), ${PAGE_OF_MESSAGES}`;

export const SEQ_OF_MESSAGE = `
SELECT m.seq FROM messages AS m WHERE m.user_id = ?1 AND m.conversation_id = ?2 AND m.id = ?3`;

export const PLACE_OF_CONVERSATION = `
SELECT c.updated_at FROM conversations AS c
WHERE c.user_id = ?1 AND c.id = ?2 AND coalesce(c.deleted_at, 1) > 0`;

export const LIST_CONVERSATIONS = `
SELECT ${CONVERSATION}
FROM conversations AS c
WHERE c.user_id = ?1 AND c.is_archived = ?2 AND c.deleted_at IS NULL AND (c.updated_at, c.id) < (?3, ?4)
ORDER BY c.updated_at DESC, c.id DESC
LIMIT ?5 + 1`;

const kind = (isArchived, isWanted) => `
  SELECT * FROM (
    SELECT c.n, c.updated_at, c.id
    FROM conversations AS c
    WHERE ${isWanted} = 1 AND c.user_id = ?1 AND c.is_archived = ${isArchived} AND c.deleted_at IS NULL
      AND c.updated_at > ?6 AND (c.updated_at, c.id) < (?4, ?5)
    ORDER BY c.updated_at DESC, c.id DESC
    LIMIT 1000
  )`;

const LOOKED_AT = `looked_at AS (
  SELECT * FROM (${kind(0, "?2")} UNION ALL ${kind(1, "?3")})
  ORDER BY updated_at DESC, id DESC
  LIMIT 1000
)`;

export const LIST_FILTERED = `
WITH ${LOOKED_AT}
SELECT ${CONVERSATION}
FROM looked_at AS k CROSS JOIN conversations AS c ON c.user_id = ?1 AND c.n = k.n
WHERE (?8 IS NULL OR c.model = ?8) AND c.created_at > ?6 AND c.created_at < ?7
  AND (?9 IS NULL OR instr(c.metadata, ?9) > 0 OR instr(c.metadata, ?10) > 0)
ORDER BY k.updated_at DESC, k.id DESC
LIMIT ?11 + 1`;

export const LAST_LOOKED_AT = `
WITH ${LOOKED_AT}
SELECT (SELECT count(*) FROM looked_at) AS looked, k.updated_at, k.id
FROM looked_at AS k ORDER BY k.updated_at, k.id LIMIT 1`;

export const CHANGES = `
WITH listed AS (
  SELECT * FROM (
    SELECT * FROM (
      SELECT c.rev, 0 AS kind, c.n, 20000 AS bytes FROM conversations AS c
      WHERE c.user_id = ?1 AND c.rev >= ?2 AND (c.rev, 0, c.n) > (?2, ?3, ?4) AND coalesce(c.deleted_at, 1) > 0
      ORDER BY c.rev, c.n LIMIT ?5 + 1
    )
    UNION ALL
    SELECT * FROM (
      SELECT m.rev, 1 AS kind, m.n, m.bytes FROM messages AS m
      JOIN conversations AS c ON c.user_id = ?1 AND c.id = m.conversation_id
      WHERE m.user_id = ?1 AND m.rev >= ?2 AND (m.rev, 1, m.n) > (?2, ?3, ?4) AND c.deleted_at IS NULL
      ORDER BY m.rev, m.n LIMIT ?5 + 1
    )
  )
  ORDER BY rev, kind, n LIMIT ?5 + 1
), sized AS (
  SELECT l.rev, l.kind, l.n, row_number() OVER oldest AS position, sum(l.bytes) OVER oldest AS bytes
  FROM listed AS l WINDOW oldest AS (ORDER BY l.rev, l.kind, l.n)
)
SELECT s.rev, s.kind, s.n, (SELECT count(*) FROM listed) AS listed, ${BOTH}
FROM sized AS s
LEFT JOIN conversations AS c ON c.user_id = ?1 AND c.n = s.n AND s.kind = 0
LEFT JOIN messages AS m ON m.user_id = ?1 AND m.n = s.n AND s.kind = 1
WHERE s.position = 1 OR (s.position <= ?5 AND s.bytes <= 1000000)
ORDER BY s.rev, s.kind, s.n`;

export const SEARCH = `
WITH found AS MATERIALIZED (
  SELECT w.rowid AS n, w.rank AS score FROM search_index_2 AS w WHERE w.search_index_2 MATCH ?2
), hits AS (
  SELECT f.score, m.created_at AS time, m.n, m.bytes, c.n AS conversation_n
  FROM found AS f
  CROSS JOIN messages AS m ON m.user_id = ?1 AND m.n = f.n
  CROSS JOIN conversations AS c ON c.user_id = ?1 AND c.id = m.conversation_id
  WHERE c.deleted_at IS NULL AND coalesce(m.sent_role, m.role) = coalesce(?3, m.sent_role, m.role) AND m.created_at >= ?4 AND m.created_at < ?5
  UNION ALL
  SELECT f.score, c.created_at, -c.n, 0, c.n
  FROM found AS f
  CROSS JOIN conversations AS c ON c.user_id = ?1 AND c.n = -f.n
  WHERE c.deleted_at IS NULL AND ?3 IS NULL AND c.created_at >= ?4 AND c.created_at < ?5
), listed AS (
  SELECT * FROM hits ORDER BY score, time DESC, n DESC LIMIT ?6 + 1 OFFSET ?7
), sized AS (
  SELECT l.n, l.conversation_n, row_number() OVER best AS position, sum(l.bytes + 20000) OVER best AS bytes
  FROM listed AS l WINDOW best AS (ORDER BY l.score, l.time DESC, l.n DESC)
)
SELECT (SELECT count(*) FROM listed) AS listed, ${BOTH}
FROM sized AS s
CROSS JOIN conversations AS c ON c.user_id = ?1 AND c.n = s.conversation_n
LEFT JOIN messages AS m ON m.user_id = ?1 AND m.n = s.n
WHERE s.position = 1 OR (s.position <= ?6 AND s.bytes <= 1000000)
ORDER BY s.position`;

// Importing. ?2 is an array of rows; what is there already stays as it is.

export const ENSURE_OWNER = "INSERT INTO owners (user_id, epoch) VALUES (?1, ?2) ON CONFLICT (user_id) DO NOTHING";

export const KNOWN_CONVERSATIONS = `
SELECT c.id, c.digest, c.deleted_at
FROM json_each(?2) AS given CROSS JOIN conversations AS c ON c.user_id = ?1 AND c.id = given.value ->> 'id'`;

export const IMPORT_CONVERSATIONS = `
INSERT INTO conversations (
  user_id, id, rev, digest, title, title_source, model, created_at, updated_at, message_count, is_archived, version,
  metadata
)
SELECT
  ?1, given.value ->> 'id', o.rev + 1, given.value ->> 'digest', given.value ->> 'title',
  given.value ->> 'titleSource', given.value ->> 'model', given.value ->> 'createdAt', given.value ->> 'updatedAt',
  given.value ->> 'messageCount', given.value ->> 'isArchived', 1, given.value ->> 'metadata'
FROM owners AS o CROSS JOIN json_each(?2) AS given
WHERE o.user_id = ?1
ON CONFLICT (user_id, id) DO NOTHING`;

export const IMPORT_MESSAGES = `
INSERT INTO messages (
  user_id, id, conversation_id, seq, rev, digest, role, sent_role, created_at, token_count, model, parent_id, bytes,
  metadata, content
)
SELECT
  ?1, given.value ->> 'id', c.id, given.value ->> 'seq', o.rev + 1, given.value ->> 'digest', ${ROLE},
  given.value ->> 'createdAt', given.value ->> 'tokenCount', given.value ->> 'model', given.value ->> 'parentId',
  given.value ->> 'size', given.value ->> 'metadata', given.value ->> 'content'
FROM owners AS o
CROSS JOIN json_each(?2) AS given
CROSS JOIN conversations AS c ON c.user_id = ?1 AND c.id = given.value ->> 'conversationId'
WHERE o.user_id = ?1 AND c.rev = o.rev + 1`;
