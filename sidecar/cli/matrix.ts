import { Command } from 'commander';
import { matrixCheckCommand } from './matrix-check.ts';
import { matrixDiffCommand } from './matrix-diff.ts';
import { matrixExplainCommand } from './matrix-explain.ts';
import { matrixShowCommand } from './matrix-show.ts';
import { matrixSuggestCommand } from './matrix-suggest.ts';

/** `countersign matrix`: everything about who may call what. */
export function matrixCommand(): Command {
  const matrix = new Command('matrix').description(
    'Check, explain, show, extend and compare the authorization matrix.',
  );
  for (const command of [
    matrixCheckCommand(),
    matrixExplainCommand(),
    matrixShowCommand(),
    matrixSuggestCommand(),
    matrixDiffCommand(),
  ])
    matrix.addCommand(command);
  return matrix;
}
