const GiB = 1024 ** 3;

/** AES-GCM keeps its promises for 2^24.5 records under one key (RFC 8446 §5.5); we stay well below. */
export const mostRecords = 2 ** 23;
export const mostBytes = 64 * GiB;
export const longestAgeMs = 3_600_000;

/** What a sealed connection has carried so far. */
export interface Carried {
  readonly recordsRead: number;
  readonly recordsWritten: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

/**
 * Whether a sealed connection takes no new call: after 2^23 records or 64 GiB in a direction, or after one hour. The
 * call under way is finished.
 *
 * @param ageMs milliseconds since the handshake
 */
export function isSpent(carried: Carried, ageMs: number): boolean {
  const { recordsRead, recordsWritten, bytesRead, bytesWritten } = carried;
  return (
    ageMs >= longestAgeMs ||
    Math.max(recordsRead, recordsWritten) >= mostRecords ||
    Math.max(bytesRead, bytesWritten) >= mostBytes
  );
}
