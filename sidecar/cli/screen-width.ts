const narrowest = 80;

/** Characters in a line of the terminal; 80 where there is none, or a narrower one. */
export function screenWidth(): number {
  return Math.max(narrowest, process.stdout.columns ?? narrowest);
}
