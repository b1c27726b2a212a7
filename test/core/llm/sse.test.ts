import fc from 'fast-check';
import t from 'tap';
import { EventSplitter } from '../../../core/llm/sse.ts';

t.test('finds the same events however the bytes are cut and whichever line ends are used', async () => {
  const data = fc
    .string({ unit: 'grapheme', minLength: 1 })
    .filter((text) => !/[\r\n]/.test(text) && !text.startsWith(' '));
  fc.assert(
    fc.property(
      fc.array(data),
      fc.constantFrom('\n', '\r\n'),
      fc.array(fc.nat(50)),
      fc.boolean(),
      (events, end, cuts, space) => {
        const stream = events
          .map((event) => `: comment${end}event: x${end}data:${space ? ' ' : ''}${event}${end}${end}`)
          .join('');
        let bytes: Uint8Array = Buffer.from(stream);
        const splitter = new EventSplitter();
        const found: string[] = [];
        for (const cut of cuts) {
          found.push(...splitter.push(bytes.subarray(0, cut)));
          bytes = bytes.subarray(cut);
        }
        found.push(...splitter.push(bytes));
        return JSON.stringify(found) === JSON.stringify(events);
      },
    ),
  );
});

t.test('joins data of several lines, and leaves an unfinished event alone', async (t) => {
  t.strictSame(new EventSplitter().push(Buffer.from('data: a\ndata: b\n\ndata: c\n')), ['a\nb']);
});

t.test('an event without end is refused before it fills the memory', async (t) => {
  const splitter = new EventSplitter();
  const mebibyte = Buffer.alloc(1024 * 1024, 'x');
  t.throws(
    () => {
      for (let i = 0; i < 10; i++) splitter.push(mebibyte);
    },
    { code: 'model_interrupted' },
  );
});
