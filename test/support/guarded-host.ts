import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { DenialReason } from '../../sidecar/terms/reasons.ts';
import { deniedRecord } from './call-record.ts';
import { adminThatSaw } from './observed-fleet.ts';
import { tempFolder } from './temp-folder.ts';

/** The callers whose calls the gate file of `guardedHost` has seen. */
export const callers = ['main-backend', 'ai-stack'];
export const gatedMatrix = 'm';
export const seen = callers.map((caller) => ({
  caller,
  callee: 'npu-worker',
  method: 'GET',
  path: '/api/status/*',
}));

/** A gate file, a real admin listener, and two services that are one file: there, the logging one serves. */
export async function guardedHost(t: Test) {
  const dir = await tempFolder(t);
  await writeFile(
    join(dir, 'go.json'),
    JSON.stringify({ created: '2026-11-23T12:00:00Z', matrix: gatedMatrix, seen, skew: [] }),
  );
  const swapped = join(dir, 'logging-serves');
  const inForce = { matrix: gatedMatrix };
  const admin = await adminThatSaw(t, [], () => ({
    phase: existsSync(swapped) ? 'logging' : 'enforcing',
    ...inForce,
  }));
  return { dir, swapped, inForce, ...admin };
}

/** Steady traffic: repeats calls until the test ends. */
export function traffic(t: Test, send: () => void): void {
  const timer = setInterval(send, 20);
  t.teardown(() => clearInterval(timer));
}

/** A call that was seen before, now denied. */
export const refused = (caller: string, reason: DenialReason = 'not-authorized', path = '/api/status/7') =>
  deniedRecord({
    caller,
    method: 'GET',
    path,
    verdict: { allowed: false, caller, denial: { reason, detail: '' } },
  });
