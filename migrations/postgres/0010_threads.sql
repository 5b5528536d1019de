-- Threads: the checkpoints of graphs, their values and pending writes. A row that has `deleted_at` is on its way out,
-- and its name is free. What is removed from a thread that stays belongs to such a row, too. `stamp` is of the last
-- batch that wrote it, `request` the name of the last claim.
CREATE TABLE threads (
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
);

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
);

CREATE INDEX checkpoints_by_id ON checkpoints (user_id, id);

CREATE INDEX checkpoints_of_thread_by_id ON checkpoints (user_id, thread, id);

CREATE INDEX checkpoints_by_run ON checkpoints (user_id, run_id)
WHERE run_id IS NOT NULL;

-- The value of a channel in a version, for all checkpoints that name it.
CREATE TABLE checkpoint_values (
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
);

-- What a task wrote, pending on a checkpoint, which may come later.
CREATE TABLE checkpoint_writes (
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
);

ALTER TABLE threads ALTER COLUMN user_id SET STATISTICS 0;

ALTER TABLE checkpoints ALTER COLUMN user_id SET STATISTICS 0;

ALTER TABLE checkpoint_values ALTER COLUMN user_id SET STATISTICS 0;

ALTER TABLE checkpoint_writes ALTER COLUMN user_id SET STATISTICS 0;

-- Likewise, all of a thread may be read for each row that is looked up where most threads have few.
ALTER TABLE checkpoints ALTER COLUMN thread SET STATISTICS 0;

ALTER TABLE checkpoint_values ALTER COLUMN thread SET STATISTICS 0;

ALTER TABLE checkpoint_writes ALTER COLUMN thread SET STATISTICS 0;
