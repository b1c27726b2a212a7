import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { unowned } from '../../../../core/terms/owner.ts';
import {
  type FileService,
  form,
  type ShownFile,
  startFileService,
  until,
  upload,
} from '../../../support/core-files.ts';

const sha256 = (content: string) => createHash('sha256').update(content).digest('hex');

async function json<Body>(url: string, init: RequestInit = {}): Promise<Body> {
  const headers = init.body === undefined ? {} : { 'content-type': 'application/json' };
  const response = await fetch(url, { ...init, headers: { ...headers, ...init.headers } });
  return (await response.json()) as Body;
}

async function contents(service: FileService): Promise<string[]> {
  const found = await readdir(join(service.store, 'sha256'), { recursive: true, withFileTypes: true });
  return found.filter((entry) => entry.isFile()).map((entry) => entry.name.slice(0, 64));
}

const incoming = (service: FileService) => readdir(join(service.store, 'incoming'));

t.test('a file goes in, is listed, found, renamed, copied, read, deleted and restored', async (t) => {
  const service = await startFileService(t);
  const { url } = service;
  const body = form('first', 'Ärger/../Bericht Ä.txt', {
    session_id: 'chat-1',
    metadata: '{"author":"Åsa"}',
  });
  const headers = { 'x-service-id': 'frontend' };
  const get = (path: string, init: RequestInit = {}) => fetch(path, { ...init, headers });
  const own = <Body>(path: string, init: RequestInit = {}) =>
    json<Body>(path, { ...init, headers: { ...headers, ...init.headers } });
  const made = await fetch(`${url}/api/files`, { method: 'POST', body, headers });
  t.equal(made.status, 201);
  const [file] = ((await made.json()) as { files: ShownFile[] }).files as [ShownFile];
  t.match(file, {
    session_id: 'chat-1',
    filename: 'Bericht Ä.txt',
    size: 5,
    sha256: sha256('first'),
    mime_type: 'text/plain',
    uploaded_by: 'frontend',
    uploaded_at: /^\d{4}-\d\d-\d\dT[\d:.]+Z$/,
  });
  const list = (query: string) =>
    own<{ files: ShownFile[] }>(`${url}${query}`).then(({ files }) => files.map((f) => f.id));
  t.strictSame(await list('/api/files'), [file.id]);
  t.strictSame(await list('/api/chats/chat-1/files'), [file.id]);
  t.strictSame(await list('/api/chats/chat-2/files'), []);
  t.strictSame(await list(`/api/files?q=${encodeURIComponent('bericht ä')}`), [file.id], 'without case');
  t.strictSame(await list(`/api/files?q=${encodeURIComponent('ÅSA')}`), [file.id], 'by metadata');
  t.strictSame(await list(`/api/files?q=${encodeURIComponent('bericht other')}`), []);
  t.strictSame(await list(`/api/files?q=${encodeURIComponent('%')}`), [], 'no wildcards');

  const renamed = await own(`${url}/api/files/${file.id}`, {
    method: 'PATCH',
    body: '{"filename":"../../new.txt"}',
  });
  t.match(renamed, { id: file.id, filename: 'new.txt' });
  const copy = await own<ShownFile>(`${url}/api/files/${file.id}/copy`, {
    method: 'POST',
    body: '{"session_id":"chat-2"}',
  });
  t.match(copy, { session_id: 'chat-2', filename: 'new.txt', sha256: file.sha256 });
  t.not(copy.id, file.id);
  t.match(await own(`${url}/api/files/${copy.id}/metadata`), { metadata: { author: 'Åsa' } });
  t.strictSame(await contents(service), [file.sha256], 'stored once');

  t.equal((await get(`${url}/api/files/${file.id}`, { method: 'DELETE' })).status, 204);
  t.strictSame(await list('/api/files'), [copy.id]);
  for (const path of ['', '/content', '/metadata'])
    t.equal((await get(`${url}/api/files/${file.id}${path}`)).status, 404);
  t.equal((await get(`${url}/api/files/${file.id}`, { method: 'DELETE' })).status, 404);
  t.match(await own(`${url}/api/files/${file.id}/restore`, { method: 'POST' }), { id: file.id });
  t.equal(await (await get(`${url}/api/files/${file.id}/content`)).text(), 'first');
  const { accesses } = await own<{ accesses: { type: string; by: string | null }[] }>(
    `${url}/api/files/${file.id}/log`,
  );
  t.strictSame(
    accesses.map(({ type }) => type),
    ['download', 'restore', 'delete', 'view', 'view', 'upload'],
  );
  t.equal(accesses.at(-1)?.by, 'frontend');
});

