import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Option } from 'commander';
import * as z from 'zod';
import {
  type DenialsDocument,
  denialsSchema,
  type HostState,
  observedSchema,
  statusSchema,
} from '../telemetry/documents.ts';
import { readMetrics } from '../telemetry/metrics-document.ts';
import { AnsweredNo } from '../terms/exit-codes.ts';
import { adminPage, isAdminAddress } from './admin-page.ts';

/** Where a sidecar's admin listener is unless sidecar.yaml says otherwise. */
export const localAdmin = 'http://127.0.0.1:15000';

const timeoutMs = 5_000;
const mostBytes = 64 * 1024 * 1024;
const names = ['status', 'observed', 'denials'] as const;

/** `metrics` is not gathered in files: only live sidecars have it. */
export type DocumentName = (typeof names)[number] | 'metrics';

/** A source that cannot be read: what was found, what was expected, what to do. */
export class FromError extends AnsweredNo {
  readonly found: string;

  constructor(from: string, found: string, options?: ErrorOptions) {
    super(
      `--from ${from}: found ${found}, expected the address of an admin listener (${localAdmin}, unix:PATH), a file with what it ` +
        'answers, or a folder with HOST/status.json, HOST/observed.json and HOST/denials.json',
      options,
    );
    this.name = 'FromError';
    this.found = found;
  }
}

/** The option that every command has which reads a fleet. */
export function fromOption(): Option {
  return new Option('--from <url|file|dir>', 'a sidecar to read (repeatable)')
    .argParser((value: string, before: string[] | undefined) => [...(before ?? []), value])
    .default(undefined, localAdmin);
}

/**
 * Reads sidecars: live ones by URL, gathered ones from files and folders (`HOST/status.json` and so on).
 *
 * @param from empty or undefined for the admin listener of this machine
 * @param wanted the documents that the command needs; of a URL only these are fetched
 * @throws {FromError} for the first source that cannot be read, or holds none of the documents
 */
export async function readFrom(
  from: readonly string[] | undefined,
  wanted: readonly DocumentName[] = names,
): Promise<HostState[]> {
  const sources = from === undefined || from.length === 0 ? [localAdmin] : from;
  const states = await Promise.all(sources.map((source) => readSource(source, wanted)));
  return states.flat();
}

async function readSource(from: string, wanted: readonly DocumentName[]): Promise<HostState[]> {
  if (isAdminAddress(from)) return [await readUrl(from, wanted)];
  const found = await stat(from).catch((cause: NodeJS.ErrnoException) => {
    throw new FromError(from, cause.code === 'ENOENT' ? 'nothing there' : String(cause.code), { cause });
  });
  if (!found.isDirectory()) return [await readOne(from)];
  const entries = await readdir(from, { withFileTypes: true });
  const states: HostState[] = [];
  const own = await readFolder(from);
  if (own !== undefined) states.push(own);
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (!entry.isDirectory()) continue;
    const state = await readFolder(join(from, entry.name));
    if (state !== undefined) states.push(state);
  }
  if (states.length === 0) throw new FromError(from, 'a folder without such files');
  return states;
}

async function readUrl(from: string, wanted: readonly DocumentName[]): Promise<HostState> {
  const base = from.replace(/\/(status|observed|denials|metrics)?\/?$/, '');
  const documents = await Promise.all(
    wanted.map(async (name) => {
      let text: string;
      try {
        const page = await adminPage(base, `/${name}`, AbortSignal.timeout(timeoutMs));
        if (page.status !== 200) throw new FromError(from, `HTTP ${page.status} for /${name}`);
        text = page.text;
      } catch (cause) {
        if (cause instanceof FromError) throw cause;
        const { code, name: kind } = cause as NodeJS.ErrnoException;
        const reason = code === 'ABORT_ERR' ? 'TimeoutError' : (code ?? kind);
        throw new FromError(from, `no answer (${reason})`, { cause });
      }
      return name === 'metrics' ? { metrics: readMetrics(text) } : parseDocument(`${base}/${name}`, text);
    }),
  );
  return Object.assign({ from }, ...documents) as HostState;
}

async function readFolder(folder: string): Promise<HostState | undefined> {
  const documents = await Promise.all(
    names.map(async (name) => {
      const file = join(folder, `${name}.json`);
      if ((await stat(file).catch(() => undefined)) === undefined) return {};
      return readOne(file);
    }),
  );
  const state = Object.assign({}, ...documents, { from: folder }) as HostState;
  return names.some((name) => state[name] !== undefined) ? state : undefined;
}

async function readOne(file: string): Promise<HostState> {
  const { size } = await stat(file);
  if (size > mostBytes) throw new FromError(file, `a file of ${size} bytes`);
  return { from: file, ...parseDocument(file, await readFile(file, 'utf8')) };
}

/** Tells the documents apart by what they hold, so that a file may have any name. */
function parseDocument(from: string, text: string): Omit<HostState, 'from'> {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (cause) {
    const denials = denialsInLog(text);
    if (denials !== undefined) return { denials };
    throw new FromError(from, 'a text that is neither JSON nor a log of a sidecar', { cause });
  }
  const kind = kindOf(data);
  try {
    if (kind === 'observed') return { observed: observedSchema.parse(data) };
    if (kind === 'denials') return { denials: denialsSchema.parse(data) };
    if (kind === 'status') return { status: statusSchema.parse(data) };
  } catch (cause) {
    if (!(cause instanceof z.ZodError)) throw cause;
    const [issue] = cause.issues;
    const place = issue?.path.join('.') ?? '';
    throw new FromError(from, `${basename(from)} with ${place}: ${issue?.message ?? 'a fault'}`, { cause });
  }
  throw new FromError(from, 'JSON that is none of /status, /observed and /denials');
}

function kindOf(data: unknown): (typeof names)[number] | undefined {
  if (typeof data !== 'object' || data === null) return undefined;
  if ('observations' in data) return 'observed';
  if ('denials' in data) return 'denials';
  return 'keys' in data && 'phase' in data ? 'status' : undefined;
}

/** The denials in a sidecar's own log, newest first; undefined when the text is no such log. */
function denialsInLog(text: string): DenialsDocument | undefined {
  const denials: unknown[] = [];
  let lines = 0;
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue;
    let entry: unknown;
    try {
      entry = JSON.parse(line);
    } catch {
      continue;
    }
    if (typeof entry !== 'object' || entry === null) continue;
    lines++;
    if ((entry as { event?: unknown }).event === 'denial') denials.push(entry);
  }
  if (lines === 0) return undefined;
  const checked = denials.map((each) => denialsSchema.shape.denials.element.safeParse(each));
  const kept = checked.flatMap((each) => (each.success ? [each.data] : []));
  return { denials: kept.reverse(), signed: [] };
}
