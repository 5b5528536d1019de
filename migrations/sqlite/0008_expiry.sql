-- From when the expiry of a conversation counts, where that is later than its last append: it was imported, or restored.
ALTER TABLE conversations ADD COLUMN expires_from INTEGER;
