"""The migrations of `migrations/postgres/`, embedded. Made by `scripts/lock`; a test fails when it is stale."""

from threadkeep.storage.sql.migrate import Migration

MIGRATIONS: tuple[Migration, ...] = (
    Migration(
        "0001_conversations.sql",
        (
            """CREATE TABLE owners (
  user_id text COLLATE "C" NOT NULL PRIMARY KEY,
  epoch text NOT NULL,
  rev bigint NOT NULL DEFAULT 0,
  floor bigint NOT NULL DEFAULT 0
)""",
            """CREATE TABLE conversations (
  n bigint NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  rev bigint NOT NULL,
  -- What the request to create it was, to know a repeat by.
  digest text NOT NULL,
  title text COLLATE "C" NOT NULL,
  title_source text NOT NULL CHECK (title_source IN ('default', 'first_message', 'generated', 'user')),
  model text,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  message_count bigint NOT NULL,
  is_archived boolean NOT NULL,
  version bigint NOT NULL,
  deleted_at bigint,
  -- When each field was last edited, 0 for never: a late edit must not undo a later one.
  title_edited_at bigint NOT NULL DEFAULT 0,
  model_edited_at bigint NOT NULL DEFAULT 0,
  is_archived_edited_at bigint NOT NULL DEFAULT 0,
  metadata_edited_at bigint NOT NULL DEFAULT 0,
  metadata json NOT NULL,
  UNIQUE (user_id, id)
)""",
            """CREATE INDEX conversations_by_update ON conversations (user_id, is_archived, updated_at DESC, id DESC)
WHERE deleted_at IS NULL""",
            """CREATE INDEX conversations_by_rev ON conversations (user_id, rev, n)""",
            """CREATE INDEX conversations_by_deletion ON conversations (user_id, deleted_at)
WHERE deleted_at IS NOT NULL""",
            """CREATE TABLE messages (
  n bigint NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  conversation_id text COLLATE "C" NOT NULL,
  seq bigint NOT NULL,
  rev bigint NOT NULL,
  digest text NOT NULL,
  role text NOT NULL CHECK (role IN ('user', 'assistant', 'system', 'tool')),
  created_at bigint NOT NULL,
  token_count bigint,
  model text,
  parent_id text,
  -- Of content and metadata as they came.
  bytes integer NOT NULL,
  metadata json,
  content json NOT NULL,
  UNIQUE (user_id, id),
  UNIQUE (user_id, conversation_id, seq)
)""",
            """CREATE INDEX messages_by_rev ON messages (user_id, rev, n)""",
            """CREATE TABLE words (
  n bigint NOT NULL PRIMARY KEY,
  user_id text COLLATE "C" NOT NULL,
  -- In order, each with a space before it and behind it.
  text text COLLATE "C" NOT NULL,
  -- Each behind letters of its user's own.
  lexemes tsvector NOT NULL
)""",
            """CREATE INDEX words_by_lexeme ON words USING gin (lexemes) WITH (fastupdate = off)""",
        ),
    ),
    Migration(
        "0002_statistics.sql",
        (
            """ALTER TABLE conversations
  ALTER COLUMN user_id TYPE text COLLATE "C", ALTER COLUMN user_id SET STATISTICS 0""",
            """ALTER TABLE messages
  ALTER COLUMN user_id TYPE text COLLATE "C", ALTER COLUMN user_id SET STATISTICS 0""",
            """ALTER TABLE words
  ALTER COLUMN user_id TYPE text COLLATE "C", ALTER COLUMN user_id SET STATISTICS 0""",
        ),
    ),
    Migration(
        "0003_search_index.sql",
        (
            """CREATE TABLE search_index_2 (
  n bigint NOT NULL PRIMARY KEY,
  user_id text COLLATE "C" NOT NULL,
  -- In order, each with a space before it and behind it.
  text text COLLATE "C" NOT NULL,
  -- Each behind letters of its user's own.
  lexemes tsvector NOT NULL
)""",
            """ALTER TABLE search_index_2 ALTER COLUMN user_id SET STATISTICS 0""",
            """CREATE INDEX search_index_2_by_lexeme ON search_index_2 USING gin (lexemes) WITH (fastupdate = off)""",
        ),
    ),
    Migration(
        "0004_reading_again.sql",
        (
            """ALTER TABLE owners ADD COLUMN indexed_rev bigint NOT NULL DEFAULT 0""",
            """ALTER TABLE owners ADD COLUMN indexed_n bigint NOT NULL DEFAULT 0""",
            """CREATE INDEX owners_behind ON owners (user_id)
WHERE indexed_rev < rev""",
        ),
    ),
    Migration(
        "0005_developer_role.sql",
        ("""ALTER TABLE messages ADD COLUMN sent_role text""",),
    ),
    Migration(
        "0006_expiry.sql",
        ("""ALTER TABLE conversations ADD COLUMN expires_from bigint""",),
    ),
)
