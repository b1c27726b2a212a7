import { CoreError } from '../errors.ts';

/** Where a page ended, as text that means nothing to clients. */
export function toCursor(...values: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(values)).toString('base64url');
}

/** @throws {CoreError} `invalid_request` for anything that {@link toCursor} has not made with the same kinds of values */
export function fromCursor<Kinds extends readonly ('string' | 'number')[]>(
  cursor: string,
  ...kinds: Kinds
): { [I in keyof Kinds]: Kinds[I] extends 'string' ? string : number } {
  let values: unknown;
  try {
    values = JSON.parse(Buffer.from(cursor, 'base64url').toString());
  } catch {
    values = undefined;
  }
  const isCursor =
    Array.isArray(values) &&
    values.length === kinds.length &&
    values.every(
      (value, index) =>
        typeof value === kinds[index] && (typeof value !== 'number' || Number.isSafeInteger(value)),
    );
  if (!isCursor) {
    throw new CoreError('invalid_request', 'cursor: expected the next_cursor of the page before, unchanged', {
      param: 'cursor',
    });
  }
  return values as { [I in keyof Kinds]: Kinds[I] extends 'string' ? string : number };
}
