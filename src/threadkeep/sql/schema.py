"""The migrations of `migrations/sqlite/`, embedded. Made by `scripts/lock`; a test fails when it is stale."""

from threadkeep.sql.migrations import Migration

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
)
