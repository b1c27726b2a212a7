import { splitKeyId } from '../terms/kid.ts';
import { placesOf } from './roots.ts';
import type { Rotator } from './rotator.ts';
import { type KeyStatus, type StatusAccess, StatusReader } from './status-reader.ts';

/**
 * The highest generation of each service that any keyring in the folder or any sidecar that answers has: what a
 * registry that was lost may not make again.
 */
export async function generationsInUse(
  { fleet, out }: Pick<Rotator, 'fleet' | 'out'>,
  access: StatusAccess,
  signal: AbortSignal,
): Promise<Map<string, number>> {
  const highest = await out.highestGenerations();
  await new StatusReader(access).each(placesOf(fleet), signal, ({ keys }) => {
    for (const kid of kidsOf(keys)) {
      const { caller, generation } = splitKeyId(kid);
      highest.set(caller, Math.max(highest.get(caller) ?? 0, generation));
    }
  });
  return highest;
}

/** Every key id that a sidecar's `/status` names. */
export function kidsOf({ outbound, inbound }: KeyStatus['keys']): Set<string> {
  return new Set([
    ...Object.values(outbound).map(({ kid }) => kid),
    ...Object.values(inbound).flatMap((keys) => keys.map(({ kid }) => kid)),
  ]);
}
