import t from 'tap';
import type { CalleeEnd } from '../../../sidecar/exchange/ends.ts';
import { SentBody } from '../../../sidecar/exchange/sent-body.ts';

/** An end that keeps what it is given, in the memory in which it is given it. */
class Callee {
  readonly pieces: Buffer[] = [];
  hasEnded = false;
  readonly progress = undefined;
  write(buffer: Buffer, start: number, end: number): boolean {
    this.pieces.push(buffer.subarray(start, end));
    return true;
  }
  end(): void {
    this.hasEnded = true;
  }
  get text(): string {
    return Buffer.concat(this.pieces).toString('latin1');
  }
  get asEnd(): CalleeEnd {
    return this as unknown as CalleeEnd;
  }
}

function send(body: SentBody, callee: Callee, text: string): void {
  // The buffer of a read: the next read overwrites it.
  const read = Buffer.from(`..${text}`, 'latin1');
  body.write(callee.asEnd, read, 2, read.length);
  read.fill('!');
}

for (const [what, length] of [
  ['known', 11],
  ['unknown', undefined],
] as const) {
  t.test(`sends again what was sent of a body of ${what} length`, async (t) => {
    const body = new SentBody(length, 1024);
    const first = new Callee();
    send(body, first, 'hello ');
    send(body, first, 'world');
    body.end(first.asEnd, undefined);
    t.equal(first.text, 'hello world', 'what was given to write stays as it is');
    const second = new Callee();
    t.equal(body.isKept, true);
    body.replay(second.asEnd);
    t.equal(second.text, 'hello world');
    t.equal(second.hasEnded, true);
  });
}

t.test('does not end again what has not ended', async (t) => {
  const body = new SentBody(100, 1024);
  const first = new Callee();
  send(body, first, 'half');
  const second = new Callee();
  body.replay(second.asEnd);
  t.equal(second.text, 'half');
  t.equal(second.hasEnded, false);
  send(body, second, ' and half');
  t.equal(second.text, 'half and half');
});

t.test('keeps no more than the limit', async (t) => {
  const body = new SentBody(undefined, 8);
  const callee = new Callee();
  send(body, callee, '12345678');
  t.equal(body.isKept, true);
  const read = Buffer.from('9');
  body.write(callee.asEnd, read, 0, 1);
  t.equal(body.isKept, false);
  t.equal(callee.text, '123456789');
});

t.test('copies nothing of a body that is known to be longer than the limit', async (t) => {
  const body = new SentBody(9, 8);
  t.equal(body.isKept, true, 'while nothing was sent it can be sent again');
  const callee = new Callee();
  const read = Buffer.from('1');
  body.write(callee.asEnd, read, 0, 1);
  t.equal(callee.pieces[0]?.buffer, read.buffer);
  t.equal(body.isKept, false);
});

t.test('is not sent again once the response has begun', async (t) => {
  const body = new SentBody(5, 1024);
  const callee = new Callee();
  send(body, callee, 'hello');
  body.forget(callee.asEnd);
  t.equal(body.isKept, false);
});
