import t from 'tap';
import { fittedTable } from '../../../sidecar/cli/fitted-table.ts';
import {
  ageText,
  agoText,
  durationText,
  rateText,
  shareText,
} from '../../../sidecar/fleet-view/quantities.ts';

t.test('numbers are short, and never round a fault away', async (t) => {
  t.same([0.00004, 0.0123, 0.95, 1.24, 95.2, undefined].map(durationText), [
    '40 µs',
    '12 ms',
    '950 ms',
    '1.2 s',
    '95 s',
    '-',
  ]);
  t.same([0, 0.001, 0.04, 7.31, 120.4, 12_345, 3_100_000].map(rateText), [
    '0',
    '<0.01',
    '0.04',
    '7.3',
    '120',
    '12k',
    '3.1M',
  ]);
  t.same([0, 0.071, 0.9995, 0.999999, 1, undefined].map(shareText), [
    '0%',
    '7.1%',
    '99.95%',
    '99.99%',
    '100%',
    '-',
  ]);
  t.same([36, 250, 90_000, 1_000_000].map(ageText), ['36 s', '4 min', '25 h', '11 d']);
  t.equal(agoText(undefined, 0), 'never');
  t.equal(agoText('1970-01-01T00:00:00Z', 61_000), '61 s ago');
});

t.test('a table fits its width: flexible columns give way, hostile text is escaped', async (t) => {
  const columns = [
    { title: 'NAME', flexible: true },
    { title: 'N', right: true },
  ] as const;
  const lines = fittedTable(
    columns,
    [
      ['a\x1b[2J', '1'],
      ['x'.repeat(100), '12345'],
    ],
    40,
  );
  t.same(
    lines.map((line) => line.length),
    [40, 40, 40],
  );
  t.equal(lines[1], `a\\x1b[2J${' '.repeat(31)}1`.slice(0, 40));
  t.match(lines[2], /x… {2}12345$/);
});
