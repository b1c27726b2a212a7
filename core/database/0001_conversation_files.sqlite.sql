-- Conversation files. The tables have the names and columns of AutoBot's conversation_files.db, so that a file
-- made by it (user_version 0) is taken over in place: what exists stays as it is, what is missing is made.

CREATE TABLE IF NOT EXISTS conversation_files (
  file_id           TEXT PRIMARY KEY,
  session_id        TEXT NOT NULL,           -- '' when the file belongs to no chat
  original_filename TEXT NOT NULL,           -- what the user calls it; never part of a path
  stored_filename   TEXT NOT NULL UNIQUE,
  file_path         TEXT NOT NULL,           -- where the content is, relative to the store
  file_size         INTEGER NOT NULL CHECK (file_size >= 0),
  file_hash         TEXT NOT NULL,           -- SHA-256, lower-case hex
  mime_type         TEXT,
  uploaded_at       TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
  uploaded_by       TEXT,
  is_deleted        INTEGER DEFAULT 0 CHECK (is_deleted IN (0, 1)),
  deleted_at        TIMESTAMP
);

CREATE TABLE IF NOT EXISTS file_metadata (
  metadata_id    INTEGER PRIMARY KEY AUTOINCREMENT,
  file_id        TEXT NOT NULL REFERENCES conversation_files (file_id) ON DELETE CASCADE,
  metadata_key   TEXT NOT NULL,
  metadata_value TEXT,
  created_at     TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
  UNIQUE (file_id, metadata_key)
);

CREATE TABLE IF NOT EXISTS session_file_associations (
  association_id   INTEGER PRIMARY KEY AUTOINCREMENT,
  session_id       TEXT NOT NULL,
  file_id          TEXT NOT NULL REFERENCES conversation_files (file_id) ON DELETE CASCADE,
  association_type TEXT DEFAULT 'upload',    -- upload, reference, generated
  message_id       TEXT,
  associated_at    TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
  UNIQUE (session_id, file_id, message_id)
);

CREATE TABLE IF NOT EXISTS file_access_log (
  log_id          INTEGER PRIMARY KEY AUTOINCREMENT,
  file_id         TEXT NOT NULL REFERENCES conversation_files (file_id) ON DELETE CASCADE,
  access_type     TEXT NOT NULL CHECK (access_type IN ('upload', 'download', 'view', 'delete', 'restore')),
  accessed_by     TEXT,
  accessed_at     TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
  access_metadata TEXT                       -- JSON
);

CREATE TABLE IF NOT EXISTS file_cleanup_queue (
  cleanup_id              INTEGER PRIMARY KEY AUTOINCREMENT,
  file_id                 TEXT NOT NULL REFERENCES conversation_files (file_id) ON DELETE CASCADE,
  session_id              TEXT NOT NULL,
  scheduled_deletion_time TIMESTAMP NOT NULL,
  cleanup_reason          TEXT DEFAULT 'session_ended'
    CHECK (cleanup_reason IN ('session_ended', 'user_request', 'expired', 'space_limit')),
  is_processed            INTEGER DEFAULT 0 CHECK (is_processed IN (0, 1)),
  processed_at            TIMESTAMP
);

CREATE INDEX IF NOT EXISTS conversation_files_by_age ON conversation_files (coalesce(uploaded_at, ''), file_id);
CREATE INDEX IF NOT EXISTS conversation_files_by_session ON conversation_files (session_id);
CREATE INDEX IF NOT EXISTS conversation_files_by_hash ON conversation_files (file_hash);
CREATE INDEX IF NOT EXISTS session_file_associations_by_file ON session_file_associations (file_id);
CREATE INDEX IF NOT EXISTS file_access_log_by_file ON file_access_log (file_id, log_id);
CREATE INDEX IF NOT EXISTS file_cleanup_queue_by_file ON file_cleanup_queue (file_id, is_processed);
CREATE INDEX IF NOT EXISTS file_cleanup_queue_by_time
  ON file_cleanup_queue (scheduled_deletion_time) WHERE is_processed = 0;
