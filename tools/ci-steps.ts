/** One step of CI. */
export interface Step {
  readonly name: string;
  /** Minutes that it may take; it is ended after them, and has failed. */
  readonly minutes: number;
  readonly command: readonly [string, ...string[]];
}

/** Everything that a change must pass. With ten minutes of set-up the sum is `limitMinutes`. */
export const steps: readonly Step[] = [
  { name: 'check', minutes: 5, command: ['npm', 'run', '--silent', 'check'] },
  // 20 minutes for the first tries, 12 for second ones.
  { name: 'test', minutes: 32, command: ['npm', 'test', '--silent', '--', '--second-try'] },
  { name: 'test:fleet', minutes: 35, command: ['npm', 'run', '--silent', 'test:fleet'] },
  { name: 'bench, quick', minutes: 6, command: ['npm', 'run', '--silent', 'bench', '--', 'quick'] },
];

/** A run that would take longer stops, and has failed: whoever waits for it gives up at 90. */
export const limitMinutes = 88;

/** How the process of a step ended. */
export interface Ended {
  readonly code: number | null;
  /** It was ended because its time was over. */
  readonly cutOff: boolean;
  /** All that it printed. */
  readonly output: string;
}

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** What is wrong beside the failures that the step counted itself. */
  readonly problems: readonly string[];
}

/**
 * What a step came to: its last line of counts, and whatever that line does not show. A step without such a line, one that was
 * cut off and one that counted nothing have failed.
 */
export function countsOf(step: Step, { code, cutOff, output }: Ended): Counts {
  const lines = [...output.matchAll(/^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\r?$/gm)];
  const [, passed = '0', failed = '0', skipped = '0'] = lines.at(-1) ?? [];
  const counted = { passed: Number(passed), failed: Number(failed), skipped: Number(skipped) };
  const problems: string[] = [];
  if (cutOff) problems.push(`${step.name} was cut off after ${step.minutes} minutes`);
  else if (lines.length === 0) problems.push(`${step.name} printed no line "N passed, N failed"`);
  else if (counted.passed + counted.failed === 0) problems.push(`${step.name} ran no test`);
  else if (code !== 0 && counted.failed === 0)
    problems.push(`${step.name} ended with exit code ${code} although it counted no failure`);
  return { ...counted, failed: counted.failed + problems.length, problems };
}

/**
 * How long a step may take, so that the run as a whole stays within its limit.
 *
 * @param elapsedMinutes since the start of the run
 */
export function minutesFor(step: Step, elapsedMinutes: number): number {
  return Math.max(0, Math.min(step.minutes, limitMinutes - elapsedMinutes));
}