t.test('lists in pages, the newest first, none twice', async (t) => {
  const { url } = await startFileService(t);
  const ids: string[] = [];
  for (let n = 0; n < 7; n++) ids.unshift((await upload(url, `content ${n}`, `${n}.txt`)).id);
  const seen: string[] = [];
  let cursor = '';
  for (let page = 0; page < 4; page++) {
    const answer = await json<{ files: ShownFile[]; next_cursor: string | null }>(
      `${url}/api/files?limit=2${cursor}`,
    );
    seen.push(...answer.files.map(({ id }) => id));
    cursor = `&cursor=${answer.next_cursor}`;
    if (page === 0) await upload(url, 'late', 'late.txt');
  }
  t.strictSame(seen, ids);
  for (const bad of ['x', 'W10', Buffer.from('[1]').toString('base64url')]) {
    t.match(await json(`${url}/api/files?cursor=${bad}`), {
      error: { code: 'invalid_request', param: 'cursor' },
    });
  }
});

t.test('equal contents are stored once and removed with the last file that has them', async (t) => {
  const service = await startFileService(t, { restorableMs: 0 });
  const { url } = service;
  const uploads = await Promise.all(Array.from({ length: 8 }, (_, n) => upload(url, 'same', `${n}.txt`)));
  t.strictSame(await contents(service), [sha256('same')]);
  t.strictSame(await incoming(service), []);
  const last = uploads.pop()!;
  for (const { id } of uploads) await fetch(`${url}/api/files/${id}`, { method: 'DELETE' });
  await service.files.cleaner.clean();
  t.equal(await (await fetch(`${url}/api/files/${last.id}/content`)).text(), 'same');
  await fetch(`${url}/api/files/${last.id}`, { method: 'DELETE' });
  await service.files.cleaner.clean();
  t.strictSame(await contents(service), []);
  t.match(await json(`${url}/api/files/${last.id}/restore`, { method: 'POST' }), {
    error: { code: 'file_gone' },
  });
  t.match(await json(`${url}/api/files/${last.id}/log`), {
    accesses: [{ type: 'delete' }, { type: 'download' }, { type: 'upload' }],
  });
  await upload(url, 'same', 'again.txt');
  await service.files.cleaner.clean();
  t.strictSame(await contents(service), [sha256('same')]);
});

t.test('uploads and clean-ups at once never leave a file without its content', async (t) => {
  const service = await startFileService(t, { restorableMs: 0 });
  const { url } = service;
  const churn = async (seed: number) => {
    for (let n = 0; n < 15; n++) {
      const { id } = await upload(url, `content ${(seed + n) % 3}`, 'x.txt');
      const response = await fetch(`${url}/api/files/${id}/content`);
      if (response.status !== 200) throw new Error(`${response.status} for a file that exists`);
      await response.arrayBuffer();
      await fetch(`${url}/api/files/${id}`, { method: 'DELETE' });
      await service.files.cleaner.clean();
    }
  };
  await t.resolves(Promise.all([0, 1, 2, 3].map(churn)));
  await service.files.cleaner.clean();
  t.strictSame(await contents(service), []);
});

