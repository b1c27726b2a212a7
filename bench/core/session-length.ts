import { randomUUID } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import { openDatabase } from '../../core/database/open-database.ts';
import { chat, percentile, startFleet } from './fleet.ts';
import type { Row } from './report.ts';

const lengths = [10, 1000, 100_000];
const turns = 60;

/** The cost of one more turn in sessions of very different lengths: it has to be the same. */
export async function sessionLength(): Promise<Row[]> {
  const fleet = await startFleet(fill);
  try {
    const times = lengths.map((): number[] => []);
    for (let turn = 0; turn < turns; turn++) {
      for (const [index, length] of lengths.entries()) {
        const started = performance.now();
        await chat(fleet.coreUrl, 'one more', `length-${length}`);
        if (turn >= 10) times[index]?.push(performance.now() - started);
      }
    }
    return lengths.map((length, index) => ({
      what: `One more turn in a session of ${length.toLocaleString('en')} messages`,
      value: `p50 ${percentile(times[index] ?? [], 0.5).toFixed(2)} ms, p99 ${percentile(times[index] ?? [], 0.99).toFixed(2)} ms`,
      note: '',
    }));
  } finally {
    await fleet.stop();
  }
}

async function fill(file: string): Promise<void> {
  await (await openDatabase({ sqlite: { file, busyTimeoutMs: 5000, slowReadMs: 5000 } })).close();
  const database = new DatabaseSync(file);
  database.exec('BEGIN');
  const at = new Date().toISOString();
  for (const length of lengths) {
    const turn = randomUUID();
    const { lastInsertRowid } = database
      .prepare(
        'INSERT INTO chats (session_id, window_id, created_at, updated_at, message_count) VALUES (?, ?, ?, ?, ?)',
      )
      .run(`length-${length}`, randomUUID(), at, at, length);
    const insert = database.prepare(
      "INSERT INTO messages (chat_id, position, turn_id, role, content, state, created_at) VALUES (?, ?, ?, ?, ?, 'complete', ?)",
    );
    for (let position = 1; position <= length; position++) {
      insert.run(
        lastInsertRowid,
        position,
        turn,
        position % 2 ? 'user' : 'assistant',
        `message ${position} of some forty characters or so`,
        at,
      );
    }
  }
  database.exec('COMMIT');
  database.close();
}
