-- Search over the words that the program has found in messages.

CREATE TABLE messages_search (
  rowid bigint PRIMARY KEY REFERENCES messages (message_id) ON DELETE CASCADE,
  words tsvector NOT NULL
);

CREATE INDEX messages_search_by_word ON messages_search USING gin (words);
