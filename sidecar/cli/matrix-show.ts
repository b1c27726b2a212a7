import { Command } from 'commander';
import { type MatrixFiles, openMatrix } from '../matrix-tools/open-matrix.ts';
import type { Matrix } from '../policy/matrix.ts';
import { UsageError } from '../terms/exit-codes.ts';
import { authorizationOption, fleetOption } from './matrix-files.ts';

/** Callees beside each other before the grid is left out: wider than a screen it helps nobody. */
const widestGrid = 12;

/** `countersign matrix show`: who may call whom, as a grid, and the rules. */
export function matrixShowCommand(): Command {
  return new Command('show')
    .description('Print who may call whom: a grid of the number of rules, then the rules.')
    .argument('[service]', 'only calls from and to this service')
    .addOption(authorizationOption())
    .addOption(fleetOption())
    .option('--json', 'print JSON')
    .action(async (service: string | undefined, options: MatrixFiles & { json?: true }) => {
      const { matrix, fleet } = await openMatrix(options);
      if (service !== undefined && !matrix.services.has(service) && fleet?.services.has(service) !== true)
        throw new UsageError(
          `found "${service}", expected a service: ${[...matrix.services.keys()].join(', ')}`,
        );
      const permits = permitsOf(matrix).filter(
        ({ caller, callee }) => service === undefined || caller === service || callee === service,
      );
      process.stdout.write(options.json ? `${JSON.stringify({ permits }, null, 2)}\n` : asText(permits));
    });
}

interface Permits {
  readonly callee: string;
  /** `(public)` for what needs no signature. */
  readonly caller: string;
  readonly rules: readonly string[];
}

function permitsOf(matrix: Matrix): Permits[] {
  const permits: Permits[] = [];
  for (const { service, public: open, callers } of matrix.services.values()) {
    for (const [caller, matcher] of [['(public)', open] as const, ...callers])
      if (matcher.rules.length > 0)
        permits.push({ callee: service, caller, rules: matcher.rules.map(({ text }) => text) });
  }
  return permits;
}

function asText(permits: readonly Permits[]): string {
  if (permits.length === 0) return 'nothing is allowed\n';
  const lines = permits.map(
    ({ callee, caller, rules }) => `${callee} ← ${caller}\n${rules.map((rule) => `    ${rule}\n`).join('')}`,
  );
  return `${grid(permits)}${lines.join('')}`;
}

function grid(permits: readonly Permits[]): string {
  const callees = [...new Set(permits.map(({ callee }) => callee))];
  if (callees.length > widestGrid) return '';
  const callers = [...new Set(permits.map(({ caller }) => caller))].sort(
    (a, b) => rank(a, callees) - rank(b, callees),
  );
  const first = Math.max('caller ↓  callee →'.length, ...callers.map((caller) => caller.length));
  const row = (name: string, cells: readonly string[]) =>
    `${name.padEnd(first)}  ${cells.map((cell, index) => cell.padStart((callees[index] as string).length)).join('  ')}\n`;
  const body = callers.map((caller) =>
    row(
      caller,
      callees.map((callee) => {
        const found = permits.find((each) => each.caller === caller && each.callee === callee);
        return found === undefined ? '·' : String(found.rules.length);
      }),
    ),
  );
  return `${row('caller ↓  callee →', callees)}${body.join('')}\n`;
}

function rank(caller: string, callees: readonly string[]): number {
  const at = callees.indexOf(caller);
  return caller === '(public)' ? -1 : at === -1 ? callees.length : at;
}
