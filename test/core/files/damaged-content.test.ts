import { createHash } from 'node:crypto';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { type ShownFile, startFileService, upload } from '../../support/core-files.ts';

const text = 'what was uploaded '.repeat(1000);
const place = (store: string, { sha256 }: ShownFile) => join(store, 'sha256', sha256.slice(0, 2), sha256);

t.test('a content that is shorter than its row is refused instead of left hanging', async (t) => {
  const service = await startFileService(t);
  const file = await upload(service.url, text, 'a.txt');
  await truncate(place(service.store, file), 100);
  const response = await fetch(`${service.url}/api/files/${file.id}/content`);
  t.equal(response.status, 410);
  t.match(await response.json(), { error: { code: 'file_gone', message: /is damaged/ } });
});

t.test(
  'other bytes of the same length never get the ETag of the file, before or after a download',
  async (t) => {
    const service = await startFileService(t);
    const file = await upload(service.url, text, 'a.txt');
    const url = `${service.url}/api/files/${file.id}/content`;
    const good = await fetch(url);
    t.equal(good.headers.get('etag'), `"${createHash('sha256').update(text).digest('hex')}"`);
    t.equal(await good.text(), text);
    await writeFile(place(service.store, file), 'x'.repeat(text.length));
    for (const headers of [{}, { range: 'bytes=0-9' }]) {
      const response = await fetch(url, { headers });
      t.equal(response.status, 410);
      t.equal(response.headers.get('etag'), null);
      await response.arrayBuffer();
    }
  },
);

t.test('uploading the content again heals every file that has it', async (t) => {
  const service = await startFileService(t);
  const file = await upload(service.url, text, 'a.txt');
  await truncate(place(service.store, file), 5);
  await upload(service.url, text, 'b.txt');
  const response = await fetch(`${service.url}/api/files/${file.id}/content`);
  t.equal(await response.text(), text);
  t.equal(await readFile(place(service.store, file), 'utf8'), text);
});
