import { Command } from 'commander';
import { type Explanation, explainCall, type Question } from '../matrix-tools/explain.ts';
import { type MatrixFiles, openMatrix } from '../matrix-tools/open-matrix.ts';
import { exit, UsageError } from '../terms/exit-codes.ts';
import { reasons } from '../terms/reasons.ts';
import { authorizationOption, fleetOption } from './matrix-files.ts';

/** `countersign matrix explain`: whether a call is allowed, by which rule, or which come nearest and why they do not match. */
export function matrixExplainCommand(): Command {
  return new Command('explain')
    .description(
      'Show which rule allows a call, or the nearest rules and why they do not match. Exits with 0 or 1.',
    )
    .argument('<caller>', 'the service that calls; - for an unproven caller')
    .argument('<method>')
    .argument('<callee>', 'the service that is called')
    .argument('<path>', 'the raw path; a query is ignored, as the matrix does')
    .addOption(authorizationOption())
    .addOption(fleetOption())
    .option('--json', 'print JSON')
    .action(
      async (
        caller: string,
        method: string,
        callee: string,
        path: string,
        options: MatrixFiles & { json?: true },
      ) => {
        if (!path.startsWith('/'))
          throw new UsageError(`path: found "${path}", expected one such as /api/status/7`);
        const opened = await openMatrix(options);
        const question = {
          caller: caller === '-' ? undefined : caller,
          method,
          callee,
          path: path.replace(/\?.*/s, ''),
        };
        const answer = explainCall(opened, question);
        process.stdout.write(
          options.json ? `${JSON.stringify(answer, null, 2)}\n` : asText(question, answer),
        );
        process.exitCode = answer.allowed ? exit.ok : exit.no;
      },
    );
}

function asText({ caller, method, callee, path }: Question, answer: Explanation): string {
  const who = caller ?? 'anybody';
  const notes = answer.notes.map((note) => `  note: ${note}\n`).join('');
  if (answer.allowed) {
    const at = answer.place === undefined ? '' : `  at:   ${answer.place}\n`;
    return `allowed: ${who} may call ${method} ${path} on ${callee}\n  rule: ${answer.rule}\n${at}${notes}`;
  }
  const status = reasons[answer.reason as keyof typeof reasons].status;
  const because = answer.reason === 'not-authorized' ? 'no rule allows it' : answer.detail;
  let text = `denied: ${who} may not call ${method} ${path} on ${callee} (${status} ${answer.reason})\n  why:  ${because}\n`;
  for (const near of answer.nearest ?? []) {
    text += `  near: ${near.rule}\n        at ${near.place}\n`;
    if (near.expected !== '') text += `        expects ${near.expected}\n        received ${near.received}\n`;
  }
  return text + notes;
}
