-- Branches. A message follows the one before it; where it does not, a row of `forks` says which it follows by its
-- `seq`, or 0 where it begins a branch of its own. A linear conversation has no such row.
CREATE TABLE forks (
  user_id text COLLATE "C" NOT NULL,
  conversation_id text COLLATE "C" NOT NULL,
  seq bigint NOT NULL,
  follows bigint NOT NULL CHECK (follows >= 0 AND follows < seq),
  PRIMARY KEY (user_id, conversation_id, seq)
);

CREATE INDEX forks_by_parent ON forks (user_id, conversation_id, follows, seq);

-- Deleted branches, as ranges of `seq`, both ends included. None is on the active path.
CREATE TABLE cuts (
  user_id text COLLATE "C" NOT NULL,
  conversation_id text COLLATE "C" NOT NULL,
  from_seq bigint NOT NULL,
  to_seq bigint NOT NULL CHECK (to_seq >= from_seq),
  rev bigint NOT NULL,
  deleted_at bigint NOT NULL,
  PRIMARY KEY (user_id, conversation_id, from_seq)
);

-- These leave out what is of no use to them, so that whoever looks into one conversation takes the key.
CREATE INDEX cuts_by_rev ON cuts (user_id, rev)
WHERE deleted_at > 0;

CREATE INDEX cuts_by_deletion ON cuts (user_id, deleted_at)
WHERE deleted_at > 0;

-- A branch is purged like a conversation: `deleted_at` is negative while messages of it are still to be removed. It is 0
-- when all are gone: the range itself stays, since no `seq` is given twice.
CREATE INDEX cuts_to_sweep ON cuts (user_id)
WHERE deleted_at < 0;

-- What most users have little of, some have much of. Without statistics of whose it is, one plan does for all.
ALTER TABLE forks ALTER COLUMN user_id SET STATISTICS 0;

ALTER TABLE forks ALTER COLUMN conversation_id SET STATISTICS 0;

ALTER TABLE cuts ALTER COLUMN user_id SET STATISTICS 0;

ALTER TABLE cuts ALTER COLUMN conversation_id SET STATISTICS 0;

-- Whose branches are due, whoever has how many that are not.
CREATE INDEX cuts_to_purge ON cuts (deleted_at, user_id)
WHERE deleted_at <> 0;

-- Where the active path ends: NULL for the last message, and 0 where everything on it was deleted.
ALTER TABLE conversations ADD COLUMN leaf_seq bigint;

-- What a conversation was forked from, as JSON.
ALTER TABLE conversations ADD COLUMN forked_from text;

-- Up to where what a user's messages follow is in `forks`: all up to `linked_rev`, and of the next rev those up to
-- `linked_n`. Earlier versions only kept `parent_id`. Whoever writes lets it follow `rev`, unless it is behind; an earlier
-- version does not know it, and leaves it behind. Sweeping brings it up.
ALTER TABLE owners ADD COLUMN linked_rev bigint NOT NULL DEFAULT 0;

ALTER TABLE owners ADD COLUMN linked_n bigint NOT NULL DEFAULT 0;

CREATE INDEX owners_unlinked ON owners (user_id)
WHERE linked_rev < rev;
