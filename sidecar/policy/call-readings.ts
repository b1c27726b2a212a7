import { fieldId, fieldNames } from '../terms/field-names.ts';
import { isPlainPath, readPath } from './paths.ts';

/** One way in which the server behind the sidecar may understand a call. */
export interface Reading {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
}

/** What fields say of method and path, beside the request line: apps that heed them carry out another call. */
export type FurtherReadings =
  | { readonly unreadable: false; readonly methods: readonly string[]; readonly paths: readonly string[] }
  | { readonly unreadable: true; readonly found: string };

/** Every reading of a call, that of the request line first; or what makes it ambiguous whatever the matrix says. */
export type CallReadings =
  | { readonly ambiguous: false; readonly readings: readonly [Reading, ...Reading[]] }
  | { readonly ambiguous: true; readonly found: string };

const methodFields = [
  fieldId['x-http-method'],
  fieldId['x-http-method-override'],
  fieldId['x-method-override'],
] as const;
const urlFields = [fieldId['x-original-url'], fieldId['x-rewrite-url']] as const;

const token = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;
/** A path, or a URL whose path is the capture. */
const url = /^(?:https?:\/\/[A-Za-z0-9._:[\]-]+(?=[/?]|$))?((?:\/(?!\/)[^?#]*)?)(?:\?[^#]*)?$/i;

/** Methods that the sidecar does not serve in a request line either. */
const unserved = new Set(['CONNECT', 'TRACE']);

/**
 * The further readings that the fields of a request give it; undefined when it has none of these fields. Several lines of
 * one field are a list, and so unreadable.
 */
export function furtherReadings(head: {
  known(id: number): string | undefined;
}): FurtherReadings | undefined {
  let methods: string[] | undefined;
  let paths: string[] | undefined;
  for (const id of methodFields) {
    const value = head.known(id);
    if (value === undefined) continue;
    const method = value.toUpperCase();
    if (!token.test(value) || unserved.has(method)) return unreadable(id, 'one method');
    methods ??= [];
    methods.push(method);
  }
  for (const id of urlFields) {
    const value = head.known(id);
    if (value === undefined) continue;
    const path = pathOf(value);
    if (path === undefined) return unreadable(id, 'one path or http URL');
    paths ??= [];
    paths.push(path);
  }
  return methods === undefined && paths === undefined
    ? undefined
    : { unreadable: false, methods: methods ?? [], paths: paths ?? [] };
}

function unreadable(id: number, expected: string): FurtherReadings {
  return { unreadable: true, found: `a field ${fieldNames[id]} that is not exactly ${expected}` };
}

/** The path of a URL, without its query; undefined when it can't be told, or the value may be a list. */
function pathOf(value: string): string | undefined {
  if (value === '' || /[^\x21-\x7e]|,/.test(value)) return undefined;
  const path = url.exec(value)?.[1];
  if (path !== '') return path;
  return value.startsWith('?') ? undefined : '/';
}

/** Every combination of a method and a path that a server may read in a call. */
export function readCall(method: string, path: string, further: FurtherReadings | undefined): CallReadings {
  if (further?.unreadable) return { ambiguous: true, found: `the call has ${further.found}` };
  const paths = new Set<string>();
  for (const one of [path, ...(further?.paths ?? [])]) {
    const read = readPath(one);
    if (read.ambiguous) return { ambiguous: true, found: `the path ${shown(one)} holds ${read.found}` };
    for (const reading of read.readings) paths.add(reading);
  }
  const methods = new Set([method, ...(further?.methods ?? [])]);
  const readings = [...methods].flatMap((method) => [...paths].map((path) => ({ method, path })));
  return { ambiguous: false, readings: readings as [Reading, ...Reading[]] };
}

/** Whether a call has one reading and nothing to look at twice, as nearly all have. */
export function isPlainCall(path: string, further: FurtherReadings | undefined): boolean {
  return further === undefined && isPlainPath(path);
}

const longestShown = 200;

/** A path as denials show it: quoted, and cut where it is long. */
export function shown(path: string): string {
  return JSON.stringify(path.length > longestShown ? `${path.slice(0, longestShown)}…` : path);
}
