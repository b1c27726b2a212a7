import {
  type Choice,
  type Host,
  isGone,
  isInstalled,
  isSame,
  isUp,
  nameOf,
  type SidecarUnit,
  unversioned,
} from './host.ts';
import type { Progress, Step } from './step.ts';

/** A sidecar that is not ready within this time does not become ready. */
export const readyWithinMs = 30_000;
/** How long a swap waits for a sidecar that is still draining from an earlier swap, before it ends it. */
export const patienceMs = 20_000;

const socketUnits = ['countersign-outbound.socket', 'countersign-inbound.socket', 'countersign-admin.socket'];
const socketHolder = 'countersign-sockets.service';

/**
 * The next step towards `target`: it is started beside the sidecar that serves, on the same listening sockets; that one
 * is stopped and drains; once `/status` says that the target is ready, it is what boots.
 */
export function stepToServe(host: Host, target: Choice, progress: Progress): Step {
  const own = host.sidecars.find((unit) => isSame(unit.choice, target));
  if (own === undefined || !isInstalled(host, target))
    return { do: 'give-up', why: notInstalled(host, target) };
  const back: Choice = { phase: 'logging', version: target.version };
  if (!isInstalled(host, back)) {
    const why = `found no countersign-logging ${target.version}, expected the way back from enforcing: run playbooks/site.yml`;
    return { do: 'give-up', why };
  }
  return (
    openSockets(host) ??
    startUnit(own, target, progress) ??
    takeOver(host, own, progress) ??
    record(host, own) ??
    moveGuard(host, target, progress) ?? { do: 'finish' }
  );
}

function notInstalled(host: Host, target: Choice): string {
  const there = host.installed.map(nameOf).join(', ') || 'none';
  return `found no ${nameOf(target)} with its configuration on this host (installed: ${there}), expected it: run playbooks/site.yml`;
}

function openSockets({ sockets }: Host): Step | undefined {
  if (!sockets.boot) return { do: 'enable', units: socketUnits };
  if (!sockets.listen) return { do: 'start', units: socketUnits };
  return undefined;
}

/** A configuration that the target would refuse is found while the old sidecar serves undisturbed. */
function startUnit(own: SidecarUnit, target: Choice, progress: Progress): Step | undefined {
  if (own.state === 'stopping') return endAfterPatience(own, progress);
  if (isGone(own)) {
    if (progress.started.includes(own.name)) return { do: 'give-up', why: doesNotStart(own) };
    if (!progress.checked) return { do: 'check', version: target.version };
    return { do: 'start', units: [own.name] };
  }
  return undefined;
}

function takeOver(host: Host, own: SidecarUnit, progress: Progress): Step | undefined {
  if (isServing(host, own)) return stopOthers(host, own);
  if (!own.atLock)
    return waitReady(own, `${own.name} has read its configuration`, doesNotStart(own), progress);
  const ready = `${own.name} is ready`;
  return (
    stopOthers(host, own) ??
    waitReady(own, ready, `${own.name} is not ready after ${readyWithinMs / 1000} s${see(own)}`, progress)
  );
}

function stopOthers(host: Host, own: SidecarUnit): Step | undefined {
  const others = host.sidecars.filter((unit) => unit !== own && isUp(unit)).map(({ name }) => name);
  return others.length > 0 ? { do: 'stop', units: others } : undefined;
}

/** Enabled before the others are disabled: whenever a swap is killed, a reboot starts a sidecar. */
function record(host: Host, own: SidecarUnit): Step | undefined {
  const { version } = own.choice;
  if (!own.boots) return { do: 'enable', units: [own.name] };
  const others = host.sidecars.filter((unit) => unit !== own && unit.boots).map(({ name }) => name);
  if (others.length > 0) return { do: 'disable', units: others };
  if (host.current === version) return undefined;
  // A swap back to `previous` leaves it as it is, so that a second one has nothing to do.
  const isNew = host.current !== undefined && host.current !== host.previous && host.previous !== version;
  if (isNew) return { do: 'link', link: 'previous', version: host.current };
  return { do: 'link', link: 'current', version };
}

