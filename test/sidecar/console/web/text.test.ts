import t from 'tap';
import { layoutOf } from '../../../../sidecar/console/web/edge-layout.ts';
import { EventLines } from '../../../../web/event-lines.ts';
import { counted, hoursText, visible, visibleLines } from '../../../../web/text.ts';

t.test('a text from the wire is written out where nobody would see it', async (t) => {
  t.equal(visible('/api/ünï/\u202egnp\u2066.exe'), '/api/ünï/\\u{202e}gnp\\u{2066}.exe');
  t.equal(
    visible('a\u0000b\u001b[31m\u200b\ufeff\u{e0041}'),
    'a\\u{0}b\\u{1b}[31m\\u{200b}\\u{feff}\\u{e0041}',
  );
  t.equal(visible('x'.repeat(50), 10), 'xxxxxxxxxx… (50 characters)');
  t.equal(visible('日本語 <b>'), '日本語 <b>');
  t.equal(visibleLines('a\n\t❤️\u202eb\r'), 'a\n\t❤️\\u{202e}b\\u{d}');
  t.strictSame([counted(1, 'rule'), counted(2_000, 'rule')], ['1 rule', '2,000 rules']);
  t.strictSame([hoursText(-4), hoursText(7_199), hoursText(74_900)], ['0 min', '119 min', '20.8 h']);
});

t.test('events are found however their bytes are cut', async (t) => {
  const text = 'retry: 2000\n\n:\n\ndata: {"a":1}\n\nevent: x\ndata: one\ndata: two\n\ndata: unfinished';
  for (let size = 1; size <= text.length; size++) {
    const lines = new EventLines();
    const found: string[] = [];
    for (let at = 0; at < text.length; at += size) found.push(...lines.add(text.slice(at, at + size)));
    t.strictSame(found, ['{"a":1}', 'one\ntwo']);
  }
});

t.test(
  'the graph has a place for every service and a line for every edge, circles and callers of themselves too',
  async (t) => {
    const edges = [
      { caller: 'a', callee: 'b' },
      { caller: 'b', callee: 'a' },
      { caller: 'c', callee: 'c' },
      { caller: '__proto__', callee: 'constructor' },
    ];
    const { nodes, edges: placed, width } = layoutOf(edges);
    t.strictSame(nodes.map(({ name }) => name).sort(), ['__proto__', 'a', 'b', 'c', 'constructor']);
    t.strictSame(placed.length, 4);
    t.ok(width > 0 && placed.every(({ path, x }) => /^M[\d.-]+ /.test(path) && Number.isFinite(x)));
  },
);
