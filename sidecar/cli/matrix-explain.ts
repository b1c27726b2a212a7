import { Command } from 'commander';
import { authorize } from '../policy/authorize.ts';
import { nearestRules } from '../policy/nearest.ts';
import { readPath } from '../policy/paths.ts';
import { exit, UsageError } from '../terms/exit-codes.ts';
import { reasons } from '../terms/reasons.ts';
import {
  authorizationOption,
  fleetOption,
  type MatrixFiles,
  type OpenedMatrix,
  openMatrix,
  placeOf,
} from './matrix-files.ts';

interface Question {
  readonly caller: string | undefined;
  readonly method: string;
  readonly callee: string;
  readonly path: string;
}

/** `countersign matrix explain`: whether a call is allowed, by which rule, or which come nearest and why they do not match. */
export function matrixExplainCommand(): Command {
  return new Command('explain')
    .description(
      'Say which rule allows a call, or which come nearest and why they do not. Exits with 0 or 1.',
    )
    .argument('<caller>', 'the service that calls; - for one that proves nothing')
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
        const answer = explain(opened, question);
        process.stdout.write(
          options.json ? `${JSON.stringify(answer, null, 2)}\n` : asText(question, answer),
        );
        process.exitCode = answer.allowed ? exit.ok : exit.no;
      },
    );
}

interface Near {
  readonly rule: string;
  readonly place: string;
  readonly expected: string;
  readonly received: string;
}

interface Answer {
  readonly allowed: boolean;
  readonly rule?: string;
  readonly place?: string;
  readonly reason?: string;
  readonly detail?: string;
  readonly readings?: readonly string[];
  readonly nearest?: readonly Near[];
  readonly notes: readonly string[];
}

function explain(opened: OpenedMatrix, { caller, method, callee, path }: Question): Answer {
  const rules = opened.matrix.of(callee);
  const notes = notesOn(opened, caller, callee, method);
  const result = authorize(rules, caller, method, path);
  if (result.kind !== 'denied') {
    const rule =
      rules.public.match(method, path) ??
      (caller === undefined ? undefined : rules.callers.get(caller)?.match(method, path));
    const place = rule === undefined ? {} : { place: placeOf(opened, callee, rule) };
    return { allowed: true, rule: result.rule, ...place, notes };
  }
  const { reason, detail } = result.denial;
  const read = readPath(path);
  const readings = read.ambiguous || read.readings.length === 1 ? {} : { readings: read.readings };
  const nearest = read.ambiguous
    ? []
    : nearestRules(rules, caller, method, path).map(({ rule, expected, received }) => ({
        rule: rule.label,
        place: placeOf(opened, callee, rule),
        expected,
        received,
      }));
  return { allowed: false, reason, detail, ...readings, nearest, notes };
}

function notesOn(
  { fleet }: OpenedMatrix,
  caller: string | undefined,
  callee: string,
  method: string,
): string[] {
  const notes: string[] = [];
  for (const name of new Set([caller, callee])) {
    if (name !== undefined && fleet !== undefined && !fleet.services.has(name))
      notes.push(`fleet.yaml names no service ${name}: there are ${[...fleet.services.keys()].join(', ')}`);
  }
  if (method !== method.toUpperCase())
    notes.push(`methods are case-sensitive: ${method} is not ${method.toUpperCase()}`);
  return notes;
}

function asText({ caller, method, callee, path }: Question, answer: Answer): string {
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
