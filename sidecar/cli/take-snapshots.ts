import { setTimeout as delay } from 'node:timers/promises';
import { InvalidArgumentError, Option } from 'commander';
import type { DocumentName } from '../fleet-reader/from.ts';
import type { FleetSnapshot } from '../fleet-view/snapshot.ts';
import { type FleetSources, readFleet } from './fleet-sources.ts';

const longestSeconds = 3600;

/** `--over SECONDS`: rates and times of the next seconds, instead of since each sidecar's start. */
export function overOption(): Option {
  return new Option(
    '--over <seconds>',
    'watch for so long (default: all since the start of each sidecar)',
  ).argParser((text: string) => {
    const seconds = Number(text);
    if (seconds > 0 && seconds <= longestSeconds) return seconds;
    throw new InvalidArgumentError(`Expected a number of seconds, at most ${longestSeconds}.`);
  });
}

export interface Snapshots {
  /** Undefined where everything since the start counts. */
  readonly previous: FleetSnapshot | undefined;
  readonly current: FleetSnapshot;
}

/** Reads the fleet, twice when told to watch it. */
export async function takeSnapshots(
  options: FleetSources & { readonly over?: number },
  wanted: readonly DocumentName[],
): Promise<Snapshots> {
  const read = async (): Promise<FleetSnapshot> => ({
    takenAtMs: Date.now(),
    hosts: await readFleet(options, wanted),
  });
  if (options.over === undefined) return { previous: undefined, current: await read() };
  const previous = await read();
  await delay(options.over * 1000);
  return { previous, current: await read() };
}
