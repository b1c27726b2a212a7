-- Chats, their messages, and the turns that are being answered. A turn is one request with its answer; its messages
-- become rows together, when it ends. All times are RFC 3339, UTC, with milliseconds.

CREATE TABLE chats (
  chat_id       INTEGER PRIMARY KEY AUTOINCREMENT,
  session_id    TEXT NOT NULL,               -- the name that clients use; free again once the chat is deleted
  window_id     TEXT NOT NULL UNIQUE,        -- random: names the hot window of exactly this chat in Redis
  title         TEXT,
  created_by    TEXT,                        -- the calling service, when its sidecar proved it
  instructions  TEXT CHECK (instructions IS NULL OR json_valid(instructions)),  -- the last system prompt, as messages
  created_at    TEXT NOT NULL,
  updated_at    TEXT NOT NULL,
  message_count INTEGER NOT NULL DEFAULT 0,  -- also the position of the newest message
  last_turn     TEXT,                        -- the turn that the newest message belongs to
  deleted_at    TEXT                         -- set at once; the rows are then removed in portions
) STRICT;

CREATE UNIQUE INDEX chats_by_session ON chats (session_id) WHERE deleted_at IS NULL;
CREATE INDEX chats_by_update ON chats (updated_at, chat_id) WHERE deleted_at IS NULL;
CREATE INDEX chats_deleted ON chats (chat_id) WHERE deleted_at IS NOT NULL;

CREATE TABLE messages (
  message_id INTEGER PRIMARY KEY AUTOINCREMENT,
  chat_id    INTEGER NOT NULL REFERENCES chats (chat_id) ON DELETE CASCADE,
  position   INTEGER NOT NULL,               -- 1, 2, 3 … within its chat
  turn_id    TEXT NOT NULL,
  role       TEXT NOT NULL CHECK (role IN ('user', 'assistant', 'tool', 'function')),
  content    TEXT NOT NULL,                  -- its text, which is what search finds
  payload    TEXT CHECK (payload IS NULL OR json_valid(payload)),  -- the whole message, when it is more than a text
  state      TEXT NOT NULL CHECK (state IN ('complete', 'interrupted')),
  model      TEXT,                           -- of an answer
  created_at TEXT NOT NULL,
  UNIQUE (chat_id, position)
) STRICT;

-- A streaming answer so far: what is found here at a start was cut off by a crash.
CREATE TABLE open_turns (
  turn_id         TEXT PRIMARY KEY,
  turn            TEXT NOT NULL CHECK (json_valid(turn))  -- its session and what was asked
) STRICT, WITHOUT ROWID;

CREATE TABLE open_turn_texts (
  turn_id TEXT NOT NULL REFERENCES open_turns (turn_id) ON DELETE CASCADE,
  number  INTEGER NOT NULL,
  text    TEXT NOT NULL,
  PRIMARY KEY (turn_id, number)
) STRICT, WITHOUT ROWID;

-- What came of requests with an Idempotency-Key, so that the same request is not answered twice.
CREATE TABLE idempotent_turns (
  chat_id         INTEGER NOT NULL REFERENCES chats (chat_id) ON DELETE CASCADE,
  idempotency_key TEXT NOT NULL,
  request_hash    TEXT NOT NULL,             -- SHA-256 of the new messages
  turn_id         TEXT NOT NULL,
  first_position  INTEGER NOT NULL,
  answer_position INTEGER NOT NULL,
  created_at      TEXT NOT NULL,
  PRIMARY KEY (chat_id, idempotency_key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotent_turns_by_age ON idempotent_turns (created_at);
