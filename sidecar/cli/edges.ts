import { Command } from 'commander';
import { fromOption } from '../fleet-reader/from.ts';
import { type Edge, type EdgeState, type EdgesDocument, edges } from '../fleet-view/edges.ts';
import { durationText, rateText, shareText, unknown } from '../fleet-view/quantities.ts';
import { type MatrixFiles, openMatrix } from '../matrix-tools/open-matrix.ts';
import { type Column, fittedTable } from './fitted-table.ts';
import { operatorKeyringOption } from './fleet-sources.ts';
import { authorizationOption, fleetOption } from './matrix-files.ts';
import { screenWidth } from './screen-width.ts';
import { overOption, takeSnapshots } from './take-snapshots.ts';

interface EdgesOptions extends MatrixFiles {
  readonly from?: string[];
  readonly keyring?: string;
  readonly over?: number;
  readonly json?: true;
}

/** `countersign edges`: who calls whom. */
export function edgesCommand(): Command {
  return new Command('edges')
    .description('Show who calls whom and who may: how often, how well, allowed or denied, sealed or not.')
    .addOption(fromOption())
    .addOption(operatorKeyringOption())
    .addOption(authorizationOption())
    .addOption(fleetOption())
    .addOption(overOption())
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nALLOW and DENY count the calls that the sidecars remember, at most 90 days.\n' +
        'Unproven callers are shown together as (strangers).',
    )
    .action(async (options: EdgesOptions) => {
      const { matrix } = await openMatrix(options);
      const { previous, current } = await takeSnapshots(options, ['status', 'observed', 'metrics']);
      const document = edges(previous, current, matrix);
      process.stdout.write(
        options.json ? `${JSON.stringify(document, null, 2)}\n` : edgesText(document, screenWidth()),
      );
    });
}

const columns: readonly Column[] = [
  { title: 'CALLER', flexible: true },
  { title: 'CALLEE', flexible: true },
  { title: 'ALLOW', right: true },
  { title: 'DENY', right: true },
  { title: '/S', right: true },
  { title: 'P50', right: true },
  { title: 'P99', right: true },
  { title: 'SEALED', right: true },
  { title: 'STATE' },
];

const stateTexts: Readonly<Record<EdgeState, string>> = {
  used: 'used',
  'never-seen': 'unseen',
  'not-permitted': 'NO RULE',
  stranger: 'unproven',
};

/** The edges for people, a line each. */
export function edgesText({ edges }: EdgesDocument, width: number): string {
  if (edges.length === 0) return 'nobody calls, and nobody may\n';
  return `${fittedTable(columns, edges.map(cellsOf), width).join('\n')}\n`;
}

function cellsOf({ caller, callee, state, allowed, denied, traffic, sealed_share }: Edge): string[] {
  return [
    state === 'stranger' ? '(strangers)' : caller,
    callee,
    rateText(allowed),
    rateText(denied),
    rateText(traffic.per_second),
    durationText(traffic.p50_seconds),
    durationText(traffic.p99_seconds),
    state === 'stranger' ? unknown : shareText(sealed_share),
    stateTexts[state],
  ];
}
