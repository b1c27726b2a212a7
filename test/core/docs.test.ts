import { readFile } from 'node:fs/promises';
import t from 'tap';
import { coreErrors } from '../../core/terms/errors.ts';

const page = await readFile(new URL('../../docs/core.md', import.meta.url), 'utf8');

t.test('the documentation names every error code with its status', async (t) => {
  const rows = [...page.matchAll(/^\| (`[a-z_`, ]+`) +\| (\d{3}) +\|/gm)].flatMap(([, codes, status]) =>
    [...(codes ?? '').matchAll(/[a-z_]+/g)].map(([code]) => [code, Number(status)]),
  );
  const documented = Object.fromEntries(rows);
  for (const [code, { status }] of Object.entries(coreErrors)) t.equal(documented[code], status, code);
  t.equal(Object.keys(documented).length, Object.keys(coreErrors).length, 'and no other');
});
