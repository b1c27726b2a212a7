import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import t from 'tap';
import { giveBack, giveBackBody, takeBuffer } from '../../../sidecar/exchange/body-buffers.ts';

const KiB = 1024;
/** Nothing is ever written to it. */
const idle = { writableLength: 0, bytesWritten: 0 } as Socket;

t.test('what was given back is used again, by one only', async (t) => {
  const first = takeBuffer(60 * KiB);
  t.equal(first.length, 72 * KiB);
  giveBackBody(first.subarray(0, 60 * KiB), idle);
  const second = takeBuffer(60 * KiB);
  t.equal(second.buffer, first.buffer);
  t.not(takeBuffer(60 * KiB).buffer, second.buffer);
});

t.test('memory from elsewhere is left alone', async (t) => {
  const other = Buffer.alloc(64 * KiB);
  giveBackBody(other, idle);
  t.not(takeBuffer(64 * KiB).buffer, other.buffer);
  t.equal(takeBuffer(3 * 1024 * KiB).length, 3 * 1024 * KiB, 'and so is what no pool is large enough for');
});

t.test('a buffer that is still written from is used again only when it has left', async (t) => {
  const server = createServer({ pauseOnConnect: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const slow = connect((server.address() as AddressInfo).port, '127.0.0.1');
  t.teardown(() => {
    slow.destroy();
    server.close();
  });
  await once(slow, 'connect');
  const [reader] = await accepted;
  const buffers: Buffer[] = [];
  // Until the kernel takes no more: the last one is then under way.
  do {
    buffers.push(takeBuffer(1024 * KiB));
    slow.write(buffers.at(-1)!);
  } while (slow.writableLength === 0);
  const stuck = buffers.at(-1)!;
  giveBack({ buffer: stuck, destination: slow, until: slow.bytesWritten });
  t.not(takeBuffer(1024 * KiB).buffer, stuck.buffer);
  reader.resume();
  await once(slow, 'drain');
  t.equal(takeBuffer(1024 * KiB).buffer, stuck.buffer);
});
