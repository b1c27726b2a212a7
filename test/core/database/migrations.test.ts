import t from 'tap';
import { DatabaseError } from '../../../core/database/errors.ts';
import {
  type Migration,
  planMigrations,
  schemaVersion,
  toMigrations,
} from '../../../core/database/migrations.ts';
import { shippedMigrations } from '../../../core/database/open-database.ts';

const script = (version: number, name = `${String(version).padStart(4, '0')}_x.sql`): Migration => ({
  version,
  name,
  sql: 'SELECT 1;',
});

t.test('the release ships one script for every version its queries are written for', async (t) => {
  for (const engine of ['sqlite', 'postgres'] as const) {
    const versions = (await shippedMigrations(engine)).map(({ version }) => version);
    t.strictSame(
      versions,
      Array.from({ length: schemaVersion }, (_, index) => index + 1),
    );
  }
});

t.test('only files named NNNN_name.ENGINE.sql are scripts', async (t) => {
  const files = [
    '0000_zero.sqlite.sql',
    '0002_b.sqlite.sql',
    '0002_b.postgres.sql',
    '12_short.sqlite.sql',
    '0003.sqlite.sql',
    '0004_x.sql',
    'notes.sql',
  ];
  const found = toMigrations(
    files.map((name) => ({ name, text: '' })),
    'sqlite',
  );
  t.strictSame(
    found.map(({ name }) => name),
    ['0002_b.sqlite.sql'],
  );
});

t.test('plans the versions that are missing, in order', async (t) => {
  const versions = Array.from({ length: schemaVersion }, (_, index) => index + 1);
  const plan = planMigrations(1, versions.map((version) => script(version)).reverse(), 'x.db');
  t.strictSame(
    plan.steps.map(({ version }) => version),
    versions.slice(1),
  );
  t.equal(plan.problem, undefined);
});

t.test('stops before a version without a script, or with two, or with one that cannot be read', async (t) => {
  const missing = planMigrations(0, [script(1), script(3)], 'x.db');
  t.equal(missing.steps.length, 1);
  t.match(missing.problem, {
    code: 'migration-missing',
    message: new RegExp(`x\\.db: stays at schema version 1 of ${schemaVersion}: .*0002_`),
  });

  const twice = planMigrations(0, [script(1), script(2), script(2, '0002_y.sql'), script(3)], 'x.db');
  t.equal(twice.steps.length, 1);
  t.match(twice.problem, { code: 'migration-broken', message: /0002_x\.sql and 0002_y\.sql/ });

  const unreadable = planMigrations(0, [{ ...script(1), sql: { unreadable: 'EACCES' } }], 'x.db');
  t.match(unreadable, { steps: [], problem: { code: 'migration-broken', message: /EACCES/ } });

  t.match(planMigrations(0, [], 'x.db'), {
    steps: [],
    target: schemaVersion,
    problem: { code: 'migration-missing' },
  });
});

t.test('a version above every script is a newer database, even when scripts are missing', async (t) => {
  t.throws(
    () => planMigrations(schemaVersion + 1, [], 'x.db'),
    new DatabaseError(
      'database-newer',
      `x.db: found schema version ${schemaVersion + 1}, expected at most ${schemaVersion}; it was made by a newer version of this program: run that one, or restore the backup taken before its migration`,
    ),
  );
  t.equal(planMigrations(schemaVersion, [], 'x.db').problem, undefined);
});
