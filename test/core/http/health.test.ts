import { DatabaseSync } from 'node:sqlite';
import t from 'tap';
import { schemaVersion } from '../../../core/database/migrations.ts';
import { startTestCore } from '../../support/core-service.ts';

t.test(
  'a migration that does not run: what the older schema can serve is served, and health says why',
  async (t) => {
    const core = await startTestCore(t, {
      prepare(sqlite) {
        // Somebody else's table, in the way of 0002_chats.sqlite.sql.
        const database = new DatabaseSync(sqlite);
        database.exec('CREATE TABLE chats (id INTEGER)');
        database.close();
      },
    });
    const health = await core.fetch('/health');
    t.equal(health.status, 200);
    t.match(await health.json(), {
      status: 'degraded',
      parts: {
        database: {
          status: 'degraded',
          schema_version: 1,
          schema_target: schemaVersion,
          problem: {
            code: 'migration-broken',
            message: /0002_chats\.sqlite\.sql does not run here .*restart/,
          },
        },
      },
    });
    t.match(
      core.logLines.find(({ msg }) => msg === 'going on with an older schema of the database'),
      { level: 50, err: { code: 'migration-broken' } },
      'so does the log',
    );

    const stateless = await core.fetch('/v1/chat/completions', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ messages: [{ role: 'user', content: 'hi' }] }),
    });
    t.equal(stateless.status, 200, 'a stateless call needs none');
    for (const refused of [
      await core.say('s', 'hi'),
      await core.fetch('/api/chats'),
      await core.fetch('/api/files'),
    ]) {
      t.equal(refused.status, 503);
      t.match(await refused.json(), { error: { code: 'storage_outdated', message: /\/health says/ } });
    }
  },
);

t.test('without Redis the service is degraded, and every path of health says so', async (t) => {
  const core = await startTestCore(t);
  for (const path of ['/health', '/api/health']) {
    t.match(await (await core.fetch(path)).json(), {
      status: 'degraded',
      parts: { database: { status: 'ok' }, redis: { status: 'degraded' } },
    });
  }
});
