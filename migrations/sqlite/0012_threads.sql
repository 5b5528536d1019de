-- Threads: the checkpoints of graphs, their values and pending writes. A row that has `deleted_at` is on its way out,
-- and its name is free. What is removed from a thread that stays belongs to such a row, too. `stamp` is of the last
-- batch that wrote it, `request` the name of the last claim.
CREATE TABLE threads (
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
) STRICT;

CREATE UNIQUE INDEX threads_by_name ON threads (user_id, name)
WHERE deleted_at IS NULL;

CREATE INDEX threads_by_time ON threads (user_id, updated_at, name)
WHERE deleted_at IS NULL;

CREATE INDEX threads_by_expiry ON threads (user_id, expires_at)
WHERE expires_at IS NOT NULL AND deleted_at IS NULL;

CREATE INDEX threads_by_deletion ON threads (user_id, deleted_at, name)
WHERE deleted_at IS NOT NULL;

-- `thread` is the `n` of a thread. `metadata` is an array of texts, each a member of an object; `stored` one of pairs,
-- of a channel and its version, or null where the value stands in the checkpoint. `counted` is one of arrays of a
-- channel, of which there may be only writes since some ancestor. What is too large for one value stands in pieces, of
-- the group that `big` names.
CREATE TABLE checkpoints (
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
) STRICT;

CREATE INDEX checkpoints_by_id ON checkpoints (user_id, id);

CREATE INDEX checkpoints_of_thread_by_id ON checkpoints (user_id, thread, id);

CREATE INDEX checkpoints_by_run ON checkpoints (user_id, run_id)
WHERE run_id IS NOT NULL;

-- The value of a channel in a version, for all checkpoints that name it.
CREATE TABLE checkpoint_values (
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
) STRICT;

-- What a task wrote, pending on a checkpoint, which may come later.
CREATE TABLE checkpoint_writes (
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
) STRICT;
