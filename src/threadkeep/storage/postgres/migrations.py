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
    Migration(
        "0007_journals.sql",
        (
            """CREATE TABLE journals (
  n bigint NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id text COLLATE "C" NOT NULL,
  space text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  incarnation text COLLATE "C" NOT NULL,
  generation bigint NOT NULL,
  version bigint NOT NULL,
  identity text COLLATE "C" NOT NULL,
  next_seq bigint NOT NULL,
  producer text COLLATE "C",
  epoch bigint NOT NULL,
  next_producer_seq bigint NOT NULL,
  lane text COLLATE "C",
  kind text COLLATE "C",
  status text COLLATE "C",
  sort text COLLATE "C" NOT NULL,
  closed_at bigint,
  expires_at bigint,
  deleted_at bigint,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  request text COLLATE "C" NOT NULL,
  stamp text COLLATE "C" NOT NULL,
  head json NOT NULL
)""",
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
  n bigint NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id text COLLATE "C" NOT NULL,
  journal bigint NOT NULL,
  seq bigint NOT NULL,
  id text COLLATE "C",
  epoch bigint,
  producer_seq bigint,
  digest text COLLATE "C" NOT NULL,
  append_digest text COLLATE "C" NOT NULL,
  created_at bigint NOT NULL,
  bytes bigint NOT NULL,
  big text COLLATE "C",
  data json,
  UNIQUE (user_id, journal, seq)
)""",
            """CREATE UNIQUE INDEX entries_by_id ON entries (user_id, journal, id)""",
            """CREATE UNIQUE INDEX entries_by_producer ON entries (user_id, journal, epoch, producer_seq)""",
            """CREATE TABLE pieces (
  user_id text COLLATE "C" NOT NULL,
  group_id text COLLATE "C" NOT NULL,
  part bigint NOT NULL,
  data text COLLATE "C" NOT NULL,
  PRIMARY KEY (user_id, group_id, part)
)""",
            """ALTER TABLE journals ALTER COLUMN user_id SET STATISTICS 0""",
            """ALTER TABLE entries ALTER COLUMN user_id SET STATISTICS 0""",
            """ALTER TABLE entries ALTER COLUMN journal SET STATISTICS 0""",
            """ALTER TABLE pieces ALTER COLUMN user_id SET STATISTICS 0""",
        ),
    ),
    Migration(
        "0008_blobs.sql",
        (
            """CREATE TABLE blobs (
  n bigint NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id text COLLATE "C" NOT NULL,
  space text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  digest text COLLATE "C" NOT NULL,
  size bigint NOT NULL,
  media_type text COLLATE "C" NOT NULL,
  created_at bigint NOT NULL,
  expires_at bigint,
  deleted_at bigint,
  group_id text COLLATE "C" NOT NULL,
  meta json NOT NULL
)""",
            """CREATE UNIQUE INDEX blobs_by_key ON blobs (user_id, space, key)
WHERE deleted_at IS NULL""",
            """CREATE INDEX blobs_by_expiry ON blobs (user_id, expires_at)
WHERE expires_at IS NOT NULL AND deleted_at IS NULL""",
            """CREATE INDEX blobs_by_deletion ON blobs (user_id, deleted_at)
WHERE deleted_at IS NOT NULL""",
            """ALTER TABLE blobs ALTER COLUMN user_id SET STATISTICS 0""",
        ),
    ),
    Migration(
        "0009_tasks.sql",
        (
            """CREATE TABLE tasks (
  n bigint NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id text COLLATE "C" NOT NULL,
  queue text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  seq bigint NOT NULL,
  lane text COLLATE "C" NOT NULL,
  kind text COLLATE "C",
  target text COLLATE "C",
  state text COLLATE "C" NOT NULL,
  is_open bigint NOT NULL,
  digest text COLLATE "C" NOT NULL,
  accepted_at bigint NOT NULL,
  ready_at bigint,
  attempt text COLLATE "C",
  attempts bigint NOT NULL,
  attempts_max bigint NOT NULL,
  timeout_at bigint NOT NULL,
  holder text COLLATE "C",
  lease_until bigint NOT NULL,
  started_at bigint,
  applied_at bigint,
  recovery_at bigint,
  abort_at bigint,
  settled_at bigint,
  deleted_at bigint,
  host text COLLATE "C",
  error text COLLATE "C",
  settlement_id text COLLATE "C",
  settlement_digest text COLLATE "C",
  settlement_bytes bigint NOT NULL,
  settlement_big text COLLATE "C",
  note_revision bigint NOT NULL,
  noted_at bigint,
  request text COLLATE "C" NOT NULL,
  stamp text COLLATE "C" NOT NULL,
  bytes bigint NOT NULL,
  big text COLLATE "C",
  note json,
  settlement json,
  payload json
)""",
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
  n bigint NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id text COLLATE "C" NOT NULL,
  queue text COLLATE "C" NOT NULL,
  lane text COLLATE "C" NOT NULL,
  closed_at bigint NOT NULL,
  deleted_at bigint
)""",
            """CREATE UNIQUE INDEX lanes_by_name ON lanes (user_id, queue, lane)
WHERE deleted_at IS NULL""",
            """CREATE INDEX lanes_by_deletion ON lanes (user_id, deleted_at)
WHERE deleted_at IS NOT NULL""",
            """ALTER TABLE tasks ALTER COLUMN user_id SET STATISTICS 0""",
            """ALTER TABLE lanes ALTER COLUMN user_id SET STATISTICS 0""",
        ),
    ),
    Migration(
        "0010_threads.sql",
        (
            """CREATE TABLE threads (
  n bigint NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  epoch bigint NOT NULL,
  is_pruned boolean NOT NULL,
  expires_at bigint,
  deleted_at bigint,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  request text COLLATE "C" NOT NULL,
  stamp text COLLATE "C" NOT NULL
)""",
            """CREATE UNIQUE INDEX threads_by_name ON threads (user_id, name)
WHERE deleted_at IS NULL""",
            """CREATE INDEX threads_by_time ON threads (user_id, updated_at, name)
WHERE deleted_at IS NULL""",
            """CREATE INDEX threads_by_expiry ON threads (user_id, expires_at)
WHERE expires_at IS NOT NULL AND deleted_at IS NULL""",
            """CREATE INDEX threads_by_deletion ON threads (user_id, deleted_at, name)
WHERE deleted_at IS NOT NULL""",
            """CREATE TABLE checkpoints (
  n bigint NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id text COLLATE "C" NOT NULL,
  thread bigint NOT NULL,
  ns text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  parent text COLLATE "C",
  run_id text COLLATE "C",
  metadata json NOT NULL,
  stored json NOT NULL,
  counted json NOT NULL,
  type text COLLATE "C" NOT NULL,
  bytes bigint NOT NULL,
  big text COLLATE "C",
  data text COLLATE "C",
  UNIQUE (user_id, thread, ns, id)
)""",
            """CREATE INDEX checkpoints_by_id ON checkpoints (user_id, id)""",
            """CREATE INDEX checkpoints_of_thread_by_id ON checkpoints (user_id, thread, id)""",
            """CREATE INDEX checkpoints_by_run ON checkpoints (user_id, run_id)
WHERE run_id IS NOT NULL""",
            """CREATE TABLE checkpoint_values (
  n bigint NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id text COLLATE "C" NOT NULL,
  thread bigint NOT NULL,
  ns text COLLATE "C" NOT NULL,
  channel text COLLATE "C" NOT NULL,
  version text COLLATE "C" NOT NULL,
  type text COLLATE "C" NOT NULL,
  bytes bigint NOT NULL,
  big text COLLATE "C",
  data text COLLATE "C",
  UNIQUE (user_id, thread, ns, channel, version)
)""",
            """CREATE TABLE checkpoint_writes (
  n bigint NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id text COLLATE "C" NOT NULL,
  thread bigint NOT NULL,
  ns text COLLATE "C" NOT NULL,
  checkpoint text COLLATE "C" NOT NULL,
  task text COLLATE "C" NOT NULL,
  idx bigint NOT NULL,
  path text COLLATE "C" NOT NULL,
  channel text COLLATE "C" NOT NULL,
  type text COLLATE "C" NOT NULL,
  bytes bigint NOT NULL,
  big text COLLATE "C",
  data text COLLATE "C",
  UNIQUE (user_id, thread, ns, checkpoint, task, idx)
)""",
            """ALTER TABLE threads ALTER COLUMN user_id SET STATISTICS 0""",
            """ALTER TABLE checkpoints ALTER COLUMN user_id SET STATISTICS 0""",
            """ALTER TABLE checkpoint_values ALTER COLUMN user_id SET STATISTICS 0""",
            """ALTER TABLE checkpoint_writes ALTER COLUMN user_id SET STATISTICS 0""",
            """ALTER TABLE checkpoints ALTER COLUMN thread SET STATISTICS 0""",
            """ALTER TABLE checkpoint_values ALTER COLUMN thread SET STATISTICS 0""",
            """ALTER TABLE checkpoint_writes ALTER COLUMN thread SET STATISTICS 0""",
        ),
    ),
    Migration(
        "0011_messages_edited.sql",
        (
            """ALTER TABLE messages ADD COLUMN version bigint NOT NULL DEFAULT 1""",
            """ALTER TABLE messages ADD COLUMN metadata_edited_at bigint NOT NULL DEFAULT 0""",
        ),
    ),
    Migration(
        "0012_branches.sql",
        (
            """CREATE TABLE forks (
  user_id text COLLATE "C" NOT NULL,
  conversation_id text COLLATE "C" NOT NULL,
  seq bigint NOT NULL,
  follows bigint NOT NULL CHECK (follows >= 0 AND follows < seq),
  PRIMARY KEY (user_id, conversation_id, seq)
)""",
            """CREATE INDEX forks_by_parent ON forks (user_id, conversation_id, follows, seq)""",
            """CREATE TABLE cuts (
  user_id text COLLATE "C" NOT NULL,
  conversation_id text COLLATE "C" NOT NULL,
  from_seq bigint NOT NULL,
  to_seq bigint NOT NULL CHECK (to_seq >= from_seq),
  rev bigint NOT NULL,
  deleted_at bigint NOT NULL,
  PRIMARY KEY (user_id, conversation_id, from_seq)
)""",
            """CREATE INDEX cuts_by_rev ON cuts (user_id, rev)
WHERE deleted_at > 0""",
            """CREATE INDEX cuts_by_deletion ON cuts (user_id, deleted_at)
WHERE deleted_at > 0""",
            """CREATE INDEX cuts_to_sweep ON cuts (user_id)
WHERE deleted_at < 0""",
            """ALTER TABLE forks ALTER COLUMN user_id SET STATISTICS 0""",
            """ALTER TABLE forks ALTER COLUMN conversation_id SET STATISTICS 0""",
            """ALTER TABLE cuts ALTER COLUMN user_id SET STATISTICS 0""",
            """ALTER TABLE cuts ALTER COLUMN conversation_id SET STATISTICS 0""",
            """CREATE INDEX cuts_to_purge ON cuts (deleted_at, user_id)
WHERE deleted_at <> 0""",
            """ALTER TABLE conversations ADD COLUMN leaf_seq bigint""",
            """ALTER TABLE conversations ADD COLUMN forked_from text""",
            """ALTER TABLE owners ADD COLUMN linked_rev bigint NOT NULL DEFAULT 0""",
            """ALTER TABLE owners ADD COLUMN linked_n bigint NOT NULL DEFAULT 0""",
            """CREATE INDEX owners_unlinked ON owners (user_id)
WHERE linked_rev < rev""",
        ),
    ),
    Migration(
        "0013_drafts.sql",
        (
            """CREATE TABLE drafts (
  n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  conversation_id text COLLATE "C" NOT NULL,
  follows bigint NOT NULL,
  parent_id text COLLATE "C",
  role text NOT NULL,
  model text,
  metadata json,
  digest text NOT NULL,
  fence bigint NOT NULL,
  lease_ms bigint NOT NULL,
  started_at bigint NOT NULL,
  renewed_at bigint NOT NULL,
  stop_at bigint,
  state text NOT NULL,
  settled_at bigint,
  rev bigint NOT NULL,
  UNIQUE (user_id, id)
)""",
            """CREATE INDEX drafts_open ON drafts (user_id, conversation_id, follows) WHERE settled_at IS NULL""",
            """CREATE INDEX drafts_ended ON drafts (user_id, conversation_id, settled_at)
WHERE settled_at IS NOT NULL""",
            """CREATE INDEX drafts_by_rev ON drafts (user_id, rev, n)""",
            """CREATE INDEX drafts_settled ON drafts (user_id, settled_at) WHERE settled_at IS NOT NULL""",
            """CREATE TABLE draft_parts (
  user_id text COLLATE "C" NOT NULL,
  draft_id text COLLATE "C" NOT NULL,
  part bigint NOT NULL,
  at bigint NOT NULL,
  digest text NOT NULL,
  bytes bigint NOT NULL,
  blocks text NOT NULL,
  ops json NOT NULL,
  PRIMARY KEY (user_id, draft_id, part)
)""",
            """ALTER TABLE drafts ALTER COLUMN user_id SET STATISTICS 0""",
            """ALTER TABLE draft_parts ALTER COLUMN user_id SET STATISTICS 0""",
            """ALTER TABLE draft_parts ALTER COLUMN draft_id SET STATISTICS 0""",
        ),
    ),
)
