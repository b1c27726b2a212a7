import { createHash } from 'node:crypto';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import t from 'tap';
import { placeOf, startFileService, upload } from '../../support/core-files.ts';

const text = 'what was uploaded '.repeat(1000);

t.test('a content that is shorter than its row is refused instead of left hanging', async (t) => {
  const service = await startFileService(t);
  const file = await upload(service.url, text, 'a.txt');
  await truncate(await placeOf(service, file), 100);
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
    await writeFile(await placeOf(service, file), 'x'.repeat(text.length));
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
  await truncate(await placeOf(service, file), 5);
  await upload(service.url, text, 'b.txt');
  const response = await fetch(`${service.url}/api/files/${file.id}/content`);
  t.equal(await response.text(), text);
  t.equal(await readFile(await placeOf(service, file), 'utf8'), text);
});
