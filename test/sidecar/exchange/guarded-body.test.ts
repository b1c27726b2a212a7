import t from 'tap';
import type { CalleeEnd } from '../../../sidecar/exchange/ends.ts';
import { type BodyGuard, GuardedBody } from '../../../sidecar/exchange/guarded-body.ts';
import { FieldSection } from '../../../sidecar/http1/field-section.ts';

/** An end that notes what it is given. */
class NotingEnd {
  written = '';
  ended: string | undefined;
  write(buffer: Buffer, start: number, end: number): boolean {
    this.written += buffer.latin1Slice(start, end);
    return true;
  }
  corkForThisTurn(): void {}
  end(trailers: FieldSection | undefined): void {
    this.ended = trailers?.http1Lines ?? '';
  }
  get asCallee(): CalleeEnd {
    return this as unknown as CalleeEnd;
  }
}

class Guard implements BodyGuard {
  seen = '';
  readonly #answer: ReturnType<BodyGuard['finish']>;
  constructor(answer: ReturnType<BodyGuard['finish']>) {
    this.#answer = answer;
  }
  update(piece: Buffer): void {
    this.seen += piece.latin1Slice();
  }
  finish() {
    return this.#answer;
  }
}

const refusal = { reason: 'digest-mismatch', detail: 'not what was signed' } as const;
const bytes = (text: string) => Buffer.from(text, 'latin1');

function run(length: number | undefined, guard: Guard, ...pieces: string[]) {
  const end = new NotingEnd();
  const body = new GuardedBody(length, guard);
  const results = pieces.map((piece) => body.write(end.asCallee, bytes(piece), 0, piece.length));
  return { end, results, finish: () => body.end(end.asCallee, undefined) };
}

t.test('the last byte of a body of known length waits for its guard', async (t) => {
  const guard = new Guard(undefined);
  const { end, finish } = run(5, guard, 'ab', 'cde');
  t.equal(end.written, 'abcd');
  t.equal(guard.seen, 'abcde', 'the guard has seen all of it');
  t.equal(finish(), undefined);
  t.equal(end.written, 'abcde');
  t.equal(end.ended, '');
});

t.test('a body that its guard refuses is never complete', async (t) => {
  for (const length of [3, undefined]) {
    const { end, finish } = run(length, new Guard(refusal), 'abc');
    t.equal(finish(), refusal);
    t.equal(end.ended, undefined);
    t.equal(end.written, length === undefined ? 'abc' : 'ab');
  }
});

t.test('a body of another length than was signed is refused', async (t) => {
  const longer = run(3, new Guard(undefined), 'ab', 'cd');
  t.match(longer.results[1], { reason: 'digest-mismatch', detail: /longer/ });
  t.equal(longer.end.written, 'ab');
  const behind = run(2, new Guard(undefined), 'ab', 'c');
  t.match(
    behind.results[1],
    { reason: 'digest-mismatch', detail: /longer/ },
    'also behind the byte that waits',
  );
  const shorter = run(3, new Guard(undefined), 'ab');
  t.match(shorter.finish(), { reason: 'digest-mismatch', detail: /shorter/ });
  t.equal(shorter.end.ended, undefined);
});

t.test('the guard says what trailers follow', async (t) => {
  const { end, finish } = run(undefined, new Guard(new FieldSection().add('X-Sum', '1')), 'abc');
  finish();
  t.equal(end.ended, 'X-Sum: 1\r\n');
});
