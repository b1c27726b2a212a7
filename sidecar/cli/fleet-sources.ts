import { dirname, join } from 'node:path';
import { Option } from 'commander';
import { loadFleet } from '../config/fleet.ts';
import { FleetReader } from '../fleet-reader/fleet-reader.ts';
import { type DocumentName, localAdmin, readFrom } from '../fleet-reader/from.ts';
import { HopReader } from '../fleet-reader/hop-reader.ts';
import { KeySource } from '../reload/key-source.ts';
import type { HostState } from '../telemetry/documents.ts';
import { UsageError } from '../terms/exit-codes.ts';
import { printable } from './table.ts';

/** Options of the commands that read a fleet. */
export interface FleetSources {
  readonly from?: readonly string[];
  readonly keyring?: string;
  readonly fleet?: string;
  /** Where the command has a matrix, fleet.yaml is looked for beside it. */
  readonly authorization?: string;
}

/** `--keyring FILE` */
export function operatorKeyringOption(): Option {
  return new Option(
    '--keyring <file>',
    'read every sidecar of fleet.yaml over the sealed hop, as the operator of this keyring.json',
  );
}

/** A reader of all that the options name. @throws {UsageError} for a keyring without a fleet */
export async function openFleetReader({ from, ...options }: FleetSources): Promise<FleetReader> {
  const hop = await openHop(options);
  return new FleetReader(from ?? (hop === undefined ? [localAdmin] : []), hop);
}

/**
 * Reads the fleet once. Sidecars that cannot be reached over the hop are named on standard error; they are among the
 * states, with `problem`.
 *
 * @throws {import('../fleet-reader/from.ts').FromError} for a `--from` that cannot be read
 */
export async function readFleet(
  { from, ...options }: FleetSources,
  wanted: readonly DocumentName[],
): Promise<HostState[]> {
  const hop = await openHop(options);
  try {
    const near = from === undefined && hop !== undefined ? [] : await readFrom(from, wanted);
    const far = hop === undefined ? [] : await hop.read(wanted);
    for (const { from: name, problem } of far)
      if (problem !== undefined) process.stderr.write(`countersign: ${printable(`${name}: ${problem}`)}\n`);
    return [...near, ...far];
  } finally {
    hop?.close();
  }
}

async function openHop({
  keyring,
  fleet,
  authorization,
}: Omit<FleetSources, 'from'>): Promise<HopReader | undefined> {
  if (keyring === undefined) return undefined;
  const file =
    fleet ?? (authorization === undefined ? undefined : join(dirname(authorization), 'fleet.yaml'));
  if (file === undefined) throw new UsageError('--keyring: expected --fleet beside it, with the fleet.yaml');
  const { current } = await KeySource.open(keyring);
  return new HopReader(await loadFleet(file), current);
}
