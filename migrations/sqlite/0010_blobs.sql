-- The state of agents: blobs, whose bytes stand in pieces, in base64, of the group that `group_id` names. A row that has
-- `deleted_at` is on its way out, and its key is free.
CREATE TABLE blobs (
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
) STRICT;

CREATE UNIQUE INDEX blobs_by_key ON blobs (user_id, space, key)
WHERE deleted_at IS NULL;

CREATE INDEX blobs_by_expiry ON blobs (user_id, expires_at)
WHERE expires_at IS NOT NULL AND deleted_at IS NULL;

CREATE INDEX blobs_by_deletion ON blobs (user_id, deleted_at)
WHERE deleted_at IS NOT NULL;
