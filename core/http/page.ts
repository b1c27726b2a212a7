import * as z from 'zod';
import { CoreError } from '../terms/errors.ts';

/** The query of every route that answers page by page. */
export const pageQuery = {
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(1000).optional(),
};

/** Null on the last page. */
export const nextCursor = z.string().nullable();

/**
 * A page out of rows that were asked for with one more than its limit: that one only tells that another page follows.
 *
 * @param cursorOf the values of a row that the page after it starts from
 */
export function toPage<Row>(
  rows: readonly Row[],
  limit: number,
  cursorOf: (last: Row) => readonly (string | number)[],
): { readonly rows: readonly Row[]; readonly next_cursor: string | null } {
  const shown = rows.slice(0, limit);
  const last = rows.length > limit ? shown.at(-1) : undefined;
  return { rows: shown, next_cursor: last === undefined ? null : toCursor(cursorOf(last)) };
}

/** Where a page ended, as text that means nothing to clients. */
function toCursor(values: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(values)).toString('base64url');
}

/**
 * The values that {@link toPage} has put into a cursor.
 *
 * @throws {CoreError} `invalid_request` for anything that it has not made with the same kinds of values
 */
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
