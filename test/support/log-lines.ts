import { EventEmitter, once } from 'node:events';
import { Writable } from 'node:stream';
import { type Logger, pino } from 'pino';

export interface MemoryLog {
  readonly logger: Logger;
  readonly lines: Record<string, unknown>[];
  /** The first line of an event: at once, or when it comes within five seconds. */
  logged(event: string): Promise<Record<string, unknown>>;
}

/** A logger whose lines are kept, parsed. */
export function memoryLogger(): MemoryLog {
  const lines: Record<string, unknown>[] = [];
  const arrivals = new EventEmitter();
  const sink = new Writable({
    write(chunk, _encoding, done) {
      lines.push(JSON.parse(String(chunk)));
      arrivals.emit('line');
      done();
    },
  });
  return {
    logger: pino({}, sink),
    lines,
    async logged(event) {
      // What is tested may hold only unreferenced timers: this one keeps the process waiting.
      const deadline = setTimeout(() => arrivals.emit('error', new Error(`no ${event} was logged`)), 5_000);
      try {
        for (;;) {
          const line = lines.find((each) => each.event === event);
          if (line !== undefined) return line;
          await once(arrivals, 'line');
        }
      } finally {
        clearTimeout(deadline);
      }
    },
  };
}
