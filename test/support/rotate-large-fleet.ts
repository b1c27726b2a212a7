/**
 * Makes the keys of a large fleet and rotates them: `rotate-large-fleet.ts FOLDER SERVICES`. Prints, as JSON, the CPU
 * seconds and the peak memory in MiB that the rotation took, and how often each keyring was written.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { FileStore } from '../../sidecar/rotation/file-store.ts';
import { initKeys } from '../../sidecar/rotation/init-keys.ts';
import { OutFolder } from '../../sidecar/rotation/out-folder.ts';
import { KeyRegistry } from '../../sidecar/rotation/registry.ts';
import { placeName, placesOf } from '../../sidecar/rotation/roots.ts';
import { rotateKeys } from '../../sidecar/rotation/rotate-keys.ts';
import { fleetOf } from './keyrings.ts';

const [folder = '', count = ''] = process.argv.slice(2);
const fleet = fleetOf(
  Object.fromEntries(
    Array.from({ length: Number(count) }, (_, index) => [
      `service-${index}`,
      [`10.0.${index >> 8}.${index & 255}`],
    ]),
  ),
);
const store = await FileStore.open(join(folder, 'registry'));
const said: string[] = [];
const out = new OutFolder(join(folder, 'out'));
const rotator = {
  fleet,
  registry: new KeyRegistry(store),
  out,
  now: Date.now,
  say: (line: string) => said.push(line),
};
await initKeys(rotator, new Map(), new Set());
const sidecars = spawn(
  process.execPath,
  [join(import.meta.dirname, 'large-fleet-sidecars.ts'), out.path, ...placesOf(fleet).map(placeName)],
  { stdio: ['ignore', 'pipe', 'inherit'] },
);
const [line] = await once(createInterface({ input: sidecars.stdout }), 'line');
const ports = JSON.parse(line) as number[];
await rotator.registry.lock({ takeOver: true });
const before = process.cpuUsage();
await rotateKeys(
  rotator,
  {
    adminUrls: ports.map((port) => `http://127.0.0.1:${port}`),
    deliverCommand: ':',
    loadWithinMs: 300_000,
  },
  [...fleet.services.keys()],
  new AbortController().signal,
);
const { user, system } = process.cpuUsage(before);
sidecars.kill();
store.close();
process.stdout.write(
  `${JSON.stringify({
    cpuSeconds: (user + system) / 1e6,
    peakMiB: process.resourceUsage().maxRSS / 1024,
    steps: said.filter((each) => /^all \d+ sidecars/.test(each)).length,
  })}\n`,
);
