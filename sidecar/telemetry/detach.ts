/**
 * A copy of a latin1 text that does not keep its origin alive: slices of a request head share the head's memory, so
 * what outlives the call is copied. Longer texts are cut to `longest` characters.
 */
export function detach(text: string, longest = 1024): string {
  const kept = text.length > longest ? `${text.slice(0, longest - 1)}~` : text;
  return Buffer.from(kept, 'utf8').toString('utf8');
}
