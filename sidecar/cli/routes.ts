import { Command } from 'commander';
import { fromOption } from '../fleet-reader/from.ts';
import { agoText, durationText, rateText, shareText } from '../fleet-view/quantities.ts';
import { type RouteRow, type RoutesDocument, routes } from '../fleet-view/routes.ts';
import { type MatrixFiles, openMatrix } from '../matrix-tools/open-matrix.ts';
import { UsageError } from '../terms/exit-codes.ts';
import { type Column, fittedTable } from './fitted-table.ts';
import { operatorKeyringOption } from './fleet-sources.ts';
import { authorizationOption, fleetOption } from './matrix-files.ts';
import { screenWidth } from './screen-width.ts';
import { overOption, takeSnapshots } from './take-snapshots.ts';

interface RoutesOptions extends MatrixFiles {
  readonly from?: string[];
  readonly keyring?: string;
  readonly over?: number;
  readonly unused?: true;
  readonly json?: true;
}

/** `countersign routes`: which rules of the matrix are used, how often and how well. */
export function routesCommand(): Command {
  return new Command('routes')
    .description(
      'Show for every rule of the matrix how often it allowed a call, how these went, and when the last was.',
    )
    .argument('[service]', 'only calls from and to this service')
    .addOption(fromOption())
    .addOption(operatorKeyringOption())
    .addOption(authorizationOption())
    .addOption(fleetOption())
    .addOption(overOption())
    .option('--unused', 'only rules that never allowed a call')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nCALLS and LAST USED cover what the sidecars remember, at most 90 days. OK is the share of responses with a status below 500.',
    )
    .action(async (service: string | undefined, options: RoutesOptions) => {
      const { matrix, fleet } = await openMatrix(options);
      if (service !== undefined && !matrix.services.has(service) && fleet?.services.has(service) !== true)
        throw new UsageError(
          `found "${service}", expected a service: ${[...matrix.services.keys()].join(', ')}`,
        );
      const { previous, current } = await takeSnapshots(options, ['status', 'observed', 'metrics']);
      const all = routes(previous, current, matrix);
      const shown = all.routes.filter(
        ({ caller, callee, never_used }) =>
          (service === undefined || caller === service || callee === service) &&
          (options.unused === undefined || never_used),
      );
      const document = { ...all, routes: shown };
      process.stdout.write(
        options.json
          ? `${JSON.stringify(document, null, 2)}\n`
          : routesText(document, current.takenAtMs, screenWidth()),
      );
    });
}

const columns: readonly Column[] = [
  { title: '  RULE', flexible: true },
  { title: 'CALLS', right: true },
  { title: '/S', right: true },
  { title: 'OK', right: true },
  { title: 'P50', right: true },
  { title: 'P99', right: true },
  { title: 'LAST USED', right: true },
];

/** The rules for people, a line each, under their callee and caller. */
export function routesText({ routes, not_read }: RoutesDocument, nowMs: number, width: number): string {
  const unread = not_read.map(
    (service) => `${service}: no sidecar of it was read, so its rules may be used\n`,
  );
  if (routes.length === 0) return `no such rule\n${unread.join('')}`;
  const [titles, ...lines] = fittedTable(
    columns,
    routes.map((row) => cellsOf(row, nowMs)),
    width,
  ) as [string, ...string[]];
  const shown = [titles];
  let before: RouteRow | undefined;
  for (const [at, row] of routes.entries()) {
    if (row.callee !== before?.callee || row.caller !== before.caller)
      shown.push(`${row.caller ?? '(public)'} → ${row.callee}`);
    shown.push(lines[at] as string);
    before = row;
  }
  return `${shown.join('\n')}\n${unread.join('')}`;
}

function cellsOf({ rule, calls, last_used, never_used, traffic }: RouteRow, nowMs: number): string[] {
  return [
    `  ${rule}`,
    rateText(Math.max(calls, traffic.calls)),
    rateText(traffic.per_second),
    shareText(traffic.success_rate),
    durationText(traffic.p50_seconds),
    durationText(traffic.p99_seconds),
    last_used === undefined && !never_used ? 'just now' : agoText(last_used, nowMs),
  ];
}
