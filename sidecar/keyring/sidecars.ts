import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import type { KeyringFile } from './keyring-file.ts';
import { loadedKeysSchema } from './loaded-keys.ts';
import type { OutFolder } from './out-folder.ts';
import { placeName } from './roots.ts';
import { placesBehind } from './rotation.ts';
import { runShellCommand } from './shell-command.ts';

/** How the rotator reaches the sidecars of a fleet. */
export interface SidecarAccess {
  /** Given HOST and FILE; exit 0 means that the host has the file. */
  readonly deliverCommand: string;
  /** Given HOST and SERVICE; prints that sidecar's `/status`. */
  readonly statusCommand?: string;
  /** Admin listeners, `http://HOST:PORT`. */
  readonly adminUrls: readonly string[];
  /** How long a sidecar may take to load what it got. */
  readonly loadWithinMs: number;
}

const deliverWithinMs = 300_000;
const answerWithinMs = 60_000;
const httpWithinMs = 3_000;
const lookEveryMs = 200;
const atOnce = 8;

/** Why a sidecar does not have its keyring. */
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
  const failed = new Map<string, string>();
  const already = await askLoaded(access, wanted, [...wanted.keys()], signal);
  await eachAtOnce(placesBehind(wanted, already), async (place) => {
    const host = wanted.get(place)?.host as string;
    const ran = await runShellCommand(access.deliverCommand, [host, out.fileOf(place)], {
      stdout: 'show',
      timeoutMs: deliverWithinMs,
      signal,
    });
    if (ran.code !== 0)
      failed.set(
        place,
        `not delivered: the deliver command ${ran.code === null ? 'was ended' : `exited with ${ran.code}`}`,
      );
  });
  const deadline = performance.now() + access.loadWithinMs;
  let waitingFor = placesBehind(wanted, already).filter((place) => !failed.has(place));
  let said = new Map<string, string | undefined>();
  for (;;) {
    signal.throwIfAborted();
    said = await askLoaded(access, wanted, waitingFor, signal);
    waitingFor = placesBehind(wanted, said).filter((place) => waitingFor.includes(place));
    if (waitingFor.length === 0 || performance.now() > deadline) break;
    await pause(lookEveryMs, undefined, { signal });
  }
  return [
    ...[...failed].map(([place, why]) => ({ place, why })),
    ...waitingFor.map((place) => ({
      place,
      why: said.has(place)
        ? `delivered, but not loaded within ${access.loadWithinMs / 1000} s: its log says why`
        : 'delivered, but its /status does not answer: --from or --status must reach it',
    })),
  ];
}

const statusSchema = z.object({ service: z.string(), host: z.string(), keys: loadedKeysSchema });

/** Which issue of their keyring the sidecars say that they have loaded, by place; those that do not answer are absent. */
export async function askLoaded(
  access: Pick<SidecarAccess, 'statusCommand' | 'adminUrls'>,
  wanted: ReadonlyMap<string, KeyringFile>,
  places: readonly string[],
  signal: AbortSignal,
): Promise<Map<string, string | undefined>> {
  const loaded = new Map<string, string | undefined>();
  const take = (status: unknown) => {
    const { data } = statusSchema.safeParse(status);
    if (data !== undefined) loaded.set(placeName(data), data.keys.issue);
  };
  await eachAtOnce(access.adminUrls, async (url) => take(await fetchJson(url, signal)));
  const { statusCommand } = access;
  if (statusCommand === undefined) return loaded;
  const unknown = places.filter((place) => !loaded.has(place));
  await eachAtOnce(unknown, async (place) => {
    const { host, service } = wanted.get(place) as KeyringFile;
    const options = { stdout: 'keep', timeoutMs: answerWithinMs, signal } as const;
    const { code, stdout } = await runShellCommand(statusCommand, [host, service], options);
    if (code === 0) take(parsed(stdout));
  });
  return loaded;
}

async function fetchJson(url: string, signal: AbortSignal): Promise<unknown> {
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(httpWithinMs)]);
    const response = await fetch(new URL('/status', url), { signal: limit });
    return response.ok ? await response.json() : undefined;
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function eachAtOnce<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  const lane = async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, lane));
}
