import { appendFile, cp } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { tempFolder } from '../support/temp-folder.ts';
import { allowedImports } from './allowed-imports.ts';
import {
  fileCircle,
  forbiddenImports,
  readImportGraph,
  unusedEntries,
  upwardEntries,
} from './import-graph.ts';

const root = join(import.meta.dirname, '../..');
const folders = ['signals', 'config', 'web', 'core', 'sidecar', 'tools'];
const graph = await readImportGraph(root, folders);

t.test('every folder imports what the table allows it, types included', async (t) => {
  t.ok(graph.size > 300, `${graph.size} files`);
  t.strictSame(forbiddenImports(graph, allowedImports), []);
});

t.test('the table allows no import upwards, so there is no circle of folders', async (t) => {
  t.strictSame(upwardEntries(allowedImports), []);
});

t.test('the table allows nothing that is not used', async (t) => {
  t.strictSame(unusedEntries(graph, allowedImports), []);
});

t.test('no file imports itself, by whatever way', async (t) => {
  t.equal(fileCircle(graph)?.join(' → '), undefined);
});

t.test('a breach in a copy of the sources is found', async (t) => {
  const breaches = [
    {
      file: 'sidecar/exchange/exchange.ts',
      line: "import type { Socket } from 'node:net';",
      found: 'sidecar/exchange/exchange.ts imports node:net: sidecar/exchange may not use it',
    },
    {
      file: 'sidecar/inbound/compose.ts',
      line: "import type { ServerCall } from '../connections/server-call.ts';",
      found:
        'sidecar/inbound/compose.ts imports sidecar/connections/server-call.ts: sidecar/inbound may not use sidecar/connections',
    },
    {
      file: 'sidecar/terms/verdict.ts',
      line: "export type { Keyring } from '../keyring/keyring.ts';",
      found:
        'sidecar/terms/verdict.ts imports sidecar/keyring/keyring.ts: sidecar/terms may not use sidecar/keyring',
    },
    {
      file: 'core/main.ts',
      line: "void import('../sidecar/terms/reasons.ts');",
      found: 'core/main.ts imports sidecar/terms/reasons.ts: core may not use sidecar/terms',
    },
  ];
  for (const { file, line, found } of breaches) {
    const copy = await tempFolder(t);
    for (const folder of folders) await cp(join(root, folder), join(copy, folder), { recursive: true });
    await appendFile(join(copy, file), `\n${line}\n`);
    t.strictSame(forbiddenImports(await readImportGraph(copy, folders), allowedImports), [found]);
  }
});

t.test('a circle of files in a copy of the sources is found', async (t) => {
  const copy = await tempFolder(t);
  for (const folder of folders) await cp(join(root, folder), join(copy, folder), { recursive: true });
  await appendFile(
    join(copy, 'sidecar/terms/reasons.ts'),
    "\nexport type { Verdict } from './verdict.ts';\n",
  );
  const circle = fileCircle(await readImportGraph(copy, folders));
  t.strictSame(circle?.toSorted(), ['sidecar/terms/reasons.ts', 'sidecar/terms/verdict.ts']);
});

t.test('a table that allows a circle is found', async (t) => {
  const { config, ...others } = allowedImports;
  const table = { ...others, config: { folders: ['sidecar/terms'] } };
  t.ok(config);
  t.match(upwardEntries(table), [/may use config, which is above it/]);
});
