-- Owners of chats and files; turns that one core service among several runs; contents apart from the files that name them.
-- What was there before has no owner: both columns are empty.

ALTER TABLE conversation_files ADD COLUMN owner_service TEXT NOT NULL DEFAULT '';
ALTER TABLE conversation_files ADD COLUMN owner_user TEXT NOT NULL DEFAULT '';
CREATE INDEX conversation_files_by_owner
  ON conversation_files (owner_service, owner_user, coalesce(uploaded_at, ''), file_id);

-- Each content once. A place is never used twice: what removes a content can't remove its successor.
CREATE TABLE contents (
  sha256 TEXT PRIMARY KEY,
  place  TEXT NOT NULL UNIQUE,               -- in the store of contents
  size   INTEGER NOT NULL CHECK (size >= 0)
) STRICT, WITHOUT ROWID;

INSERT OR IGNORE INTO contents (sha256, place, size)
  SELECT file_hash, file_path, file_size FROM conversation_files
  WHERE file_path = 'sha256/' || substr(file_hash, 1, 2) || '/' || file_hash AND length(file_hash) = 64;

ALTER TABLE chats ADD COLUMN owner_service TEXT NOT NULL DEFAULT '';
ALTER TABLE chats ADD COLUMN owner_user TEXT NOT NULL DEFAULT '';
ALTER TABLE chats ADD COLUMN last_epoch INTEGER NOT NULL DEFAULT 0;  -- of the turn that changed its messages last
ALTER TABLE chats DROP COLUMN last_turn;
DROP INDEX chats_by_session;
DROP INDEX chats_by_update;
CREATE UNIQUE INDEX chats_by_session ON chats (owner_service, owner_user, session_id) WHERE deleted_at IS NULL;
CREATE INDEX chats_by_update ON chats (owner_service, owner_user, updated_at, chat_id) WHERE deleted_at IS NULL;

ALTER TABLE idempotent_turns DROP COLUMN first_position;

-- The core services that run. Each counts its beats; one whose count stands still is buried by another.
CREATE TABLE cores (
  core_id    TEXT PRIMARY KEY,               -- random, made at its start
  process    TEXT NOT NULL,                  -- names its process as long as that lives
  beat       INTEGER NOT NULL,
  started_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Turns that run or wait for their session's turns before them. The epoch gives the order, and fences: a write of a
-- turn counts only while its row is here.
CREATE TABLE turns (
  epoch         INTEGER PRIMARY KEY AUTOINCREMENT,
  owner_service TEXT NOT NULL,
  owner_user    TEXT NOT NULL,
  session_id    TEXT NOT NULL,
  core_id       TEXT NOT NULL,
  running       INTEGER NOT NULL CHECK (running IN (0, 1)),
  turn          TEXT CHECK (turn IS NULL OR json_valid(turn))  -- what was asked, once its answer has begun
) STRICT;

CREATE UNIQUE INDEX turns_running ON turns (owner_service, owner_user, session_id) WHERE running = 1;
CREATE INDEX turns_by_session ON turns (owner_service, owner_user, session_id, epoch);
CREATE INDEX turns_by_core ON turns (core_id);

-- An answer so far, noted while it streams.
CREATE TABLE turn_texts (
  epoch  INTEGER NOT NULL REFERENCES turns (epoch) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  text   TEXT NOT NULL,
  PRIMARY KEY (epoch, number)
) STRICT, WITHOUT ROWID;

-- Answers that a crash cut off: no core is called '', so they are recovered.
INSERT INTO turns (owner_service, owner_user, session_id, core_id, running, turn)
  SELECT '', '', turn ->> 'sessionId', '', 0, json_set(turn, '$.owner', json_object('service', '', 'user', ''), '$.replaces', NULL)
  FROM open_turns ORDER BY turn ->> 'startedAt';
INSERT INTO turn_texts (epoch, number, text)
  SELECT turns.epoch, number, text FROM open_turn_texts JOIN turns ON turns.turn ->> 'turnId' = open_turn_texts.turn_id;
DROP TABLE open_turn_texts;
DROP TABLE open_turns;

-- Search over words that the program has found (in scripts without spaces, too), not over the text as it is.
DROP TRIGGER messages_search_insert;
DROP TRIGGER messages_search_remove;
DROP TABLE messages_search;
CREATE VIRTUAL TABLE messages_search USING fts5 (
  words, content = '', contentless_delete = 1, tokenize = "unicode61 remove_diacritics 0 categories 'L* N* M* Co'"
);
CREATE TRIGGER messages_search_remove AFTER DELETE ON messages
BEGIN
  DELETE FROM messages_search WHERE rowid = OLD.message_id;
END;
INSERT INTO messages_search (rowid, words) SELECT message_id, search_words(content) FROM messages;
