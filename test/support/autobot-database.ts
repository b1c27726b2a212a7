import { DatabaseSync } from 'node:sqlite';

/** The schema of AutoBot's conversation_files.db (user_version 0), with its constraints, triggers and views. */
const schema = `
CREATE TABLE conversation_files (
  file_id TEXT PRIMARY KEY, session_id TEXT NOT NULL, original_filename TEXT NOT NULL,
  stored_filename TEXT NOT NULL UNIQUE, file_path TEXT NOT NULL, file_size INTEGER NOT NULL, file_hash TEXT NOT NULL,
  mime_type TEXT, uploaded_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, uploaded_by TEXT,
  is_deleted INTEGER DEFAULT 0, deleted_at TIMESTAMP NULL,
  CHECK (file_size >= 0), CHECK (is_deleted IN (0, 1)));
CREATE TABLE file_metadata (
  metadata_id INTEGER PRIMARY KEY AUTOINCREMENT, file_id TEXT NOT NULL, metadata_key TEXT NOT NULL,
  metadata_value TEXT, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
  FOREIGN KEY (file_id) REFERENCES conversation_files(file_id) ON DELETE CASCADE, UNIQUE (file_id, metadata_key));
CREATE TABLE session_file_associations (
  association_id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL, file_id TEXT NOT NULL,
  association_type TEXT DEFAULT 'upload', message_id TEXT, associated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
  FOREIGN KEY (file_id) REFERENCES conversation_files(file_id) ON DELETE CASCADE,
  UNIQUE (session_id, file_id, message_id));
CREATE TABLE file_access_log (
  log_id INTEGER PRIMARY KEY AUTOINCREMENT, file_id TEXT NOT NULL, access_type TEXT NOT NULL, accessed_by TEXT,
  accessed_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, access_metadata TEXT,
  FOREIGN KEY (file_id) REFERENCES conversation_files(file_id) ON DELETE CASCADE,
  CHECK (access_type IN ('upload', 'download', 'view', 'delete', 'restore')));
CREATE TABLE file_cleanup_queue (
  cleanup_id INTEGER PRIMARY KEY AUTOINCREMENT, file_id TEXT NOT NULL, session_id TEXT NOT NULL,
  scheduled_deletion_time TIMESTAMP NOT NULL, cleanup_reason TEXT DEFAULT 'session_ended',
  is_processed INTEGER DEFAULT 0, processed_at TIMESTAMP NULL,
  FOREIGN KEY (file_id) REFERENCES conversation_files(file_id) ON DELETE CASCADE,
  CHECK (is_processed IN (0, 1)),
  CHECK (cleanup_reason IN ('session_ended', 'user_request', 'expired', 'space_limit')));
CREATE INDEX idx_conversation_files_session ON conversation_files(session_id, is_deleted);
CREATE TRIGGER set_deleted_at AFTER UPDATE OF is_deleted ON conversation_files
  WHEN NEW.is_deleted = 1 AND OLD.is_deleted = 0
BEGIN UPDATE conversation_files SET deleted_at = CURRENT_TIMESTAMP WHERE file_id = NEW.file_id; END;
CREATE TRIGGER log_upload AFTER INSERT ON conversation_files
BEGIN INSERT INTO file_access_log (file_id, access_type, accessed_by, access_metadata)
  VALUES (NEW.file_id, 'upload', NEW.uploaded_by, json_object('file_size', NEW.file_size)); END;
CREATE TRIGGER schedule_cleanup AFTER INSERT ON session_file_associations
BEGIN INSERT INTO file_cleanup_queue (file_id, session_id, scheduled_deletion_time)
  VALUES (NEW.file_id, NEW.session_id, datetime('now', '+30 days')); END;
CREATE VIEW active_files AS SELECT f.*, count(DISTINCT a.session_id) AS session_count
  FROM conversation_files f LEFT JOIN session_file_associations a ON a.file_id = f.file_id
  WHERE f.is_deleted = 0 GROUP BY f.file_id;
CREATE VIEW session_summary AS SELECT a.session_id, count(*) AS files, sum(f.file_size) AS bytes
  FROM session_file_associations a JOIN conversation_files f ON f.file_id = a.file_id GROUP BY a.session_id;
CREATE VIEW pending_cleanups AS SELECT q.*, f.original_filename
  FROM file_cleanup_queue q JOIN conversation_files f ON f.file_id = q.file_id WHERE q.is_processed = 0;
`;

export const autobotTables = [
  'conversation_files',
  'file_metadata',
  'session_file_associations',
  'file_access_log',
  'file_cleanup_queue',
] as const;

export interface AutobotFile {
  readonly id: string;
  readonly session: string;
  readonly name: string;
  readonly path: string;
  readonly size: number;
  readonly hash: string;
  readonly deleted?: boolean;
}

/** Makes a database as AutoBot leaves it behind, with rows in every table. */
export function makeAutobotDatabase(file: string, files: readonly AutobotFile[] = someFiles()): void {
  const database = new DatabaseSync(file);
  database.exec(schema);
  for (const { id, session, name, path, size, hash, deleted } of files) {
    database
      .prepare(
        `INSERT INTO conversation_files (file_id, session_id, original_filename, stored_filename, file_path, file_size,
           file_hash, mime_type, uploaded_by) VALUES (?, ?, ?, ?, ?, ?, ?, 'text/plain', 'someone')`,
      )
      .run(id, session, name, `${id}_${name}`, path, size, hash);
    database
      .prepare('INSERT INTO session_file_associations (session_id, file_id) VALUES (?, ?)')
      .run(session, id);
    database
      .prepare(
        `INSERT INTO file_metadata (file_id, metadata_key, metadata_value) VALUES (?, 'author', 'someone')`,
      )
      .run(id);
    if (deleted) database.prepare('UPDATE conversation_files SET is_deleted = 1 WHERE file_id = ?').run(id);
  }
  // It let references dangle where its code forgot to switch them on.
  database.exec(`PRAGMA foreign_keys = OFF;
    INSERT INTO file_access_log (file_id, access_type) VALUES ('long gone', 'view')`);
  database.close();
}

function someFiles(): AutobotFile[] {
  return Array.from({ length: 50 }, (_, index) => ({
    id: `file-${index}`,
    session: `session-${index % 7}`,
    name: `notes ${index}.txt`,
    path: `/somewhere/else/notes ${index}.txt`,
    size: index,
    hash: String(index % 20).padStart(64, '0'),
    deleted: index % 10 === 0,
  }));
}

/** Every row of AutoBot's tables. */
export function autobotRows(file: string): Record<string, unknown[]> {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    return Object.fromEntries(
      autobotTables.map((table) => [
        table,
        database.prepare(`SELECT * FROM ${table} ORDER BY rowid`).all().map(withoutOwner),
      ]),
    );
  } finally {
    database.close();
  }
}

/** Every column that AutoBot knows. */
function withoutOwner({ owner_service: _, owner_user: __, ...row }: Record<string, unknown>): object {
  return row;
}
