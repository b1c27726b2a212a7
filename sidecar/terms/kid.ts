import * as z from 'zod';

/** The highest generation that a key id can name: the counter would take 27,000 years of daily rotations. */
export const highestGeneration = 9_999_999;

/** A key id: caller and generation, `main-backend/3`. */
export const keyId = z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\/[1-9]\d{0,6}$/, {
  error: 'a key id: a service name, a slash and a generation, such as main-backend/3',
});

/** The two parts of a well-formed key id. */
export function splitKeyId(kid: string): { caller: string; generation: number } {
  const slash = kid.lastIndexOf('/');
  return { caller: kid.slice(0, slash), generation: Number(kid.slice(slash + 1)) };
}
