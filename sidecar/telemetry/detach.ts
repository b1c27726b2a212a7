const longestPath = 1024;
const scratch = Buffer.allocUnsafeSlow(4096);

/**
 * A copy of a text from the wire (latin1) that does not keep its origin alive: slices of a request head share the
 * head's memory, so what outlives the call is copied. Texts longer than `longest` are cut and end in `~`.
 *
 * @param longest at most 4096
 */
export function detach(text: string, longest = longestPath): string {
  if (text.length > longest) return `${detach(text.slice(0, longest - 1))}~`;
  scratch.write(text, 0, 'latin1');
  return scratch.toString('latin1', 0, text.length);
}

/** As `detach`, for sentences of our own: any characters, at most 1024 of them. */
export function detachText(text: string): string {
  const kept = text.length > longestPath ? `${text.slice(0, longestPath - 1)}~` : text;
  return Buffer.from(kept, 'utf8').toString('utf8');
}
