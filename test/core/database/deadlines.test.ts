import { join } from 'node:path';
import { Client } from 'pg';
import t, { type Test } from 'tap';
import { toSearchTerms } from '../../../core/chat/search-terms.ts';
import type { Database } from '../../../core/database/database.ts';
import { type DatabaseOptions, openDatabase } from '../../../core/database/open-database.ts';
import { PostgresServer } from '../../support/postgres-server.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const owner = { service: 'frontend', user: '' };
const now = '2026-11-23T12:00:00.000Z';
const search = { owner, terms: toSearchTerms('word'), session: null, before: null, limit: 1 };
const listing = { owner, words: [], after: undefined, limit: 1 };

/** A core service that has a session with a message; `enter` begins another turn of it. */
async function sessionOf(t: Test, database: Database) {
  t.teardown(() => database.close());
  await database.call('cores.register', { coreId: 'c', process: 'p', now });
  const enter = () =>
    database.call('turns.enter', { owner, sessionId: 's', coreId: 'c', idempotencyKey: null });
  const message = (role: string) => ({
    role,
    content: 'word',
    payload: null,
    tokens: null,
    tokenizer: null,
    context: null,
  });
  const turn = {
    turnId: 't',
    owner,
    sessionId: 's',
    windowId: 'w',
    model: 'm',
    instructions: null,
    input: [message('user')],
    title: 'word',
    startedAt: now,
    idempotency: null,
    replaces: null,
  };
  const { epoch } = (await enter()) as { epoch: number };
  await database.call('turns.end', { epoch, turn, answer: message('assistant'), state: 'complete', now });
  const content = { place: 'x', size: 1, sha256: 'a'.repeat(64) };
  const file = { id: 'f', sessionId: 's', name: 'x', mimeType: 'text/plain', content, metadata: {} };
  await database.call('files.add', { owner, files: [file], by: null, at: now });
  return enter;
}

t.test('sqlite: slow reads end at their deadline, reads of turns do not', async (t) => {
  const file = join(await tempFolder(t), 'core.db');
  const database = await openDatabase({ sqlite: { file, busyTimeoutMs: 5_000, slowReadMs: 0 } });
  const enter = await sessionOf(t, database);
  await t.rejects(database.call('chats.search', search), { code: 'deadline-passed' });
  await t.rejects(database.call('files.list', listing), { code: 'deadline-passed' });
  t.match(await enter(), { admitted: { chat: { lastPosition: 2 } } });
});

t.test('postgres: slow reads end at their deadline, and turns go on beside them', async (t) => {
  const server = await PostgresServer.start(t);
  const options = server.options() as Extract<DatabaseOptions, { postgres: unknown }>;
  const database = await openDatabase({ postgres: { ...options.postgres, slowReadMs: 1_000 } });
  const enter = await sessionOf(t, database);
  const blocker = new Client({ connectionString: server.url() });
  await blocker.connect();
  t.teardown(() => blocker.end());
  await blocker.query('BEGIN; LOCK TABLE messages_search IN ACCESS EXCLUSIVE MODE');
  const refused = t.rejects(database.call('chats.search', search), { code: 'deadline-passed' });
  t.match(await enter(), { admitted: { chat: { lastPosition: 2 } } });
  await refused;
});
