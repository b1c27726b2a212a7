import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { root } from '../../../tools/build.ts';
import { equivalents } from '../../../tools/mutants/equivalent.ts';
import { faultsIn, withFault } from '../../../tools/mutants/faults.ts';
import { ImportGraph, witnessesOf } from '../../../tools/mutants/witnesses.ts';

t.test('finds the tests that can notice a fault, the nearest first', async (t) => {
  const tests = [
    'test/sidecar/attacks/replay.test.ts',
    'test/sidecar/policy/authorize.test.ts',
    'test/sidecar/policy/paths.test.ts',
    'test/sidecar/signature/hmac.test.ts',
  ];
  const { direct, built } = await witnessesOf('sidecar/policy/paths.ts', tests, new ImportGraph(root));
  t.equal(direct[0], 'test/sidecar/policy/paths.test.ts');
  t.ok(direct.includes('test/sidecar/policy/authorize.test.ts'), 'through another module');
  t.same(built, ['test/sidecar/attacks/replay.test.ts']);
});

t.test('every equivalent fault that is listed can still be made', async (t) => {
  for (const { file, line, why } of equivalents) {
    const source = await readFile(join(root, file), 'utf8');
    const lines = faultsIn(source).map((fault) =>
      withFault(source, fault).split('\n')[fault.line - 1]?.trim(),
    );
    t.ok(lines.includes(line), `${file}: ${line}`);
    t.ok(why.length > 20, 'with a reason');
  }
  t.pass();
});
