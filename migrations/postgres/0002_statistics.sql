-- Every statement is about one user, and is written so that keys lead to the rows. Statistics of single users mislead:
-- they say that one who has come since they were made has nothing. Then any index that begins with the user seems as
-- good as the right one, and all that the user has is read for each row that is looked up. Without them, everybody
-- seems to have as much as everybody else.

-- To set a type, be it the same, forgets what is known by now.
ALTER TABLE conversations
  ALTER COLUMN user_id TYPE text COLLATE "C", ALTER COLUMN user_id SET STATISTICS 0;
ALTER TABLE messages
  ALTER COLUMN user_id TYPE text COLLATE "C", ALTER COLUMN user_id SET STATISTICS 0;
ALTER TABLE words
  ALTER COLUMN user_id TYPE text COLLATE "C", ALTER COLUMN user_id SET STATISTICS 0;
