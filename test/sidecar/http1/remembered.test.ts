import t from 'tap';
import { Remembered } from '../../../sidecar/http1/remembered.ts';

t.test('keeps so many texts and no more', async (t) => {
  const memory = new Remembered<number>(4);
  for (let n = 0; n < 100; n++) {
    memory.set(`text ${n}`, n);
    t.equal(memory.get(`text ${n}`), n);
    const kept = Array.from({ length: n + 1 }, (_, i) => memory.get(`text ${i}`)).filter(
      (v) => v !== undefined,
    );
    // The one that came last may be found beside them.
    if (kept.length > 5) t.fail(`${kept.length} are kept`);
  }
  t.equal(memory.get('text'), undefined);
});

t.test('a text that was set again has its new value', async (t) => {
  const memory = new Remembered<number>(4);
  memory.set('a', 1);
  memory.set('b', 2);
  t.equal(memory.get('b'), 2);
  t.equal(memory.get('a'), 1);
  t.equal(memory.get('c'), undefined);
  t.equal(memory.get('a'), 1);
});
