import { readFile } from 'node:fs/promises';
import { type Document, isMap, isScalar, LineCounter, type Node, parseDocument, visit } from 'yaml';
import type * as z from 'zod';
import { type FileKind, recognise } from './file-kinds.ts';
import { nearestName } from './nearest-name.ts';
import { ConfigError, describe, fileProblem, type Problem } from './problem.ts';
import { allowedKeys } from './schema-keys.ts';
import { wording } from './wording.ts';
import { faultsToTell, wordingOf } from './yaml-faults.ts';

export { ConfigError, type Problem } from './problem.ts';

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
  const faults = faultsToTell([...document.errors, ...document.warnings]);
  if (faults.length > 0) {
    throw new ConfigError(
      faults.map((fault) => {
        const at = lines.linePos(fault.pos[0]);
        return { file, line: at.line, column: at.col, path: '', ...wordingOf(fault) };
      }),
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
 * @param kind which file it should be: another kind is recognised as such
 * @throws {ConfigError} every problem at once, each with file, line, column, found and expected
 */
export function check<Schema extends z.ZodType>(
  source: Source,
  schema: Schema,
  kind?: FileKind,
): z.output<Schema> {
  const result = schema.safeParse(source.data, { error: wording });
  if (result.success) return result.data;
  const { file } = source;
  const wanted = kind ?? 'a configuration file';
  if (source.data === null)
    throw new ConfigError([
      fileProblem(file, 'an empty file', `${wanted} ${listOf(allowedKeys(schema, []))}`),
    ]);
  const recognised = recognise(source.data);
  if (kind !== undefined && recognised !== undefined && recognised !== kind)
    throw new ConfigError([fileProblem(file, `what looks like ${recognised}`, kind)]);
  throw new ConfigError(
    firstOfEachPlace(result.error.issues.flatMap((issue) => toProblems(source, schema, issue))),
  );
}

/** Reads and parses one YAML file. @throws {ConfigError} */
export async function readYaml(file: string): Promise<Source> {
  return parseYaml(file, await readText(file));
}

/** Reads a text file that the configuration names. @throws {ConfigError} */
export async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'an error';
    throw new ConfigError([fileProblem(file, unreadable[code] ?? code, 'a readable file')]);
  }
}

const unreadable: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  ENOTDIR: 'no such file',
  EACCES: 'a file that this user may not read',
  EISDIR: 'a folder',
};

function toProblems(source: Source, schema: z.ZodType, issue: z.core.$ZodIssue): Problem[] {
  const { file } = source;
  if (issue.code === 'unrecognized_keys') {
    const allowed = allowedKeys(schema, issue.path);
    return issue.keys.map((key) => {
      const near = nearestName(key, allowed);
      return {
        file,
        ...source.place([...issue.path, key], 'key'),
        path: [...issue.path, key].join('.'),
        found: `an unknown key ${JSON.stringify(key)}`,
        expected: `${near === undefined ? '' : `${near}: `}one of ${allowed.join(', ')}`,
      };
    });
  }
  const path = issue.path.join('.');
  if (issue.code === 'invalid_key') {
    const expected = issue.issues.map((fault) => fault.message).join(', ');
    return [
      {
        file,
        ...source.place(issue.path, 'key'),
        path,
        found: `the key ${describe(issue.path.at(-1))}`,
        expected,
      },
    ];
  }
  const found = describe(valueAt(source.data, issue.path));
  return [{ file, ...source.place(issue.path), path, found, expected: issue.message }];
}

/** What else is wrong with a value follows from what was said of it first. */
function firstOfEachPlace(problems: readonly Problem[]): Problem[] {
  const told = new Set<string>();
  return problems.filter(({ path }) => !told.has(path) && told.add(path));
}

function listOf(keys: readonly string[]): string {
  return keys.length === 0 ? 'with content' : `with ${keys.join(', ')}`;
}

function valueAt(data: unknown, path: readonly PropertyKey[]): unknown {
  let value = data;
  for (const key of path) value = (value as Record<PropertyKey, unknown> | undefined | null)?.[key];
  return value;
}
