-- What OpenAI calls `developer` is kept as `system`, which the table takes, and what was sent stands beside it.
ALTER TABLE messages ADD COLUMN sent_role text;
