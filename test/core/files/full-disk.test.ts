import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import t from 'tap';
import { tempFolder } from '../../support/temp-folder.ts';

const run = promisify(execFile);
const filler = new URL('../../support/fill-disk.ts', import.meta.url).pathname;
const namespaces = await run('unshare', ['--mount', '--map-root-user', 'true']).then(
  () => true,
  () => false,
);
const skip = namespaces ? false : 'this system allows no mount namespaces';

t.test('a disk that fills up refuses uploads, and keeps and serves what it has', { skip }, async (t) => {
  const disk = await tempFolder(t);
  const script = 'mount -t tmpfs -o size=3m none "$1" && "$2" "$3" "$1" && ls "$1/files/incoming"';
  const args = ['--mount', '--map-root-user', 'sh', '-c', script, 'sh', disk, process.execPath, filler];
  const [line = '', ...left] = (await run('unshare', args)).stdout.trim().split('\n');
  const found = JSON.parse(line);
  t.match(found, {
    large: { status: 507, code: 'storage_full' },
    small: { status: 507, code: 'storage_full' },
  });
  t.ok(found.kept > 10, `${found.kept} files fit`);
  t.equal(found.readable, found.kept, 'each of them is whole');
  t.strictSame(left, [], 'no half upload is left');
});
