-- Tasks of queues. `is_open` is 1 for those that are neither settled nor receipts nor on their way out; a row that has
-- `deleted_at` is, and its id is free. `request` is the name that its client gave the last change, and `stamp` is of
-- the last batch that wrote it. What is too large for one value stands in pieces, of the group that `big` names, or
-- `settlement_big`.
CREATE TABLE tasks (
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
);

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
  n bigint NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id text COLLATE "C" NOT NULL,
  queue text COLLATE "C" NOT NULL,
  lane text COLLATE "C" NOT NULL,
  closed_at bigint NOT NULL,
  deleted_at bigint
);

CREATE UNIQUE INDEX lanes_by_name ON lanes (user_id, queue, lane)
WHERE deleted_at IS NULL;

CREATE INDEX lanes_by_deletion ON lanes (user_id, deleted_at)
WHERE deleted_at IS NOT NULL;

ALTER TABLE tasks ALTER COLUMN user_id SET STATISTICS 0;

ALTER TABLE lanes ALTER COLUMN user_id SET STATISTICS 0;
