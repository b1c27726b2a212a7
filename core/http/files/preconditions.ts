import type { IncomingHttpHeaders } from 'node:http';

/** What a client's conditions make of a download. */
export type Precondition = 'proceed' | 'not-modified' | 'failed';

/**
 * Evaluates If-Match, If-Unmodified-Since, If-None-Match and If-Modified-Since, in that order.
 *
 * @param etag strong, with its quotes
 * @param modifiedMs time of the last change, milliseconds since 1970
 * @see RFC 9110 §13.2.2
 */
export function evaluatePreconditions(
  headers: IncomingHttpHeaders,
  etag: string,
  modifiedMs: number,
): Precondition {
  const modifiedSecond = Math.floor(modifiedMs / 1000) * 1000;
  const ifMatch = headers['if-match'];
  const unmodifiedSince = toTime(headers['if-unmodified-since']);
  if (ifMatch !== undefined) {
    if (!lists(ifMatch, etag, 'strong')) return 'failed';
  } else if (unmodifiedSince !== undefined && modifiedSecond > unmodifiedSince) {
    return 'failed';
  }
  const ifNoneMatch = headers['if-none-match'];
  const modifiedSince = toTime(headers['if-modified-since']);
  if (ifNoneMatch !== undefined) return lists(ifNoneMatch, etag, 'weak') ? 'not-modified' : 'proceed';
  return modifiedSince !== undefined && modifiedSecond <= modifiedSince ? 'not-modified' : 'proceed';
}

/**
 * Whether a Range field counts: without If-Range, or when that names the content as it is.
 *
 * @see RFC 9110 §13.1.5
 */
export function rangeApplies(headers: IncomingHttpHeaders, etag: string, modifiedMs: number): boolean {
  const ifRange = headers['if-range'];
  if (ifRange === undefined) return true;
  if (typeof ifRange !== 'string') return false;
  if (/^(W\/)?"/.test(ifRange)) return ifRange === etag;
  return toTime(ifRange) === Math.floor(modifiedMs / 1000) * 1000;
}

function lists(field: string, etag: string, comparison: 'strong' | 'weak'): boolean {
  if (field.trim() === '*') return true;
  return (field.match(/(?:W\/)?"[^"]*"/g) ?? []).some(
    (tag) => (comparison === 'weak' ? tag.replace(/^W\//, '') : tag) === etag,
  );
}

/** An HTTP-date; anything else is ignored (RFC 9110 §13.1.3). */
function toTime(field: string | undefined): number | undefined {
  if (field === undefined || !/^[A-Z][a-z]+,? /.test(field)) return undefined;
  const time = Date.parse(field);
  return Number.isNaN(time) ? undefined : time;
}
