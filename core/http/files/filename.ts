/** Most file systems take names of up to so many bytes. */
const maxBytes = 255;

/** Longest ending that is kept when a name is cut. */
const maxEndingBytes = 32;

/** Control characters, and those that reorder or hide text (an `exe` shown as a `txt`). */
const invisible = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Not allowed in names on Windows; `/` and `\` are handled as separators before. */
const reservedCharacters = /[<>:"|?*]/g;

/** Devices on Windows, with any ending. */
const reservedName = /^(?:con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(?:$|\s*\.)/iu;

/**
 * Makes a name that is safe to show, and to save under on any system, out of what a client calls its file. It is only ever a label: no path of the store
 * has a part of it. Directories are dropped (`../../etc/passwd` is `passwd`), the result is NFC, without controls, 1 to
 * 255 bytes of UTF-8, and a fixed point: cleaning it again changes nothing.
 */
export function cleanFilename(given: string): string {
  const last = given.toWellFormed().split(/[/\\]/).at(-1) ?? '';
  let name = trim(last.replace(invisible, '').replace(reservedCharacters, '_').normalize('NFC'));
  if (reservedName.test(name)) name = `_${name}`;
  name = trim(shorten(name));
  return name === '' ? 'file' : name;
}

/** Windows drops spaces and dots at the end; a name of dots is a directory everywhere. */
function trim(name: string): string {
  return name.replace(/^\s+/u, '').replace(/[\s.]+$/u, '');
}

/** Cuts between characters, and keeps the ending. */
function shorten(name: string): string {
  if (Buffer.byteLength(name) <= maxBytes) return name;
  const dot = name.lastIndexOf('.');
  const ending = dot > 0 && Buffer.byteLength(name.slice(dot)) <= maxEndingBytes ? name.slice(dot) : '';
  const room = maxBytes - Buffer.byteLength(ending);
  let kept = '';
  let used = 0;
  for (const character of ending === '' ? name : name.slice(0, dot)) {
    used += Buffer.byteLength(character);
    if (used > room) break;
    kept += character;
  }
  return kept + ending;
}
