/** Segments after which a template ends in `…`, a character that no request target can hold. */
const mostSegments = 24;
/** A segment longer than this is data, not the name of a route. */
const longestName = 64;

const digit = /\d/;
const obvious = /^(?:\d+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i;
const version = /^v\d+([._-]\d+)*$/i;
const separators = /[-_.:~,+=]/;
const digitsOnly = /^\d+$/;
const hexadecimal = /^[0-9a-f]+$/i;
const alphanumeric = /^[0-9a-z]+$/i;

/**
 * Whether a path segment looks like the id of a thing rather than the name of a route.
 *
 * Ids are: numbers, dates and addresses; UUIDs, ULIDs, hashes and random tokens; such a thing behind a prefix or
 * before an extension (`chat-42`, `sess_01HX…`, `7.json`); whatever is percent-encoded, holds an inner `@` or is
 * longer than 64 characters. Versions (`v1`, `v1.2`) and words with a digit in them (`oauth2`, `phi-3-mini-4k`)
 * are names.
 */
export function idSegment(segment: string): boolean {
  if (segment.length > longestName || segment.includes('%') || segment.indexOf('@') > 0) return true;
  if (!digit.test(segment)) return false;
  if (obvious.test(segment)) return true;
  if (version.test(segment)) return false;
  const parts = segment.split(separators).filter((part) => part !== '');
  if (parts.length > 0 && parts.every((part) => digitsOnly.test(part))) return true;
  const last = parts.length - 1;
  return parts.some((part, index) => {
    if (digitsOnly.test(part)) return index === last || part.length >= 4 || (index === 0 && last === 1);
    return looksRandom(part);
  });
}

function looksRandom(part: string): boolean {
  const digitRuns = part.match(/\d+/g) ?? [];
  const digits = digitRuns.join('').length;
  if (digits === 0 || !alphanumeric.test(part)) return false;
  if (hexadecimal.test(part) && part.length >= 6) return true;
  if (digitRuns.length >= 2 && part.length >= 8) return true;
  if (digits >= 2 && part.length >= 16) return true;
  if (part.length >= 12 && (part.match(/[A-Z]/g) ?? []).length >= 4) return true;
  return /\d{4,}$/.test(part);
}

/**
 * The route behind a path: its segments, with ids folded to `*`. The one folding that telemetry, the suggestions
 * of `countersign matrix` and the guard share.
 *
 * A segment that consists of asterisks folds to `*` too, so that no caller can have `**` suggested by calling it.
 *
 * @param path the raw path, without its query
 * @returns at most 24 segments, of at most 64 characters each; what is deeper ends in `/…`
 */
export function pathTemplate(path: string): string {
  const start = path.startsWith('/') ? 1 : 0;
  let template = '';
  let kept = 0;
  let from = start;
  for (let count = 0; from <= path.length; count++) {
    if (count === mostSegments) return `${template}${path.slice(kept, from)}…`;
    const slash = path.indexOf('/', from);
    const to = slash === -1 ? path.length : slash;
    const segment = path.slice(from, to);
    if (segment !== '*' && (idSegment(segment) || /^\*+$/.test(segment))) {
      template += `${path.slice(kept, from)}*`;
      kept = to;
    }
    from = to + 1;
  }
  return template + path.slice(kept);
}
