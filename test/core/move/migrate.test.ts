import { execFile } from 'node:child_process';
import { hash } from 'node:crypto';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import t from 'tap';
import { makeAutobotDatabase } from '../../support/autobot-database.ts';
import { form } from '../../support/core-files.ts';
import { startFleetCore } from '../../support/core-fleet.ts';
import { answerWith, ModelServer } from '../../support/model-server.ts';
import { PostgresServer } from '../../support/postgres-server.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const run = promisify(execFile);
const main = new URL('../../../core/main.ts', import.meta.url).pathname;
const migrate = (...args: string[]) => run(process.execPath, [main, 'migrate', ...args]);

t.test('moves a deployment with all its rows and contents, again and again', async (t) => {
  const server = await PostgresServer.start(t);
  const folder = await tempFolder(t);
  const file = join(folder, 'core.db');
  const files = join(folder, 'files');
  await mkdir(files);
  await writeFile(join(files, 'old.txt'), 'an old content');
  const old = { id: 'old', session: 's', name: 'old.txt', path: join(files, 'old.txt'), size: 14 };
  makeAutobotDatabase(file, [{ ...old, hash: hash('sha256', 'an old content') }]);
  const model = new ModelServer();
  const { port } = await model.listen();
  t.teardown(() => model.close());
  model.behaviour = (call) => answerWith(call, 'a searchable answer');
  const before = await startFleetCore(t, { storage: `sqlite: ${file}\nfiles: ${files}`, outboundPort: port });
  for (let turn = 0; turn < 3; turn++) await before.say('s', `question ${turn}`);
  const upload = { method: 'POST', body: form('the content', 'a.txt') };
  const { files: uploaded } = (await (await fetch(`${before.url}/api/files`, upload)).json()) as {
    files: { id: string }[];
  };
  const args = ['--from', `sqlite:${file}`, '--to', server.url(), '--files', files];
  await t.rejects(migrate(...args), { code: 78, stderr: /a core service uses it: stop it/ });
  await before.end('SIGTERM');

  const { stdout } = await migrate(...args);
  t.match(stdout, /^messages 6 [0-9a-f]{64}$/m);
  t.match(stdout, /^conversation_files 2 [0-9a-f]{64}$/m);
  await server.query(
    `SELECT 1 / count(*) FROM contents WHERE sha256 = '${hash('sha256', 'an old content')}'`,
  );
  t.equal((await migrate(...args)).stdout, stdout, 'a second run finds everything moved');

  const after = await startFleetCore(t, {
    storage: `postgres: { url: "${server.url()}" }`,
    outboundPort: port,
  });
  t.equal((await after.messages('s')).length, 6);
  t.equal((await after.say('s', 'one more')).status, 200);
  t.equal(model.calls.at(-1)!.body.messages.length, 7);
  const content = await fetch(`${after.url}/api/files/${uploaded[0]!.id}/content`);
  t.equal(await content.text(), 'the content');
  const found = await fetch(`${after.url}/api/chats/search?q=searchable`);
  t.match(await found.json(), { messages: { length: 4 } });
  await after.end('SIGTERM');

  await t.rejects(migrate(...args), { code: 78, stderr: /differ: the target had rows of its own/ });
});

t.test('goes on where it was interrupted', async (t) => {
  const server = await PostgresServer.start(t);
  const file = join(await tempFolder(t), 'core.db');
  makeAutobotDatabase(file);
  const args = ['--from', `sqlite:${file}`, '--to', server.url()];
  await migrate(...args);
  await server.query('DELETE FROM file_access_log WHERE log_id > 20; DELETE FROM file_cleanup_queue');
  const { stdout } = await migrate(...args);
  const source = new DatabaseSync(file, { readOnly: true });
  for (const table of ['file_access_log', 'file_cleanup_queue']) {
    const rows = source.prepare(`SELECT count(*) AS rows FROM ${table}`).get()?.rows;
    t.match(stdout, new RegExp(`^${table} ${rows} `, 'm'));
  }
  source.close();
});

t.test('names the contents that are missing or damaged, and moves them once they are restored', async (t) => {
  const server = await PostgresServer.start(t);
  const folder = await tempFolder(t);
  const file = join(folder, 'core.db');
  const files = join(folder, 'files');
  const core = await startFleetCore(t, { storage: `sqlite: ${file}\nfiles: ${files}`, outboundPort: 1 });
  const ids: string[] = [];
  for (const text of ['whole', 'lost', 'changed']) {
    const answer = await fetch(`${core.url}/api/files`, { method: 'POST', body: form(text, `${text}.txt`) });
    ids.push(((await answer.json()) as { files: { id: string }[] }).files[0]!.id);
  }
  await core.end('SIGTERM');
  const source = new DatabaseSync(file, { readOnly: true });
  const placeOf = (text: string) =>
    source.prepare('SELECT place FROM contents WHERE sha256 = ?').get(hash('sha256', text))?.place as string;
  const [lost, changed] = [placeOf('lost'), placeOf('changed')];
  source.close();
  await rename(join(files, lost), join(folder, 'lost'));
  await writeFile(join(files, changed), 'Changed');

  const args = ['--from', `sqlite:${file}`, '--to', server.url(), '--files', files];
  for (const _ of ['at first', 'and again']) {
    const failed = (await migrate(...args).catch((error) => error)) as { code: number; stdout: string };
    t.equal(failed.code, 1);
    t.match(failed.stdout, `missing content ${hash('sha256', 'lost')}: ${lost}\n`);
    t.match(failed.stdout, `damaged content ${hash('sha256', 'changed')}: ${changed}\n`);
    t.match(failed.stdout, /^2 contents were not moved/m);
  }
  await rename(join(folder, 'lost'), join(files, lost));
  await writeFile(join(files, changed), 'changed');
  t.match((await migrate(...args)).stdout, /^the same on both sides/m);

  const storage = `postgres: { url: "${server.url()}" }`;
  const after = await startFleetCore(t, { storage, outboundPort: 1 });
  const texts = ids.map(async (id) => (await fetch(`${after.url}/api/files/${id}/content`)).text());
  t.same(await Promise.all(texts), ['whole', 'lost', 'changed']);
});

t.test('wrong options say what was expected', async (t) => {
  await t.rejects(migrate('--from', 'x', '--to', 'y'), { code: 78, stderr: /expected sqlite:PATH/ });
  await t.rejects(migrate('--from', 'sqlite:/none', '--to', 'y'), { code: 78, stderr: /a file that exists/ });
  const file = join(await tempFolder(t), 'core.db');
  makeAutobotDatabase(file);
  const refused = await migrate('--from', `sqlite:${file}`, '--to', 'postgres://u:secret@h/d').catch(
    (error: { stderr: string }) => error,
  );
  t.match(refused.stderr, /without a password/);
  t.notMatch(refused.stderr, /secret/);
  await t.rejects(migrate('--from', `sqlite:${file}`), { code: 64 });
});