t.test('downloads whole, in ranges and under conditions', async (t) => {
  const { url } = await startFileService(t);
  const content = Array.from({ length: 1000 }, (_, n) => String.fromCharCode(32 + (n % 90))).join('');
  const { id, sha256: hash } = await upload(url, content, 'data.txt');
  const get = (headers: Record<string, string> = {}, method = 'GET') =>
    fetch(`${url}/api/files/${id}/content`, { headers, method });

  const whole = await get();
  t.equal(await whole.text(), content);
  const expected = {
    'accept-ranges': 'bytes',
    'content-length': '1000',
    'content-type': 'text/plain',
    'content-disposition': 'attachment; filename="data.txt"',
    'x-content-type-options': 'nosniff',
    'content-security-policy': "default-src 'none'; sandbox",
    etag: `"${hash}"`,
    'repr-digest': `sha-256=:${Buffer.from(hash, 'hex').toString('base64')}:`,
  };
  for (const [name, value] of Object.entries(expected)) t.equal(whole.headers.get(name), value, name);

  const head = await get({ range: 'bytes=0-1' }, 'HEAD');
  t.strictSame([head.status, head.headers.get('content-length'), await head.text()], [200, '1000', '']);

  const part = await get({ range: 'bytes=10-19' });
  t.strictSame(
    [part.status, part.headers.get('content-range'), part.headers.get('content-length')],
    [206, 'bytes 10-19/1000', '10'],
  );
  t.equal(await part.text(), content.slice(10, 20));
  t.equal(await (await get({ range: 'bytes=-5' })).text(), content.slice(-5));

  const several = await get({ range: 'bytes=0-4,995-' });
  const boundary = /^multipart\/byteranges; boundary=(\w+)$/.exec(
    several.headers.get('content-type') ?? '',
  )?.[1];
  const text = await several.text();
  t.equal(several.status, 206);
  t.equal(several.headers.get('content-length'), String(text.length));
  t.equal(
    text,
    `\r\n--${boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-4/1000\r\n\r\n${content.slice(0, 5)}` +
      `\r\n--${boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 995-999/1000\r\n\r\n${content.slice(995)}` +
      `\r\n--${boundary}--\r\n`,
  );

  const beyond = await get({ range: 'bytes=1000-' });
  t.strictSame([beyond.status, beyond.headers.get('content-range')], [416, 'bytes */1000']);
  t.match(await beyond.json(), { error: { code: 'range_not_satisfiable' } });

  const modified = whole.headers.get('last-modified')!;
  const cases: [Record<string, string>, number][] = [
    [{ 'if-none-match': `"${hash}"` }, 304],
    [{ 'if-none-match': `"other", W/"${hash}"` }, 304],
    [{ 'if-none-match': '*' }, 304],
    [{ 'if-none-match': '"other"', 'if-modified-since': modified }, 200],
    [{ 'if-modified-since': modified }, 304],
    [{ 'if-modified-since': 'yesterday' }, 200],
    [{ 'if-match': `"${hash}"` }, 200],
    [{ 'if-match': `W/"${hash}"` }, 412],
    [{ 'if-unmodified-since': 'Mon, 01 Jan 2001 00:00:00 GMT' }, 412],
    [{ range: 'bytes=0-0', 'if-range': `"${hash}"` }, 206],
    [{ range: 'bytes=0-0', 'if-range': `W/"${hash}"` }, 200],
    [{ range: 'bytes=0-0', 'if-range': '"other"' }, 200],
    [{ range: 'bytes=0-0', 'if-range': modified }, 206],
    [{ range: 'bytes=0-0', 'if-range': 'Mon, 01 Jan 2001 00:00:00 GMT' }, 200],
  ];
  for (const [headers, status] of cases) {
    const response = await get(headers);
    await response.arrayBuffer();
    t.equal(response.status, status, JSON.stringify(headers));
  }
});

t.test('an empty file is a file', async (t) => {
  const { url } = await startFileService(t);
  const { id, size } = await upload(url, '', 'empty.txt');
  t.equal(size, 0);
  const response = await fetch(`${url}/api/files/${id}/content`);
  t.strictSame(
    [response.status, response.headers.get('content-length'), await response.text()],
    [200, '0', ''],
  );
});

t.test('a file over the limit is refused, and leaves nothing behind', async (t) => {
  const service = await startFileService(t, { uploadLimitBytes: 100_000 });
  const exact = await upload(service.url, 'x'.repeat(100_000), 'fits.txt');
  t.equal(exact.size, 100_000);
  const body = form('small', 'small.txt');
  body.append('file', new Blob(['y'.repeat(100_001)]), 'big.txt');
  const response = await fetch(`${service.url}/api/files`, { method: 'POST', body });
  t.equal(response.status, 413);
  t.match(await response.json(), { error: { code: 'body_too_large', message: /at most 100000 bytes/ } });
  t.strictSame(await contents(service), [exact.sha256], 'not the small one either');
  t.strictSame(await incoming(service), []);
});

