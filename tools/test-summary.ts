import type { FileResult } from './test-run.ts';

/** Tests that failed and then passed: so many are no accident any more. */
const tooManyFlaky = 3;

/** A run of tests as a whole. */
export interface Run {
  /** The files that were to run. */
  readonly expected: readonly string[];
  /** Files by their last try. */
  readonly results: ReadonlyMap<string, FileResult>;
  /** Files that failed in their first try and passed in the second. */
  readonly flaky: readonly string[];
  /** Why the runner itself ended badly, if it did. */
  readonly cutOff: string | undefined;
}

export interface Summary {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** One line each: what went wrong beside assertions. */
  readonly problems: readonly string[];
}

/** Adds a run up: what did not run has failed. */
export function summarize({ expected, results, flaky, cutOff }: Run): Summary {
  const all = [...results.values()];
  const sum = (count: (result: FileResult) => number) => all.reduce((total, one) => total + count(one), 0);
  const problems = expected
    .filter((file) => !results.has(file))
    .map((file) => `${file} did not run to its end`);
  if (expected.length === 0) problems.push('no test file was selected');
  if (cutOff !== undefined) problems.push(cutOff);
  if (flaky.length >= tooManyFlaky)
    problems.push(`${flaky.length} files failed and then passed, expected fewer than ${tooManyFlaky}`);
  return {
    passed: sum((one) => one.passed),
    failed: sum((one) => one.failures.length) + problems.length,
    skipped: sum((one) => one.skipped.length),
    problems,
  };
}

/** The end of what a run prints: skips, flaky files, failures, and the closing line. */
export function summaryLines(run: Run): string[] {
  const summary = summarize(run);
  const lines: string[] = [];
  for (const { file, skipped } of run.results.values())
    for (const title of skipped) lines.push(`skipped  ${file}: ${title}`);
  for (const file of run.flaky) lines.push(`flaky    ${file} failed, and passed in a second try`);
  for (const { file, failures } of run.results.values()) {
    for (const { title, at, detail } of failures) {
      lines.push('', `FAILED   ${file}: ${title}`);
      if (at !== undefined) lines.push(`         at ${at}`);
      if (detail !== '') lines.push(...detail.split('\n').map((line) => `         ${printable(line)}`));
    }
  }
  if (summary.problems.length > 0)
    lines.push('', ...summary.problems.map((problem) => `FAILED   ${problem}`));
  const skips = summary.skipped === 0 ? '' : `, ${summary.skipped} skipped`;
  lines.push('', `${summary.passed} passed, ${summary.failed} failed${skips}`);
  return lines;
}

/** The line of one file as it ends. */
export function fileLine({ file, passed, failures, skipped, seconds }: FileResult): string {
  const skips = skipped.length === 0 ? '' : `, ${skipped.length} skipped`;
  const state = failures.length === 0 ? 'ok      ' : 'FAILED  ';
  return `${state} ${file}  ${passed} passed, ${failures.length} failed${skips}, ${seconds.toFixed(1)} s`;
}

/** What came from tests may hold anything; a log and a terminal get text. */
function printable(line: string): string {
  return line.replace(/[^\t\x20-\x7e\u00a0-\uffff]/g, (character) => {
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
}
