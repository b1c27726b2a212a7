import { isUtf8 } from 'node:buffer';

/** What a path may mean to the server behind it. */
export type PathReadings =
  /** Every reading, the raw path first. More than one only for a path with `%2F` or `//`. */
  | { readonly ambiguous: false; readonly readings: readonly [string, ...string[]] }
  | { readonly ambiguous: true; readonly found: string };

/** By character code: 1 for those that every server takes as they are. */
const ordinary = Uint8Array.from({ length: 256 }, (_, code) =>
  /[!$&'()*+,\-.0-9:=@A-Z_a-z~]/.test(String.fromCharCode(code)) ? 1 : 0,
);
const rawByte = /[^\x21-\x7e]|\\/;
const badEncoding = /%(?![0-9A-Fa-f]{2})/;
const encodedByte = /%([0-9A-Fa-f]{2})/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control bytes are what it looks for
const controlByte = /[\x00-\x1f\x7f]/;
/** A parser that decodes first may end a segment at `;`, `?` or `#`. */
const dotSegment = /(?:^|\/)\.\.?(?:[/;?#]|$)/;
const onlyParameters = /(?:^|\/);/;
/** Nobody encodes a path this often; each level costs a pass over it. */
const mostLevels = 8;

/**
 * Whether a path has one reading and nothing to look at twice, as nearly all have: segments of ordinary characters, none
 * of them a dot segment and none empty but for the last.
 */
export function isPlainPath(path: string): boolean {
  if (path.charCodeAt(0) !== 0x2f) return false;
  let length = 0;
  let dots = 0;
  for (let i = 1; i < path.length; i++) {
    const code = path.charCodeAt(i);
    if (code === 0x2f) {
      if (length <= 2 && length === dots) return false;
      length = 0;
      dots = 0;
    } else {
      if (ordinary[code] !== 1) return false;
      length++;
      if (code === 0x2e) dots++;
    }
  }
  return length === 0 || length > 2 || length > dots;
}

/**
 * Reads a raw path in every way that the servers behind a proxy are known to read it.
 *
 * Ambiguous, whatever the matrix says: dot segments (plain, with `;parameters`, in any encoding and at any depth
 * of encoding, overlong UTF-8 and compatibility characters included), backslashes, control bytes, raw bytes
 * outside ASCII, percent-encoding that is broken or no UTF-8, and segments that are nothing but parameters.
 *
 * @param path the raw path of the request target, without its query, one character a byte
 * @see RFC 3986 §2.1, §5.2.4, §6.2.2
 */
export function readPath(path: string): PathReadings {
  if (isPlainPath(path)) return { ambiguous: false, readings: [path] };
  const found = ambiguity(path);
  if (found !== undefined) return { ambiguous: true, found };
  const decoded = decodeSlashes(path);
  const merged = mergeSlashes(path);
  const readings = new Set([path, decoded, merged, mergeSlashes(decoded), decodeSlashes(merged)]);
  return { ambiguous: false, readings: [...readings] as [string, ...string[]] };
}

function ambiguity(path: string): string | undefined {
  const raw = rawByte.exec(path);
  if (raw !== null) return raw[0] === '\\' ? 'a backslash' : `the raw byte ${hex(raw[0].charCodeAt(0))}`;
  const bad = badEncoding.exec(path);
  if (bad !== null) return `"${path.slice(bad.index, bad.index + 3)}", which is no percent-encoding`;
  let text = path;
  for (let level = 0; level <= mostLevels; level++) {
    const found = ambiguityOf(text);
    if (found !== undefined) return level === 0 ? found : `${found}, percent-encoded${times(level)}`;
    const decoded = text.replace(encodedByte, (_, byte) => String.fromCharCode(Number.parseInt(byte, 16)));
    if (decoded === text) return undefined;
    text = decoded;
  }
  return `percent-encoding more than ${mostLevels} levels deep`;
}

/** What is ambiguous about one level of decoding; `text` holds one character a byte. */
function ambiguityOf(text: string): string | undefined {
  if (dotSegment.test(text)) return 'a dot segment';
  if (onlyParameters.test(text)) return 'a segment of nothing but parameters';
  if (text.includes('\\')) return 'a backslash';
  const control = controlByte.exec(text);
  if (control !== null) return `the control byte ${hex(control[0].charCodeAt(0))}`;
  if (!/[^\0-\x7f]/.test(text)) return undefined;
  const bytes = Buffer.from(text, 'latin1');
  if (!isUtf8(bytes)) return 'bytes that are no UTF-8';
  // Fullwidth and leader dots become dots where a server normalises names (UAX #15, NFKC).
  const folded = bytes.toString('utf8').normalize('NFKC').replaceAll('\\', '/');
  return dotSegment.test(folded) ? 'characters that normalise to a dot segment' : undefined;
}

function decodeSlashes(path: string): string {
  return path.replace(/%2[Ff]/g, '/');
}

function mergeSlashes(path: string): string {
  return path.replace(/\/{2,}/g, '/');
}

function hex(code: number): string {
  return `0x${code.toString(16).padStart(2, '0')}`;
}

function times(level: number): string {
  return level === 1 ? '' : ` ${level} times over`;
}
