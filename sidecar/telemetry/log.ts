import { type Logger, pino } from 'pino';

export type { Logger };

/** Log text held back at most while nobody reads: past it lines are dropped, never the process. */
const mostHeldBytes = 4 * 1024 * 1024;

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
  /** Writes out what is still held, synchronously: the last thing before the process exits. */
  flush(): void;
}

/** JSON lines, written without blocking the event loop. Fields that could hold a secret come out as `[secret]`. */
export function openLog(options: LogOptions): Log {
  const { fd = 1, ...base } = options;
  const destination = pino.destination({ fd, sync: false, minLength: 0, maxLength: mostHeldBytes });
  // A reader that went away must not take the sidecar with it.
  destination.on('error', () => {});
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
    flush() {
      try {
        destination.flushSync();
      } catch {
        // Not ready yet, or the reader is gone: there is nobody left to tell.
      }
    },
  };
}
