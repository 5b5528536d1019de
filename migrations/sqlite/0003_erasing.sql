-- Erasing for good: of what is deleted no word may stay behind, in a row, in the index or in a page of the file.

-- The text of the index is ours: what FTS5 keeps for itself cannot be overwritten. `n` is what it was in `words`.
CREATE TABLE word_lists (
  n INTEGER NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL,
  text TEXT NOT NULL
) STRICT;

INSERT INTO word_lists (n, user_id, text)
SELECT m.n, m.user_id, w.text FROM words AS w JOIN messages AS m ON m.n = w.rowid WHERE w.text <> ''
UNION ALL
SELECT -c.n, c.user_id, w.text FROM words AS w JOIN conversations AS c ON c.n = -w.rowid WHERE w.text <> '';

DROP TABLE words;

CREATE VIRTUAL TABLE words USING fts5(
  text, content = 'word_lists', content_rowid = 'n', tokenize = 'ascii'
);

INSERT INTO words (words) VALUES ('rebuild');

-- A word that is taken out of the index leaves it at once, and not when its part of it is next merged.
INSERT INTO words (words, rank) VALUES ('secure-delete', 1);

-- `deleted_at` is 0 or negative where a conversation was erased or purged, and its rows are still to be removed.
-- `overwritten_seq` is up to where its messages are overwritten; none is removed before all are.
ALTER TABLE conversations ADD COLUMN overwritten_seq INTEGER NOT NULL DEFAULT 0;

CREATE INDEX conversations_by_deletion ON conversations (user_id, deleted_at)
WHERE deleted_at IS NOT NULL;

-- Ballast, of nobody. The first page of a table keeps what stood in it when the table outgrew it, and no later statement
-- reaches that. Each of these rows fills a page of its own, so that an empty table outgrows its first page now. In
-- `word_lists`, they are where no message and no title will be.
INSERT OR IGNORE INTO conversations (
  n, user_id, id, rev, digest, title, title_source, created_at, updated_at, message_count, is_archived, version,
  metadata
)
SELECT b.value, '', b.value, 0, '', '', 'default', 0, 0, 0, 0, 0, printf('%04031d', 0) FROM json_each('[1, 2]') AS b;

INSERT OR IGNORE INTO messages (
  n, user_id, id, conversation_id, seq, rev, digest, role, created_at, bytes, content
)
SELECT b.value, '', b.value, '', b.value, 0, '', 'system', 0, 0, printf('%04036d', 0) FROM json_each('[1, 2]') AS b;

INSERT INTO word_lists (n, user_id, text)
WITH RECURSIVE numbers (number) AS (SELECT 0 UNION ALL SELECT number + 1 FROM numbers WHERE number < 899)
SELECT
  b.value - 9007199254730000,
  '',
  printf('%-4056s', group_concat(printf('%08x', number * 2654435761 & 4294967295), ' '))
FROM json_each('[1, 2]') AS b
JOIN numbers ON number / 450 = b.key
GROUP BY b.value;

INSERT INTO words (rowid, text) SELECT l.n, l.text FROM word_lists AS l WHERE l.user_id = '';