t.test('uploads that are no uploads are refused with what was expected', async (t) => {
  const service = await startFileService(t);
  const post = async (body: NonNullable<RequestInit['body']>, headers: Record<string, string> = {}) => {
    const response = await fetch(`${service.url}/api/files`, { method: 'POST', body, headers });
    const { error } = (await response.json()) as { error: { code: string; param: string | null } };
    return [response.status, error.code, error.param];
  };
  const multipart = { 'content-type': 'multipart/form-data; boundary=x' };
  const empty = new FormData();
  empty.append('note', 'no file');
  t.strictSame(await post(empty), [400, 'invalid_request', 'file']);
  t.strictSame(await post(form('x', 'x', { session_id: '../up' })), [400, 'invalid_request', 'session_id']);
  t.strictSame(await post(form('x', 'x', { metadata: '[1]' })), [400, 'invalid_request', 'metadata']);
  t.strictSame(await post(form('x', 'x', { metadata: '{' })), [400, 'invalid_request', 'metadata']);
  t.match(await post('--x\r\nno multipart', multipart), [400, 'invalid_request']);
  t.match(
    await post('--x\r\ncontent-disposition: form-data; name="f"; filename="f"\r\n\r\ncut off', multipart),
    [400, 'invalid_request'],
  );
  const many = new FormData();
  for (let n = 0; n < 17; n++) many.append('file', new Blob([`${n}`]), `${n}.txt`);
  t.strictSame(await post(many), [400, 'invalid_request', 'body'], 'more than 16 files');
  t.match(await post('{}', { 'content-type': 'application/json' }), [415, 'unsupported_media_type']);
  t.strictSame(await incoming(service), []);
  t.strictSame(await contents(service), []);
});

t.test('an upload that breaks off leaves nothing behind', async (t) => {
  const service = await startFileService(t);
  const socket = connect(Number(new URL(service.url).port), '127.0.0.1');
  const head = '--x\r\ncontent-disposition: form-data; name="f"; filename="f"\r\n\r\n';
  socket.write(
    `POST /api/files HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data; boundary=x\r\ncontent-length: 90000\r\n\r\n${head}${'y'.repeat(40_000)}`,
  );
  await until(async () => (await incoming(service)).length === 1);
  socket.destroy();
  await until(async () => (await incoming(service)).length === 0);
  t.strictSame(await contents(service), []);
});

t.test('a download that breaks off closes the file', async (t) => {
  const service = await startFileService(t, { uploadLimitBytes: 16 * 1024 * 1024 });
  const { id } = await upload(service.url, new Uint8Array(8 * 1024 * 1024), 'big.bin');
  const openFiles = async () =>
    (
      await Promise.all(
        (
          await readdir('/proc/self/fd')
        ).map((fd) =>
          import('node:fs/promises').then((fs) => fs.readlink(`/proc/self/fd/${fd}`).catch(() => '')),
        ),
      )
    ).filter((path) => path.startsWith(service.store)).length;
  await new Promise<void>((resolve, reject) => {
    const download = request(`${service.url}/api/files/${id}/content`, (response) => {
      response.once('data', () => {
        download.destroy();
        resolve();
      });
    });
    download.once('error', reject);
    download.end();
  });
  await until(async () => (await openFiles()) === 0);
  t.equal(await openFiles(), 0);
});

t.test('metadata is set, changed and removed by key', async (t) => {
  const { url } = await startFileService(t);
  const { id } = await upload(url, 'x', 'x.txt', { metadata: '{"a":"1","b":"2"}' });
  const patch = (body: unknown) =>
    json(`${url}/api/files/${id}/metadata`, { method: 'PATCH', body: JSON.stringify(body) });
  t.strictSame(await patch({ a: null, b: '3', 'c d': '' }), { metadata: { b: '3', 'c d': '' } });
  t.strictSame(await json(`${url}/api/files/${id}/metadata`), { metadata: { b: '3', 'c d': '' } });
  t.match(await patch({ b: 4 }), { error: { code: 'invalid_request' } });
  t.match(await patch({ '\u0000': 'x' }), { error: { code: 'invalid_request' } });
  t.match(await patch({ __proto__x: 'x' }), { error: { code: 'invalid_request' } });
});

t.test('a chat that ends takes the files with it that no other chat has', async (t) => {
  const { url, files } = await startFileService(t);
  const own = await upload(url, 'own', 'own.txt', { session_id: 'one' });
  const other = await upload(url, 'other', 'other.txt', { session_id: 'two' });
  t.equal(await files.deleteOfSession({ owner: unowned, by: 'frontend' }, 'one'), 1);
  t.equal((await fetch(`${url}/api/files/${own.id}`)).status, 404);
  t.equal((await fetch(`${url}/api/files/${other.id}`)).status, 200);
});
