-- A row that changes its size is moved, and what it was stays behind in its page until something else takes the place.
-- So a row of a conversation has room: `padding` is shorter where something else is longer.
ALTER TABLE conversations ADD COLUMN padding TEXT NOT NULL DEFAULT '';
