import { Command } from 'commander';
import { type KeyLine, type KeyReport, keyReport, type Sighting } from '../rotation/key-report.ts';
import { placeName, type Registry, rootsInForce, rotationPeriodDays } from '../rotation/roots.ts';
import { sightSidecars } from '../rotation/sightings.ts';
import { exit } from '../terms/exit-codes.ts';
import { type FleetSources, operatorKeyringOption, readFleet } from './fleet-sources.ts';
import {
  adminUrlOption,
  type RegistryOptions,
  type StatusOptions,
  statusAccess,
  statusCommandOption,
  withRegistryOptions,
  withRotator,
} from './keys-options.ts';

interface KeysStatusOptions extends RegistryOptions, StatusOptions {
  readonly keyring?: string;
  readonly json?: boolean;
}

const dayMs = 86_400_000;

/** Services whose key has reached the rotation period, or whose root is lost. */
export function dueServices(registry: Registry, nowMs: number): string[] {
  return [...registry.services].flatMap(([service, roots]) => {
    const { current } = rootsInForce(roots);
    if (current === undefined) return [];
    const lost = current.key === undefined;
    return lost || nowMs - Date.parse(current.createdAt) >= rotationPeriodDays * dayMs ? [service] : [];
  });
}

/** `countersign keys status` */
export function keysStatusCommand(): Command {
  return withRegistryOptions(
    new Command('status').description(
      'Show the age and generation of every key, who holds and uses it, and when it is due. Exits with 1 when action is needed.',
    ),
  )
    .addOption(adminUrlOption())
    .addOption(statusCommandOption())
    .addOption(operatorKeyringOption())
    .option('--json', 'as JSON')
    .action(async (options: KeysStatusOptions) => {
      const report = await withRotator(options, '.', async ({ fleet, registry }, signal) => {
        const state = await registry.read(fleet.services.keys());
        const { from, status, keyring } = options;
        const asked = from !== undefined || status !== undefined || keyring !== undefined;
        const near =
          from === undefined && status === undefined
            ? []
            : await sightSidecars(statusAccess(options), fleet, signal);
        const far = keyring === undefined ? [] : await sightOverHop({ keyring, fleet: options.fleet });
        const sightings = mergeSightings(near, far);
        const { silent, ...rest } = keyReport(fleet, state, sightings, Date.now());
        return { ...rest, silent: asked ? silent : [] };
      });
      process.stdout.write(options.json ? `${JSON.stringify(report, undefined, 2)}\n` : asText(report));
      if (toDo(report).length > 0) process.exitCode = exit.no;
    });
}

/** What the sidecars say of their keys to an operator. */
async function sightOverHop(sources: FleetSources): Promise<Sighting[]> {
  const states = await readFleet(sources, ['status', 'metrics']);
  return states.flatMap(({ status, metrics }) =>
    status === undefined
      ? []
      : [
          {
            service: status.service,
            host: status.host,
            keys: status.keys,
            uses: new Map(metrics?.keyUses.map(({ kid, count }) => [kid, count])),
          },
        ],
  );
}

/** Each sidecar once. */
function mergeSightings(near: readonly Sighting[], far: readonly Sighting[]): Sighting[] {
  return [...new Map([...far, ...near].map((each) => [placeName(each), each])).values()];
}

function toDo(report: KeyReport): string[] {
  const { rotation, keys } = report;
  const revoked = report.revoked.map(({ service }) => service);
  const without = report.without_key.filter((service) => !revoked.includes(service));
  const due = keys.filter((line) => line.state === 'active' && (line.rotation_due_in_days ?? 1) <= 0);
  const stray = keys.filter((line) => line.state === 'unknown');
  return [
    ...(rotation
      ? [
          `A rotation of ${rotation.services.join(', ')} begun ${rotation.startedAt} is not finished (${rotation.phase}): run keys rotate.`,
        ]
      : []),
    ...(report.lost.length > 0
      ? [`${report.lost.join(', ')}: the registry has lost their roots; run keys rotate.`]
      : []),
    ...report.revoked_hosts.map(
      ({ host, at }) => `${host} is revoked since ${at}; run keys readmit ${host} when it is back.`,
    ),
    ...(without.length > 0 ? [`${without.join(', ')}: no key; run keys init.`] : []),
    ...(due.length > 0 ? [`${due.map(({ service }) => service).join(', ')}: due; run keys rotate.`] : []),
    ...stray.map(
      (line) =>
        `${line.kid}: not in the registry, and still held by ${[...new Set([...line.signed_with_by, ...line.accepted_by])].join(', ')}; deliver their keyrings.`,
    ),
    ...(report.silent.length > 0 ? [`No answer from ${report.silent.join(', ')}.`] : []),
  ];
}

const columns = ['SERVICE', 'KEY', 'STATE', 'AGE', 'DUE', 'SIGNED WITH BY', 'ACCEPTED BY', 'USES'] as const;

function asText(report: KeyReport): string {
  const rows = [columns, ...report.keys.map(rowOf)];
  const widths = columns.map((_, index) => Math.max(...rows.map((row) => (row[index] as string).length)));
  const table = rows.map((row) =>
    row
      .map((cell, index) => cell.padEnd(widths[index] as number))
      .join('  ')
      .trimEnd(),
  );
  const revoked = report.revoked.map(({ service, at }) => `${service} is revoked since ${at}.`);
  const notes = [...revoked, ...toDo(report)];
  return `${[...table, ...(notes.length > 0 ? ['', ...notes] : [])].join('\n')}\n`;
}

function rowOf(line: KeyLine): string[] {
  const due = line.rotation_due_in_days;
  return [
    line.service,
    line.kid,
    line.state,
    line.age_days === undefined ? '-' : `${line.age_days} d`,
    line.not_after !== undefined
      ? `ends ${line.not_after.slice(0, 16)}Z`
      : due === undefined
        ? '-'
        : `${due} d`,
    held(line.signed_with_by),
    held(line.accepted_by),
    line.uses === undefined ? '-' : String(line.uses),
  ];
}

function held(places: readonly string[]): string {
  return places.length === 0 ? '-' : places.length <= 2 ? places.join(', ') : `${places.length} sidecars`;
}
