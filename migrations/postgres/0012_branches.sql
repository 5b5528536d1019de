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

-- Both leave out what is of no use to them, so that whoever looks into one conversation takes the key.
CREATE INDEX cuts_by_rev ON cuts (user_id, rev)
WHERE deleted_at > 0;

CREATE INDEX cuts_by_deletion ON cuts (user_id, deleted_at)
WHERE deleted_at > 0;

-- Where the active path ends: NULL for the last message, and 0 where everything on it was deleted.
ALTER TABLE conversations ADD COLUMN leaf_seq bigint;

-- What a conversation was forked from, as JSON.
ALTER TABLE conversations ADD COLUMN forked_from text;
