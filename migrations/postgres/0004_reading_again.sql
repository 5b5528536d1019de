-- What of a message is searched has become more: what is in blocks of every kind. Up to where a user's messages are
-- indexed like that: all up to `indexed_rev`, and of the next rev those up to `indexed_n`. Whoever writes lets it follow
-- `rev`, unless it is behind; an earlier version does not know it, and leaves it behind. Sweeping brings it up.
ALTER TABLE owners ADD COLUMN indexed_rev bigint NOT NULL DEFAULT 0;

ALTER TABLE owners ADD COLUMN indexed_n bigint NOT NULL DEFAULT 0;

CREATE INDEX owners_behind ON owners (user_id)
WHERE indexed_rev < rev;
