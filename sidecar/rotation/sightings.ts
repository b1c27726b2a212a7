import * as z from 'zod';
import type { Fleet } from '../config/fleet.ts';
import { loadedKeysSchema } from '../keyring/loaded-keys.ts';
import { eachAtOnce } from './each-at-once.ts';
import type { Sighting } from './key-report.ts';
import { type Place, placeName, placesOf } from './roots.ts';
import { runShellCommand } from './shell-command.ts';

/** How the rotator hears from sidecars, whose admin listeners are on loopback: near ones by URL, far ones by a command. */
export interface StatusAccess {
  /** Admin listeners, `http://HOST:PORT`. */
  readonly adminUrls: readonly string[];
  /** Given HOST and SERVICE; prints that sidecar's `/status`. */
  readonly statusCommand?: string;
}

const statusSchema = z.object({ service: z.string(), host: z.string(), keys: loadedKeysSchema });

export type KeyStatus = z.output<typeof statusSchema>;

const commandWithinMs = 60_000;
const httpWithinMs = 3_000;

/** Which keys the sidecars say that they have loaded; those that do not answer are absent. */
export async function askStatuses(
  access: StatusAccess,
  places: readonly Place[],
  signal: AbortSignal,
): Promise<KeyStatus[]> {
  const statuses: KeyStatus[] = [];
  const take = (text: string | undefined) => {
    const status = parseStatus(text);
    if (status !== undefined) statuses.push(status);
  };
  await eachAtOnce(access.adminUrls, async (url) => take(await fetchText(url, '/status', signal)));
  const { statusCommand } = access;
  if (statusCommand === undefined) return statuses;
  const heard = new Set(statuses.map(placeName));
  const unheard = places.filter((place) => !heard.has(placeName(place)));
  await eachAtOnce(unheard, async ({ host, service }) => {
    const options = { stdout: 'keep', timeoutMs: commandWithinMs, signal } as const;
    const { code, stdout } = await runShellCommand(statusCommand, [host, service], options);
    if (code === 0) take(stdout);
  });
  return statuses;
}

/** As `askStatuses`, with how often each key was used where an admin listener can be asked. */
export async function sightSidecars(
  access: StatusAccess,
  fleet: Fleet,
  signal: AbortSignal,
): Promise<Sighting[]> {
  const uses = new Map<string, ReadonlyMap<string, number>>();
  await eachAtOnce(access.adminUrls, async (url) => {
    const status = parseStatus(await fetchText(url, '/status', signal));
    const metrics = await fetchText(url, '/metrics', signal);
    if (status !== undefined && metrics !== undefined) uses.set(placeName(status), keyUses(metrics));
  });
  const statuses = await askStatuses(access, placesOf(fleet), signal);
  return statuses.map((status) => {
    const counts = uses.get(placeName(status));
    return { ...status, ...(counts && { uses: counts }) };
  });
}

function keyUses(metrics: string): Map<string, number> {
  const lines = metrics.matchAll(
    /^countersign_key_uses_total\{kid="([^"]+)"\} (\d+(?:\.\d+)?(?:e\+?\d+)?)$/gm,
  );
  return new Map([...lines].map(([, kid, count]) => [kid as string, Number(count)]));
}

function parseStatus(text: string | undefined): KeyStatus | undefined {
  try {
    return text === undefined ? undefined : statusSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

async function fetchText(base: string, path: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(httpWithinMs)]);
    const response = await fetch(new URL(path, base), { signal: limit, redirect: 'error' });
    return response.ok ? await response.text() : undefined;
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}
