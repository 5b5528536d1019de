-- The words of messages and titles. A row is keyed by the `n` of the message it indexes, or by minus the `n` of the
-- conversation whose title it is. Each word stands behind letters that are its owner's own, so that a query reads no
-- postings but theirs. Words come in parted by spaces, and the tokenizer is the one that leaves them as they are.
CREATE VIRTUAL TABLE words USING fts5(text, tokenize = 'ascii');
