/** What `countersign` exits with; 64, 70 and 78 are those of sysexits.h. */
export const exit = {
  /** Yes, or done. */
  ok: 0,
  /** Answered no: denied, not ready, invalid, not delivered. */
  no: 1,
  usage: 64,
  fault: 70,
  config: 78,
} as const;

/** The command line asks for something that cannot be meant. Exits with 64. */
export class UsageError extends Error {
  readonly code = 'wrong-usage';
}

/** The answer is no; the message says why. Exits with 1. A command that has printed its answer sets `process.exitCode`. */
export class AnsweredNo extends Error {
  readonly code = 'answered-no';
}
