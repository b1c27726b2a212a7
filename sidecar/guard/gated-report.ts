import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import { ConfigError } from '../../config/load.ts';
import { fileProblem } from '../../config/problem.ts';

/** The part of a gate file (`countersign report --gate`) that the guard needs; its MAC was checked at the swap. */
const schema = z.object({
  /** SHA-256 of the authorization.yaml that was reported on, hex. */
  matrix: z.string(),
  seen: z.array(z.object({ caller: z.string(), callee: z.string(), method: z.string(), path: z.string() })),
  skew: z
    .array(
      z.object({
        caller: z.string(),
        callee: z.string(),
        min_seconds: z.number(),
        max_seconds: z.number(),
      }),
    )
    .default([]),
});

/** What was allowed and seen before the swap: only failures of such calls can mean that enforcing broke something. */
export class GatedReport {
  readonly #seen: ReadonlySet<string>;
  readonly #skew: ReadonlyMap<string, { readonly min: number; readonly max: number }>;
  /** The hash of the matrix that may be enforced. */
  readonly matrix: string;
  /** Tells one swap from the next. */
  readonly id: string;

  constructor({ matrix, seen, skew }: z.output<typeof schema>, id: string) {
    this.matrix = matrix;
    this.id = id;
    this.#seen = new Set(seen.map(({ caller, callee, method, path }) => key(caller, callee, method, path)));
    this.#skew = new Map(
      skew.map((each) => [
        `${each.caller}\n${each.callee}`,
        { min: each.min_seconds, max: each.max_seconds },
      ]),
    );
  }

  /** Whether calls of this kind were allowed and seen. */
  saw(caller: string, callee: string, method: string, template: string): boolean {
    return this.#seen.has(key(caller, callee, method, template));
  }

  /** The range of the caller's measured skew in seconds, positive when its clock is behind. */
  skewOf(caller: string, callee: string): { readonly min: number; readonly max: number } | undefined {
    return this.#skew.get(`${caller}\n${callee}`);
  }
}

/** @throws {ConfigError} when there is no such file, or it is no gate file */
export async function loadGatedReport(file: string): Promise<GatedReport> {
  const fault = (found: string, cause: unknown) =>
    new ConfigError([fileProblem(file, found, 'a gate file made by countersign report --gate')], { cause });
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw fault(code === 'ENOENT' ? 'no such file' : `a file that can't be read (${code})`, cause);
  }
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (cause) {
    throw fault(text.trim() === '' ? 'an empty file' : 'text that is not JSON', cause);
  }
  const report = schema.safeParse(data);
  if (!report.success)
    throw fault(`${report.error.issues[0]?.path.join('.') || 'the file'} of another kind`, report.error);
  return new GatedReport(report.data, String((data as { created?: unknown }).created ?? ''));
}

function key(caller: string, callee: string, method: string, template: string): string {
  return `${caller}\n${callee}\n${method}\n${template}`;
}
