-- What the context window knows: the size of each message, and what became of the history in each turn.

ALTER TABLE messages ADD COLUMN tokens bigint;
ALTER TABLE messages ADD COLUMN tokenizer text;
ALTER TABLE messages ADD COLUMN context text;

CREATE TABLE chat_summaries (
  chat_id    bigint PRIMARY KEY REFERENCES chats (chat_id) ON DELETE CASCADE,
  up_to      bigint NOT NULL,
  summary    text NOT NULL,
  model      text NOT NULL,
  created_at text NOT NULL
);
