-- The state of agents: journals, each a head and an ordered list of entries. A row that has `deleted_at` is on its way
-- out, and its key is free. `stamp` is of the last batch that wrote it, `request` the name that its client gave that.
CREATE TABLE journals (
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
);

CREATE UNIQUE INDEX journals_by_key ON journals (user_id, space, key)
WHERE deleted_at IS NULL;

CREATE INDEX journals_by_sort ON journals (user_id, space, sort DESC, key DESC)
WHERE deleted_at IS NULL;

CREATE INDEX journals_by_status ON journals (user_id, space, status, sort DESC, key DESC)
WHERE deleted_at IS NULL;

CREATE INDEX journals_by_expiry ON journals (user_id, expires_at)
WHERE expires_at IS NOT NULL AND deleted_at IS NULL;

CREATE INDEX journals_by_deletion ON journals (user_id, deleted_at)
WHERE deleted_at IS NOT NULL;

-- `journal` is the `n` of a journal. What is too large for one value stands in pieces, of the group that `big` names.
CREATE TABLE entries (
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
);

CREATE UNIQUE INDEX entries_by_id ON entries (user_id, journal, id);

CREATE UNIQUE INDEX entries_by_producer ON entries (user_id, journal, epoch, producer_seq);

-- Parts of large values, cut between characters, for whatever has some.
CREATE TABLE pieces (
  user_id text COLLATE "C" NOT NULL,
  group_id text COLLATE "C" NOT NULL,
  part bigint NOT NULL,
  data text COLLATE "C" NOT NULL,
  PRIMARY KEY (user_id, group_id, part)
);

ALTER TABLE journals ALTER COLUMN user_id SET STATISTICS 0;

ALTER TABLE entries ALTER COLUMN user_id SET STATISTICS 0;

-- Likewise, all of a journal may be read for each entry that is looked up where most journals have few.
ALTER TABLE entries ALTER COLUMN journal SET STATISTICS 0;

ALTER TABLE pieces ALTER COLUMN user_id SET STATISTICS 0;
