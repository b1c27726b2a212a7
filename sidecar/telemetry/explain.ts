import { type Reason, reasons } from '../terms/reasons.ts';

/** What is needed of a denial to explain it. */
export interface Explainable {
  readonly direction: string;
  readonly caller?: string | undefined;
  readonly claimed?: string | undefined;
  readonly callee: string;
  readonly method: string;
  readonly path: string;
  readonly reason: string;
  readonly detail: string;
  readonly rule?: string | undefined;
  readonly expected?: string | undefined;
  readonly received?: string | undefined;
  readonly disposition?: string | undefined;
}

/** The checks of a call in the order in which they are made; the first that fails gives the reason. */
const checks: readonly Reason[] = (Object.keys(reasons) as Reason[]).filter(
  (reason) => reasons[reason].stage === 'verdict',
);

/** Where in the life of a call a reason stands, in words. */
export function stageOf(reason: string): string {
  const known = reasons[reason as Reason];
  if (known === undefined) return 'unknown to this version';
  if (known.stage === 'protocol') return 'reading the message, before any check';
  if (known.stage === 'transport') return 'carrying the call, not a check of it';
  return `check ${checks.indexOf(reason as Reason) + 1} of ${checks.length}`;
}

function fateOf({ direction, disposition, reason, callee }: Explainable): string {
  if (disposition !== 'forwarded') return 'was refused';
  if (reason === 'peer-unproven')
    return 'was sent in the clear, and would be refused by the enforcing binary';
  // Outbound forwards what it signed; the answer tells that the other side refused it.
  if (direction === 'outbound') return `was refused by ${callee}`;
  return reasons[reason as Reason]?.stage === 'verdict'
    ? 'was forwarded, and would be refused by the enforcing binary'
    : 'failed';
}

/** One denial in a few lines: who, what, the stage that failed, the nearest rule, the field that differs. */
export function explain(denial: Explainable): string {
  const { direction, caller, claimed, callee, method, path, reason, detail } = denial;
  const who = caller ?? (claimed === undefined ? 'somebody unknown' : `somebody who claims to be ${claimed}`);
  const title = reasons[reason as Reason]?.title ?? 'A reason that this version does not know';
  const what = method === '' ? 'a message that cannot be read' : `${method} ${path}`;
  const lines = [
    `${who} sent ${what} to ${callee === '' ? 'nobody in particular' : callee}: ${fateOf(denial)}.`,
    `stage: ${stageOf(reason)} (${direction}): ${reason}. ${title}.`,
    detail,
  ];
  if (denial.rule !== undefined) lines.push(`nearest rule: ${denial.rule}`);
  else if (reason === 'not-authorized') lines.push('nearest rule: none names this caller at this service');
  if (denial.expected !== undefined) lines.push(`expected: ${denial.expected}`);
  if (denial.received !== undefined) lines.push(`received: ${denial.received}`);
  return lines.join('\n');
}
