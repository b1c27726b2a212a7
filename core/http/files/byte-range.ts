import type { ContentRange } from '../../files/content-store.ts';

/** More ranges than any honest client asks for: then the whole content is sent instead. */
const maxRanges = 16;

/**
 * What a Range field asks for, of a content of a size.
 *
 * - `whole`: no range, or one that is to be ignored (another unit, bad syntax, too many);
 * - `none`: only ranges that lie behind the end, which is a 416;
 * - `parts`: at least one range, none overlapping another, in the order of the request.
 *
 * @see RFC 9110 §14.1.2, §14.2
 */
export type RangeRequest =
  | { readonly kind: 'whole' }
  | { readonly kind: 'none' }
  | { readonly kind: 'parts'; readonly ranges: readonly ContentRange[] };

export function parseRange(field: string | undefined, size: number): RangeRequest {
  const specs = /^bytes=(.*)$/i
    .exec(field?.trim() ?? '')?.[1]
    ?.split(',')
    .map((spec) => spec.trim());
  if (specs === undefined) return { kind: 'whole' };
  const wanted = specs.filter((spec) => spec !== '');
  if (wanted.length === 0 || wanted.length > maxRanges) return { kind: 'whole' };
  const ranges: ContentRange[] = [];
  for (const spec of wanted) {
    const range = parseSpec(spec, size);
    if (range === 'invalid') return { kind: 'whole' };
    if (range !== undefined) ranges.push(range);
  }
  return ranges.length === 0 ? { kind: 'none' } : { kind: 'parts', ranges: coalesce(ranges) };
}

/** Undefined for one that can't be satisfied. */
function parseSpec(spec: string, size: number): ContentRange | undefined | 'invalid' {
  const match = /^(\d*)-(\d*)$/.exec(spec);
  if (match === null || spec === '-') return 'invalid';
  const [, first = '', last = ''] = match;
  if (first === '') {
    const length = Math.min(Number(last), size);
    return length === 0 ? undefined : { start: size - length, end: size - 1 };
  }
  const start = Number(first);
  const end = last === '' ? Number.POSITIVE_INFINITY : Number(last);
  if (end < start) return 'invalid';
  return start >= size ? undefined : { start, end: Math.min(end, size - 1) };
}

/** Overlapping ranges become one, so that an answer is never longer than the content is. */
function coalesce(ranges: readonly ContentRange[]): ContentRange[] {
  const apart: ContentRange[] = [];
  for (const range of ranges) {
    let merged = range;
    for (let index = apart.length - 1; index >= 0; index--) {
      const other = apart[index]!;
      if (other.start > merged.end + 1 || merged.start > other.end + 1) continue;
      merged = { start: Math.min(other.start, merged.start), end: Math.max(other.end, merged.end) };
      apart.splice(index, 1);
      // What it has grown into may touch those that were apart before.
      index = apart.length;
    }
    apart.push(merged);
  }
  return apart;
}
