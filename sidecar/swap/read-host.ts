import { constants } from 'node:fs';
import { access, readdir, readFile, readlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { parse } from 'yaml';
import type { Phase } from '../telemetry/documents.ts';
import { type Choice, type GuardUnit, type Host, type SidecarUnit, type Unit, unversioned } from './host.ts';
import type { Layout } from './layout.ts';
import { readStatus } from './read-status.ts';
import { showUnits, type UnitProperties } from './systemctl.ts';

const phases: readonly Phase[] = ['logging', 'enforcing'];
const inboundSocket = 'countersign-inbound.socket';

/** What of a sidecar.yaml a swap needs. Read leniently: it may be of a version with another schema. */
interface SidecarSettings {
  readonly admin: string;
  readonly state: string;
}

/** Reads everything that a swap decides by. */
export async function readHost(layout: Layout): Promise<Host> {
  const [installed, guardVersions, boots, current, previous] = await Promise.all([
    installedOn(layout),
    configuredGuards(layout),
    bootLinks(layout, 'multi-user.target.wants'),
    linkTarget(join(layout.versions, 'current')),
    linkTarget(join(layout.versions, 'previous')),
  ]);
  const names = [
    ...installed.map(({ phase, version }) => `countersign-${phase}@${version}.service`),
    ...guardVersions.map((version) => `countersign-guard@${version}.service`),
    ...phases.map((phase) => `countersign-${phase}.service`),
    'countersign-guard.service',
    inboundSocket,
    // Of versions that were removed while they ran, or are enabled but not installed.
    ...[...boots].filter((name) => /^countersign-(logging|enforcing|guard)@/.test(name)),
  ];
  const patterns = [
    'countersign-logging@*.service',
    'countersign-enforcing@*.service',
    'countersign-guard@*.service',
  ];
  const shown = await showUnits(layout.systemctl, [...new Set([...names, ...patterns])]);
  const settings = await settingsOf(layout, current, installed);
  const [sidecars, serving, socketLinks] = await Promise.all([
    Promise.all(shown.flatMap((unit) => sidecarUnit(unit, boots, settings.state))),
    readStatus(settings.admin),
    bootLinks(layout, 'sockets.target.wants'),
  ]);
  return {
    installed,
    sockets: {
      listen: shown.some(({ id, active }) => id === inboundSocket && active === 'active'),
      boot: socketLinks.has(inboundSocket),
    },
    sidecars,
    guards: shown.flatMap((unit) => guardUnit(unit, boots, guardVersions)),
    serving,
    admin: settings.admin,
    current,
    previous,
  };
}

async function installedOn({ versions, configuration }: Layout): Promise<Choice[]> {
  const entries = await readdir(versions, { withFileTypes: true }).catch(() => []);
  const choices = entries
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name: version }) => phases.map((phase): Choice => ({ phase, version })));
  const there = await Promise.all(
    choices.map(
      async ({ phase, version }) =>
        (await isThere(join(versions, version, `countersign-${phase}`), constants.X_OK)) &&
        (await isThere(join(configuration, version, 'sidecar.yaml'), constants.R_OK)),
    ),
  );
  return choices.filter((_, index) => there[index]);
}

async function configuredGuards({ guard }: Layout): Promise<string[]> {
  const files: readonly string[] = await readdir(guard).catch(() => []);
  if (!files.includes('gate.json')) return [];
  return files.filter((file) => /^\d.*\.yaml$/.test(file)).map((file) => file.slice(0, -'.yaml'.length));
}

/** Read from the links themselves: `is-enabled` asks a running systemd, which may not have read them yet. */
async function bootLinks({ units }: Layout, target: string): Promise<Set<string>> {
  return new Set(await readdir(join(units, target)).catch(() => []));
}

async function linkTarget(link: string): Promise<string | undefined> {
  const target = await readlink(link).catch(() => undefined);
  return target === undefined ? undefined : basename(target);
}

/** Admin listener and state directory are of the host: every version that is installed has the same. */
async function settingsOf(
  { configuration }: Layout,
  current: string | undefined,
  installed: readonly Choice[],
): Promise<SidecarSettings> {
  const versions = [...(current === undefined ? [] : [current]), ...installed.map(({ version }) => version)];
  for (const version of versions) {
    const text = await readFile(join(configuration, version, 'sidecar.yaml'), 'utf8').catch(() => undefined);
    if (text === undefined) continue;
    const { admin, state } = parse(text) as { admin?: { listen?: string }; state?: string };
    return { admin: admin?.listen ?? '127.0.0.1:15000', state: state ?? '/var/lib/countersign' };
  }
  return { admin: '127.0.0.1:15000', state: '/var/lib/countersign' };
}

function sidecarUnit(
  unit: UnitProperties,
  boots: ReadonlySet<string>,
  stateDirectory: string,
): Promise<SidecarUnit>[] {
  const [, phase, version = unversioned] =
    /^countersign-(logging|enforcing)(?:@(.+))?\.service$/.exec(unit.id) ?? [];
  if (phase === undefined) return [];
  const choice = { phase: phase as Phase, version };
  return [
    holdsFileIn(unit.mainPid, stateDirectory).then((atLock) => ({
      ...asUnit(unit, boots),
      choice,
      pid: unit.mainPid,
      atLock,
    })),
  ];
}

function guardUnit(
  unit: UnitProperties,
  boots: ReadonlySet<string>,
  configured: readonly string[],
): GuardUnit[] {
  const [match, version = unversioned] = /^countersign-guard(?:@(.+))?\.service$/.exec(unit.id) ?? [];
  if (match === undefined) return [];
  return [{ ...asUnit(unit, boots), version, configured: configured.includes(version) }];
}

function asUnit({ id, active }: UnitProperties, boots: ReadonlySet<string>): Unit {
  return { name: id, state: stateOf(active), boots: boots.has(id) };
}

function stateOf(active: string): Unit['state'] {
  switch (active) {
    case 'active':
    case 'reloading':
      return 'running';
    case 'activating':
      return 'starting';
    case 'deactivating':
      return 'stopping';
    case 'failed':
      return 'failed';
    default:
      return 'stopped';
  }
}

async function holdsFileIn(pid: number, directory: string): Promise<boolean> {
  if (pid === 0) return false;
  const folder = `/proc/${pid}/fd`;
  const descriptors = await readdir(folder).catch(() => []);
  const files = await Promise.all(descriptors.map((fd) => readlink(join(folder, fd)).catch(() => '')));
  return files.some((file) => file.startsWith(`${directory}/`));
}

async function isThere(file: string, mode: number): Promise<boolean> {
  return access(file, mode).then(
    () => true,
    () => false,
  );
}
