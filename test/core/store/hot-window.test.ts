import fc from 'fast-check';
import t from 'tap';
import { parseWindow } from '../../../core/store/hot-window.ts';

const entry = (position: number, epoch: number, after: number | null, text = `m${position}`) =>
  JSON.stringify({ position, epoch, after, message: { role: 'user', content: text } });

/** Turns of two messages each, epochs 10, 20, 30 …, the first of them rebuilt from the database. */
const list = (turns: number) =>
  Array.from({ length: turns }, (_, turn) => {
    const epoch = 10 * (turn + 1);
    const after = turn === 0 ? null : epoch - 10;
    return [entry(2 * turn + 1, epoch, after), entry(2 * turn + 2, epoch, after)];
  }).flat();

t.test('a list is a window only when it is exactly the newest messages', async () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 15 }),
      fc.integer({ min: 1, max: 40 }),
      fc.array(
        fc.record({ kind: fc.constantFrom('drop', 'repeat', 'swap', 'spoil', 'renumber'), at: fc.nat(29) }),
        { maxLength: 2 },
      ),
      fc.boolean(),
      (turns, limit, changes, otherEpoch) => {
        const whole = list(turns).slice(-limit);
        const found = [...whole];
        for (const { kind, at } of changes) {
          const i = at % Math.max(1, found.length);
          if (kind === 'drop') found.splice(i, 1);
          if (kind === 'repeat' && found.length > 0) found.splice(i, 0, found[i]!);
          if (kind === 'swap' && found.length > 1) found.push(found.shift()!);
          if (kind === 'spoil') found[i] = 'nonsense';
          if (kind === 'renumber') found[i] = entry(2 * turns + 1 + i, 10 * turns, null);
        }
        const chat = { lastPosition: 2 * turns, lastEpoch: otherEpoch ? 5 : 10 * turns };
        const messages = parseWindow(found, chat, limit);
        const isWhole = found.length === whole.length && found.every((text, index) => text === whole[index]);
        return isWhole && !otherEpoch ? messages?.length === whole.length : messages === undefined;
      },
    ),
    { numRuns: 500 },
  );
});

t.test('what a core service appends that has lost its session is never read', async (t) => {
  // Epoch 30 lost its session to 40, which began from epoch 20; 30 appends late, before or after 40.
  const chat = { lastPosition: 6, lastEpoch: 40 };
  const late = [entry(5, 30, 20, 'stale'), entry(6, 30, 20, 'stale')];
  const right = [entry(5, 40, 20), entry(6, 40, 20)];
  for (const entries of [
    [...list(2), ...late],
    [...list(2), ...late, ...right],
    [...list(2), ...right, ...late],
  ]) {
    for (let limit = 1; limit <= 6; limit++) {
      const messages = parseWindow(entries.slice(-limit), chat, limit);
      t.notOk(messages?.some(({ message }) => message.content === 'stale'));
    }
  }
  t.equal(parseWindow([...list(2), ...right], chat, 6)?.length, 6);
  // An answer that was replaced in place: the list still has the old one, under the epoch before.
  t.equal(parseWindow(list(2), { lastPosition: 4, lastEpoch: 25 }, 4), undefined);
  const afterwards = [...list(2), entry(5, 40, 25), entry(6, 40, 25)];
  t.equal(
    parseWindow(afterwards, chat, 6),
    undefined,
    'the chain leads to an epoch that the list does not have',
  );
});
