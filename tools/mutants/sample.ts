/**
 * Numbers that look drawn and are the same for the same seed.
 *
 * @returns a function that gives a number from 0 up to, but without, 1
 */
export function drawn(seed: string): () => number {
  // FNV-1a of the seed, then the generator mulberry32.
  let state = 0x811c9dc5;
  for (const character of seed) state = Math.imul(state ^ (character.codePointAt(0) as number), 0x01000193);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** So many of the items, each at most once, in the order in which they were drawn; all of them, if there are no more. */
export function sample<Item>(items: readonly Item[], count: number, seed: string): Item[] {
  const next = drawn(seed);
  const left = [...items];
  const chosen: Item[] = [];
  while (chosen.length < count && left.length > 0)
    chosen.push(...left.splice(Math.floor(next() * left.length), 1));
  return chosen;
}
