import t from 'tap';
import { shown } from '../../../sidecar/policy/call-readings.ts';

t.test('a path is shown whole up to 200 characters, and cut where it is longer', async (t) => {
  const path = (length: number) => `/${'a'.repeat(length - 1)}`;
  for (const length of [1, 199, 200]) t.equal(shown(path(length)), `"${path(length)}"`, `${length}`);
  for (const length of [201, 202, 8000]) t.equal(shown(path(length)), `"${path(200)}…"`, `${length}`);
  t.equal(shown(`${path(200)}b`), `"${path(200)}…"`, 'what is cut off is the end');
});

t.test('attack: a path can not end its quotes, nor a line', async (t) => {
  t.equal(shown('/a"b\\c\r\n\x1b'), '"/a\\"b\\\\c\\r\\n\\u001b"');
});
