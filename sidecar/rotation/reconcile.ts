import type { InUse } from './keys-in-use.ts';
import {
  generationOf,
  gracePeriodSeconds,
  type PreviousRoot,
  type Root,
  type ServiceRoots,
} from './roots.ts';

/**
 * Decides what the registry is to hold of a service, from the roots that are known of it and the generations that its
 * sidecars use: what is signed with must stay accepted. A generation in use whose root is unknown becomes a lost root,
 * whose pair keys are carried over until a rotation replaces it.
 *
 * @param known the roots of a backup, and of the registry as it is
 */
export function reconcile(
  service: string,
  known: readonly ServiceRoots[],
  inUse: InUse,
  nowMs: number,
): ServiceRoots {
  const revoked = known
    .flatMap((roots) => (roots.revoked === undefined ? [] : [roots.revoked]))
    .reduce<ServiceRoots['revoked']>(
      (highest, each) => (highest === undefined || each.generation > highest.generation ? each : highest),
      undefined,
    );
  const floor = revoked?.generation ?? 0;
  const mark = revoked && { revoked };
  const generation = current(inUse, floor);
  if (generation === undefined) {
    const roots = known.find((each) => each.current !== undefined && generationOf(each.current) > floor);
    return { ...mark, ...(roots?.current && { current: roots.current }) };
  }
  const rootOf = (wanted: number): Root =>
    known
      .flatMap((roots) => [roots.current, roots.pending, roots.previous])
      .find((root) => root?.key !== undefined && generationOf(root) === wanted) ?? {
      kid: `${service}/${wanted}`,
      key: undefined,
      createdAt: new Date(nowMs).toISOString(),
    };
  const { kid, key, createdAt } = rootOf(generation);
  const older = [...inUse.signing, ...inUse.accepted].filter((each) => each < generation && each > floor);
  const previous = older.length === 0 ? undefined : ending(rootOf(Math.max(...older)), inUse, nowMs);
  return { ...mark, current: { kid, key, createdAt }, ...(previous && { previous }) };
}

/** The newest generation that every callee accepts, of those that are signed with if there are such. */
function current({ signing, accepted }: InUse, floor: number): number | undefined {
  const live = [...accepted].filter((generation) => generation > floor);
  const signed = live.filter((generation) => signing.has(generation));
  const choice = signed.length > 0 ? signed : live;
  return choice.length === 0 ? undefined : Math.max(...choice);
}

function ending({ kid, key, createdAt }: Root, { notAfter }: InUse, nowMs: number): PreviousRoot {
  const generation = generationOf({ kid, key, createdAt });
  const end = notAfter.get(generation) ?? new Date(nowMs + gracePeriodSeconds * 1000).toISOString();
  return { kid, key, createdAt, notAfter: end };
}
