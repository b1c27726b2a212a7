import { setTimeout as pause } from 'node:timers/promises';
import { eachAtOnce } from '../terms/each-at-once.ts';
import type { Issued, OutFolder } from './out-folder.ts';
import { runShellCommand } from './shell-command.ts';
import { type StatusAccess, StatusReader } from './status-reader.ts';

/** How the rotator reaches the sidecars of a fleet. */
export interface SidecarAccess extends StatusAccess {
  /** Given HOST and FILE; exit 0 means that the host has the file. */
  readonly deliverCommand: string;
  /** How long a sidecar may take to load what it got. */
  readonly loadWithinMs: number;
}

/** `urgent`: to everyone at once, without asking first who has it already, and a host that hangs is given up soon. */
export type Haste = 'usual' | 'urgent';

const deliverWithinMs = { usual: 300_000, urgent: 30_000 } as const;
const lanes = { usual: 8, urgent: 64 } as const;
const lookEveryMs = 200;

/** A sidecar that does not have its keyring, and why. */
export interface Laggard {
  readonly place: string;
  readonly why: string;
}

/**
 * Brings every sidecar the keyring that it should have, except those that say they have loaded it already, and
 * waits until all say so. One that cannot be reached does not keep the others from getting theirs.
 */
export async function bringKeyrings(
  access: SidecarAccess,
  out: OutFolder,
  wanted: ReadonlyMap<string, Issued>,
  signal: AbortSignal,
  haste: Haste = 'usual',
): Promise<Laggard[]> {
  const reader = new StatusReader(access);
  const before: ReadonlyMap<string, string | undefined> =
    haste === 'urgent' ? new Map() : await reader.issues([...wanted.values()], signal);
  const behind = [...wanted.keys()].filter((place) => before.get(place) !== wanted.get(place)?.issue);
  const undelivered = new Map<string, string>();
  await eachAtOnce(
    behind,
    async (place) => {
      const host = wanted.get(place)?.host as string;
      const options = { stdout: 'show', timeoutMs: deliverWithinMs[haste], signal } as const;
      const { code } = await runShellCommand(access.deliverCommand, [host, out.fileOf(place)], options);
      if (code === 0) return;
      const how = code === null ? 'was ended' : `exited with ${code}`;
      undelivered.set(place, `not delivered (the deliver command ${how})`);
    },
    lanes[haste],
  );
  const delivered = behind.filter(
    (place) => !undelivered.has(place) && wanted.get(place)?.hasSidecar === true,
  );
  const { waitingFor, heard } = await untilLoaded(access, reader, wanted, delivered, signal);
  return [
    ...[...undelivered].map(([place, why]) => ({ place, why })),
    ...waitingFor.map((place) => ({
      place,
      why: heard.has(place)
        ? `delivered, but not loaded within ${access.loadWithinMs / 1000} s (its log says why)`
        : 'delivered, but it does not say what it has loaded (--from or --status must reach its /status)',
    })),
  ];
}

async function untilLoaded(
  { loadWithinMs }: SidecarAccess,
  reader: StatusReader,
  wanted: ReadonlyMap<string, Issued>,
  delivered: readonly string[],
  signal: AbortSignal,
): Promise<{ waitingFor: readonly string[]; heard: ReadonlyMap<string, string | undefined> }> {
  const deadline = performance.now() + loadWithinMs;
  let waitingFor = delivered;
  let heard: ReadonlyMap<string, string | undefined> = new Map();
  while (waitingFor.length > 0) {
    signal.throwIfAborted();
    heard = await reader.issues(
      waitingFor.map((place) => wanted.get(place) as Issued),
      signal,
    );
    const issues = heard;
    waitingFor = waitingFor.filter((place) => issues.get(place) !== wanted.get(place)?.issue);
    if (waitingFor.length === 0 || performance.now() > deadline) break;
    await pause(lookEveryMs, undefined, { signal });
  }
  return { waitingFor, heard };
}
