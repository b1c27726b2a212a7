import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { measure } from '../measure.ts';
import { inboundWith } from '../peers/countersign-inbound.ts';
import { removeFolder, temporaryFolder } from '../processes.ts';
import type { Result, Subject } from '../subject.ts';

const entry = join(import.meta.dirname, '../../sidecar/bin/enforcing.ts');

/** Which part of the work a function belongs to, by where it stands. */
const places: readonly (readonly [part: string, pattern: RegExp])[] = [
  ['parse', /\/sidecar\/http1\/(?!socket|body-writer)|^wasm:/],
  ['verify', /\/sidecar\/(signature|keyring)\/|node:internal\/crypto/],
  ['replay', /\/sidecar\/replay\//],
  ['decide', /\/sidecar\/policy\//],
  ['record', /\/sidecar\/telemetry\//],
  ['forward', /\/sidecar\/|node:/],
];
const order = ['kernel', 'parse', 'verify', 'replay', 'decide', 'record', 'forward', 'garbage', 'runtime'];

interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
  readonly startTime: number;
}

/** Where the CPU of a call goes: the kernel by its own accounting, the rest by a profile of the same run. */
export const parts: Subject = {
  id: 'parts',
  modes: ['quick', 'usual', 'full'],
  async run({ stage, mode }): Promise<Result> {
    const folder = await temporaryFolder();
    try {
      const peer = inboundWith('parts', 'inbound, traced', {
        command: [
          process.execPath,
          '--cpu-prof',
          `--cpu-prof-dir=${folder}`,
          '--cpu-prof-interval=250',
          '--trace-gc',
          entry,
        ],
      });
      const running = await stage.start(peer);
      const sample = await measure(stage, peer, running, {
        warmMs: mode === 'quick' ? 500 : 2000,
        ms: mode === 'quick' ? 1000 : 6000,
      });
      await running.stop();
      const [file] = await readdir(folder);
      const shares = sharesOf(
        JSON.parse(await readFile(join(folder, file!), 'utf8')) as Profile,
        sample.requests,
      );
      const user = sample.userCpu;
      const data: Record<string, number> = { kernel: sample.cpu - user };
      for (const [part, share] of Object.entries(shares)) data[part] = share * user;
      return {
        id: 'parts',
        table: {
          title: 'Where the CPU of one call goes, µs (inbound from source, under a profiler)',
          columns: ['part', 'µs/req', 'share'],
          rows: order.map((part) => [
            part,
            (data[part] ?? 0).toFixed(2),
            `${((100 * (data[part] ?? 0)) / sample.cpu).toFixed(0)} %`,
          ]),
          notes: [
            'kernel: system time by its own accounting; the others share the user time as the profile does',
            'runtime: libuv and what V8 does outside of functions; forward: sockets, streams and our own plumbing',
          ],
        },
        data: { total: sample.cpu, parts: data },
      };
    } finally {
      removeFolder(folder);
    }
  },
};

/** Shares of the user time; socket writes are left out, being the kernel's. The start of the program is left out too. */
function sharesOf(profile: Profile, requests: number): Record<string, number> {
  const partOf = new Map<number, string | undefined>();
  for (const { id, callFrame } of profile.nodes)
    partOf.set(id, partOfFrame(callFrame.functionName, callFrame.url));
  const total = profile.timeDeltas.reduce((sum, delta) => sum + delta, 0);
  let at = 0;
  const times: Record<string, number> = {};
  let sum = 0;
  profile.samples.forEach((id, i) => {
    const delta = profile.timeDeltas[i]!;
    at += delta;
    const part = partOf.get(id);
    // What loads the program is over after the first fifth of even the shortest run.
    if (part === undefined || at < total / 4 || requests === 0) return;
    times[part] = (times[part] ?? 0) + delta;
    sum += delta;
  });
  return Object.fromEntries(Object.entries(times).map(([part, time]) => [part, time / sum]));
}

function partOfFrame(functionName: string, url: string): string | undefined {
  if (functionName === '(idle)' || functionName === '(root)') return undefined;
  if (functionName === '(garbage collector)') return 'garbage';
  if (/^write(Latin1String|Buffer|v|Utf8String)$/.test(functionName) && url === '') return undefined;
  if (url === '') return functionName.startsWith('wasm') ? 'parse' : 'runtime';
  return places.find(([, pattern]) => pattern.test(url))?.[0] ?? 'runtime';
}
