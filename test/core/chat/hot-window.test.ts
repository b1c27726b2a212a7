import fc from 'fast-check';
import t from 'tap';
import { parseWindow } from '../../../core/chat/hot-window.ts';

const entry = (position: number, turn: string) =>
  JSON.stringify({ position, turn, message: { role: 'user', content: `m${position}` } });

t.test('a list is a window only when it is exactly the newest messages', async () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 30 }),
      fc.integer({ min: 1, max: 40 }),
      fc.array(
        fc.record({ kind: fc.constantFrom('drop', 'repeat', 'swap', 'spoil', 'renumber'), at: fc.nat(29) }),
        { maxLength: 2 },
      ),
      fc.boolean(),
      (lastPosition, limit, changes, otherTurn) => {
        const length = Math.min(limit, lastPosition);
        const whole = Array.from({ length }, (_, index) => entry(lastPosition - length + 1 + index, 'turn'));
        const list = [...whole];
        for (const { kind, at } of changes) {
          const i = at % Math.max(1, list.length);
          if (kind === 'drop') list.splice(i, 1);
          if (kind === 'repeat' && list.length > 0) list.splice(i, 0, list[i]!);
          if (kind === 'swap' && list.length > 1) list.push(list.shift()!);
          if (kind === 'spoil') list[i] = 'nonsense';
          if (kind === 'renumber') list[i] = entry(lastPosition + 1 + i, 'turn');
        }
        const chat = { lastPosition, lastTurn: otherTurn ? 'another' : 'turn' };
        const found = parseWindow(list, chat, limit);
        const isWhole = list.length === whole.length && list.every((text, index) => text === whole[index]);
        return isWhole && !otherTurn ? found?.length === length : found === undefined;
      },
    ),
    { numRuns: 500 },
  );
});
