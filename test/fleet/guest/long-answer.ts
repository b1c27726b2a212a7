/** A line of the long answer, 101 bytes. */
export const longLine = `${'0123456789'.repeat(10)}\n`;
/** How many lines the answer to `?long` has: about 1 MB. */
export const longLines = 10_000;
