/** Chats of many messages, written into a database before a core service opens it. */
import { randomUUID } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import { parsePostgresUrl } from '../../core/config/postgres-url.ts';
import { openDatabase } from '../../core/database/open-database.ts';
import { queryPostgres } from './postgres.ts';

const timeouts = { slowReadMs: 5000 };
const textOf = (position: number) => `message ${position} of some forty characters or so`;

export async function fillSqlite(file: string, lengths: readonly number[]): Promise<void> {
  await (await openDatabase({ sqlite: { file, busyTimeoutMs: 5000, ...timeouts } })).close();
  const database = new DatabaseSync(file);
  database.exec('BEGIN');
  const at = new Date().toISOString();
  const chats = database.prepare(
    'INSERT INTO chats (session_id, window_id, created_at, updated_at, message_count) VALUES (?, ?, ?, ?, ?)',
  );
  const messages = database.prepare(
    "INSERT INTO messages (chat_id, position, turn_id, role, content, state, created_at) VALUES (?, ?, ?, ?, ?, 'complete', ?)",
  );
  const words = database.prepare('INSERT INTO messages_search (rowid, words) VALUES (?, ?)');
  for (const length of lengths) {
    const { lastInsertRowid } = chats.run(`length-${length}`, randomUUID(), at, at, length);
    const turn = randomUUID();
    for (let position = 1; position <= length; position++) {
      const role = position % 2 ? 'user' : 'assistant';
      const text = textOf(position);
      const row = messages.run(lastInsertRowid, position, turn, role, text, at);
      words.run(row.lastInsertRowid, text);
    }
  }
  database.exec('COMMIT');
  database.close();
}

export async function fillPostgres(url: string, lengths: readonly number[]): Promise<void> {
  const { hosts, database, user } = parsePostgresUrl(url);
  const options = { servers: { hosts, database, user }, pool: 2, timeoutMs: 10_000, ...timeouts };
  await (await openDatabase({ postgres: { ...options, onError: () => {} } })).close();
  const at = new Date().toISOString();
  for (const length of lengths) {
    const [chat] = await queryPostgres<{ chat_id: string }>(
      url,
      'INSERT INTO chats (session_id, window_id, created_at, updated_at, message_count) VALUES ($1, $2, $3, $3, $4) RETURNING chat_id',
      [`length-${length}`, randomUUID(), at, length],
    );
    await queryPostgres(
      url,
      `INSERT INTO messages (chat_id, position, turn_id, role, content, state, created_at)
       SELECT $1::bigint, n, $2, CASE n % 2 WHEN 1 THEN 'user' ELSE 'assistant' END,
         'message ' || n || ' of some forty characters or so', 'complete', $3 FROM generate_series(1, $4::bigint) n`,
      [chat?.chat_id, randomUUID(), at, length],
    );
  }
  await queryPostgres(
    url,
    "INSERT INTO messages_search (rowid, words) SELECT message_id, to_tsvector('simple', content) FROM messages",
  );
  await queryPostgres(url, 'ANALYZE');
}
