import t from 'tap';
import type { CalleeEnd, CallerEnd } from '../../../sidecar/exchange/ends.ts';
import { Tunnel } from '../../../sidecar/exchange/tunnel.ts';
import { WebSocketFrames } from '../../../sidecar/exchange/websocket-frames.ts';

/** A frame with a payload of so many bytes. */
function frame(bytes: number, masked: boolean): Buffer {
  const mask = masked ? 0x80 : 0;
  const payload = Buffer.alloc(bytes + (masked ? 4 : 0), 0x7e);
  if (bytes < 126) return Buffer.concat([Buffer.from([0x82, mask | bytes]), payload]);
  const header = Buffer.from([0x82, mask | (bytes < 65_536 ? 126 : 127)]);
  const length = Buffer.alloc(bytes < 65_536 ? 2 : 8);
  if (bytes < 65_536) length.writeUInt16BE(bytes);
  else length.writeBigUInt64BE(BigInt(bytes));
  return Buffer.concat([header, length, payload]);
}

t.test('finds the ends of frames, however they are cut', (t) => {
  for (const masked of [true, false]) {
    const sizes = [0, 1, 125, 126, 65_535, 65_536, 3];
    const bytes = Buffer.concat(sizes.map((size) => frame(size, masked)));
    let end = 0;
    const ends = new Set(sizes.map((size) => (end += frame(size, masked).length)));
    for (const step of [1, 2, 7, 1000, bytes.length]) {
      const frames = new WebSocketFrames();
      for (let at = 0; at < bytes.length; at += step) {
        const to = Math.min(bytes.length, at + step);
        const boundary = frames.take(bytes, at, to);
        const last = [...ends].filter((each) => each > at && each <= to).at(-1);
        if (boundary !== last) t.equal(boundary, last, `step ${step} at ${at}`);
      }
      t.ok(frames.isBetweenFrames, `step ${step}`);
    }
  }
  t.end();
});

/** Both ends of a tunnel, as far as a tunnel knows them. */
function ends() {
  const sent = { caller: Buffer.alloc(0), callee: Buffer.alloc(0), closed: [] as string[] };
  const end = (name: 'caller' | 'callee') => ({
    keepTunnel() {},
    block() {},
    writeTunnel(buffer: Buffer, start: number, stop: number) {
      sent[name] = Buffer.concat([sent[name], buffer.subarray(start, stop)]);
      return true;
    },
    closeTunnel: () => sent.closed.push(name),
  });
  const tunnel = new Tunnel(end('caller') as unknown as CallerEnd, end('callee') as unknown as CalleeEnd);
  return { tunnel, sent };
}

t.test('a retired tunnel ends with Close frames behind whole frames', (t) => {
  const { tunnel, sent } = ends();
  const upward = frame(10, true);
  tunnel.up(upward, 0, 5);
  tunnel.retire();
  t.equal(sent.caller.toString('hex'), '880203e9', 'nothing is under way to the caller: 1001 at once');
  t.strictSame(sent.closed, []);
  const rest = Buffer.concat([upward.subarray(5), frame(20, true)]);
  tunnel.up(rest, 0, upward.length - 5 + 4);
  t.equal(
    sent.callee.toString('hex'),
    `${upward.toString('hex')}8882000000 0003e9`.replace(' ', ''),
    'the frame is finished, then 1001, masked, and nothing of the next frame',
  );
  t.strictSame(sent.closed, ['callee', 'caller']);
  tunnel.down(frame(1, false), 0, 3);
  t.equal(sent.caller.length, 4, 'nothing follows a Close frame');
  t.end();
});
