-- Drafts: messages while they are written. When one is settled, its parts are removed, and its row stays for a while.
CREATE TABLE drafts (
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
);

CREATE INDEX drafts_open ON drafts (user_id, conversation_id, follows) WHERE settled_at IS NULL;

CREATE INDEX drafts_ended ON drafts (user_id, conversation_id, settled_at)
WHERE settled_at IS NOT NULL;

CREATE INDEX drafts_by_rev ON drafts (user_id, rev, n);

CREATE INDEX drafts_settled ON drafts (user_id, settled_at) WHERE settled_at IS NOT NULL;

CREATE TABLE draft_parts (
  user_id text COLLATE "C" NOT NULL,
  draft_id text COLLATE "C" NOT NULL,
  part bigint NOT NULL,
  at bigint NOT NULL,
  digest text NOT NULL,
  bytes bigint NOT NULL,
  blocks text NOT NULL,
  ops json NOT NULL,
  PRIMARY KEY (user_id, draft_id, part)
);

ALTER TABLE drafts ALTER COLUMN user_id SET STATISTICS 0;

ALTER TABLE draft_parts ALTER COLUMN user_id SET STATISTICS 0;

ALTER TABLE draft_parts ALTER COLUMN draft_id SET STATISTICS 0;
