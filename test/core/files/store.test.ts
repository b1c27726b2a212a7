import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import fc from 'fast-check';
import t from 'tap';
import { unowned } from '../../../core/terms/owner.ts';
import { makeAutobotDatabase } from '../../support/autobot-database.ts';
import {
  type FileService,
  placeOf,
  type ShownFile,
  startFileService,
  upload,
} from '../../support/core-files.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const sha256 = (content: string) => createHash('sha256').update(content).digest('hex');

/** Every path below a folder, files only. */
async function tree(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}

/** Posts a form whose part has a filename written exactly so; fetch would encode it. */
async function uploadRaw(service: FileService, disposition: string, content: string): Promise<ShownFile> {
  const body = `--x\r\nContent-Disposition: ${disposition}\r\nContent-Type: text/plain\r\n\r\n${content}\r\n--x--\r\n`;
  const socket = connect(Number(new URL(service.url).port), '127.0.0.1');
  socket.write(
    `POST /api/files HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  const answer = await text(socket);
  const { files } = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4)) as { files?: ShownFile[] };
  if (files === undefined) throw new Error(answer);
  return files[0]!;
}

t.test('no name that a client gives leads out of the store, or is part of a path in it', async (t) => {
  const service = await startFileService(t);
  const names = [
    '../../../../tmp/escaped',
    '..\\..\\escaped',
    '/etc/escaped',
    'a\0b',
    '....//....//escaped',
    '%2e%2e%2fescaped',
    '．．／escaped',
    'sha256/../../escaped',
    '.incoming',
    'CON',
    'x'.repeat(5000),
    '\u202egnp.exe',
    "'; DROP TABLE conversation_files; --",
  ];
  for (const [index, name] of names.entries()) {
    const quoted = name.replaceAll('\\', '\\\\').replaceAll('"', '\\"');
    const file = await uploadRaw(service, `form-data; name="file"; filename="${quoted}"`, `content ${index}`);
    t.notMatch(file.filename, /[/\\\p{Cc}]/u);
    const download = await fetch(`${service.url}/api/files/${file.id}/content`);
    t.equal(await download.text(), `content ${index}`, name.slice(0, 40));
    t.match(download.headers.get('content-disposition'), /^attachment; filename="[ -~]*"/);
  }
  const encoded = await uploadRaw(
    service,
    `form-data; name="file"; filename*=UTF-8''..%2F..%2Fna%C3%AFve`,
    'x',
  );
  t.notMatch(encoded.filename, /\//);
  const found = (await tree(service.folder)).filter((path) => !path.startsWith('core.db'));
  for (const path of found) t.match(path, /^files\/sha256\/([0-9a-f]{2})\/\1[0-9a-f]{62}\.[0-9a-f-]{36}$/);
  t.equal(found.length, names.length + 1);
});

t.test('no id that a client gives reaches a file', async (t) => {
  const service = await startFileService(t);
  await upload(service.url, 'secret', 'secret.txt');
  const ids = [
    '..',
    '..%2f..%2fcore.db',
    '%00',
    '%2e%2e',
    sha256('secret'),
    '*',
    "' OR 1=1 --",
    'x'.repeat(150),
  ];
  for (const id of ids) {
    const response = await fetch(`${service.url}/api/files/${id}/content`);
    t.ok([400, 404].includes(response.status), `${id}: ${response.status}`);
    await response.arrayBuffer();
  }
  await fc.assert(
    fc.asyncProperty(fc.string({ minLength: 1, maxLength: 60, unit: 'binary' }), async (id) => {
      const response = await fetch(
        `${service.url}/api/files/${encodeURIComponent(id.toWellFormed())}/content`,
      );
      await response.arrayBuffer();
      return [400, 404].includes(response.status);
    }),
    { numRuns: 100 },
  );
});

t.test('what a crash left half-way is cleared at the start, what is in use is not', async (t) => {
  const folder = await tempFolder(t);
  const first = await startFileService(t, { folder });
  const kept = await upload(first.url, 'kept', 'kept.txt');
  const keptPlace = (await placeOf(first, kept)).slice(first.store.length + 1);
  await first.close();
  const daysAgo = (days: number) => new Date(Date.now() - days * 24 * 3_600_000);
  const orphans = [sha256('orphan'), `${sha256('another')}.${randomUUID()}`];
  for (const orphan of orphans) {
    const path = join(first.store, 'sha256', orphan.slice(0, 2), orphan);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, 'orphan');
    await utimes(path, daysAgo(2), daysAgo(2));
  }
  const young = `${sha256('young')}.${randomUUID()}`;
  await mkdir(join(first.store, 'sha256', young.slice(0, 2)), { recursive: true });
  await writeFile(
    join(first.store, 'sha256', young.slice(0, 2), young),
    'an upload that another core service commits',
  );
  await writeFile(join(first.store, 'incoming', 'old'), 'half');
  await utimes(join(first.store, 'incoming', 'old'), daysAgo(2), daysAgo(2));
  await writeFile(join(first.store, 'incoming', 'new'), 'of an upload that goes on');

  const second = await startFileService(t, { folder });
  await second.files.cleaner.clean();
  t.strictSame(await readdir(join(second.store, 'incoming')), ['new']);
  t.strictSame(
    (await tree(join(second.store, 'sha256'))).map((path) => `sha256/${path}`),
    [keptPlace, `sha256/${young.slice(0, 2)}/${young}`].sort(),
  );
  t.equal(await (await fetch(`${second.url}/api/files/${kept.id}/content`)).text(), 'kept');
});

t.test('a content that is missing is said to be, and the next upload of it heals', async (t) => {
  const service = await startFileService(t);
  const { id } = await upload(service.url, 'lost', 'lost.txt');
  await rm(await placeOf(service, { id }));
  for (const [method, url] of [
    ['GET', `/api/files/${id}/content`],
    ['POST', `/api/files/${id}/copy`],
  ] as const) {
    const response = await fetch(service.url + url, { method });
    t.equal(response.status, 410);
    t.match(await response.json(), { error: { code: 'file_gone' } });
  }
  await upload(service.url, 'lost', 'found.txt');
  t.equal(await (await fetch(`${service.url}/api/files/${id}/content`)).text(), 'lost');
});

t.test(
  'files that AutoBot stored are served and taken over, unless they lie or lead elsewhere',
  async (t) => {
    const folder = await tempFolder(t);
    const store = join(folder, 'files');
    await mkdir(join(store, 's1'), { recursive: true });
    await writeFile(join(folder, 'outside.txt'), 'outside');
    await writeFile(join(store, 's1', 'a_a.txt'), 'alpha');
    await writeFile(join(store, 's1', 'b_b.txt'), 'changed');
    await symlink(join(folder, 'outside.txt'), join(store, 's1', 'd_d.txt'));
    const file = (id: string, path: string, content: string) => ({
      id,
      session: 's1',
      name: `${id}.txt`,
      path,
      size: content.length,
      hash: sha256(content),
    });
    makeAutobotDatabase(join(folder, 'core.db'), [
      file('a', '/opt/autobot/data/s1/a_a.txt', 'alpha'),
      file('b', join(store, 's1', 'b_b.txt'), 'before'),
      file('c', join(folder, 'outside.txt'), 'outside'),
      file('d', join(store, 's1', 'd_d.txt'), 'outside'),
      file('e', '/etc/hostname', 'unknown'),
    ]);
    const service = await startFileService(t, { folder });
    const { url } = service;
    const get = async (id: string) => {
      const response = await fetch(`${url}/api/files/${id}/content`);
      return [
        response.status,
        response.status === 200
          ? await response.text()
          : ((await response.json()) as { error: { code: string } }).error.code,
      ];
    };
    t.strictSame(await get('a'), [200, 'alpha']);
    t.strictSame(await get('b'), [410, 'file_gone'], 'not what its hash says');
    t.strictSame(await get('c'), [410, 'file_gone'], 'outside of the store');
    t.strictSame(await get('d'), [410, 'file_gone'], 'a link that leads out of it');
    t.strictSame(await get('e'), [410, 'file_gone']);
    t.equal(await readFile(await placeOf(service, { id: 'a' }), 'utf8'), 'alpha');
    t.equal(await readFile(join(store, 's1', 'a_a.txt'), 'utf8'), 'alpha', 'the original stays');
    await rm(join(store, 's1', 'a_a.txt'));
    t.strictSame(await get('a'), [200, 'alpha']);
    const listed = (await (await fetch(`${url}/api/chats/s1/files`)).json()) as { files: ShownFile[] };
    t.equal(listed.files.length, 5);
    t.match(listed.files[0]?.uploaded_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$/);

    const added = await upload(url, 'new', 'new.txt', { session_id: 's1' });
    const log = (await (await fetch(`${url}/api/files/${added.id}/log`)).json()) as { accesses: object[] };
    t.equal(log.accesses.length, 1, "logged once, though AutoBot's trigger logs too");
    t.equal((await fetch(`${url}/api/files/${added.id}`, { method: 'DELETE' })).status, 204);
    t.equal((await fetch(`${url}/api/files/${added.id}/restore`, { method: 'POST' })).status, 200);
  },
);

t.test("AutoBot's pending clean-ups remove nothing that is in use, and no row", async (t) => {
  const folder = await tempFolder(t);
  const live = { id: 'live', session: 's', name: 'l.txt', path: '/gone', size: 4, hash: sha256('live') };
  makeAutobotDatabase(join(folder, 'core.db'), [
    live,
    { ...live, id: 'dead', hash: sha256('dead'), deleted: true },
  ]);
  const service = await startFileService(t, { folder });
  await upload(service.url, 'live', 'same.txt');
  const inAYear = new Date(Date.now() + 365 * 24 * 3_600_000).toISOString();
  const hashes = await service.database.call('files.clean', { now: inAYear, limit: 100 });
  t.strictSame(hashes, [sha256('dead')]);
  t.equal(
    await service.database
      .call('contents.drop', { hashes: [sha256('live')] })
      .then((places) => places.length),
    0,
  );
  t.equal((await service.database.call('files.get', { owner: unowned, fileId: 'dead' }))?.isDeleted, true);
  t.equal(await (await fetch(`${service.url}/api/files/live/content`)).text(), 'live');
});
