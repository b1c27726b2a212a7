import t from 'tap';
import { dropTable } from '../../../sidecar/http1/field-lines.ts';
import { FieldSection } from '../../../sidecar/http1/field-section.ts';
import { reparsed } from '../../../sidecar/http1/head-parser.ts';

const host = 'Host: npu-worker\r\n';
const kept = (fields: string, named?: readonly string[]) =>
  new FieldSection().addKept(
    reparsed(`GET /a HTTP/1.1\r\n${fields}\r\n`),
    dropTable('cookie', 'range'),
    named && new Set(named),
  ).http1Lines;

t.test('passes on what is not dropped, as it stood and in its order', async (t) => {
  t.equal(kept(host), host);
  t.equal(kept(`A: 1\r\n${host}a:  2 \r\nB:\r\n`), `A: 1\r\n${host}a:  2 \r\nB:\r\n`);
});

t.test('leaves out fields to drop wherever they stand', async (t) => {
  const cases: readonly (readonly [string, string, string])[] = [
    ['at the start', `Cookie: a\r\n${host}A: 1\r\n`, `${host}A: 1\r\n`],
    ['in the middle', `${host}Cookie: a\r\nA: 1\r\n`, `${host}A: 1\r\n`],
    ['at the end', `${host}A: 1\r\nCookie: a\r\n`, `${host}A: 1\r\n`],
    ['one after another', `${host}Cookie: a\r\nRange: bytes=0-1\r\nA: 1\r\n`, `${host}A: 1\r\n`],
    [
      'between each two',
      `A: 1\r\nCOOKIE: a\r\n${host}cookie: b\r\nB: 2\r\nRange: bytes=0-1\r\nC: 3\r\n`,
      `A: 1\r\n${host}B: 2\r\nC: 3\r\n`,
    ],
  ];
  for (const [where, fields, expected] of cases) t.equal(kept(fields), expected, where);
});

t.test('leaves out what Connection lists, in any case of letters', async (t) => {
  t.equal(
    kept(`A: 1\r\nX-Hop: 1\r\n${host}x-HOP: 2\r\nX-Hope: 3\r\n`, ['x-hop']),
    `A: 1\r\n${host}X-Hope: 3\r\n`,
  );
  t.equal(kept(`A: 1\r\nX-Hop: 1\r\n${host}`), `A: 1\r\nX-Hop: 1\r\n${host}`, 'and nothing else');
});

t.test('adds to what is there already, and needs the received head no more', async (t) => {
  const section = new FieldSection().add('X-First', '1');
  const head = reparsed(`GET /a HTTP/1.1\r\n${host}Cookie: a\r\nA: 1\r\n\r\n`);
  section.addKept(head, dropTable('cookie'), undefined).add('X-Last', '2');
  reparsed(`GET /b HTTP/1.1\r\n${host}B: 1\r\n\r\n`);
  t.equal(section.http1Lines, `X-First: 1\r\n${host}A: 1\r\nX-Last: 2\r\n`);
});
