-- The second index of words, like the first one. What stands in `words` still is found there, and sweeping brings it
-- over; then `words` is empty.
CREATE TABLE search_index_2 (
  n bigint NOT NULL PRIMARY KEY,
  user_id text COLLATE "C" NOT NULL,
  -- In order, each with a space before it and behind it.
  text text COLLATE "C" NOT NULL,
  -- Each behind letters of its user's own.
  lexemes tsvector NOT NULL
);

ALTER TABLE search_index_2 ALTER COLUMN user_id SET STATISTICS 0;

-- What is written goes into the index at once, and not to a list that every search would have to read.
CREATE INDEX search_index_2_by_lexeme ON search_index_2 USING gin (lexemes) WITH (fastupdate = off);
