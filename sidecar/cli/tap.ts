import { styleText } from 'node:util';
import { Command, InvalidArgumentError, Option } from 'commander';
import { followEvents } from '../fleet-reader/follow-events.ts';
import { fromOption } from '../fleet-reader/from.ts';
import { durationText } from '../fleet-view/quantities.ts';
import type { CallEvent } from '../telemetry/call-event.ts';
import { AnsweredNo } from '../terms/exit-codes.ts';
import { type FleetSources, openFleetReader, operatorKeyringOption } from './fleet-sources.ts';
import { printable } from './table.ts';

/** Which calls are shown. */
export interface CallFilter {
  readonly caller?: string;
  readonly callee?: string;
  readonly verdict?: 'allowed' | 'denied';
  /** A status, or its class: `404`, `5xx`. */
  readonly code?: string;
  /** The path starts with it. */
  readonly path?: string;
}

interface TapOptions extends FleetSources, CallFilter {
  readonly direction?: 'inbound' | 'outbound' | 'both';
  readonly json?: true;
}

const about = `
Each call shows once, as the callee's sidecar saw it, unless --direction says otherwise. Ctrl-C quits. When calls come faster than they can
be shown, a sample is shown and the rest is counted; denials come first. Control characters from the network
are escaped.

Examples:
  countersign tap --verdict denied
  countersign tap --caller main-backend --code 5xx --fleet fleet.yaml --keyring control.json --json | jq .path`;

/** `countersign tap`: calls as they end. */
export function tapCommand(): Command {
  return new Command('tap')
    .description('Show calls as they end, one line per call.')
    .addOption(fromOption())
    .addOption(operatorKeyringOption())
    .option('--fleet <file>', 'with --keyring: fleet.yaml')
    .option('--caller <service>', 'only calls of this service; unknown for unproven callers')
    .option('--callee <service>', 'only calls to this service')
    .addOption(
      new Option('--verdict <verdict>', 'only calls that were allowed, or denied').choices([
        'allowed',
        'denied',
      ]),
    )
    .option('--code <status>', 'only answers with this status, or class of it: 404, 5xx', statusPattern)
    .option('--path <prefix>', 'only calls whose path starts with this')
    .addOption(
      new Option('--direction <direction>', 'as callees saw the calls (inbound), as callers did, or both')
        .choices(['inbound', 'outbound', 'both'])
        .default('inbound'),
    )
    .option('--json', 'print a line of JSON for each')
    .addHelpText('after', about)
    .action(async (options: TapOptions) => {
      const reader = await openFleetReader(options);
      const enough = new AbortController();
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
        process.once(signal, () => enough.abort());
      try {
        await tap(reader.eventSources, options, enough.signal);
      } finally {
        reader.close();
      }
    });
}

async function tap(
  sources: Parameters<typeof followEvents>[0],
  options: TapOptions,
  signal: AbortSignal,
): Promise<void> {
  if (sources.length === 0)
    throw new AnsweredNo('found no live sidecar among what is to be read, expected one: files do not go on');
  const say = (line: string) => process.stderr.write(`countersign: ${printable(line)}\n`);
  const problems = new Map<string, string>();
  const colour = process.stdout.hasColors?.() === true;
  await followEvents(
    sources,
    {
      onEvent(event) {
        if (!isWanted(event, options)) return;
        const line = options.json ? JSON.stringify(event) : eventLine(event, colour);
        process.stdout.write(`${line}\n`);
      },
      onSkipped(count, { name }) {
        say(`${name}: ${count} more calls`);
      },
      onState(state, { name }) {
        const problem = state === 'following' ? undefined : state.problem;
        if (problem !== undefined && problems.get(name) !== problem) say(`${name}: ${problem}; trying again`);
        if (problem === undefined) problems.delete(name);
        else problems.set(name, problem);
      },
    },
    signal,
  );
}

/** Whether a call is among those that are asked for. */
export function isWanted(event: CallEvent, wanted: CallFilter & { readonly direction?: string }): boolean {
  const { caller, callee, verdict, code, path, direction = 'inbound' } = wanted;
  return (
    (direction === 'both' || event.direction === direction) &&
    (caller === undefined || (event.caller ?? 'unknown') === caller) &&
    (callee === undefined || event.callee === callee) &&
    (verdict === undefined || event.verdict === verdict) &&
    (code === undefined || new RegExp(`^${code.replaceAll('x', '\\d')}$`).test(String(event.status))) &&
    (path === undefined || event.path.startsWith(path))
  );
}

/** One call in one line: `12:00:00.123 200   12 ms main-backend → npu-worker GET /api/status/7`. */
export function eventLine(event: CallEvent, colour: boolean): string {
  const { time, caller, claimed, callee, method, path, status, reason, disposition, sealed } = event;
  const who = caller ?? (claimed === undefined ? '(nobody)' : `(${claimed}?)`);
  const done = disposition === 'refused' ? 'refused' : 'forwarded';
  const line = printable(
    [
      time.slice(11, 23),
      String(status === 0 ? '---' : status),
      durationText(event.duration_seconds).padStart(6),
      `${who} → ${callee}`,
      `${method} ${path}`,
      ...(reason === '' ? [] : [`${reason}, ${done}`]),
      ...(sealed === false && caller !== undefined ? ['(plain)'] : []),
    ].join(' '),
  );
  if (!colour) return line;
  const isFailure = status === 0 || status >= 500;
  if (reason === '' && !isFailure) return line;
  return styleText(isFailure ? 'red' : 'yellow', line, { validateStream: false });
}

function statusPattern(text: string): string {
  if (/^(?:0|[1-5](?:\d\d|xx))$/.test(text)) return text;
  throw new InvalidArgumentError('Expected a status such as 404, a class such as 5xx, or 0 for no answer.');
}
