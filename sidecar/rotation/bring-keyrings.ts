import { setTimeout as pause } from 'node:timers/promises';
import type { KeyringFile } from '../keyring/keyring-file.ts';
import { eachAtOnce } from './each-at-once.ts';
import type { OutFolder } from './out-folder.ts';
import { placeName } from './roots.ts';
import { placesBehind } from './rotation.ts';
import { runShellCommand } from './shell-command.ts';
import { askStatuses, type StatusAccess } from './sightings.ts';

/** How the rotator reaches the sidecars of a fleet. */
export interface SidecarAccess extends StatusAccess {
  /** Given HOST and FILE; exit 0 means that the host has the file. */
  readonly deliverCommand: string;
  /** How long a sidecar may take to load what it got. */
  readonly loadWithinMs: number;
}

const deliverWithinMs = 300_000;
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
  wanted: ReadonlyMap<string, KeyringFile>,
  signal: AbortSignal,
): Promise<Laggard[]> {
  const undelivered = new Map<string, string>();
  const before = await issuesLoaded(access, wanted, [...wanted.keys()], signal);
  const behind = placesBehind(wanted, before);
  await eachAtOnce(behind, async (place) => {
    const host = wanted.get(place)?.host as string;
    const options = { stdout: 'show', timeoutMs: deliverWithinMs, signal } as const;
    const { code } = await runShellCommand(access.deliverCommand, [host, out.fileOf(place)], options);
    if (code !== 0)
      undelivered.set(
        place,
        `not delivered (the deliver command ${code === null ? 'was ended' : `exited with ${code}`})`,
      );
  });
  const deadline = performance.now() + access.loadWithinMs;
  let waitingFor = behind.filter((place) => !undelivered.has(place));
  let loaded = before;
  while (waitingFor.length > 0) {
    signal.throwIfAborted();
    loaded = await issuesLoaded(access, wanted, waitingFor, signal);
    const still = new Set(placesBehind(wanted, loaded));
    waitingFor = waitingFor.filter((place) => still.has(place));
    if (waitingFor.length === 0 || performance.now() > deadline) break;
    await pause(lookEveryMs, undefined, { signal });
  }
  return [
    ...[...undelivered].map(([place, why]) => ({ place, why })),
    ...waitingFor.map((place) => ({
      place,
      why: loaded.has(place)
        ? `delivered, but not loaded within ${access.loadWithinMs / 1000} s (its log says why)`
        : 'delivered, but it does not say what it has loaded (--from or --status must reach its /status)',
    })),
  ];
}

async function issuesLoaded(
  access: StatusAccess,
  wanted: ReadonlyMap<string, KeyringFile>,
  places: readonly string[],
  signal: AbortSignal,
): Promise<Map<string, string | undefined>> {
  const asked = places.map((place) => wanted.get(place) as KeyringFile);
  const statuses = await askStatuses(access, asked, signal);
  return new Map(statuses.map((status) => [placeName(status), status.keys.issue]));
}
