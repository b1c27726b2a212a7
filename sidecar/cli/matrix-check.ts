import { Command } from 'commander';
import { openMatrix } from '../matrix-tools/open-matrix.ts';
import { fleetOption } from './matrix-files.ts';

/** `countersign matrix check`: every fault of authorization.yaml with its place. */
export function matrixCheckCommand(): Command {
  return new Command('check')
    .description(
      'Validate the matrix: unknown services and keys, duplicate rules, rules that an earlier one covers.',
    )
    .argument('[file]', 'the matrix', 'config/authorization.yaml')
    .addOption(fleetOption())
    .action(async (file: string, options: { fleet?: string }) => {
      const { matrix, fleet } = await openMatrix({ authorization: file, ...options });
      let rules = 0;
      for (const { public: open, callers } of matrix.services.values())
        for (const matcher of [open, ...callers.values()]) rules += matcher.rules.length;
      const against =
        fleet === undefined ? ' (no fleet.yaml beside it: names of services were not checked)' : '';
      process.stdout.write(`ok: ${matrix.services.size} services, ${rules} rules${against}\n`);
    });
}
