import { Command } from 'commander';
import { fromOption } from '../fleet-reader/from.ts';
import { type ChangedCall, type Comparison, compareMatrices } from '../matrix-tools/compare.ts';
import { openMatrix } from '../matrix-tools/open-matrix.ts';
import { exit } from '../terms/exit-codes.ts';
import { operatorKeyringOption } from './fleet-sources.ts';
import { fleetOption } from './matrix-files.ts';
import { readObservedCalls } from './observed-calls.ts';

interface DiffOptions {
  readonly from?: string[];
  readonly keyring?: string;
  readonly fleet?: string;
  readonly json?: true;
}

/** `countersign matrix diff`: what a changed matrix would do to the calls that were seen. */
export function matrixDiffCommand(): Command {
  return new Command('diff')
    .description(
      'Replay the calls that were seen and show what NEW would allow or deny that OLD does not. Exits with 1 if it denies any.',
    )
    .argument('<old>', 'the matrix as it is')
    .argument('<new>', 'the matrix as it would be')
    .addOption(fromOption())
    .addOption(operatorKeyringOption())
    .addOption(fleetOption())
    .option('--json', 'print JSON')
    .action(async (oldFile: string, newFile: string, options: DiffOptions) => {
      const files = options.fleet === undefined ? {} : { fleet: options.fleet };
      const before = await openMatrix({ authorization: oldFile, ...files });
      const after = await openMatrix({ authorization: newFile, ...files });
      const comparison = compareMatrices(
        before.matrix,
        after.matrix,
        await readObservedCalls({ ...options, authorization: newFile }),
      );
      process.stdout.write(options.json ? `${JSON.stringify(comparison, null, 2)}\n` : asText(comparison));
      process.exitCode = comparison.denied.length > 0 ? exit.no : exit.ok;
    });
}

function asText({ allowed, denied, replayed, added, removed }: Comparison): string {
  const rules = [...removed.map((rule) => `  - ${rule}\n`), ...added.map((rule) => `  + ${rule}\n`)];
  return [
    `rules: ${added.length} added, ${removed.length} removed\n`,
    ...rules,
    `${replayed} calls replayed\n`,
    section('newly allowed', allowed),
    section('newly denied', denied),
  ].join('');
}

function section(title: string, calls: readonly ChangedCall[]): string {
  if (calls.length === 0) return `${title}: none\n`;
  const lines = calls.map(({ caller, callee, method, path, count, rule, detail }) => {
    const why = title === 'newly allowed' ? `by ${rule}` : `was allowed by ${rule}; ${detail}`;
    return `  ${caller ?? '(nobody proven)'} → ${callee} ${method} ${path}  ${count} ×\n      ${why}\n`;
  });
  return `${title}: ${calls.reduce((sum, { count }) => sum + count, 0)} calls\n${lines.join('')}`;
}
