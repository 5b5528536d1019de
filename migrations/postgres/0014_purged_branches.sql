-- Deleted branches are purged: `deleted_at` is negative while messages of one are still to be removed, and 0 when all are
-- gone. The range itself stays, since no `seq` is given twice.
CREATE INDEX cuts_to_purge ON cuts (deleted_at, user_id)
WHERE deleted_at <> 0;

-- Up to where what a user's messages follow is in `forks`: all up to `linked_rev`, and of the next rev those up to
-- `linked_n`. Earlier versions only kept `parent_id`. Whoever writes lets it follow `rev`, unless it is behind; an earlier
-- version does not know it, and leaves it behind. Sweeping brings it up.
ALTER TABLE owners ADD COLUMN linked_rev bigint NOT NULL DEFAULT 0;

ALTER TABLE owners ADD COLUMN linked_n bigint NOT NULL DEFAULT 0;

CREATE INDEX owners_unlinked ON owners (user_id)
WHERE linked_rev < rev;
