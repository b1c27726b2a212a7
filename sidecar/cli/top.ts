import { setTimeout as delay } from 'node:timers/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import { type Fleet, loadFleet } from '../config/fleet.ts';
import type { FleetReader } from '../fleet-reader/fleet-reader.ts';
import { fromOption } from '../fleet-reader/from.ts';
import { type HostsDocument, hosts } from '../fleet-view/hosts.ts';
import type { FleetSnapshot } from '../fleet-view/snapshot.ts';
import { type FleetSources, openFleetReader, operatorKeyringOption } from './fleet-sources.ts';
import { Screen } from './screen.ts';
import { screenWidth } from './screen-width.ts';
import { topLines } from './top-text.ts';

interface TopOptions extends FleetSources {
  readonly every: number;
  readonly json?: true;
}

const about = `
APP is up, slow or DOWN; OK is the share of responses with a status below 500; DENY is denials a second;
SEAL is the share of connections between sidecars that are sealed.
Rates are of the time between two readings. q or Ctrl-C quits. Without a terminal it prints one snapshot.`;

/** `countersign top`: the fleet as it is now. */
export function topCommand(): Command {
  return new Command('top')
    .description(
      'Show every host: phase, health of the app, calls, success, latency, denials, sealed or not. Live.',
    )
    .addOption(fromOption())
    .addOption(operatorKeyringOption())
    .option('--fleet <file>', 'fleet.yaml: also show hosts that are not read')
    .addOption(new Option('--every <seconds>', 'between two readings').argParser(secondsOf).default(2))
    .option('--json', 'print one JSON document, of two readings')
    .addHelpText('after', about)
    .action(async (options: TopOptions) => {
      const fleet = options.fleet === undefined ? undefined : await loadFleet(options.fleet);
      const reader = await openFleetReader(options);
      try {
        if (options.json) {
          process.stdout.write(`${JSON.stringify(await lookTwice(reader, fleet, options.every), null, 2)}\n`);
        } else if (process.stdout.isTTY) await showLive(reader, fleet, options.every);
        else {
          const page = { columns: screenWidth(), rows: Number.POSITIVE_INFINITY, colour: false };
          process.stdout.write(
            `${topLines(await lookTwice(reader, fleet, options.every), page).join('\n')}\n`,
          );
        }
      } finally {
        reader.close();
      }
    });
}

function secondsOf(text: string): number {
  const seconds = Number(text);
  if (seconds >= 0.2 && seconds <= 3600) return seconds;
  throw new InvalidArgumentError('Expected a number of seconds from 0.2 to 3600.');
}

function look(reader: FleetReader): Promise<FleetSnapshot> {
  return reader.read(['status', 'metrics']);
}

async function lookTwice(
  reader: FleetReader,
  fleet: Fleet | undefined,
  seconds: number,
): Promise<HostsDocument> {
  const first = await look(reader);
  await delay(seconds * 1000);
  return hosts(first, await look(reader), fleet);
}

/** Looks again and again until the operator has seen enough. */
async function showLive(reader: FleetReader, fleet: Fleet | undefined, seconds: number): Promise<void> {
  const enough = new AbortController();
  const end = () => enough.abort();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, end);
  let document: HostsDocument | undefined;
  const draw = () => {
    if (document === undefined) screen.draw(['reading the fleet …']);
    else screen.draw(topLines(document, { ...screen.size, colour: process.stdout.hasColors() }));
  };
  const screen = new Screen(
    { input: process.stdin, output: process.stdout },
    (key) => {
      if (key === 'q' || key === 'Q' || key === '\x03') end();
    },
    draw,
  );
  try {
    draw();
    let previous: FleetSnapshot | undefined;
    while (!enough.signal.aborted) {
      const current = await Promise.race([look(reader), whenAborted(enough.signal)]);
      if (current === undefined) break;
      document = hosts(previous, current, fleet);
      previous = current;
      draw();
      await delay(seconds * 1000, undefined, { signal: enough.signal }).catch(() => {});
    }
  } finally {
    screen.close();
    for (const signal of signals) process.off(signal, end);
  }
}

function whenAborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    else signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
}
