import { commands, denialLine, nextStep, table } from './board.ts';
import type { LocalService } from './layout.ts';
import type { Activity, Watch } from './watch.ts';

const intervalMs = 1_000;
const shownDenials = 6;
/** Without a terminal the counts are told at most this often. */
const countsEveryMs = 5_000;

/** Shows the running fleet until `signal` aborts: redrawn in place on a terminal, else as lines that are added. */
export async function show(
  services: readonly LocalService[],
  watch: Watch,
  signal: AbortSignal,
): Promise<void> {
  const board = process.stdout.isTTY ? new Redrawn(services) : new Lines(services);
  while (!signal.aborted) {
    const [activity, denials] = await Promise.all([watch.activity(), watch.newDenials()]);
    if (signal.aborted) return;
    board.update(activity, denials.map(denialLine));
    await pause(intervalMs, signal);
  }
}

class Redrawn {
  readonly #services: readonly LocalService[];
  #denials: string[] = [];
  #height = 0;
  #shown = '';

  constructor(services: readonly LocalService[]) {
    this.#services = services;
  }

  update(activity: readonly Activity[], denials: readonly string[]): void {
    this.#denials = [...this.#denials, ...denials].slice(-shownDenials);
    const width = process.stdout.columns;
    // What is to be copied may wrap; what is only to be read is cut, so that the height is known.
    const lines = [
      ...table(activity),
      '',
      ...(this.#denials.length > 0
        ? ['Latest denials', ...this.#denials.map((line) => `  ${line}`), '']
        : []),
    ].map((line) => line.slice(0, width));
    const rest = [...commands(this.#services), '', nextStep];
    const text = [...lines, ...rest].join('\n');
    // Left alone while nothing changes, so that a command can be marked and copied.
    if (text === this.#shown) return;
    const height =
      lines.length + rest.reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / width)), 0);
    const up = this.#height > 0 ? `\x1b[${this.#height}A` : '';
    process.stdout.write(`${up}\r\x1b[0J${text}\n`);
    this.#height = height;
    this.#shown = text;
  }
}

class Lines {
  readonly #services: readonly LocalService[];
  readonly #phases = new Map<string, string>();
  #shown = '';
  #shownAt = Number.NEGATIVE_INFINITY;

  constructor(services: readonly LocalService[]) {
    this.#services = services;
  }

  update(activity: readonly Activity[], denials: readonly string[]): void {
    for (const denial of denials) console.log(`denied: ${denial}`);
    for (const { service, phase = '' } of activity) {
      const before = this.#phases.get(service.name);
      if (before !== undefined && before !== phase) console.log(`swapped: ${service.name} is ${phase} now`);
      this.#phases.set(service.name, phase);
    }
    const text = table(activity).join('\n');
    if (text === this.#shown || performance.now() - this.#shownAt < countsEveryMs) return;
    console.log(text);
    if (this.#shown === '') console.log(['', ...commands(this.#services), '', nextStep].join('\n'));
    this.#shown = text;
    this.#shownAt = performance.now();
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  signal.addEventListener('abort', () => {
    clearTimeout(timer);
    resolve();
  });
  return promise;
}
