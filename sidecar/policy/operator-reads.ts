import { fieldId } from '../terms/field-names.ts';
import { furtherReadings, isPlainCall } from './call-readings.ts';

/** What operators may read of a sidecar over the hop. */
export const operatorDocuments = ['status', 'metrics', 'denials', 'observed', 'events'] as const;

export type OperatorDocument = (typeof operatorDocuments)[number];

const prefix = '/.well-known/countersign/';
const byTarget = new Map<string, OperatorDocument>(operatorDocuments.map((name) => [prefix + name, name]));

/** Where operators read a document. */
export function operatorPath(document: OperatorDocument): string {
  return prefix + document;
}

/** What is looked at of a request. */
export interface ReadRequest {
  readonly method: string;
  /** Path and query as they were sent. */
  readonly originForm: string;
  readonly path: string;
  readonly hasBody: boolean;
  readonly upgrade: boolean;
  known(id: number): string | undefined;
}

/**
 * The document that a request of an operator reads; undefined when it reads none, and so is an ordinary call. The path is
 * compared byte by byte, and nothing may give the call a second reading: no query, no body, no field that overrides method or
 * path, no upgrade.
 *
 * @param head whose signature has been verified, of the peer that has proven the connection
 */
export function documentRead(head: ReadRequest): OperatorDocument | undefined {
  const document = byTarget.get(head.originForm);
  if (document === undefined || (head.method !== 'GET' && head.method !== 'HEAD')) return undefined;
  if (head.hasBody || head.upgrade || head.known(fieldId['content-digest']) !== undefined) return undefined;
  if (!isPlainCall(head.path, furtherReadings(head))) return undefined;
  return document;
}
