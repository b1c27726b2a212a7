import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { openState } from '../../sidecar/replay/state.ts';

/** One request as the data path would ask about it. */
export interface Ask {
  readonly kid: string;
  readonly nonce: string;
  /** Seconds since the epoch; or seconds from the process's own clock, when `relative`. */
  readonly created: number;
  readonly relative?: boolean;
}

type Line =
  | { readonly ask: Ask }
  | { readonly flood: { readonly ahead: number } }
  | { readonly beat: true }
  | { readonly handOver: true };

/** A process of its own with a state directory, as a sidecar is one. */
export function startStateProcess(
  directory: string,
  kids: readonly string[],
  env: Record<string, string> = {},
) {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), directory, ...kids], {
    env: { PATH: process.env.PATH ?? '', ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines: Record<string, unknown>[] = [];
  const waiting: (() => void)[] = [];
  let partial = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const whole = (partial + text).split('\n');
    partial = whole.pop() as string; // what a kill cuts off was never said
    for (const line of whole) lines.push(JSON.parse(line) as Record<string, unknown>);
    for (const wake of waiting.splice(0)) wake();
  });
  const closed = once(child, 'close');
  const say = (line: Line) => child.stdin.write(`${JSON.stringify(line)}\n`);
  /** The next line that the process prints. */
  const next = async (): Promise<Record<string, unknown>> => {
    while (lines.length === 0) await new Promise<void>((resolve) => waiting.push(resolve));
    return lines.shift() as Record<string, unknown>;
  };
  return {
    next,
    /** Resolves with how it came to its memory, once it may accept requests. */
    opened: async () => (await next()).origin,
    ask: async (ask: Ask) => {
      say({ ask });
      return (await next()).admission;
    },
    flood: (ahead: number) => say({ flood: { ahead } }),
    /** A second passes, as far as the memory can tell. */
    beat: async () => {
      say({ beat: true });
      await next();
    },
    handOver: () => say({ handOver: true }),
    kill: async () => {
      child.kill('SIGKILL');
      await closed;
      return lines;
    },
    closed,
    lines,
  };
}

async function main(directory: string, kids: string[]): Promise<void> {
  const print = (line: unknown) => process.stdout.write(`${JSON.stringify(line)}\n`);
  const state = await openState(directory, {
    kids,
    report: (error) => print({ error: error.message }),
  });
  const admit = async (kid: string, nonce: string, created: number) => {
    const admission = state.memory.admit(kid, nonce, created);
    if (admission !== 'unmarked') return admission;
    await state.marks.cover(kid, created);
    return state.memory.admit(kid, nonce, created);
  };
  print({ origin: state.origin });
  let handedOver = false;
  for await (const text of createInterface(process.stdin)) {
    const line = JSON.parse(text) as Line;
    if ('handOver' in line) {
      handedOver = true;
      await state.handOver();
      process.stdin.destroy();
      break;
    }
    if ('beat' in line) {
      state.beat();
      print({ beat: true });
    } else if ('ask' in line) {
      const { kid, nonce, created, relative } = line.ask;
      const seconds = relative ? Math.floor(Date.now() / 1000) + created : created;
      print({ admission: await admit(kid, nonce, seconds) });
    } else flood(line.flood.ahead);
  }

  /** Admits as fast as it can; what it accepted it prints, as a proxy would pass it on. */
  function flood(ahead: number): void {
    let n = 0;
    const some = async () => {
      for (let i = 0; i < 20; i++) {
        const kid = kids[n % kids.length] as string;
        const nonce = `${process.pid}-${String(n++).padStart(16, '0')}`;
        const created = Math.floor(Date.now() / 1000) + (n % 3 === 0 ? ahead : 0);
        const admission = await admit(kid, nonce, created);
        print({ kid, nonce, created, admission });
      }
      if (!handedOver) setImmediate(() => void some());
    };
    void some();
  }
}

if (import.meta.main) await main(process.argv[2] as string, process.argv.slice(3));
