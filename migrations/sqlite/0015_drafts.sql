-- Drafts: messages while they are written. When one is settled, its parts are removed, and its row stays for a while.
CREATE TABLE drafts (
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
) STRICT;

CREATE INDEX drafts_open ON drafts (user_id, conversation_id, follows) WHERE settled_at IS NULL;

CREATE INDEX drafts_ended ON drafts (user_id, conversation_id, settled_at)
WHERE settled_at IS NOT NULL;

CREATE INDEX drafts_by_rev ON drafts (user_id, rev, n);

CREATE INDEX drafts_settled ON drafts (user_id, settled_at) WHERE settled_at IS NOT NULL;

CREATE TABLE draft_parts (
  user_id TEXT NOT NULL,
  draft_id TEXT NOT NULL,
  part INTEGER NOT NULL,
  at INTEGER NOT NULL,
  digest TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  blocks TEXT NOT NULL,
  ops TEXT NOT NULL,
  PRIMARY KEY (user_id, draft_id, part)
) STRICT, WITHOUT ROWID;
