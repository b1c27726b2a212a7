import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { type Logger, pino } from 'pino';

export type { Logger };

/** Log text held back at most while nobody reads: past it lines are dropped, never the process. */
const mostHeldBytes = 4 * 1024 * 1024;
/** How long the end of a process waits for a reader that takes its last lines slowly. */
const endMs = 1_000;

export interface LogOptions {
  /** On every line. */
  readonly service: string;
  readonly phase?: string;
  readonly version?: string;
  readonly worker?: number;
  /** File descriptor to write to; standard output unless told. */
  readonly fd?: number;
}

export interface Log {
  readonly logger: Logger;
  /**
   * Writes out what is still held and ends the log: the last thing before the process exits. Resolves within a second,
   * also when nobody reads any more.
   */
  end(): Promise<void>;
}

/** JSON lines, written without blocking the event loop. Fields that could hold a secret come out as `[secret]`. */
export function openLog(options: LogOptions): Log {
  const { fd = 1, ...base } = options;
  const destination = pino.destination({ fd, sync: false, minLength: 0, maxLength: mostHeldBytes });
  // A reader that went away must not take the sidecar with it.
  let gone = false;
  destination.on('error', () => {
    gone = true;
  });
  const logger = pino(
    {
      base: { ...base, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: {
        paths: [
          'key',
          '*.key',
          'keys',
          '*.keys',
          'root',
          '*.root',
          'password',
          '*.password',
          'secret',
          '*.secret',
        ],
        censor: '[secret]',
      },
    },
    destination,
  );
  return {
    logger,
    async end() {
      if (gone) return;
      // Not `flushSync`: it tries for ever when the reader is gone.
      const ended = once(destination, 'close').catch(() => {});
      destination.end();
      await Promise.race([ended, delay(endMs, undefined, { ref: false })]);
    },
  };
}
