import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { tempFolder } from '../../support/temp-folder.ts';

t.test('a rotation makes every keyring once a step: CPU and memory stay bounded', async (t) => {
  const script = join(import.meta.dirname, '../../support/rotate-large-fleet.ts');
  const { stdout } = await promisify(execFile)(process.execPath, [script, await tempFolder(t), '120']);
  const { cpuSeconds, peakMiB, steps } = JSON.parse(stdout);
  t.comment(`${cpuSeconds} s of CPU, ${peakMiB} MiB`);
  t.equal(steps, 3, 'both generations, the switch, the end of the old one');
  // 600 services may take 60 s; the work grows with the square of their number. Rendering once a service would take 40 times that.
  t.ok(cpuSeconds < 8, `${cpuSeconds} s`);
  t.ok(peakMiB < 300, `${peakMiB} MiB`);
});
