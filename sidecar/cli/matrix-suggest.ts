import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import { parseYaml } from '../../config/load.ts';
import { compileMatrix } from '../config/authorization.ts';
import { rewriteFile } from '../files/replace-file.ts';
import { fromOption } from '../fleet-reader/from.ts';
import { proposalsYaml, withProposals } from '../matrix-tools/edit.ts';
import { type MatrixFiles, type OpenedMatrix, openMatrix } from '../matrix-tools/open-matrix.ts';
import { type Suggestion, suggest, type Withheld } from '../matrix-tools/suggest.ts';
import { AnsweredNo } from '../terms/exit-codes.ts';
import { operatorKeyringOption } from './fleet-sources.ts';
import { authorizationOption, fleetOption } from './matrix-files.ts';
import { readObservedCalls } from './observed-calls.ts';

interface Options extends MatrixFiles {
  readonly from?: string[];
  readonly keyring?: string;
  readonly apply?: true;
  readonly json?: true;
}

/** `countersign matrix suggest`: the rules that are missing, as a patch. */
export function matrixSuggestCommand(): Command {
  return new Command('suggest')
    .description('Propose rules for calls of proven callers that were, or would have been, denied.')
    .addOption(fromOption())
    .addOption(operatorKeyringOption())
    .addOption(authorizationOption())
    .addOption(fleetOption())
    .option('--apply', 'write the rules into the matrix, keeping comments and order')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nReads what a sidecar observed, or its log. Ids in paths are folded to *. Review the proposed rules before applying them:\n' +
        'not every call that was made should be allowed.',
    )
    .action(async (options: Options) => {
      const opened = await openMatrix(options);
      const suggestion = suggest(await readObservedCalls(options), opened.matrix, opened.fleet);
      if (options.json) process.stdout.write(`${JSON.stringify(suggestion, null, 2)}\n`);
      else process.stdout.write(asYaml(suggestion, opened.file, options.apply === true));
      if (options.apply && suggestion.proposals.length > 0) await apply(opened, suggestion);
    });
}

function asYaml({ proposals, withheld }: Suggestion, file: string, applied: boolean): string {
  const comments = summarise(withheld).map((line) => `# not proposed: ${line}\n`);
  if (proposals.length === 0) return `# nothing to add to ${file}\n${comments.join('')}`;
  const rules = proposals.length === 1 ? '1 rule' : `${proposals.length} rules`;
  const what = applied ? `added to ${file}` : `to add to ${file}; --apply does it`;
  return `# ${rules} ${what}\n${proposalsYaml(proposals)}${comments.join('')}`;
}

function summarise(withheld: readonly Withheld[]): string[] {
  const counts = new Map<string, number>();
  for (const { callee, caller, method, path, count, why } of withheld) {
    // What strangers sent is counted, not repeated.
    const what = caller === undefined ? `calls to ${callee}` : `${method} ${path} of ${caller} at ${callee}`;
    const key = JSON.stringify(`${what}: ${why}`).slice(1, -1);
    counts.set(key, (counts.get(key) ?? 0) + count);
  }
  return [...counts].map(([what, count]) => `${count} × ${what}`);
}

/** Writes the file only if the new text loads and allows what it was to allow, and nobody changed it meanwhile. */
async function apply({ file, source, fleet }: OpenedMatrix, { proposals }: Suggestion): Promise<void> {
  const text = withProposals(source, proposals);
  const after = compileMatrix(parseYaml(file, text), fleet);
  for (const { callee, caller, rule } of proposals) {
    if (
      after
        .of(callee)
        .callers.get(caller)
        ?.rules.some((each) => each.text === rule) !== true
    )
      throw new Error(`${rule} for ${caller} is missing from the new text of ${file}`);
  }
  if ((await readFile(file, 'utf8')) !== source.text)
    throw new AnsweredNo(`${file} changed while it was read: nothing was written; run the command again`);
  await rewriteFile(file, text);
}
