import type { Readable } from 'node:stream';
import { Parser, type Result } from 'tap-parser';

/** An assertion that did not hold. */
export interface Failure {
  /** Titles from the outermost test to the assertion. */
  readonly title: string;
  /** `file:line:column`, where the runner knows it. */
  readonly at: string | undefined;
  /** The difference between expected and found, or the stack. */
  readonly detail: string;
}

/** What one test file came to. */
export interface FileResult {
  readonly file: string;
  readonly passed: number;
  readonly failures: readonly Failure[];
  /** Titles of what was skipped or left to do, with the reason. */
  readonly skipped: readonly string[];
  readonly seconds: number;
}

interface Counts {
  passed: number;
  readonly failures: Failure[];
  readonly skipped: string[];
}

/**
 * Reads a TAP stream in which every outermost test is one file.
 *
 * A file that asserts nothing, that only skips, or that ends badly although its assertions hold has a failure that says so.
 *
 * @param onFile called as each file ends
 */
export async function readTestRun(tap: Readable, onFile: (result: FileResult) => void): Promise<void> {
  const parser = new Parser();
  const open = new Map<string, Counts>();
  parser.on('child', (child: Parser) => {
    const counts: Counts = { passed: 0, failures: [], skipped: [] };
    open.set(child.name, counts);
    collect(child, [], counts);
  });
  parser.on('assert', (result: Result) => {
    const counts = open.get(result.name) ?? { passed: 0, failures: [], skipped: [] };
    open.delete(result.name);
    onFile(fileResult(result, counts));
  });
  for await (const chunk of tap) parser.write(String(chunk));
  parser.end();
}

/** Counts the assertions of a test and of all tests inside it; the line that closes an inner test counts as none. */
function collect(parser: Parser, titles: readonly string[], counts: Counts): void {
  parser.on('child', (child: Parser) => collect(child, [...titles, child.name], counts));
  parser.on('assert', (result: Result) => {
    const title = [...titles, result.name].join(' › ');
    if (result.skip || result.todo) {
      const why = typeof result.skip === 'string' ? result.skip : result.todo ? 'to do' : 'no reason given';
      counts.skipped.push(`${title}: ${why}`);
    } else if (result.closingTestPoint && result.ok) return;
    else if (result.ok) counts.passed++;
    else if (!result.closingTestPoint || counts.failures.length === 0)
      counts.failures.push(failure(title, result));
  });
}

function failure(title: string, { diag }: Result): Failure {
  const { at, diff, stack, source } = (diag ?? {}) as Record<string, unknown>;
  const place = at as { fileName?: string; lineNumber?: number; columnNumber?: number } | undefined;
  const parts = [source, diff ?? stack].filter((part): part is string => typeof part === 'string');
  return {
    title,
    at: place?.fileName && `${place.fileName}:${place.lineNumber ?? 0}:${place.columnNumber ?? 0}`,
    detail: parts.map((part) => part.trimEnd()).join('\n'),
  };
}

function fileResult(result: Result, counts: Counts): FileResult {
  const { name: file, time, ok, diag } = result;
  const { passed, skipped, failures } = counts;
  const own = (title: string, detail = ''): Failure => ({ title, at: undefined, detail });
  if (failures.length === 0) {
    if (!ok) failures.push(own('the file ended badly although every assertion holds', endOf(diag)));
    else if (passed === 0 && skipped.length > 0) failures.push(own('the file skips all of its tests'));
    else if (passed === 0) failures.push(own('the file asserts nothing'));
  }
  return { file, passed, failures, skipped, seconds: (time ?? 0) / 1000 };
}

/** How the process of a test file ended, in one line. */
function endOf(diag: unknown): string {
  const { exitCode, signal, error } = (diag ?? {}) as Record<string, unknown>;
  return Object.entries({ exitCode, signal, error })
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([name, value]) => `${name}: ${String(value)}`)
    .join(', ');
}
