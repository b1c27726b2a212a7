import type { Fleet } from '../config/fleet.ts';
import { eachAtOnce } from '../terms/each-at-once.ts';
import type { Sighting } from './key-report.ts';
import { placeName, placesOf } from './roots.ts';
import { fetchText, type StatusAccess, StatusReader } from './status-reader.ts';

/** What the sidecars of a fleet say of their keys, with how often each was used where an admin listener can be asked. */
export async function sightSidecars(
  access: StatusAccess,
  fleet: Fleet,
  signal: AbortSignal,
): Promise<Sighting[]> {
  const reader = new StatusReader(access);
  const statuses = await reader.statuses(placesOf(fleet), signal);
  const uses = new Map<string, ReadonlyMap<string, number>>();
  await eachAtOnce(statuses, async (place) => {
    const url = reader.urlOf(place);
    const metrics = url === undefined ? undefined : await fetchText(url, '/metrics', signal);
    if (metrics !== undefined) uses.set(placeName(place), keyUses(metrics));
  });
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
