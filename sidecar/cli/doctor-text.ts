import { styleText } from 'node:util';
import { type Diagnosis, type Finding, worst } from '../doctor/finding.ts';
import { printable } from './table.ts';

const marks = {
  ok: ['√', 'green'],
  warning: ['‼', 'yellow'],
  failed: ['×', 'red'],
  skipped: ['-', 'dim'],
} as const satisfies Record<Finding['result'], readonly [string, string]>;

/** A diagnosis for people: groups as they are checked, what to do below what is wrong, the verdict last. */
export function diagnosisText({ healthy, checks }: Diagnosis): string {
  const groups = Map.groupBy(checks, ({ group }) => group);
  const sections = [...groups].map(([group, results]) => {
    const lines = results.flatMap((check) => {
      const result = worst(check);
      const shown = check.findings.filter(
        (finding) => finding.result === result || finding.result === 'failed',
      );
      return [`${mark(result)} ${check.claim}`, ...findingsLines(shown)];
    });
    return [group, '-'.repeat(group.length), ...lines, ''].join('\n');
  });
  const all = checks.flatMap(({ findings }) => findings);
  const count = (result: Finding['result']) => all.filter((finding) => finding.result === result).length;
  const [failures, warnings] = [count('failed'), count('warning')];
  const verdict = healthy ? mark('ok') : mark('failed');
  return `${sections.join('\n')}\n${verdict} ${failures} failed, ${warnings} ${warnings === 1 ? 'warning' : 'warnings'}\n`;
}

/** What to do stands once below findings that have it in common. */
function findingsLines(findings: readonly Finding[]): string[] {
  return findings.flatMap((finding, at) => {
    const { found, todo } = { todo: undefined, ...finding };
    const next = findings[at + 1];
    const isRepeated = next !== undefined && 'todo' in next && next.todo === todo;
    return [
      ...(found === undefined ? [] : [`    ${printable(found)}`]),
      ...(todo === undefined || isRepeated ? [] : [`    → ${printable(todo)}`]),
    ];
  });
}

/** Coloured on a terminal, unless NO_COLOR is set. */
function mark(result: Finding['result']): string {
  const [sign, style] = marks[result];
  return styleText(style, sign, { stream: process.stdout });
}
