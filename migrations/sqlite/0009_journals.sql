-- The state of agents: journals, each a head and an ordered list of entries. A row that has `deleted_at` is on its way
-- out, and its key is free. `stamp` is of the last batch that wrote it, `request` the name that its client gave that.
CREATE TABLE journals (
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
) STRICT;

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
) STRICT;

CREATE UNIQUE INDEX entries_by_id ON entries (user_id, journal, id);

CREATE UNIQUE INDEX entries_by_producer ON entries (user_id, journal, epoch, producer_seq);

-- Parts of large values, cut between characters, for whatever has some.
CREATE TABLE pieces (
  user_id TEXT NOT NULL,
  group_id TEXT NOT NULL,
  part INTEGER NOT NULL,
  data TEXT NOT NULL,
  PRIMARY KEY (user_id, group_id, part)
) STRICT, WITHOUT ROWID;
