-- What the context window knows: the size of each message, and what became of the history in each turn.

-- Tokens of the message in a prompt, by the tokenizer that is named beside it; null when it was not counted.
ALTER TABLE messages ADD COLUMN tokens INTEGER;
ALTER TABLE messages ADD COLUMN tokenizer TEXT;
-- Of an answer, JSON: how much of the session the model was sent.
ALTER TABLE messages ADD COLUMN context TEXT CHECK (context IS NULL OR json_valid(context));

-- What the model itself made of the messages that no longer fit, up to and including a position.
CREATE TABLE chat_summaries (
  chat_id    INTEGER PRIMARY KEY REFERENCES chats (chat_id) ON DELETE CASCADE,
  up_to      INTEGER NOT NULL,
  summary    TEXT NOT NULL,
  model      TEXT NOT NULL,
  created_at TEXT NOT NULL
) STRICT;
