/** One thing wrong with a file: where, what was found, what was expected. */
export interface Problem {
  readonly file: string;
  /** 1-based; 0 when the file as a whole is meant. */
  readonly line: number;
  readonly column: number;
  /** Path of keys inside the file, such as `limits.head`; empty for the whole file. */
  readonly path: string;
  readonly found: string;
  readonly expected: string;
}

/** Bad configuration: every problem at once. Programs exit with 78 (EX_CONFIG). */
export class ConfigError extends Error {
  readonly code = 'bad-configuration';
  readonly problems: readonly Problem[];
  constructor(problems: readonly Problem[], options?: ErrorOptions) {
    super(problems.map(formatProblem).join('\n'), options);
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/** A problem of a file as a whole. */
export function fileProblem(file: string, found: string, expected: string): Problem {
  return { file, line: 0, column: 0, path: '', found, expected };
}

/** `file:line:column: path: found …, expected …`; control characters are escaped, so a file cannot write to a terminal. */
export function formatProblem(problem: Problem): string {
  const place = problem.line > 0 ? `${problem.file}:${problem.line}:${problem.column}` : problem.file;
  const path = problem.path === '' ? '' : `${problem.path}: `;
  return escaped(`${place}: ${path}found ${problem.found}, expected ${problem.expected}`);
}

/** What was found, in at most 80 characters; the user information of a URL is left out. */
export function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = (JSON.stringify(value) ?? String(value)).replace(/(:\/\/)[^\s"]*@/g, '$1***@');
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

function escaped(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is escaped
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, (character) => {
    const code = character.charCodeAt(0).toString(16).padStart(4, '0');
    return `\\u${code}`;
  });
}
