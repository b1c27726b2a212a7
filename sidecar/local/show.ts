import { Screen } from '../cli/screen.ts';
import { topLines } from '../cli/top-text.ts';
import { FleetReader } from '../fleet-reader/fleet-reader.ts';
import { type HostsDocument, hosts } from '../fleet-view/hosts.ts';
import type { FleetSnapshot } from '../fleet-view/snapshot.ts';
import { commands, denialLine, nextStep, table } from './board.ts';
import type { LocalService } from './layout.ts';
import type { Activity, Watch } from './watch.ts';

const intervalMs = 1_000;
const shownDenials = 6;
/** Without a terminal the counts are told at most this often. */
const countsEveryMs = 5_000;

/**
 * Shows the running fleet until `signal` aborts: as `countersign top` does on a terminal, else as lines that are added.
 *
 * @param link of the console; the board would cover one that was printed before
 */
export async function show(
  services: readonly LocalService[],
  watch: Watch,
  signal: AbortSignal,
  stop: () => void,
  link: string,
): Promise<void> {
  if (process.stdout.isTTY) await showBoard(services, watch, signal, stop, link);
  else await showLines(services, watch, signal);
}

/** @param stop called when somebody presses q or Ctrl-C */
async function showBoard(
  services: readonly LocalService[],
  watch: Watch,
  signal: AbortSignal,
  stop: () => void,
  link: string,
): Promise<void> {
  const reader = new FleetReader(
    services.map(({ admin }) => `http://127.0.0.1:${admin}`),
    undefined,
  );
  const copied = [...commands(services), `the console: ${link}`, nextStep];
  let document: HostsDocument = { taken_at: new Date().toISOString(), hosts: [] };
  let denials: string[] = [];
  const screen = new Screen(
    { input: process.stdin, output: process.stdout },
    (key) => {
      if (key === 'q' || key === '\x03') stop();
    },
    () => draw(),
  );
  const draw = () => {
    const { columns, rows } = screen.size;
    const below = copied.reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / columns)), 0);
    const room = Math.max(0, Math.min(shownDenials, rows - below - document.hosts.length - 6));
    const latest = room === 0 ? [] : denials.slice(-room);
    const further = latest.length === 0 ? [] : ['Latest denials', ...latest.map((line) => `  ${line}`)];
    const page = { columns, rows: rows - below, colour: process.stdout.hasColors() };
    screen.draw([...topLines(document, page, further), ''], copied);
  };
  try {
    let previous: FleetSnapshot | undefined;
    while (!signal.aborted) {
      const [current, fresh] = await Promise.all([reader.read(['status', 'metrics']), watch.newDenials()]);
      if (signal.aborted) return;
      document = hosts(previous, current);
      previous = current;
      denials = [...denials, ...fresh.map(denialLine)].slice(-shownDenials);
      draw();
      await pause(intervalMs, signal);
    }
  } finally {
    screen.close();
    reader.close();
  }
}

async function showLines(
  services: readonly LocalService[],
  watch: Watch,
  signal: AbortSignal,
): Promise<void> {
  const lines = new Lines(services);
  while (!signal.aborted) {
    const [activity, denials] = await Promise.all([watch.activity(), watch.newDenials()]);
    if (signal.aborted) return;
    lines.update(activity, denials.map(denialLine));
    await pause(intervalMs, signal);
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
