-- Tasks of queues. `is_open` is 1 for those that are neither settled nor receipts nor on their way out; a row that has
-- `deleted_at` is, and its id is free. `request` is the name that its client gave the last change, and `stamp` is of
-- the last batch that wrote it. What is too large for one value stands in pieces, of the group that `big` names, or
-- `settlement_big`.
CREATE TABLE tasks (
  n INTEGER NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL,
  queue TEXT NOT NULL,
  id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  lane TEXT NOT NULL,
  kind TEXT,
  target TEXT,
  state TEXT NOT NULL,
  is_open INTEGER NOT NULL,
  digest TEXT NOT NULL,
  accepted_at INTEGER NOT NULL,
  ready_at INTEGER,
  attempt TEXT,
  attempts INTEGER NOT NULL,
  attempts_max INTEGER NOT NULL,
  timeout_at INTEGER NOT NULL,
  holder TEXT,
  lease_until INTEGER NOT NULL,
  started_at INTEGER,
  applied_at INTEGER,
  recovery_at INTEGER,
  abort_at INTEGER,
  settled_at INTEGER,
  deleted_at INTEGER,
  host TEXT,
  error TEXT,
  settlement_id TEXT,
  settlement_digest TEXT,
  settlement_bytes INTEGER NOT NULL,
  settlement_big TEXT,
  note_revision INTEGER NOT NULL,
  noted_at INTEGER,
  request TEXT NOT NULL,
  stamp TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  big TEXT,
  note TEXT,
  settlement TEXT,
  payload TEXT
) STRICT;

CREATE UNIQUE INDEX tasks_by_id ON tasks (user_id, queue, id)
WHERE deleted_at IS NULL;

CREATE UNIQUE INDEX tasks_by_seq ON tasks (user_id, queue, seq)
WHERE deleted_at IS NULL;

CREATE INDEX tasks_by_lane ON tasks (user_id, queue, lane, seq)
WHERE deleted_at IS NULL;

CREATE INDEX open_tasks_by_lane ON tasks (user_id, queue, lane, seq)
WHERE is_open = 1;

CREATE INDEX open_tasks_by_state ON tasks (user_id, queue, state, seq)
WHERE is_open = 1;

CREATE INDEX tasks_by_host ON tasks (user_id, queue, host, seq)
WHERE host IS NOT NULL;

CREATE INDEX tasks_by_deletion ON tasks (user_id, deleted_at)
WHERE deleted_at IS NOT NULL;

-- Lanes that admit nothing. A row that has `deleted_at` is of one that was opened again.
CREATE TABLE lanes (
  n INTEGER NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL,
  queue TEXT NOT NULL,
  lane TEXT NOT NULL,
  closed_at INTEGER NOT NULL,
  deleted_at INTEGER
) STRICT;

CREATE UNIQUE INDEX lanes_by_name ON lanes (user_id, queue, lane)
WHERE deleted_at IS NULL;

CREATE INDEX lanes_by_deletion ON lanes (user_id, deleted_at)
WHERE deleted_at IS NOT NULL;
