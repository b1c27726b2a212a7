import { DeliveryError } from '../keyring/errors.ts';
import { bringKeyrings, type Laggard, type SidecarAccess } from './bring-keyrings.ts';
import { laggardList } from './laggard-list.ts';
import { type Misfit, misfits } from './probe.ts';
import { graceOf, placeName, type Registry, type RotationPhase, rootsInForce } from './roots.ts';
import { nextAction, type Progress } from './rotation.ts';
import { type Rotator, type Written, writeKeyrings } from './rotator.ts';
import { StatusReader } from './status-reader.ts';

/**
 * Begins a rotation, or goes on with the one that has begun, and sees it through. Keyrings are made once a phase.
 *
 * @param services those to rotate when none is under way
 * @throws {DeliveryError} when a sidecar cannot be reached, does not load its keyring, or a pair's keys do not fit:
 *   every key that was in use still works, and running it again goes on
 */
export async function rotateKeys(
  rotator: Rotator,
  access: SidecarAccess,
  services: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const { registry, fleet, say } = rotator;
  const { rotation } = await registry.read(fleet.services.keys());
  if (rotation === undefined) await registry.beginRotation(services, rotator.now());
  else
    say(
      `going on with the rotation of ${rotation.services.join(', ')} begun ${rotation.startedAt} (${rotation.phase})`,
    );
  let progress: Progress = 'none';
  let written: Written | undefined;
  for (;;) {
    signal.throwIfAborted();
    const state = await registry.read(fleet.services.keys());
    const action = nextAction(state, progress);
    switch (action.kind) {
      case 'stage':
        await stage(rotator, action.services, signal);
        break;
      case 'deliver':
        written = await writeKeyrings(rotator);
        await deliver(rotator, access, written, signal);
        progress = 'delivered';
        break;
      case 'probe':
        await probe(rotator, access, written as Written, signal);
        progress = 'probed';
        break;
      case 'advance':
        await registry.advanceRotation(action.to);
        progress = 'none';
        break;
      case 'promote':
        await promote(rotator, state, action.services, signal);
        break;
      case 'finish':
        await registry.endRotation();
        return;
    }
  }
}

async function stage(
  { registry, out, now, say }: Rotator,
  services: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const used = await out.highestGenerations();
  for (const service of services) {
    signal.throwIfAborted();
    await registry.stage(service, used.get(service) ?? 0, now());
    say(`staged the next key of ${service}`);
  }
}

async function promote(
  { registry, fleet, now, say }: Rotator,
  state: Registry,
  services: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  for (const service of services) {
    signal.throwIfAborted();
    const { current, pending } = rootsInForce(state.services.get(service) ?? {});
    await registry.promote(
      service,
      current === undefined ? 0 : graceOf(service, current, fleet, state),
      now(),
    );
    say(`promoted ${pending?.kid ?? service}`);
  }
}

async function deliver(
  { out, say }: Rotator,
  access: SidecarAccess,
  { state, wanted }: Written,
  signal: AbortSignal,
): Promise<void> {
  const phase = state.rotation?.phase ?? 'staging';
  const laggards = await bringKeyrings(access, out, wanted, signal);
  if (laggards.length > 0) throw stopped(phase, laggards);
  say(`all ${wanted.size} sidecars ${loadedWhat[phase]}`);
}

/**
 * Compares what every sidecar has loaded with what the registry gives it. Where keys do not fit, the keyrings are brought
 * again; signers that have switched go back to the generation before.
 */
async function probe(
  rotator: Rotator,
  access: SidecarAccess,
  { state, wanted, renderer }: Written,
  signal: AbortSignal,
): Promise<void> {
  const { registry, out, say } = rotator;
  const phase = state.rotation?.phase ?? 'staging';
  const heard = new Set<string>();
  const found: Misfit[] = [];
  await new StatusReader(access).each([...wanted.values()], signal, (status) => {
    heard.add(placeName(status));
    found.push(...misfits(status, renderer.keyringOf(status)));
  });
  const silent = [...wanted].flatMap(([place, { hasSidecar }]) =>
    hasSidecar && !heard.has(place) ? [place] : [],
  );
  if (silent.length > 0)
    throw stopped(
      phase,
      silent.map((place) => ({ place, why: 'it does not say any more what it has loaded' })),
    );
  if (found.length === 0) {
    say(`the keys of all ${wanted.size ** 2} pairs of sidecars fit`);
    return;
  }
  say(`the keys of ${found.length} pairs do not fit: ${undoing[phase]}`);
  if (phase !== 'staging') await registry.advanceRotation('staging');
  const again = new Set(found.flatMap(({ caller, callee }) => [caller, callee]));
  const back = await writeKeyrings(rotator, { again });
  const laggards = await bringKeyrings(access, out, back.wanted, signal);
  throw unfit(found, laggards);
}

const undoing: Record<RotationPhase, string> = {
  staging: 'bringing the keyrings again before any signer switches',
  switching: 'going back to the generation before',
  promoting: 'going back to the generation before',
  retiring: 'going back to the generation before',
};

const loadedWhat: Record<RotationPhase, string> = {
  staging: 'accept both generations',
  switching: 'sign with the new generation',
  promoting: 'have their keyrings',
  retiring: 'know when the old generation ends',
};

const whatHolds: Record<RotationPhase, string> = {
  staging: 'No signer has switched: every call is signed and accepted as before.',
  switching: 'Every sidecar accepts both generations, so no call is refused.',
  promoting: 'Every sidecar signs with the new generation.',
  retiring: 'Every sidecar signs with the new generation; these still accept the old one.',
};

function stopped(phase: RotationPhase, laggards: readonly Laggard[]): DeliveryError {
  return new DeliveryError(
    `the rotation has stopped (${phase}): these sidecars do not have their keys:\n${laggardList(laggards)}\n${whatHolds[phase]} Run the same command again when they can be reached; it goes on from here. For a host that stays down: rotate --without HOST.`,
    laggards.map(({ place }) => place),
  );
}

const mostListed = 20;

function unfit(found: readonly Misfit[], laggards: readonly Laggard[]): DeliveryError {
  const pairs = found
    .slice(0, mostListed)
    .map(({ caller, callee, why }) => `  ${caller} to ${callee}: ${why}`);
  if (found.length > mostListed) pairs.push(`  and ${found.length - mostListed} more`);
  const now =
    laggards.length === 0
      ? 'Every sidecar signs with the generation before.'
      : `Every sidecar was told to sign with the generation before, except:\n${laggardList(laggards)}`;
  return new DeliveryError(
    `the rotation has stopped, for keys do not fit:\n${pairs.join('\n')}\n${now} Find out who changed those keyrings, and run the same command again.`,
    [...new Set(found.map(({ callee }) => callee))],
  );
}
