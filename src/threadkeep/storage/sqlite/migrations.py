"""The migrations of `migrations/sqlite/`, embedded. Made by `scripts/lock`; a test fails when it is stale."""

from threadkeep.storage.sql.migrate import Migration

MIGRATIONS: tuple[Migration, ...] = (
    Migration(
        "0001_conversations.sql",
        (
            """CREATE TABLE owners (
  user_id TEXT NOT NULL PRIMARY KEY,
  epoch TEXT NOT NULL,
  rev INTEGER NOT NULL DEFAULT 0,
  floor INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID""",
            """CREATE TABLE conversations (
  n INTEGER NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL,
  id TEXT NOT NULL,
  rev INTEGER NOT NULL,
  -- What the request to create it was, to know a repeat by.
  digest TEXT NOT NULL,
  title TEXT NOT NULL,
  title_source TEXT NOT NULL CHECK (title_source IN ('default', 'first_message', 'generated', 'user')),
  model TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  message_count INTEGER NOT NULL,
  is_archived INTEGER NOT NULL CHECK (is_archived IN (0, 1)),
  version INTEGER NOT NULL,
  deleted_at INTEGER,
  -- When each field was last edited, 0 for never: a late edit must not undo a later one.
  title_edited_at INTEGER NOT NULL DEFAULT 0,
  model_edited_at INTEGER NOT NULL DEFAULT 0,
  is_archived_edited_at INTEGER NOT NULL DEFAULT 0,
  metadata_edited_at INTEGER NOT NULL DEFAULT 0,
  metadata TEXT NOT NULL,
  UNIQUE (user_id, id)
) STRICT""",
            """CREATE INDEX conversations_by_update ON conversations (user_id, is_archived, updated_at DESC, id DESC)
WHERE deleted_at IS NULL""",
            """CREATE INDEX conversations_by_rev ON conversations (user_id, rev)""",
            """CREATE TABLE messages (
  n INTEGER NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL,
  id TEXT NOT NULL,
  conversation_id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  rev INTEGER NOT NULL,
  digest TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('user', 'assistant', 'system', 'tool')),
  created_at INTEGER NOT NULL,
  token_count INTEGER,
  model TEXT,
  parent_id TEXT,
  -- Of content and metadata as they came.
  bytes INTEGER NOT NULL,
  metadata TEXT,
  content TEXT NOT NULL,
  UNIQUE (user_id, id),
  UNIQUE (user_id, conversation_id, seq)
) STRICT""",
            """CREATE INDEX messages_by_rev ON messages (user_id, rev)""",
        ),
    ),
    Migration(
        "0002_search.sql",
        ("""CREATE VIRTUAL TABLE words USING fts5(text, tokenize = 'ascii')""",),
    ),
    Migration(
        "0003_erasing.sql",
        (
            """CREATE TABLE word_lists (
  n INTEGER NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL,
  text TEXT NOT NULL
) STRICT""",
            """INSERT INTO word_lists (n, user_id, text)
SELECT m.n, m.user_id, w.text FROM words AS w JOIN messages AS m ON m.n = w.rowid WHERE w.text <> ''
UNION ALL
SELECT -c.n, c.user_id, w.text FROM words AS w JOIN conversations AS c ON c.n = -w.rowid WHERE w.text <> ''""",
            """DROP TABLE words""",
            """CREATE VIRTUAL TABLE words USING fts5(
  text, content = 'word_lists', content_rowid = 'n', tokenize = 'ascii'
)""",
            """INSERT INTO words (words) VALUES ('rebuild')""",
            """INSERT INTO words (words, rank) VALUES ('secure-delete', 1)""",
            """ALTER TABLE conversations ADD COLUMN overwritten_seq INTEGER NOT NULL DEFAULT 0""",
            """CREATE INDEX conversations_by_deletion ON conversations (user_id, deleted_at)
WHERE deleted_at IS NOT NULL""",
            """INSERT OR IGNORE INTO conversations (
  n, user_id, id, rev, digest, title, title_source, created_at, updated_at, message_count, is_archived, version,
  metadata
)
SELECT b.value, '', b.value, 0, '', '', 'default', 0, 0, 0, 0, 0, printf('%04031d', 0) FROM json_each('[1, 2]') AS b""",
            """INSERT OR IGNORE INTO messages (
  n, user_id, id, conversation_id, seq, rev, digest, role, created_at, bytes, content
)
SELECT b.value, '', b.value, '', b.value, 0, '', 'system', 0, 0, printf('%04036d', 0) FROM json_each('[1, 2]') AS b""",
            """INSERT INTO word_lists (n, user_id, text)
WITH RECURSIVE numbers (number) AS (SELECT 0 UNION ALL SELECT number + 1 FROM numbers WHERE number < 899)
SELECT
  b.value - 9007199254730000,
  '',
  printf('%-4056s', group_concat(printf('%08x', number * 2654435761 & 4294967295), ' '))
FROM json_each('[1, 2]') AS b
JOIN numbers ON number / 450 = b.key
GROUP BY b.value""",
            """INSERT INTO words (rowid, text) SELECT l.n, l.text FROM word_lists AS l WHERE l.user_id = ''""",
        ),
    ),
    Migration(
        "0004_padding.sql",
        ("""ALTER TABLE conversations ADD COLUMN padding TEXT NOT NULL DEFAULT ''""",),
    ),
    Migration(
        "0005_search_index.sql",
        (
            """CREATE VIRTUAL TABLE search_index_2 USING fts5(
  text, content = '', contentless_delete = 1, tokenize = 'ascii'
)""",
            """INSERT INTO search_index_2 (search_index_2, rank) VALUES ('deletemerge', 0)""",
            """INSERT INTO words (words, rank) VALUES ('secure-delete', 0)""",
            """DELETE FROM words WHERE words.rowid IN (SELECT l.n FROM word_lists AS l WHERE l.user_id = '')""",
            """DELETE FROM word_lists WHERE user_id = ''""",
            """DELETE FROM messages WHERE user_id = ''""",
            """DELETE FROM conversations WHERE user_id = ''""",
        ),
    ),
    Migration(
        "0006_reading_again.sql",
        (
            """ALTER TABLE owners ADD COLUMN indexed_rev INTEGER NOT NULL DEFAULT 0""",
            """ALTER TABLE owners ADD COLUMN indexed_n INTEGER NOT NULL DEFAULT 0""",
            """CREATE INDEX owners_behind ON owners (user_id)
WHERE indexed_rev < rev""",
        ),
    ),
    Migration(
        "0007_developer_role.sql",
        ("""ALTER TABLE messages ADD COLUMN sent_role TEXT""",),
    ),
    Migration(
        "0008_expiry.sql",
        ("""ALTER TABLE conversations ADD COLUMN expires_from INTEGER""",),
    ),
    Migration(
        "0009_journals.sql",
        (
            """CREATE TABLE journals (
  n INTEGER NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL,
  space TEXT NOT NULL,
  key TEXT NOT NULL,
  incarnation TEXT NOT NULL,
  generation INTEGER NOT NULL,
  version INTEGER NOT NULL,
  identity TEXT NOT NULL,
  next_seq INTEGER NOT NULL,
  producer TEXT,
  epoch INTEGER NOT NULL,
  next_producer_seq INTEGER NOT NULL,
  lane TEXT,
  kind TEXT,
  status TEXT,
  sort TEXT NOT NULL,
  closed_at INTEGER,
  expires_at INTEGER,
  deleted_at INTEGER,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  request TEXT NOT NULL,
  stamp TEXT NOT NULL,
  head TEXT NOT NULL
) STRICT""",
            """CREATE UNIQUE INDEX journals_by_key ON journals (user_id, space, key)
WHERE deleted_at IS NULL""",
            """CREATE INDEX journals_by_sort ON journals (user_id, space, sort DESC, key DESC)
WHERE deleted_at IS NULL""",
            """CREATE INDEX journals_by_status ON journals (user_id, space, status, sort DESC, key DESC)
WHERE deleted_at IS NULL""",
            """CREATE INDEX journals_by_expiry ON journals (user_id, expires_at)
WHERE expires_at IS NOT NULL AND deleted_at IS NULL""",
            """CREATE INDEX journals_by_deletion ON journals (user_id, deleted_at)
WHERE deleted_at IS NOT NULL""",
            """CREATE TABLE entries (
  n INTEGER NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL,
  journal INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  id TEXT,
  epoch INTEGER,
  producer_seq INTEGER,
  digest TEXT NOT NULL,
  append_digest TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  big TEXT,
  data TEXT,
  UNIQUE (user_id, journal, seq)
) STRICT""",
            """CREATE UNIQUE INDEX entries_by_id ON entries (user_id, journal, id)""",
            """CREATE UNIQUE INDEX entries_by_producer ON entries (user_id, journal, epoch, producer_seq)""",
            """CREATE TABLE pieces (
  user_id TEXT NOT NULL,
  group_id TEXT NOT NULL,
  part INTEGER NOT NULL,
  data TEXT NOT NULL,
  PRIMARY KEY (user_id, group_id, part)
) STRICT, WITHOUT ROWID""",
        ),
    ),
    Migration(
        "0010_blobs.sql",
        (
            """CREATE TABLE blobs (
  n INTEGER NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL,
  space TEXT NOT NULL,
  key TEXT NOT NULL,
  digest TEXT NOT NULL,
  size INTEGER NOT NULL,
  media_type TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  deleted_at INTEGER,
  group_id TEXT NOT NULL,
  meta TEXT NOT NULL
) STRICT""",
            """CREATE UNIQUE INDEX blobs_by_key ON blobs (user_id, space, key)
WHERE deleted_at IS NULL""",
            """CREATE INDEX blobs_by_expiry ON blobs (user_id, expires_at)
WHERE expires_at IS NOT NULL AND deleted_at IS NULL""",
            """CREATE INDEX blobs_by_deletion ON blobs (user_id, deleted_at)
WHERE deleted_at IS NOT NULL""",
        ),
    ),
    Migration(
        "0011_tasks.sql",
        (
            """CREATE TABLE tasks (
  n INTEGER NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL,
  queue TEXT NOT NULL,
  id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  lane TEXT NOT NULL,
  kind TEXT,
  target TEXT,
  state TEXT NOT NULL,
  is_open INTEGER NOT NULL,
  digest TEXT NOT NULL,
  accepted_at INTEGER NOT NULL,
  ready_at INTEGER,
  attempt TEXT,
  attempts INTEGER NOT NULL,
  attempts_max INTEGER NOT NULL,
  timeout_at INTEGER NOT NULL,
  holder TEXT,
  lease_until INTEGER NOT NULL,
  started_at INTEGER,
  applied_at INTEGER,
  recovery_at INTEGER,
  abort_at INTEGER,
  settled_at INTEGER,
  deleted_at INTEGER,
  host TEXT,
  error TEXT,
  settlement_id TEXT,
  settlement_digest TEXT,
  settlement_bytes INTEGER NOT NULL,
  settlement_big TEXT,
  note_revision INTEGER NOT NULL,
  noted_at INTEGER,
  request TEXT NOT NULL,
  stamp TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  big TEXT,
  note TEXT,
  settlement TEXT,
  payload TEXT
) STRICT""",
            """CREATE UNIQUE INDEX tasks_by_id ON tasks (user_id, queue, id)
WHERE deleted_at IS NULL""",
            """CREATE UNIQUE INDEX tasks_by_seq ON tasks (user_id, queue, seq)
WHERE deleted_at IS NULL""",
            """CREATE INDEX tasks_by_lane ON tasks (user_id, queue, lane, seq)
WHERE deleted_at IS NULL""",
            """CREATE INDEX open_tasks_by_lane ON tasks (user_id, queue, lane, seq)
WHERE is_open = 1""",
            """CREATE INDEX open_tasks_by_state ON tasks (user_id, queue, state, seq)
WHERE is_open = 1""",
            """CREATE INDEX tasks_by_host ON tasks (user_id, queue, host, seq)
WHERE host IS NOT NULL""",
            """CREATE INDEX tasks_by_deletion ON tasks (user_id, deleted_at)
WHERE deleted_at IS NOT NULL""",
            """CREATE TABLE lanes (
  n INTEGER NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL,
  queue TEXT NOT NULL,
  lane TEXT NOT NULL,
  closed_at INTEGER NOT NULL,
  deleted_at INTEGER
) STRICT""",
            """CREATE UNIQUE INDEX lanes_by_name ON lanes (user_id, queue, lane)
WHERE deleted_at IS NULL""",
            """CREATE INDEX lanes_by_deletion ON lanes (user_id, deleted_at)
WHERE deleted_at IS NOT NULL""",
        ),
    ),
    Migration(
        "0012_threads.sql",
        (
            """CREATE TABLE threads (
  n INTEGER NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL,
  name TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  is_pruned INTEGER NOT NULL,
  expires_at INTEGER,
  deleted_at INTEGER,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  request TEXT NOT NULL,
  stamp TEXT NOT NULL
) STRICT""",
            """CREATE UNIQUE INDEX threads_by_name ON threads (user_id, name)
WHERE deleted_at IS NULL""",
            """CREATE INDEX threads_by_time ON threads (user_id, updated_at, name)
WHERE deleted_at IS NULL""",
            """CREATE INDEX threads_by_expiry ON threads (user_id, expires_at)
WHERE expires_at IS NOT NULL AND deleted_at IS NULL""",
            """CREATE INDEX threads_by_deletion ON threads (user_id, deleted_at, name)
WHERE deleted_at IS NOT NULL""",
            """CREATE TABLE checkpoints (
  n INTEGER NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL,
  thread INTEGER NOT NULL,
  ns TEXT NOT NULL,
  id TEXT NOT NULL,
  parent TEXT,
  run_id TEXT,
  metadata TEXT NOT NULL,
  stored TEXT NOT NULL,
  counted TEXT NOT NULL,
  type TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  big TEXT,
  data TEXT,
  UNIQUE (user_id, thread, ns, id)
) STRICT""",
            """CREATE INDEX checkpoints_by_id ON checkpoints (user_id, id)""",
            """CREATE INDEX checkpoints_of_thread_by_id ON checkpoints (user_id, thread, id)""",
            """CREATE INDEX checkpoints_by_run ON checkpoints (user_id, run_id)
WHERE run_id IS NOT NULL""",
            """CREATE TABLE checkpoint_values (
  n INTEGER NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL,
  thread INTEGER NOT NULL,
  ns TEXT NOT NULL,
  channel TEXT NOT NULL,
  version TEXT NOT NULL,
  type TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  big TEXT,
  data TEXT,
  UNIQUE (user_id, thread, ns, channel, version)
) STRICT""",
            """CREATE TABLE checkpoint_writes (
  n INTEGER NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL,
  thread INTEGER NOT NULL,
  ns TEXT NOT NULL,
  checkpoint TEXT NOT NULL,
  task TEXT NOT NULL,
  idx INTEGER NOT NULL,
  path TEXT NOT NULL,
  channel TEXT NOT NULL,
  type TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  big TEXT,
  data TEXT,
  UNIQUE (user_id, thread, ns, checkpoint, task, idx)
) STRICT""",
        ),
    ),
    Migration(
        "0013_messages_edited.sql",
        (
            """ALTER TABLE messages ADD COLUMN version INTEGER NOT NULL DEFAULT 1""",
            """ALTER TABLE messages ADD COLUMN metadata_edited_at INTEGER NOT NULL DEFAULT 0""",
        ),
    ),
    Migration(
        "0014_branches.sql",
        (
            """CREATE TABLE forks (
  user_id TEXT NOT NULL,
  conversation_id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  follows INTEGER NOT NULL CHECK (follows >= 0 AND follows < seq),
  PRIMARY KEY (user_id, conversation_id, seq)
) STRICT, WITHOUT ROWID""",
            """CREATE INDEX forks_by_parent ON forks (user_id, conversation_id, follows, seq)""",
            """CREATE TABLE cuts (
  user_id TEXT NOT NULL,
  conversation_id TEXT NOT NULL,
  from_seq INTEGER NOT NULL,
  to_seq INTEGER NOT NULL CHECK (to_seq >= from_seq),
  rev INTEGER NOT NULL,
  deleted_at INTEGER NOT NULL,
  PRIMARY KEY (user_id, conversation_id, from_seq)
) STRICT, WITHOUT ROWID""",
            """CREATE INDEX cuts_by_rev ON cuts (user_id, rev)
WHERE deleted_at > 0""",
            """CREATE INDEX cuts_by_deletion ON cuts (user_id, deleted_at)
WHERE deleted_at > 0""",
            """CREATE INDEX cuts_to_sweep ON cuts (user_id)
WHERE deleted_at < 0""",
            """CREATE INDEX cuts_to_purge ON cuts (deleted_at, user_id)
WHERE deleted_at <> 0""",
            """ALTER TABLE conversations ADD COLUMN leaf_seq INTEGER""",
            """ALTER TABLE conversations ADD COLUMN forked_from TEXT""",
            """ALTER TABLE owners ADD COLUMN linked_rev INTEGER NOT NULL DEFAULT 0""",
            """ALTER TABLE owners ADD COLUMN linked_n INTEGER NOT NULL DEFAULT 0""",
            """CREATE INDEX owners_unlinked ON owners (user_id)
WHERE linked_rev < rev""",
        ),
    ),
    Migration(
        "0015_drafts.sql",
        (
            """CREATE TABLE drafts (
  n INTEGER PRIMARY KEY,
  user_id TEXT NOT NULL,
  id TEXT NOT NULL,
  conversation_id TEXT NOT NULL,
  follows INTEGER NOT NULL,
  parent_id TEXT,
  role TEXT NOT NULL,
  model TEXT,
  metadata TEXT,
  digest TEXT NOT NULL,
  fence INTEGER NOT NULL,
  lease_ms INTEGER NOT NULL,
  started_at INTEGER NOT NULL,
  renewed_at INTEGER NOT NULL,
  stop_at INTEGER,
  state TEXT NOT NULL,
  settled_at INTEGER,
  rev INTEGER NOT NULL,
  UNIQUE (user_id, id)
) STRICT""",
            """CREATE INDEX drafts_open ON drafts (user_id, conversation_id, follows) WHERE settled_at IS NULL""",
            """CREATE INDEX drafts_ended ON drafts (user_id, conversation_id, settled_at)
WHERE settled_at IS NOT NULL""",
            """CREATE INDEX drafts_by_rev ON drafts (user_id, rev, n)""",
            """CREATE INDEX drafts_settled ON drafts (user_id, settled_at) WHERE settled_at IS NOT NULL""",
            """CREATE TABLE draft_parts (
  user_id TEXT NOT NULL,
  draft_id TEXT NOT NULL,
  part INTEGER NOT NULL,
  at INTEGER NOT NULL,
  digest TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  blocks TEXT NOT NULL,
  ops TEXT NOT NULL,
  PRIMARY KEY (user_id, draft_id, part)
) STRICT, WITHOUT ROWID""",
        ),
    ),
)
