-- Chats, their turns and their messages. A turn is one request to the model with its answer.

CREATE TABLE chats (
  session_id    TEXT PRIMARY KEY,
  title         TEXT,
  created_at    TEXT NOT NULL,               -- RFC 3339, UTC, milliseconds; so are all times here
  updated_at    TEXT NOT NULL,
  message_count INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE INDEX chats_by_update ON chats (updated_at, session_id);

CREATE TABLE turns (
  turn_id           TEXT PRIMARY KEY,
  session_id        TEXT NOT NULL REFERENCES chats (session_id) ON DELETE CASCADE,
  state             TEXT NOT NULL CHECK (state IN ('open', 'complete', 'interrupted', 'failed')),
  model             TEXT NOT NULL,
  started_at        TEXT NOT NULL,
  ended_at          TEXT,
  prompt_tokens     INTEGER,
  completion_tokens INTEGER,
  error             TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX turns_by_session ON turns (session_id, started_at);
CREATE INDEX turns_open ON turns (turn_id) WHERE state = 'open';

CREATE TABLE messages (
  message_id INTEGER PRIMARY KEY AUTOINCREMENT,
  session_id TEXT NOT NULL REFERENCES chats (session_id) ON DELETE CASCADE,
  position   INTEGER NOT NULL,               -- 0, 1, 2 … within its chat
  turn_id    TEXT REFERENCES turns (turn_id),
  role       TEXT NOT NULL CHECK (role IN ('system', 'developer', 'user', 'assistant', 'tool')),
  content    TEXT NOT NULL,                  -- its text, which is what search finds
  payload    TEXT CHECK (payload IS NULL OR json_valid(payload)),  -- the rest of the message (parts, tool calls), JSON
  state      TEXT NOT NULL CHECK (state IN ('streaming', 'complete', 'interrupted')),
  created_at TEXT NOT NULL,
  UNIQUE (session_id, position)
) STRICT;

CREATE INDEX messages_by_turn ON messages (turn_id);
