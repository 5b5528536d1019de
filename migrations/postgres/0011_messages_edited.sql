-- The metadata of a message can be edited: how often it was, counted from 1, and when its last edit was made, 0 for never.
ALTER TABLE messages ADD COLUMN version bigint NOT NULL DEFAULT 1;

ALTER TABLE messages ADD COLUMN metadata_edited_at bigint NOT NULL DEFAULT 0;
