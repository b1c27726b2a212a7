import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { endWithUs, pinned } from '../processes.ts';
import { Latencies } from './latencies.ts';
import type { Command, Load, Report } from './protocol.ts';

/** Ten thousand connections, opened and each used once, take some seconds. */
const patienceMs = 60_000;
const program = join(import.meta.dirname, 'generator.ts');

/** What is loaded does not do what it is there for, so nothing of it can be measured. */
export class PeerFailed extends Error {
  /** Of the peer, where that is known. */
  readonly id: string | undefined;
  constructor(why: string, id?: string) {
    super(why);
    this.name = 'PeerFailed';
    this.id = id;
  }
}

export interface Window {
  readonly requests: number;
  readonly bad: number;
  readonly received: number;
  readonly sent: number;
  readonly open: number;
  readonly latencies: Latencies;
}

/** The load generator: worker processes that share the connections and the rate of a load. */
export class Generators {
  readonly #workers: ChildProcess[];

  constructor(count: number, cores: string | undefined) {
    const [command, args] = pinned(cores, process.execPath, [program]);
    this.#workers = Array.from({ length: count }, () =>
      endWithUs(spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })),
    );
  }

  get pids(): number[] {
    return this.#workers.map(({ pid }) => pid as number);
  }

  async open(load: Load): Promise<void> {
    const { length } = this.#workers;
    await this.#ask((index) => ({
      do: 'open',
      load: {
        ...load,
        connections: Math.floor((load.connections + index) / length),
        perSecond: load.perSecond > 0 ? load.perSecond / length : load.perSecond,
        prepared: Math.ceil((load.prepared ?? 0) / length),
      },
    }));
  }

  /** What happened since the last report. */
  async report(): Promise<Window> {
    const reports = (await this.#ask(() => ({ do: 'report' }))) as Report[];
    const latencies = new Latencies();
    for (const report of reports) latencies.add(new Latencies(report.latencies));
    const sum = (of: (report: Report) => number) => reports.reduce((total, report) => total + of(report), 0);
    return {
      requests: sum(({ requests }) => requests),
      bad: sum(({ bad }) => bad),
      received: sum(({ received }) => received),
      sent: sum(({ sent }) => sent),
      open: sum(({ open }) => open),
      latencies,
    };
  }

  async close(): Promise<void> {
    await this.#ask(() => ({ do: 'close' }));
  }

  stop(): void {
    for (const worker of this.#workers) worker.kill('SIGKILL');
  }

  #ask(command: (index: number) => Command): Promise<unknown[]> {
    return Promise.all(
      this.#workers.map(
        (worker, index) =>
          new Promise((resolve, reject) => {
            const gone = () => reject(new Error('a load generator has died'));
            const silent = () => reject(new Error(`a load generator did not ${command(index).do} in time`));
            const timer = setTimeout(silent, patienceMs);
            worker.once('exit', gone);
            worker.once('message', (message) => {
              clearTimeout(timer);
              worker.off('exit', gone);
              const { failed } = message as { failed?: string };
              if (failed === undefined) resolve(message);
              else reject(new PeerFailed(failed));
            });
            worker.send(command(index));
          }),
      ),
    );
  }
}
