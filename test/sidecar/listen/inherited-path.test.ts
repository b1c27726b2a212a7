import { createServer } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { pathOfDescriptor, pathOfInode } from '../../../sidecar/listen/inherited-path.ts';

t.test('finds the path of a UNIX socket by its inode', async (t) => {
  const table = `Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 12 /run/other.sock
0000000000000000: 00000002 00000000 00010000 0001 01 1234 /run/with a space.sock
0000000000000000: 00000003 00000000 00000000 0001 03 77
`;
  t.equal(pathOfInode(table, '1234'), '/run/with a space.sock');
  t.equal(pathOfInode(table, '77'), undefined, 'it has none');
  t.equal(pathOfInode(table, '5'), undefined);
});

t.test('finds it by its descriptor', async (t) => {
  const path = join(t.testdir(), 'a.sock');
  const server = createServer();
  t.teardown(() => server.close());
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
  t.equal(pathOfDescriptor(fd), path);
  t.equal(pathOfDescriptor(0), undefined, 'no socket');
  t.equal(pathOfDescriptor(9999), undefined, 'nothing');
});
