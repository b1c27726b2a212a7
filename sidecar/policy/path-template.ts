/** Segments after which a template ends in `…`, a character that no request target can hold. */
const mostSegments = 24;
/** A segment longer than this is data, not the name of a route. */
const longestName = 64;

/** A shorter segment is an id that tells nothing: whoever guesses can try them all. */
const shortestToken = 16;

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
 * longer than 64 characters; long letters without a word in them. Versions (`v1`, `v1.2`) and words with a digit in them (`oauth2`, `phi-3-mini-4k`)
 * are names.
 */
export function idSegment(segment: string): boolean {
  if (segment.length > longestName || segment.includes('%') || segment.indexOf('@') > 0) return true;
  if (!digit.test(segment)) return segment.length >= shortestToken && hasRandomLetters(segment);
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

const sixConsonants = /[bcdfghjklmnpqrstvwxz]{6}/i;
const capitalStarts = /(?=[A-Z])/;

/** Letters that no words are made of: many capitals close together, or six consonants in a row. */
function hasRandomLetters(segment: string): boolean {
  return segment.split(separators).some((part) => {
    if (part.length < shortestToken || !alphanumeric.test(part)) return false;
    const shortWords = part.split(capitalStarts).filter((word) => word.length <= 2);
    return shortWords.length >= 4 || sixConsonants.test(part);
  });
}

/** Whether a path segment may be a secret, such as the token of a link that resets a password: long, and random. */
export function tokenSegment(segment: string): boolean {
  const decoded = segment.replace(/%[0-9a-f]{2}/gi, (byte) =>
    String.fromCharCode(Number.parseInt(byte.slice(1), 16)),
  );
  return decoded.length >= shortestToken && !decoded.includes('%') && !isDate(decoded) && idSegment(decoded);
}

function isDate(segment: string): boolean {
  return segment.split(separators).every((part) => part.length <= 4 && digitsOnly.test(part));
}

/**
 * A path, or a sentence with paths in it, as operators may see it: segments that may be secrets are `*`. It matches the
 * same rules, because `*` in a rule stands for any segment.
 */
export function withoutTokens(text: string): string {
  if (text.length < shortestToken) return text;
  return text.replace(pathSegment, (segment) => (tokenSegment(segment) ? '*' : segment));
}

/** What stands behind a slash; in a sentence it ends at a space, a quote, a comma or a bracket. */
const pathSegment = /(?<=\/)[^/\s"'?,()]{16,}/g;

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
