import { readFile } from 'node:fs/promises';
import { type Document, isMap, isScalar, LineCounter, type Node, parseDocument, visit } from 'yaml';
import type * as z from 'zod';

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

/** `file:line:column: path: found …, expected …` */
export function formatProblem(problem: Problem): string {
  const place = problem.line > 0 ? `${problem.file}:${problem.line}:${problem.column}` : problem.file;
  const path = problem.path === '' ? '' : `${problem.path}: `;
  return `${place}: ${path}found ${problem.found}, expected ${problem.expected}`;
}

/** A parsed YAML file that still knows where each value stood. */
export interface Source {
  readonly file: string;
  readonly text: string;
  readonly document: Document.Parsed;
  /** The value as plain data. */
  readonly data: unknown;
  /** Where the value at a path of keys stands, or its nearest ancestor that exists. */
  place(path: readonly PropertyKey[], of?: 'key' | 'value'): { line: number; column: number };
}

/**
 * Parses YAML 1.2 strictly: duplicate keys, unknown tags and several documents are errors.
 *
 * @throws {ConfigError} naming line and column
 */
export function parseYaml(file: string, text: string): Source {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, prettyErrors: false });
  const faults = [...document.errors, ...document.warnings];
  if (faults.length > 0) {
    throw new ConfigError(
      faults.map((fault) => {
        const at = lines.linePos(fault.pos[0]);
        return {
          file,
          line: at.line,
          column: at.col,
          path: '',
          found: fault.message,
          expected: 'valid YAML 1.2',
        };
      }),
      { cause: faults[0] },
    );
  }
  const aliases: Problem[] = [];
  visit(document, {
    Alias(_, { source, range }) {
      const at = lines.linePos(range?.[0] ?? 0);
      const place = { file, line: at.line, column: at.col, path: '' };
      aliases.push({
        ...place,
        found: `the alias *${source}`,
        expected: 'the value itself; quote text that starts with *',
      });
    },
  });
  if (aliases.length > 0) throw new ConfigError(aliases);
  return {
    file,
    text,
    document,
    data: document.toJS({ maxAliasCount: 0 }),
    place(path, of = 'value') {
      let node: Node | null = document.contents;
      let offset = node?.range?.[0] ?? 0;
      for (const key of path) {
        if (isMap(node)) {
          const pair = node.items.find(
            (item) => isScalar(item.key) && String(item.key.value) === String(key),
          );
          if (pair === undefined) break;
          const keyNode = pair.key as Node;
          node = (pair.value ?? null) as Node | null;
          offset = (of === 'key' || node === null ? keyNode : node).range?.[0] ?? offset;
        } else {
          const child: unknown = document.getIn(path.slice(0, path.indexOf(key) + 1), true);
          node = (child ?? null) as Node | null;
          offset = node?.range?.[0] ?? offset;
        }
      }
      const at = lines.linePos(offset);
      return { line: at.line, column: at.col };
    },
  };
}

/**
 * Checks a parsed file against its schema.
 *
 * @throws {ConfigError} every problem at once, each with file, line, column, found and expected
 */
export function check<Schema extends z.ZodType>(source: Source, schema: Schema): z.output<Schema> {
  const result = schema.safeParse(source.data);
  if (result.success) return result.data;
  throw new ConfigError(result.error.issues.flatMap((issue) => toProblems(source, issue)));
}

/** Reads and parses one YAML file. @throws {ConfigError} */
export async function readYaml(file: string): Promise<Source> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    const found = (cause as NodeJS.ErrnoException).code ?? 'an unreadable file';
    throw new ConfigError([{ file, line: 0, column: 0, path: '', found, expected: 'a readable YAML file' }], {
      cause,
    });
  }
  return parseYaml(file, text);
}

function toProblems(source: Source, issue: z.core.$ZodIssue): Problem[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      file: source.file,
      ...source.place([...issue.path, key], 'key'),
      path: [...issue.path, key].join('.'),
      found: `an unknown key "${key}"`,
      expected: 'only the keys that the documentation names',
    }));
  }
  if (issue.code === 'invalid_key') {
    return [
      {
        file: source.file,
        ...source.place(issue.path, 'key'),
        path: issue.path.join('.'),
        found: `the key ${describe(issue.path.at(-1))}`,
        expected: issue.issues.map((fault) => fault.message).join(', '),
      },
    ];
  }
  const found = valueAt(source.data, issue.path);
  return [
    {
      file: source.file,
      ...source.place(issue.path),
      path: issue.path.join('.'),
      found: describe(found),
      expected: expectation(issue.message),
    },
  ];
}

/** What zod calls a record or an array is a mapping or a list in YAML. */
const kinds: Readonly<Record<string, string>> = {
  record: 'a mapping',
  object: 'a mapping',
  array: 'a list',
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
};

function expectation(message: string): string {
  const kind = /^Invalid input: expected (\w+), received \w+$/.exec(message)?.[1];
  return kind === undefined ? message.replace(/^Invalid input: expected /, '') : (kinds[kind] ?? kind);
}

function valueAt(data: unknown, path: readonly PropertyKey[]): unknown {
  let value = data;
  for (const key of path) value = (value as Record<PropertyKey, unknown> | undefined)?.[key];
  return value;
}

function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
