-- The state of agents: blobs, whose bytes stand in pieces, in base64, of the group that `group_id` names. A row that has
-- `deleted_at` is on its way out, and its key is free.
CREATE TABLE blobs (
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
);

CREATE UNIQUE INDEX blobs_by_key ON blobs (user_id, space, key)
WHERE deleted_at IS NULL;

CREATE INDEX blobs_by_expiry ON blobs (user_id, expires_at)
WHERE expires_at IS NOT NULL AND deleted_at IS NULL;

CREATE INDEX blobs_by_deletion ON blobs (user_id, deleted_at)
WHERE deleted_at IS NOT NULL;

ALTER TABLE blobs ALTER COLUMN user_id SET STATISTICS 0;