/** The guard is of the version that it watches. It goes on in the logging phase, where it has nothing to do. */
function moveGuard(host: Host, target: Choice, progress: Progress): Step | undefined {
  const own = host.guards.find(({ version }) => version === target.version);
  if (target.phase === 'enforcing' && own?.configured) {
    if (!own.boots) return { do: 'enable', units: [own.name] };
    // One that fails is systemd's to restart, and no reason to take the sidecar back.
    if (!isUp(own) && !progress.started.includes(own.name)) return { do: 'start', units: [own.name] };
  }
  const others = host.guards.filter((guard) => guard !== own);
  const boot = others.filter(({ boots }) => boots).map(({ name }) => name);
  if (boot.length > 0) return { do: 'disable', units: boot };
  const up = others.filter(isUp).map(({ name }) => name);
  return up.length > 0 ? { do: 'stop', units: up } : undefined;
}

/** The next step towards a host without a sidecar: nothing boots, nothing runs, nothing listens. */
export function stepToNone(host: Host, progress: Progress): Step {
  const units = [...host.sidecars, ...host.guards];
  const boot = units.filter(({ boots }) => boots).map(({ name }) => name);
  if (host.sockets.boot) boot.push(...socketUnits);
  if (boot.length > 0) return { do: 'disable', units: boot };
  const up = units.filter(isUp).map(({ name }) => name);
  // All at once: systemd would start the holder for a connection to a socket that outlived it.
  if (host.sockets.listen) return { do: 'stop-together', units: [...socketUnits, socketHolder, ...up] };
  if (up.length > 0) return { do: 'stop', units: up };
  const late = host.sidecars.find(({ state }) => state === 'stopping');
  return late === undefined ? { do: 'finish' } : endAfterPatience(late, progress);
}

/** The next step after a failure: the target ends at once, and what boots serves again. */
export function stepToReturn(host: Host, failed: Choice, to: Choice | undefined, progress: Progress): Step {
  const bad = host.sidecars.find((unit) => isSame(unit.choice, failed));
  if (bad !== undefined && !isGone(bad)) return { do: 'end', units: [bad.name] };
  // Nothing served before: connections must be refused, not wait for a sidecar that does not come.
  if (to === undefined) return stepToNone(host, progress);
  const old = host.sidecars.find((unit) => isSame(unit.choice, to));
  if (old === undefined || isServing(host, old)) return { do: 'finish' };
  const lost = `${old.name} does not serve again either${see(old)}`;
  if (old.state === 'stopping') return endAfterPatience(old, progress);
  if (isGone(old)) {
    if (progress.started.includes(old.name)) return { do: 'give-up', why: lost };
    return { do: 'start', units: [old.name] };
  }
  return waitReady(old, `${old.name} serves again`, lost, progress);
}

function isServing({ serving, current }: Host, { choice }: SidecarUnit): boolean {
  if (serving === undefined || !serving.ready || serving.phase !== choice.phase) return false;
  return serving.version === (choice.version === unversioned ? current : choice.version);
}

function waitReady(unit: SidecarUnit, until: string, otherwise: string, progress: Progress): Step {
  if (unit.state === 'failed') return { do: 'give-up', why: doesNotStart(unit) };
  return progress.waitedMs(until) < readyWithinMs ? { do: 'wait', until } : { do: 'give-up', why: otherwise };
}

function endAfterPatience(unit: SidecarUnit, progress: Progress): Step {
  const until = `${unit.name} has drained`;
  return progress.waitedMs(until) < patienceMs ? { do: 'wait', until } : { do: 'end', units: [unit.name] };
}

function doesNotStart(unit: SidecarUnit): string {
  return `${unit.name} does not start${see(unit)}`;
}

function see({ name }: SidecarUnit): string {
  return `; journalctl -u ${name} says why`;
}
