import { parseDocument } from 'yaml';

/** The matrix without what some callers may do with one callee: the slip that the guard is for. */
export function withoutCallersOf(text: string, callee: string, callers: readonly string[]): string {
  const document = parseDocument(text);
  for (const caller of callers) {
    if (!document.deleteIn(['services', callee, 'callers', caller])) {
      throw new Error(`the matrix has no rules of ${caller} for ${callee}`);
    }
  }
  return document.toString();
}

/** The matrix, or fleet.yaml, without a service: what is called of it, and what it may call. */
export function withoutService(text: string, name: string): string {
  const document = parseDocument(text);
  const { services } = document.toJS() as { services: Record<string, { callers?: Record<string, unknown> }> };
  for (const [callee, { callers = {} }] of Object.entries(services))
    if (name in callers) document.deleteIn(['services', callee, 'callers', name]);
  if (!document.deleteIn(['services', name])) throw new Error(`found no service ${name} to leave out`);
  return document.toString();
}
