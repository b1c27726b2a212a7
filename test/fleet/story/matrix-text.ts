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
